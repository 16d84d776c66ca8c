//! Where a broker is: parsed once, so that what is no address never reaches a socket.

use std::fmt;
use std::str::FromStr;

/// Where a broker is: `mqtt://host:1883`, `mqtts://host:8883`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BrokerAddress {
    /// A host name or an IP address, an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub security: Security,
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Security {
    /// `mqtt://`: anyone on the way can read and change it.
    Plain,
    /// `mqtts://`
    Tls,
}

impl Security {
    const fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "mqtt",
            Self::Tls => "mqtts",
        }
    }

    /// The port registered for it.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Plain => 1883,
            Self::Tls => 8883,
        }
    }
}

/// Why a text is not a broker's address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidAddress {
    /// It starts with neither `mqtt://` nor `mqtts://`.
    #[error("it starts with neither mqtt:// nor mqtts://")]
    Scheme,
    /// No host.
    #[error("it names no host")]
    NoHost,
    /// The port is not a number from 1 to 65535.
    #[error("{0:?} is not a port from 1 to 65535")]
    Port(String),
    /// User name or password, which must not stand in a configuration file.
    #[error("it holds credentials; they are configured apart from the address")]
    Credentials,
    /// Something after the port.
    #[error("{0:?} after host and port means nothing to MQTT")]
    Trailing(String),
    /// Not a host name or address.
    #[error("{0:?} is not a host name or an IP address (an IPv6 address stands in brackets)")]
    Host(String),
}

impl FromStr for BrokerAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (security, rest) = match text.split_once("://") {
            Some(("mqtt", rest)) => (Security::Plain, rest),
            Some(("mqtts", rest)) => (Security::Tls, rest),
            _ => return Err(InvalidAddress::Scheme),
        };
        if rest.contains('@') {
            return Err(InvalidAddress::Credentials);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some(at) = rest.find(['/', '?', '#']) {
            return Err(InvalidAddress::Trailing(rest[at..].to_owned()));
        }
        let (host, port) = split_port(rest)?;
        let port = match port {
            None => security.default_port(),
            Some(text) => match text.parse() {
                Ok(port @ 1..) => port,
                _ => return Err(InvalidAddress::Port(text.to_owned())),
            },
        };
        Ok(Self { host: host.to_owned(), port, security })
    }
}

/// The host without brackets, and the text of the port if there is one.
fn split_port(text: &str) -> Result<(&str, Option<&str>), InvalidAddress> {
    let bad_host = || InvalidAddress::Host(text.to_owned());
    if let Some(bracketed) = text.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or_else(bad_host)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| bad_host())?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(bad_host()),
        };
    }
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    if host.is_empty() {
        return Err(InvalidAddress::NoHost);
    }
    let is_host = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if !is_host || port.is_some_and(|port| port.contains(':')) {
        return Err(bad_host());
    }
    Ok((host, port))
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.security.scheme();
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_display() {
        let cases = [
            ("mqtt://localhost", "mqtt://localhost:1883"),
            ("mqtts://broker.example.com/", "mqtts://broker.example.com:8883"),
            ("mqtt://192.168.10.2:1884", "mqtt://192.168.10.2:1884"),
            ("mqtts://[fd00::1]", "mqtts://[fd00::1]:8883"),
            ("mqtt://[::1]:99", "mqtt://[::1]:99"),
        ];
        for (text, shown) in cases {
            let address: BrokerAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse::<BrokerAddress>(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        use InvalidAddress::{Credentials, Host, NoHost, Port, Scheme, Trailing};
        let cases = [
            ("broker:1883", Scheme),
            ("http://broker", Scheme),
            ("mqtt://", NoHost),
            ("mqtt://:1883", NoHost),
            ("mqtt://broker:0", Port("0".into())),
            ("mqtt://broker:65536", Port("65536".into())),
            ("mqtt://broker:", Port(String::new())),
            ("mqtt://user:secret@broker", Credentials),
            ("mqtt://broker:1883/path", Trailing("/path".into())),
            ("mqtt://fd00::1", Host("fd00::1".into())),
            ("mqtt://[fd00::1", Host("[fd00::1".into())),
            ("mqtt://bro ker", Host("bro ker".into())),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<BrokerAddress>(), Err(error), "{text:?}");
        }
    }
}
