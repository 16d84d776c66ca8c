//! The connection below a session: TCP, and what comes in is [looked at](inspection) before the library decodes it.

mod inspection;
mod nesting;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, OnceLock};

use opcua::client::ConnectionSource;
use opcua::client::transport::{
    Connector, RequestRecv, SecureChannelState, StreamConnection, StreamConnector, StreamTransport,
    TransportConfiguration,
};
use opcua::core::comms::tcp_codec::TcpCodec;
use opcua::types::{DecodingOptions, EndpointDescription, Error, StatusCode};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::FramedRead;

use super::endpoint::EndpointUrl;
use super::failure::Failure;
use inspection::Inspected;

type Reader = Inspected<OwnedReadHalf>;

/// Connects to one server.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    endpoint: EndpointUrl,
    /// What the server sent first that was not taken. The library only says that the connection is closed.
    complaint: Arc<OnceLock<String>>,
}

impl Transport {
    /// To the server at `endpoint`, whatever address it gives itself.
    pub(super) fn to(endpoint: &EndpointUrl) -> Self {
        Self { endpoint: endpoint.clone(), complaint: Arc::default() }
    }

    /// Why there is no session, where the library says `failure`.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        self.complaint.get().map_or(failure, |complaint| Failure::Unacceptable(complaint.clone()))
    }

    /// Says that the server sends what is not taken.
    fn complain(&self, what: &io::Error) {
        tracing::warn!(server = %self.endpoint, "an OPC UA server sends {what}; the connection to it is closed");
        // The first is told.
        drop(self.complaint.set(what.to_string()));
    }

    async fn open(
        &self,
        channel: Arc<SecureChannelState>,
        decoding: DecodingOptions,
    ) -> Result<StreamConnection<Reader, OwnedWriteHalf>, Error> {
        let (host, port) = (self.endpoint.host(), self.endpoint.port());
        let stream = TcpStream::connect((host, port)).await.map_err(|error| {
            Error::new(StatusCode::BadCommunicationError, format!("no connection to {host}:{port}: {error}"))
        })?;
        let (reader, writer) = stream.into_split();
        let inspected = Inspected::new(reader, channel, &decoding, self.clone());
        let framed = FramedRead::new(inspected, TcpCodec::new(decoding));
        Ok(StreamConnection::new(framed, writer, self.endpoint.to_string()))
    }
}

impl ConnectionSource for Transport {
    type Builder = Self;

    fn get_connector(&self, _: &EndpointDescription) -> Result<Self, Error> {
        Ok(self.clone())
    }
}

impl Connector for Transport {
    type Transport = StreamTransport<Reader, OwnedWriteHalf>;

    async fn connect(
        &self,
        channel: Arc<SecureChannelState>,
        outgoing: RequestRecv,
        config: TransportConfiguration,
    ) -> Result<Self::Transport, Error> {
        let opened = |_, decoding| self.open(Arc::clone(&channel), decoding);
        let connector = StreamConnector::new(opened, self.endpoint.to_string());
        connector.connect(Arc::clone(&channel), outgoing, config).await
    }

    fn default_endpoint(&self) -> EndpointDescription {
        EndpointDescription::from(self.endpoint.to_string().as_str())
    }
}
