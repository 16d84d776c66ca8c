//! Real pseudo-terminals: the kernel's side of a serial port without the wire.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use penstock_events::{Cause, Observation, Sample, SourceId, TagId, Value};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{ControlModes, LocalModes, tcgetattr};
use tokio::io::join;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Parity, SerialPort, Stop};
use crate::Clock;
use crate::modbus::{
    Device, DeviceStatus, Encoding, Group, Limits, Line, Link, Order, Tag, Transport, Wiring, poll, scripted,
};

/// Far longer than anything here takes; it only ends a test that failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The device's end of a line, and the port at the other.
fn pseudo_terminal() -> (OwnedFd, SerialPort) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let device = openpt(flags).expect("a pseudo-terminal");
    grantpt(&device).expect("it is ours");
    unlockpt(&device).expect("it is ours");
    let path = ptsname(&device, Vec::new()).expect("it has a name");
    (device, port(path.into_string().expect("plain letters").into()))
}

fn port(path: PathBuf) -> SerialPort {
    let turnaround = Duration::ZERO;
    SerialPort { path, baud: 115_200, parity: Parity::Odd, stop: Stop::Two, turnaround }
}

fn serve(plc: &scripted::Device, device: OwnedFd) -> AbortOnDropHandle<()> {
    rustix::io::ioctl_fionbio(&device, true).expect("a descriptor");
    let writer =
        Sender::from_owned_fd_unchecked(device.try_clone().expect("a descriptor")).expect("a runtime");
    let reader = Receiver::from_owned_fd_unchecked(device).expect("a runtime");
    AbortOnDropHandle::new(tokio::spawn(plc.clone().rtu().serve(join(reader, writer))))
}

struct Bench {
    observations: mpsc::Receiver<Observation>,
    status: watch::Receiver<DeviceStatus>,
    _poller: AbortOnDropHandle<()>,
}

fn start(port: SerialPort) -> Bench {
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
    let (observations, received) = mpsc::channel(1);
    let clock = Clock::system();
    let (writer, status) = watch::channel(DeviceStatus::starting(device.name.clone(), clock.now()));
    let line = Line { transport: Transport::Serial(port), devices: vec![Arc::new(device)] };
    let wiring = Wiring { observations, statuses: vec![writer], clock, stop: CancellationToken::new() };
    let poller = AbortOnDropHandle::new(tokio::spawn(poll(Arc::new(line), wiring)));
    Bench { observations: received, status, _poller: poller }
}

impl Bench {
    async fn next(&mut self) -> Observation {
        timeout(PATIENCE, self.observations.recv()).await.expect("an observation in time").expect("a poller")
    }

    async fn polled(&mut self) {
        let observation = self.next().await;
        let Observation::Polled { readings, .. } = observation else { panic!("{observation:?}") };
        assert_eq!(readings[0].sample, Sample::Good(Value::UInt(0x0001_abcd)));
    }

    async fn lost(&mut self) -> String {
        let observation = self.next().await;
        assert!(
            matches!(observation, Observation::Lost { cause: Cause::Disconnected, .. }),
            "{observation:?}"
        );
        let Link::Down { detail, .. } = self.status.borrow().link.clone() else { panic!("it is up") };
        detail
    }
}

fn plc() -> scripted::Device {
    scripted::Device::answering(|_, request| request.registers(&[0xabcd, 0x0001]))
}

#[tokio::test]
async fn a_device_on_a_serial_port_is_polled() {
    let (end, port) = pseudo_terminal();
    let _device = serve(&plc(), end);
    let mut bench = start(port);
    for _ in 0..5 {
        bench.polled().await;
    }
    assert_eq!(bench.status.borrow().connects, 1);
}

#[tokio::test]
async fn a_port_is_raw_and_set_as_told_and_nobody_elses() {
    let (_end, port) = pseudo_terminal();
    let _open = port.open().expect("it opens");
    let shown = rustix::fs::open(&port.path, rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY, 0.into());
    // Whoever may do anything may open it all the same, and sees how it is set.
    match shown {
        Err(busy) => assert_eq!(io::Error::from(busy).kind(), io::ErrorKind::ResourceBusy),
        Ok(shown) => {
            let settings = tcgetattr(shown).expect("a terminal");
            assert_eq!((settings.input_speed(), settings.output_speed()), (115_200, 115_200));
            assert!(settings.control_modes.contains(ControlModes::CSTOPB | ControlModes::CS8));
            assert!(!settings.control_modes.intersects(ControlModes::CRTSCTS | ControlModes::HUPCL));
            assert!(!settings.local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON));
        }
    }
}

#[tokio::test]
async fn a_converter_that_is_pulled_out_and_put_back_is_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("converter");
    let mut bench = start(port(link.clone()));
    let detail = bench.lost().await;
    assert!(detail.contains("converter: ") && detail.ends_with("is the converter plugged in?"), "{detail}");
    for _ in 0..2 {
        let (end, port) = pseudo_terminal();
        let device = serve(&plc(), end);
        std::os::unix::fs::symlink(port.path, &link).expect("a link");
        bench.polled().await;
        fs::remove_file(&link).expect("it was there");
        drop(device);
        while matches!(bench.status.borrow_and_update().link, Link::Up) {
            bench.observations.recv().await.expect("the poller is at work");
        }
    }
}

#[tokio::test]
async fn what_is_no_serial_port_is_told() {
    let mut bench = start(port("/dev/null".into()));
    assert_eq!(bench.lost().await, "cannot connect: /dev/null: this is no serial port");
}
