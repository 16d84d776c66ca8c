//! The MQTT 5 uplink: QoS 1 publishes, each answered by the PUBACK's reason code.
//!
//! [`uplink`] makes a handle and a driver. The driver runs in a task of its own: it owns the
//! connection and makes it again, with growing delays, when it is lost. The handle is what the
//! forwarder publishes with.
//!
//! **A connection is a value.** Every connection has a client, a queue and protocol state of its
//! own, all made for it and dropped with it. So the client library never sends an event again by
//! itself, nothing that a broker granted outlives the connection that it was granted for, and every
//! event that was under way when a connection ended fails at once. What to send again is the
//! forwarder's decision alone, from the buffer. At the broker it is the same: every connect is a
//! clean start with session expiry 0 (MQTT 5.0, sections 3.1.2.4 and 3.1.2.11.2), so a broker that
//! forgets its sessions and one that keeps them are the same to us.
//!
//! **Delivered means PUBACK.** An event is delivered when its PUBACK came with reason code 0x00 or
//! 0x10 (no matching subscribers), not when it was queued or written to a socket.
//!
//! Events are published as CloudEvents in structured mode (CloudEvents MQTT binding 1.0.2,
//! section 3.2). Their encoding is not done here: payloads come as bytes.

mod acks;
mod address;
mod backoff;
mod connection;
mod dial;
mod driver;
mod granted;
mod handle;
mod link;
mod probe;
mod puback;
mod reason;
mod settings;
mod status;
mod tls;
mod topic;
mod vigil;

pub use address::{BrokerAddress, InvalidAddress, Security};
pub use backoff::Backoff;
pub use driver::Driver;
pub use handle::{MqttUplink, Publishing};
pub use link::Link;
pub use probe::{Probed, Reach, probe};
pub use settings::{
    Credentials, DEFAULT_ACK_TIMEOUT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_INFLIGHT, DEFAULT_KEEP_ALIVE,
    IdentityFiles, MAX_INFLIGHT, MAX_TIMEOUT, Settings, SettingsError, TlsFiles,
};
pub use topic::{InvalidTemplate, MAX_TEMPLATE_BYTES, Topic, TopicPrefix, TopicTemplate};

/// Makes an uplink from its settings: the handle to publish with and the driver to run.
///
/// No connection is made before the driver runs.
///
/// # Errors
///
/// When a setting is out of its range, or a TLS file cannot be used. Nothing that lies at the broker
/// is an error here.
pub fn uplink(settings: Settings) -> Result<(MqttUplink, Driver), SettingsError> {
    Driver::new(settings)
}
