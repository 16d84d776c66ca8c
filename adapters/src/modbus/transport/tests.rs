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
use crate::modbus::{
    Device, DeviceStatus, Encoding, Group, Host, Limits, Line, Order, Tag, Transport, Wiring, poll, scripted,
};

/// Far longer than anything here takes; it only ends a test that failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn line(port: u16) -> Line {
    let path = "plc.level".parse().expect("a tag path");
    let at = "40011".parse().expect("an address");
    let tag = Tag::new(TagId(0), path, at, Encoding::U32(Order::Cdab)).expect("a valid tag");
    let device = Device {
        source: SourceId(0),
        name: "plc".parse().expect("a source name"),
        unit: 1,
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
        limits: Limits::default(),
        groups: vec![Group { poll: Duration::from_millis(20), tags: vec![tag] }],
    };
    let transport = Transport::Tcp(Host { host: "localhost".to_owned(), port });
    Line { transport, devices: vec![Arc::new(device)] }
}

fn start(line: Line) -> (mpsc::Receiver<Observation>, AbortOnDropHandle<()>) {
    let (observations, received) = mpsc::channel(1);
    let clock = Clock::system();
    let (status, _reader) = watch::channel(DeviceStatus::starting(line.devices[0].name.clone(), clock.now()));
    let wiring = Wiring { observations, statuses: vec![status], clock, stop: CancellationToken::new() };
    (received, AbortOnDropHandle::new(tokio::spawn(poll(Arc::new(line), wiring))))
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
    let (mut observations, _poller) = start(line(port));
    for _ in 0..3 {
        assert_polled(&next(&mut observations).await);
    }
}

#[tokio::test]
async fn a_port_that_refuses_is_lost_once_and_then_found() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let (mut observations, _poller) = start(line(address.port()));
    let lost = next(&mut observations).await;
    assert!(matches!(lost, Observation::Lost { cause: Cause::Disconnected, .. }), "{lost:?}");
    let listener = TcpListener::bind(address).await.expect("the port is still free");
    let _server = AbortOnDropHandle::new(plc().listen(listener));
    assert_polled(&next(&mut observations).await);
}
