//! The ways to a device, and the streams that they open.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::rtu::Pace;
use super::serial::SerialPort;
use super::session::Framing;
use super::tls::SecureHost;

/// The port that Modbus TCP is registered for (Messaging on TCP/IP V1.0b, section 4.1).
pub const DEFAULT_PORT: u16 = 502;

/// A way to one or more devices. Two that are equal are the same connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Modbus TCP.
    Tcp(Host),
    /// Modbus/TCP Security.
    Tls(SecureHost),
    /// RTU frames over TCP: a serial line behind a converter.
    RtuOverTcp {
        /// Where the converter is.
        host: Host,
        /// The least time between a reply and the next request.
        turnaround: Duration,
    },
    /// RTU frames on a serial port.
    Serial(SerialPort),
}

/// Where a server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Host {
    /// Host name or IP address; a name is resolved on every connect.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What is read from and written to.
pub(super) trait Stream: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static> Stream for S {}

impl Transport {
    /// Opens it anew.
    pub(super) async fn open(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(host) | Self::RtuOverTcp { host, .. } => Ok(Box::new(host.connect().await?)),
            Self::Tls(host) => Ok(Box::new(host.connect().await?)),
            Self::Serial(port) => Ok(Box::new(port.open()?)),
        }
    }

    /// How its requests and replies are told apart.
    pub(super) fn framing(&self) -> Framing {
        match self {
            Self::Tcp(_) | Self::Tls(_) => Framing::Mbap,
            Self::RtuOverTcp { turnaround, .. } => Framing::Rtu(Pace::of_network(*turnaround)),
            Self::Serial(port) => Framing::Rtu(port.pace()),
        }
    }

    /// Whether replies carry no number, so that only one device may have a unit id.
    pub fn is_serial(&self) -> bool {
        matches!(self.framing(), Framing::Rtu(_))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Tls(host) => write!(f, "tls://{host}"),
            Self::RtuOverTcp { host, .. } => write!(f, "rtu+tcp://{host}"),
            Self::Serial(port) => write!(f, "rtu://{port}"),
        }
    }
}

impl Host {
    /// Connects, resolving the name anew, and to each of its addresses until one accepts.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        // A request is one small segment that nothing follows until it is answered.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A stream whose end is an error, and whose errors are those of a connection.
///
/// A device that answers never ends the stream. `tokio_modbus` would report an end as the last
/// error of the operating system, which may be "success" or another connection's. What TLS says of
/// its records would pass for a reply that is no Modbus.
#[derive(Debug)]
pub(super) struct Endless<S>(pub(super) S);

impl<S: AsyncRead + Unpin> AsyncRead for Endless<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(context, buffer)).map_err(of_connection)?;
        if buffer.filled().len() == before && buffer.remaining() > 0 {
            let ended = io::Error::new(io::ErrorKind::ConnectionAborted, "closed by the device");
            return Poll::Ready(Err(ended));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Endless<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes).map_err(of_connection)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context).map_err(of_connection)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

fn of_connection(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() {
        return error;
    }
    io::Error::new(io::ErrorKind::ConnectionAborted, error.to_string())
}

#[cfg(test)]
mod tests;
