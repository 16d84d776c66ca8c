//! Serial ports: opened raw, for nobody else, and read and written without blocking.
//!
//! This file is the only place that knows `rustix`: a port takes a handful of calls, and the crates
//! around `serialport` bring ports of other systems and another licence for them.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{self, ControlModes, InputModes, OptionalActions, QueueSelector, Termios};
use tokio::io::{Join, join};
use tokio::net::unix::pipe::{Receiver, Sender};

use super::rtu::Pace;

/// A serial port and how it is set (Modbus over Serial Line V1.02, sections 2.5.1 and 3.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SerialPort {
    /// Such as `/dev/ttyUSB0`, or better a name below `/dev/serial/by-id`, which does not change.
    pub path: PathBuf,
    /// Bits a second.
    pub baud: u32,
    /// What follows the eight bits of data.
    pub parity: Parity,
    /// How many stop bits, one or two.
    pub stop: Stop,
    /// The least time between a reply and the next request.
    pub turnaround: Duration,
}

/// The bit by which a byte is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parity {
    /// None.
    None,
    /// The number of ones is even.
    Even,
    /// The number of ones is odd.
    Odd,
}

/// The bits that end a byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// One.
    One,
    /// Two.
    Two,
}

impl SerialPort {
    /// What the standard asks of every device that can: 19200 baud.
    pub const DEFAULT_BAUD: u32 = 19_200;
    /// The slowest and the fastest that is of any use.
    pub const BAUD: RangeInclusive<u32> = 110..=4_000_000;

    /// How fast it may be used.
    pub(super) fn pace(&self) -> Pace {
        let parity = u32::from(self.parity != Parity::None);
        let stop = if self.stop == Stop::Two { 2 } else { 1 };
        Pace::of_serial(self.baud, 1 + 8 + parity + stop, self.turnaround)
    }

    /// Opens it, with whatever it had received before thrown away.
    ///
    /// # Errors
    /// Why not, with its path and what to do about it.
    pub(super) fn open(&self) -> io::Result<Join<Receiver, Sender>> {
        self.try_open().map_err(|error| {
            let advice = match error.kind() {
                io::ErrorKind::NotFound => "; is the converter plugged in?",
                io::ErrorKind::PermissionDenied => "; the service's user must be in the group `dialout`",
                io::ErrorKind::ResourceBusy => "; another program has it open",
                io::ErrorKind::InvalidInput => "; the port does not know these settings",
                _ => "",
            };
            io::Error::new(error.kind(), format!("{self}: {error}{advice}"))
        })
    }

    fn try_open(&self) -> io::Result<Join<Receiver, Sender>> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let port = rustix::fs::open(&self.path, flags, Mode::empty())?;
        if !termios::isatty(&port) {
            return Err(io::Error::other("this is no serial port"));
        }
        let mut settings = termios::tcgetattr(&port)?;
        self.apply(&mut settings)?;
        termios::tcsetattr(&port, OptionalActions::Now, &settings)?;
        termios::ioctl_tiocexcl(&port)?;
        termios::tcflush(&port, QueueSelector::IOFlush)?;
        // To tokio a port is as good as a pair of pipes: descriptors that are read, written and waited for.
        let writer = Sender::from_owned_fd_unchecked(port.try_clone()?)?;
        Ok(join(Receiver::from_owned_fd_unchecked(port)?, writer))
    }

    fn apply(&self, settings: &mut Termios) -> io::Result<()> {
        settings.make_raw();
        settings.set_speed(self.baud)?;
        // A byte of the wrong parity comes as 0, which the checksum finds.
        settings.input_modes.set(InputModes::INPCK, self.parity != Parity::None);
        let modes = &mut settings.control_modes;
        // No control lines: an RS-485 converter has none, and a drop of DTR resets some devices.
        modes.remove(ControlModes::HUPCL | ControlModes::CRTSCTS);
        modes.insert(ControlModes::CREAD | ControlModes::CLOCAL);
        modes.set(ControlModes::PARENB, self.parity != Parity::None);
        modes.set(ControlModes::PARODD, self.parity == Parity::Odd);
        modes.set(ControlModes::CSTOPB, self.stop == Stop::Two);
        Ok(())
    }
}

impl fmt::Display for SerialPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

#[cfg(test)]
mod tests;
