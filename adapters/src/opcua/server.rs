//! What a server is and what is read from it: settings that are right once they exist.

use std::time::Duration;

use penstock_events::{SourceId, SourceName};

use super::conditions::Notifier;
use super::endpoint::EndpointUrl;
use super::pki::Pin;
use super::security::{Identity, Security};
use super::tag::Tag;

/// One OPC UA server.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Its index in the running configuration.
    pub source: SourceId,
    /// Its name.
    pub name: SourceName,
    /// Where it is.
    pub endpoint: EndpointUrl,
    /// How it is spoken to.
    pub security: Security,
    /// What is known to be wrong with its certificate.
    pub pin: Option<Pin>,
    /// As whom.
    pub identity: Identity,
    /// How often the server sends what changed.
    pub publish: Duration,
    /// The grid, aligned to the Unix epoch, on which the tags that are read cyclically are read.
    pub poll: Duration,
    /// How long a connect, with its secure channel and session, may take.
    pub connect_timeout: Duration,
    /// How long one reply may take.
    pub request_timeout: Duration,
    /// How long the server keeps a session, with its subscriptions, for a gateway that is out of reach.
    pub session_timeout: Duration,
    /// How far back the server's history is asked for values that were missed; not at all when it is zero.
    pub history: Duration,
    /// The most monitored items in one subscription.
    pub subscription_size: usize,
    /// What is read.
    pub tags: Vec<Tag>,
    /// What tells of alarms.
    pub notifiers: Vec<Notifier>,
}

/// Why settings cannot be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidServer {
    /// A password or the proof of a certificate would go over the network for everybody to read or replay.
    #[error("a user can only log in over a secured connection, and `security` is None")]
    UserOverNone,
}

impl Server {
    /// How many items one subscription has unless configured: servers publish subscriptions one after the
    /// other, and a thousand values still fit a message of usual size.
    pub const DEFAULT_SUBSCRIPTION_SIZE: usize = 1000;

    /// Whether a user may log in over a connection of this security.
    ///
    /// # Errors
    /// [`InvalidServer::UserOverNone`].
    pub fn check_identity(security: Security, identity: &Identity) -> Result<(), InvalidServer> {
        match (security, identity) {
            (Security::None, Identity::UserName { .. } | Identity::Certificate { .. }) => {
                Err(InvalidServer::UserOverNone)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
impl Server {
    /// One that is spoken to openly and of which nothing is read.
    pub(super) fn sample() -> Self {
        let second = Duration::from_secs(1);
        Self {
            source: SourceId(0),
            name: "oven".parse().expect("a name"),
            endpoint: "opc.tcp://oven".parse().expect("an endpoint"),
            security: Security::None,
            pin: None,
            identity: Identity::Anonymous,
            publish: second,
            poll: second,
            connect_timeout: second,
            request_timeout: second,
            session_timeout: second,
            history: Duration::ZERO,
            subscription_size: 1,
            tags: Vec::new(),
            notifiers: Vec::new(),
        }
    }
}
