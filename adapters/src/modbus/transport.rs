//! The TCP connection to a device.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Connects to `host`, resolving its name anew, and to each of its addresses until one accepts.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // A request is one small segment that nothing follows until it is answered.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A stream whose end is an error.
///
/// A device that answers never ends the stream. `tokio_modbus` would report an end as the last
/// error of the operating system, which may be "success" or another connection's.
#[derive(Debug)]
pub(super) struct Endless<S>(pub(super) S);

impl<S: AsyncRead + Unpin> AsyncRead for Endless<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
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
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    //! The whole adapter over real sockets. Everything waits for a condition with a deadline.

    use std::sync::Arc;
    use std::time::Duration;

    use penstock_events::{Cause, Observation, Sample, SourceId, TagId, Value};
    use tokio::net::TcpListener;
    use tokio::sync::{mpsc, watch};
    use tokio::time::timeout;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::AbortOnDropHandle;

    use crate::Clock;
    use crate::modbus::{Device, DeviceStatus, Encoding, Limits, Order, Tag, Wiring, poll, scripted};

    /// Far longer than anything here takes; it only ends a test that failed.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn device(port: u16) -> Device {
        let path = "plc.level".parse().expect("a tag path");
        let at = "40011".parse().expect("an address");
        Device {
            source: SourceId(0),
            name: "plc".parse().expect("a source name"),
            host: "localhost".to_owned(),
            port,
            unit: 1,
            poll: Duration::from_millis(20),
            connect_timeout: PATIENCE,
            request_timeout: PATIENCE,
            limits: Limits::default(),
            tags: vec![Tag::new(TagId(0), path, at, Encoding::U32(Order::Cdab)).expect("a valid tag")],
        }
    }

    fn start(device: Device) -> (mpsc::Receiver<Observation>, AbortOnDropHandle<()>) {
        let (observations, received) = mpsc::channel(1);
        let clock = Clock::system();
        let (status, _reader) = watch::channel(DeviceStatus::starting(device.name.clone(), clock.now()));
        let wiring = Wiring { observations, status, clock, stop: CancellationToken::new() };
        (received, AbortOnDropHandle::new(tokio::spawn(poll(Arc::new(device), wiring))))
    }

    async fn next(observations: &mut mpsc::Receiver<Observation>) -> Observation {
        timeout(PATIENCE, observations.recv()).await.expect("an observation in time").expect("a poller")
    }

    fn plc() -> scripted::Device {
        scripted::Device::answering(|_, request| request.registers(&[0xabcd, 0x0001]))
    }

    fn assert_polled(observation: &Observation) {
        let Observation::Polled { readings, .. } = observation else { panic!("{observation:?}") };
        assert_eq!(readings[0].sample, Sample::Good(Value::UInt(0x0001_abcd)));
    }

    #[tokio::test]
    async fn a_device_is_found_by_name_and_polled_over_tcp() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let _server = AbortOnDropHandle::new(plc().listen(listener));
        let (mut observations, _poller) = start(device(port));
        for _ in 0..3 {
            assert_polled(&next(&mut observations).await);
        }
    }

    #[tokio::test]
    async fn a_port_that_refuses_is_lost_once_and_then_found() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let (mut observations, _poller) = start(device(address.port()));
        let lost = next(&mut observations).await;
        assert!(matches!(lost, Observation::Lost { cause: Cause::Disconnected, .. }), "{lost:?}");
        let listener = TcpListener::bind(address).await.expect("the port is still free");
        let _server = AbortOnDropHandle::new(plc().listen(listener));
        assert_polled(&next(&mut observations).await);
    }
}
