//! The whole adapter over real sockets. Everything waits for a condition with a deadline.

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
