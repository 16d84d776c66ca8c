//! The address of a Modbus device: the way to it, in one line of text.

use std::str::FromStr;
use std::time::Duration;

use penstock_adapters::modbus::{DEFAULT_PORT, DEFAULT_TLS_PORT, Host, Parity, SerialPort, Stop, Transport};

use crate::config::endpoint::Endpoint;
use crate::config::setting::{Scalar, Setting, Text};

/// A device that needs longer between two requests is no device for polling.
const LONGEST_TURNAROUND: Duration = Duration::from_secs(10);

/// What stands in `address`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Address {
    /// All that a transport is.
    Whole(Transport),
    /// A server of Modbus/TCP Security, whose files stand elsewhere.
    Tls(Host),
}

impl Text for Address {
    const ALLOWED: &'static str = "tcp://HOST[:502], tls://HOST[:802], rtu+tcp://HOST:PORT[?turnaround=50ms] or \
                                   rtu:///dev/ttyUSB0[?baud=19200&parity=even&stop=1&turnaround=50ms]";
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, place) = text.split_once("://").ok_or("it has no scheme such as tcp:// or rtu://")?;
        let (place, settings) = place.split_once('?').unwrap_or((place, ""));
        let mut settings = Settings::parse(settings)?;
        let address = match scheme {
            "tls" => Self::Tls(host(place, Some(DEFAULT_TLS_PORT))?),
            "tcp" => Self::Whole(Transport::Tcp(host(place, Some(DEFAULT_PORT))?)),
            "rtu+tcp" => {
                let (host, turnaround) = (host(place, None)?, settings.turnaround()?);
                Self::Whole(Transport::RtuOverTcp { host, turnaround })
            }
            "rtu" => Self::Whole(Transport::Serial(serial(place, &mut settings)?)),
            _ => return Err(format!("{scheme}:// is no Modbus transport")),
        };
        settings.nothing_is_left(scheme)?;
        Ok(address)
    }
}

fn host(place: &str, default_port: Option<u16>) -> Result<Host, String> {
    let Endpoint { host, port } = place.parse()?;
    let port = port.or(default_port).ok_or("it has no port, and converters have none in common")?;
    Ok(Host { host, port })
}

fn serial(path: &str, settings: &mut Settings<'_>) -> Result<SerialPort, String> {
    if !path.starts_with('/') {
        return Err("a serial port is a path from the root, such as rtu:///dev/ttyUSB0".to_owned());
    }
    let baud = match settings.take("baud") {
        None => SerialPort::DEFAULT_BAUD,
        Some(text) => text.parse().ok().filter(|baud| SerialPort::BAUD.contains(baud)).ok_or_else(|| {
            format!("baud={text} is none from {} to {}", SerialPort::BAUD.start(), SerialPort::BAUD.end())
        })?,
    };
    let parity = match settings.take("parity") {
        None | Some("even") => Parity::Even,
        Some("odd") => Parity::Odd,
        Some("none") => Parity::None,
        Some(text) => return Err(format!("parity={text} is none of even, odd and none")),
    };
    let stop = match settings.take("stop") {
        Some("1") => Stop::One,
        Some("2") => Stop::Two,
        Some(text) => return Err(format!("stop={text} is neither 1 nor 2")),
        // As the standard has it (section 2.5.1): every byte has eleven bits. A device that sends one
        // stop bit is understood, and understands two.
        None if parity == Parity::None => Stop::Two,
        None => Stop::One,
    };
    Ok(SerialPort { path: path.into(), baud, parity, stop, turnaround: settings.turnaround()? })
}

/// What stands behind the question mark.
struct Settings<'t>(Vec<(&'t str, &'t str)>);

impl<'t> Settings<'t> {
    fn parse(text: &'t str) -> Result<Self, String> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &'t str| pair.split_once('=').ok_or(format!("{pair:?} is no NAME=VALUE"));
        pairs.map(pair).collect::<Result<_, _>>().map(Self)
    }

    fn take(&mut self, name: &str) -> Option<&'t str> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(at).1)
    }

    fn turnaround(&mut self) -> Result<Duration, String> {
        let Some(text) = self.take("turnaround") else { return Ok(Duration::ZERO) };
        let turnaround = Duration::read(&Scalar::Text(text))
            .map_err(|complaint| format!("turnaround={text} {complaint}"))?;
        if turnaround > LONGEST_TURNAROUND {
            return Err(format!("turnaround={text} is more than {}s", LONGEST_TURNAROUND.as_secs()));
        }
        Ok(turnaround)
    }

    fn nothing_is_left(&self, scheme: &str) -> Result<(), String> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("{scheme}:// has no setting {name:?}, or has it twice")),
        }
    }
}
