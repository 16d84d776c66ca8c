//! Real pseudo-terminals: the kernel's side of a serial port without the wire.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{ControlModes, LocalModes, tcgetattr};
use tokio::io::join;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio_util::task::AbortOnDropHandle;

use super::{Parity, SerialPort, Stop};
use crate::modbus::bench::{Bench, plc};
use crate::modbus::{Transport, scripted};

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

#[tokio::test]
async fn a_device_on_a_serial_port_is_polled() {
    let (end, port) = pseudo_terminal();
    let _device = serve(&plc(), end);
    let mut bench = Bench::over(Transport::Serial(port));
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
    let mut bench = Bench::over(Transport::Serial(port(link.clone())));
    let detail = bench.lost().await;
    assert!(detail.contains("converter: ") && detail.ends_with("is the converter plugged in?"), "{detail}");
    for _ in 0..2 {
        let (end, port) = pseudo_terminal();
        let device = serve(&plc(), end);
        std::os::unix::fs::symlink(port.path, &link).expect("a link");
        bench.polled().await;
        fs::remove_file(&link).expect("it was there");
        drop(device);
        bench.until_lost().await;
    }
}

#[tokio::test]
async fn what_is_no_serial_port_is_told() {
    let mut bench = Bench::over(Transport::Serial(port("/dev/null".into())));
    assert_eq!(bench.lost().await, "cannot connect: /dev/null: this is no serial port");
}
