//! The stream below MQTT: TCP, and TLS on it.

use std::io;
use std::sync::Arc;

use rumqttc::tokio_rustls::TlsConnector;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::address::BrokerAddress;
use super::settings::{Settings, SettingsError};
use super::tls;

/// Makes streams to one broker.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    broker: BrokerAddress,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// Bytes to and from a broker.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

impl Dialer {
    /// Reads the TLS files if the address says TLS.
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self { broker: settings.broker.clone(), tls: tls::client(&settings.broker, &settings.tls)? })
    }

    /// Connects, with TLS where the address says so.
    pub(super) async fn dial(self) -> io::Result<Box<dyn Stream>> {
        let tcp = self.connect().await?;
        let Self { broker, tls } = self;
        let Some((config, name)) = tls else { return Ok(Box::new(tcp)) };
        match TlsConnector::from(config).connect(name, tcp).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(telling(&error, &format!("no TLS with {broker}"))),
        }
    }

    /// Connects without TLS, trying every address that the broker's name has.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let broker = &self.broker;
        tcp(broker).await.map_err(|error| telling(&error, &format!("cannot connect to {broker}")))
    }
}

async fn tcp(broker: &BrokerAddress) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((broker.host.as_str(), broker.port)).await?;
    // The client writes whole batches: waiting to fill a segment would only delay the PUBACKs.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn telling(error: &io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
