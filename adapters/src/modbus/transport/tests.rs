//! The whole adapter over real sockets. Everything waits for a condition with a deadline.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{Host, Transport};
use crate::modbus::bench::{Bench, plc};

fn transport(port: u16) -> Transport {
    Transport::Tcp(Host { host: "localhost".to_owned(), port })
}

#[tokio::test]
async fn a_device_is_found_by_name_and_polled_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let _server = AbortOnDropHandle::new(plc().listen(listener));
    let mut bench = Bench::over(transport(port));
    for _ in 0..3 {
        bench.polled().await;
    }
}

#[tokio::test]
async fn a_serial_line_behind_a_converter_is_polled_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let _server = AbortOnDropHandle::new(plc().rtu().listen(listener));
    let host = Host { host: "127.0.0.1".to_owned(), port };
    let turnaround = std::time::Duration::from_millis(5);
    let mut bench = Bench::over(Transport::RtuOverTcp { host, turnaround });
    for _ in 0..3 {
        bench.polled().await;
    }
}

#[tokio::test]
async fn a_port_that_refuses_is_lost_once_and_then_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let mut bench = Bench::over(transport(address.port()));
    bench.lost().await;
    let listener = TcpListener::bind(address).await.expect("the port is still free");
    let _server = AbortOnDropHandle::new(plc().listen(listener));
    bench.polled().await;
}

/// A device whose `n`th connection, from 0, ends in the way that `ends` makes it once it was asked.
async fn ending(
    ends: impl Fn(usize, &[u8]) -> Option<Vec<u8>> + Send + 'static,
) -> (u16, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let server = tokio::spawn(async move {
        for n in 0.. {
            let Ok((mut stream, _peer)) = listener.accept().await else { return };
            let mut request = [0; 12];
            while stream.read_exact(&mut request).await.is_ok() {
                let header = [request[0], request[1], 0, 0, 0, 7, request[6], request[7], 4];
                let frame = [&header[..], &[0xab, 0xcd, 0, 1]].concat();
                if let Some(last) = ends(n, &frame) {
                    stream.write_all(&last).await.expect("it is read");
                    // With a reset rather than an end.
                    stream.set_zero_linger().expect("a socket");
                    break;
                }
                stream.write_all(&frame).await.expect("it is read");
            }
        }
    });
    (port, AbortOnDropHandle::new(server))
}

#[tokio::test]
async fn a_device_that_resets_the_connection_in_the_middle_of_a_frame_is_lost_and_comes_back() {
    for cut in [0, 3, 8, 12] {
        let (port, _server) = ending(move |n, frame| (n < 2).then(|| frame[..cut].to_vec())).await;
        let mut bench = Bench::over(transport(port));
        bench.lost().await;
        bench.polled().await;
        assert_eq!(bench.status.borrow().connects, 3);
    }
}

#[tokio::test]
async fn a_device_that_starts_again_between_two_polls_is_not_lost() {
    let asked = AtomicUsize::new(0);
    let third =
        move |_: usize, frame: &[u8]| (asked.fetch_add(1, Ordering::SeqCst) % 3 == 2).then(|| frame.to_vec());
    let (port, _server) = ending(third).await;
    let mut bench = Bench::over(transport(port));
    for _ in 0..10 {
        bench.polled().await;
    }
    assert!(bench.status.borrow().connects > 3);
}
