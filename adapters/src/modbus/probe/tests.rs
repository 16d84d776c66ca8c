//! A probe against devices that are scripted by hand, over TCP.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{Found, Probe, Progress};
use crate::modbus::scripted::{Act, Device, Request};
use crate::modbus::{Host, Table, Transport};

/// Far longer than anything here takes; it only ends a test that failed.
const PATIENCE: Duration = Duration::from_secs(30);

async fn serve(device: &Device) -> (u16, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    (port, AbortOnDropHandle::new(device.listen(listener)))
}

fn probe(port: u16) -> Probe {
    Probe {
        transport: Transport::Tcp(Host { host: "127.0.0.1".to_owned(), port }),
        units: vec![1, 7],
        tables: vec![Table::HoldingRegister, Table::Coil],
        places: 0..=299,
        grain: 10,
        connect_timeout: PATIENCE,
        request_timeout: PATIENCE,
        pause: Duration::ZERO,
        within: PATIENCE,
    }
}

async fn run(device: &Device, change: impl FnOnce(&mut Probe)) -> Found {
    let (port, _server) = serve(device).await;
    let mut probe = probe(port);
    change(&mut probe);
    probe.run(|_| {}).await.expect("somebody is there")
}

fn holds(request: Request, first: u16, last: u16) -> bool {
    first <= request.start && request.start + (request.count - 1) <= last
}

/// Holding registers 40 to 99 and no coils, for unit 7 only; a gateway speaks for the others.
fn unit_7(request: Request) -> Vec<u8> {
    match (request.unit, request.function) {
        (7, 3) if holds(request, 40, 99) => request.all(1),
        (7, 3) => request.exception(2),
        (7, _) => request.exception(1),
        _ => request.exception(11),
    }
}

fn readable(found: &Found, unit: usize, table: usize) -> Vec<String> {
    found.units[unit].tables[table].readable.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn units_and_what_can_be_read_of_them_are_found_with_one_request_at_a_time_and_no_write() {
    let device = Device::answering(|_, request| unit_7(request));
    let found = run(&device, |_| {}).await;
    let units: Vec<_> = found.units.iter().map(|unit| unit.unit).collect();
    assert_eq!((units, found.any_unit, found.cut_short.as_deref()), (vec![7], false, None));
    assert_eq!(readable(&found, 0, 0), ["holding:40-99"]);
    let coils = &found.units[0].tables[1];
    assert!(!coils.is_supported && coils.readable.is_empty());
    assert_eq!(device.requests().len() as u64, found.requests);
    assert!(device.requests().iter().all(|request| matches!(request.function, 1 | 3)));
    assert_eq!(device.connections(), 1);
}

#[tokio::test]
async fn a_device_that_answers_to_any_unit_is_surveyed_once() {
    let device = Device::answering(|_, request| request.exception(2));
    let found = run(&device, |probe| probe.units = (1..=20).collect()).await;
    assert!(found.any_unit);
    assert_eq!(found.units.iter().filter(|unit| !unit.tables.is_empty()).count(), 1);
}

#[tokio::test]
async fn a_unit_that_falls_silent_is_left_alone_and_the_next_one_is_surveyed() {
    let device = Device::new(|_, request| match (request.unit, request.count) {
        (1, count) if count > 1 => vec![Act::Close],
        _ => vec![Act::Send(request.all(1))],
    });
    let found = run(&device, |probe| probe.tables = vec![Table::HoldingRegister]).await;
    let reason = found.units[0].cut_short.as_deref().expect("it is left alone");
    assert!(reason.starts_with("left alone at holding:"), "{reason}");
    assert_eq!(readable(&found, 1, 0), ["holding:0-299"]);
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again() {
    let device = Device::new(|n, request| match n {
        3 => vec![Act::Close],
        _ => vec![Act::Send(unit_7(request))],
    });
    let found = run(&device, |probe| probe.tables = vec![Table::HoldingRegister]).await;
    assert_eq!(readable(&found, 0, 0), ["holding:40-99"]);
    assert_eq!(device.connections(), 2);
}

#[tokio::test]
async fn the_time_limit_ends_it_with_what_was_found() {
    let device = Device::answering(|_, request| unit_7(request));
    let found = run(&device, |probe| probe.within = Duration::ZERO).await;
    assert!(found.cut_short.is_some_and(|reason| reason.contains("time limit")));
    assert_eq!(device.requests(), []);
}

#[tokio::test]
async fn progress_only_grows_and_reaches_its_end() {
    let device = Device::answering(|_, request| unit_7(request));
    let (port, _server) = serve(&device).await;
    let mut told = Vec::new();
    probe(port).run(|progress| told.push(progress)).await.expect("somebody is there");
    let places = |progress: &Progress| match *progress {
        Progress::Places { done, total } => Some((done, total)),
        Progress::Units { .. } => None,
    };
    let places: Vec<_> = told.iter().filter_map(places).collect();
    assert!(places.is_sorted() && places.iter().all(|(done, total)| done < total), "{places:?}");
    assert!(matches!(told[0], Progress::Units { done: 0, total: 2 }));
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let error = probe(port).run(|_| {}).await.expect_err("nobody");
    assert!(error.to_string().contains("cannot connect"), "{error}");
}
