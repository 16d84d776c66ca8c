//! What an MQTT uplink needs to know, and whether it makes sense.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use penstock_events::cloudevent::Origin;

use super::address::BrokerAddress;
use super::backoff::Backoff;
use super::topic::TopicPrefix;

/// Messages in flight unless configured: more than the bandwidth-delay product of a slow WAN link
/// needs (250 messages in 100 ms), few enough to send again after a lost connection.
pub const DEFAULT_INFLIGHT: u16 = 250;
/// The most messages in flight. The client scans its whole window on every flush, so a window in
/// the ten thousands costs more than it gives.
pub const MAX_INFLIGHT: u16 = 1000;
/// How long the client waits for the broker before it sends a ping, unless configured.
pub const DEFAULT_KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long a connect may take, from the name's resolution to the CONNACK, unless configured.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the oldest message in flight may wait for its PUBACK, unless configured. Far beyond any
/// round trip, so it fires for a broker that is stuck and not for one that is slow.
pub const DEFAULT_ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest timeout. One that is longer would never be seen to fire.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// How to reach a broker and how to behave there.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the broker is.
    pub broker: BrokerAddress,
    /// Whom to trust and who to be, when the address says TLS.
    pub tls: TlsFiles,
    /// The client identifier (MQTT 5.0, section 3.1.3.1). Two clients with the same one throw each
    /// other out.
    pub client_id: String,
    /// User name and password.
    pub credentials: Option<Credentials>,
    /// The first levels of the status topic.
    pub prefix: TopicPrefix,
    /// Whose status is published.
    pub origin: Origin,
    /// How long the connection may be silent before a ping; whole seconds from 1 to 65,535.
    pub keep_alive: Duration,
    /// How long a connect may take, from the name's resolution to the CONNACK; up to [`MAX_TIMEOUT`].
    pub connect_timeout: Duration,
    /// How long a message may wait for its PUBACK before the connection is given up; up to
    /// [`MAX_TIMEOUT`].
    pub ack_timeout: Duration,
    /// The most messages in flight, from 1 to [`MAX_INFLIGHT`]. The broker may ask for less.
    pub inflight: u16,
    /// Delays between attempts to connect.
    pub reconnect: Backoff,
}

impl Settings {
    /// Settings for `broker`, with the defaults of this module for everything else.
    pub fn new(
        broker: BrokerAddress,
        client_id: impl Into<String>,
        prefix: TopicPrefix,
        origin: Origin,
    ) -> Self {
        Self {
            broker,
            tls: TlsFiles::default(),
            client_id: client_id.into(),
            credentials: None,
            prefix,
            origin,
            keep_alive: DEFAULT_KEEP_ALIVE,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            ack_timeout: DEFAULT_ACK_TIMEOUT,
            inflight: DEFAULT_INFLIGHT,
            reconnect: Backoff::default(),
        }
    }

    /// The keep alive in seconds, and every other check that needs no file.
    pub(super) fn checked_keep_alive_s(&self) -> Result<u16, SettingsError> {
        if self.client_id.is_empty() || self.client_id.len() > usize::from(u16::MAX) {
            return Err(SettingsError::ClientId { bytes: self.client_id.len() });
        }
        if !(1..=MAX_INFLIGHT).contains(&self.inflight) {
            return Err(SettingsError::Inflight { inflight: self.inflight });
        }
        for (what, timeout) in [("connect", self.connect_timeout), ("acknowledgement", self.ack_timeout)] {
            if timeout.is_zero() || timeout > MAX_TIMEOUT {
                return Err(SettingsError::Timeout { what, timeout });
            }
        }
        match u16::try_from(self.keep_alive.as_secs()) {
            Ok(seconds @ 1..) => Ok(seconds),
            _ => Err(SettingsError::KeepAlive { keep_alive: self.keep_alive }),
        }
    }
}

/// User name and password, as the broker knows them.
#[derive(Clone, Eq, PartialEq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password. Never shown.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The files of a TLS connection, all PEM.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsFiles {
    /// The certificates of the authorities to trust; the system's own when none is given.
    pub ca: Option<PathBuf>,
    /// The certificate to show, for brokers that ask for one.
    pub identity: Option<IdentityFiles>,
}

/// A client certificate and its key, both PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IdentityFiles {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why an uplink cannot be made from its settings. All of it is for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The client identifier is empty or longer than MQTT allows.
    #[error("the client id has {bytes} bytes; 1 to 65,535 are allowed")]
    ClientId {
        /// Its length.
        bytes: usize,
    },
    /// The window is closed or wider than [`MAX_INFLIGHT`].
    #[error("{inflight} messages in flight; 1 to {MAX_INFLIGHT} are allowed")]
    Inflight {
        /// What was asked for.
        inflight: u16,
    },
    /// The keep alive does not fit MQTT's field.
    #[error("a keep alive of {keep_alive:?}; 1 s to 65,535 s are allowed")]
    KeepAlive {
        /// What was asked for.
        keep_alive: Duration,
    },
    /// A timeout that fires at once or never.
    #[error("a {what} timeout of {timeout:?}; more than zero and up to {MAX_TIMEOUT:?} are allowed")]
    Timeout {
        /// For what.
        what: &'static str,
        /// What was asked for.
        timeout: Duration,
    },
    /// A PEM file cannot be read or holds nothing of use.
    #[error("cannot use {what} of {}: {reason}", path.display())]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The system has no authorities to trust.
    #[error("the system trusts no certificate authority; give the CA file of the broker: {reason}")]
    NoSystemRoots {
        /// What went wrong.
        reason: String,
    },
    /// Certificate and key do not belong together, or the key is of a kind that cannot be used.
    #[error("cannot use the client certificate of {} with its key: {reason}", path.display())]
    Identity {
        /// The certificate's file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The host cannot be the name in a certificate.
    #[error("{host:?} cannot be checked against a certificate")]
    ServerName {
        /// The host.
        host: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Settings)) -> Result<u16, SettingsError> {
        let origin =
            Origin { gateway: "edge-01".parse().expect("a name"), site: "plant-7".parse().expect("a name") };
        let broker = "mqtt://localhost".parse().expect("an address");
        let mut settings = Settings::new(broker, "edge-01", "penstock".parse().expect("a prefix"), origin);
        change(&mut settings);
        settings.checked_keep_alive_s()
    }

    #[test]
    fn the_defaults_are_allowed_and_what_is_out_of_range_is_not() {
        assert_eq!(check(|_| ()).expect("defaults"), 30);
        assert!(matches!(check(|s| s.client_id.clear()), Err(SettingsError::ClientId { bytes: 0 })));
        assert!(matches!(check(|s| s.inflight = 0), Err(SettingsError::Inflight { inflight: 0 })));
        assert!(matches!(check(|s| s.inflight = 1001), Err(SettingsError::Inflight { inflight: 1001 })));
        for seconds in [0, 65_536] {
            let keep_alive = Duration::from_secs(seconds);
            assert!(matches!(check(|s| s.keep_alive = keep_alive), Err(SettingsError::KeepAlive { .. })));
        }
        for timeout in [Duration::ZERO, Duration::MAX] {
            assert!(matches!(check(|s| s.ack_timeout = timeout), Err(SettingsError::Timeout { .. })));
            assert!(matches!(check(|s| s.connect_timeout = timeout), Err(SettingsError::Timeout { .. })));
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let credentials = Credentials { username: "edge".into(), password: "hunter2".into() };
        assert_eq!(format!("{credentials:?}"), r#"Credentials { username: "edge", .. }"#);
    }
}
