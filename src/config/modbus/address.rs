//! The address of a Modbus device: the way to it, in one line of text.

use std::str::FromStr;
use std::time::Duration;

use penstock_adapters::modbus::{DEFAULT_PORT, DEFAULT_TLS_PORT, Host, Parity, SerialPort, Stop, Transport};

use crate::config::endpoint::Endpoint;
use crate::config::setting::{Ordered, Scalar, Setting, Text};

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

/// What stands in `address` for a transport, with the settings that are not the default.
pub(super) fn written(transport: &Transport) -> String {
    let mut settings: Vec<(&str, String)> = Vec::new();
    let turnaround = match transport {
        Transport::Tcp(_) | Transport::Tls(_) => Duration::ZERO,
        Transport::RtuOverTcp { turnaround, .. } => *turnaround,
        Transport::Serial(port) => {
            if port.baud != SerialPort::DEFAULT_BAUD {
                settings.push(("baud", port.baud.to_string()));
            }
            match port.parity {
                Parity::Even => {}
                Parity::Odd => settings.push(("parity", "odd".to_owned())),
                Parity::None => settings.push(("parity", "none".to_owned())),
            }
            if port.stop != default_stop(port.parity) {
                settings.push(("stop", if port.stop == Stop::Two { "2" } else { "1" }.to_owned()));
            }
            port.turnaround
        }
    };
    if !turnaround.is_zero() {
        settings.push(("turnaround", turnaround.show()));
    }
    let mut text = transport.to_string();
    for (index, (name, value)) in settings.into_iter().enumerate() {
        let separator = if index == 0 { '?' } else { '&' };
        text.push_str(&format!("{separator}{name}={value}"));
    }
    text
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
        None => default_stop(parity),
    };
    Ok(SerialPort { path: path.into(), baud, parity, stop, turnaround: settings.turnaround()? })
}

/// As the standard has it (section 2.5.1): every byte has eleven bits. A device that sends one stop bit is
/// understood, and understands two.
fn default_stop(parity: Parity) -> Stop {
    if parity == Parity::None { Stop::Two } else { Stop::One }
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

#[cfg(test)]
mod tests {
    use super::{Address, written};

    #[test]
    fn an_address_reads_back_what_it_displays() {
        for (text, shown) in [
            ("tcp://plc-7", "tcp://plc-7:502"),
            ("tcp://[fd00::1]:1502", "tcp://[fd00::1]:1502"),
            ("rtu+tcp://10.0.0.1:4001?turnaround=50ms", "rtu+tcp://10.0.0.1:4001?turnaround=50ms"),
            ("rtu:///dev/ttyUSB0", "rtu:///dev/ttyUSB0"),
            ("rtu:///dev/ttyUSB0?baud=19200&parity=even&stop=1", "rtu:///dev/ttyUSB0"),
            ("rtu:///dev/ttyS0?parity=none", "rtu:///dev/ttyS0?parity=none"),
            (
                "rtu:///dev/ttyS0?turnaround=1s&stop=1&parity=none&baud=9600",
                "rtu:///dev/ttyS0?baud=9600&parity=none&stop=1&turnaround=1s",
            ),
            ("rtu:///dev/ttyS0?stop=2&parity=odd", "rtu:///dev/ttyS0?parity=odd&stop=2"),
        ] {
            let address: Address = text.parse().expect(text);
            let Address::Whole(transport) = &address else { panic!("{text}") };
            assert_eq!(written(transport), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }
}
