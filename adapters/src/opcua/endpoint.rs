//! Where a server is: an `opc.tcp` URL. Other transports are refused.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The port that `opc.tcp` is registered for (OPC 10000-6, section 7.2).
pub const DEFAULT_PORT: u16 = 4840;

/// `opc.tcp://HOST:PORT/PATH`. Displays in full, with its port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointUrl {
    host: String,
    port: u16,
    path: String,
}

/// The text is no URL of an OPC UA server.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// No scheme, or another one.
    #[error("{text:?} is not opc.tcp://HOST, opc.tcp://HOST:PORT or opc.tcp://HOST:PORT/PATH")]
    Scheme {
        /// The text as it was given.
        text: String,
    },
    /// A user name or a password in it.
    #[error("a URL must not hold a user name or a password")]
    Credentials,
    /// Neither a host name nor an address.
    #[error("{host:?} is neither a host name nor an address")]
    Host {
        /// The host as it was given.
        host: String,
    },
    /// Not a port.
    #[error("{port:?} is not a port from 1 to 65535")]
    Port {
        /// The port as it was given.
        port: String,
    },
    /// A path that cannot stand in a URL.
    #[error("the path {path:?} holds a character that no URL has")]
    Path {
        /// The path as it was given.
        path: String,
    },
}

impl EndpointUrl {
    /// Host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for EndpointUrl {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text
            .strip_prefix("opc.tcp://")
            .ok_or_else(|| InvalidEndpoint::Scheme { text: text.to_owned() })?;
        let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if place.contains('@') {
            return Err(InvalidEndpoint::Credentials);
        }
        let bracketed = place.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, after) =
            bracketed.unwrap_or_else(|| place.split_at(place.find(':').unwrap_or(place.len())));
        if host.parse::<IpAddr>().is_err() && !is_host_name(host) {
            return Err(InvalidEndpoint::Host { host: host.to_owned() });
        }
        if path.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(InvalidEndpoint::Path { path: path.to_owned() });
        }
        Ok(Self { host: host.to_owned(), port: port(after)?, path: path.to_owned() })
    }
}

fn port(after_host: &str) -> Result<u16, InvalidEndpoint> {
    if after_host.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    let digits = after_host.strip_prefix(':').unwrap_or(after_host);
    match digits.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(InvalidEndpoint::Port { port: digits.to_owned() }),
    }
}

/// RFC 1123, section 2.1, and '_', which plants use.
fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, path } = self;
        if host.contains(':') {
            write!(f, "opc.tcp://[{host}]:{port}{path}")
        } else {
            write!(f, "opc.tcp://{host}:{port}{path}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EndpointUrl;

    #[test]
    fn a_url_is_shown_with_its_port() {
        for (text, shown) in [
            ("opc.tcp://plc-7", "opc.tcp://plc-7:4840"),
            (
                "opc.tcp://192.168.10.40:4841/freeopcua/server/",
                "opc.tcp://192.168.10.40:4841/freeopcua/server/",
            ),
            ("opc.tcp://[fd00::1]:4840/UA", "opc.tcp://[fd00::1]:4840/UA"),
        ] {
            assert_eq!(text.parse::<EndpointUrl>().expect(text).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_opc_tcp_url_is_refused() {
        for text in [
            "",
            "plc-7",
            "http://plc-7",
            "opc.tcp://",
            "opc.tcp://a b",
            "opc.tcp://plc:0",
            "opc.tcp://plc:x",
            "opc.tcp://plc:70000",
            "opc.tcp://user:word@plc",
            "opc.tcp://plc/a b",
            "opc.tcp://[fd00::1",
        ] {
            assert!(text.parse::<EndpointUrl>().is_err(), "{text:?} was taken");
        }
    }
}
