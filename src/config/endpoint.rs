//! Where a server is: a host and, where one is given, a port.

use std::net::IpAddr;
use std::str::FromStr;

/// `plc-7`, `192.168.10.21:502` or `[fd00::1]:502`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Endpoint {
    /// A name or an address, without brackets.
    pub(super) host: String,
    /// The port, where one is given.
    pub(super) port: Option<u16>,
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, after) = match text.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').ok_or("the bracket of an IPv6 address is open")?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        if host.parse::<IpAddr>().is_err() && !is_host_name(host) {
            return Err(format!("{host:?} is neither a host name nor an address"));
        }
        let port = (!after.is_empty()).then(|| port(after)).transpose()?;
        Ok(Self { host: host.to_owned(), port })
    }
}

fn port(after_host: &str) -> Result<u16, String> {
    let digits = after_host.strip_prefix(':').unwrap_or(after_host);
    match digits.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(format!("{digits:?} is not a port from 1 to 65535")),
    }
}

/// RFC 1123, section 2.1, and '_', which plants use.
fn is_host_name(host: &str) -> bool {
    host.len() <= 253
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        })
}
