//! What a device is and what is read from it: settings that are right once they exist.

use std::time::Duration;

use penstock_events::{SourceId, SourceName};

use super::limits::Limits;
use super::tag::Tag;

/// The port that Modbus TCP is registered for (Messaging on TCP/IP V1.0b, section 4.1).
pub const DEFAULT_PORT: u16 = 502;

/// One Modbus TCP device, or one unit behind a gateway to serial lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its index in the running configuration.
    pub source: SourceId,
    /// Its name.
    pub name: SourceName,
    /// Host name or IP address; a name is resolved on every connect.
    pub host: String,
    /// TCP port, usually [`DEFAULT_PORT`].
    pub port: u16,
    /// The unit id that requests carry and replies must repeat.
    pub unit: u8,
    /// The time between polls: the grid, aligned to the Unix epoch. At least a millisecond.
    pub poll: Duration,
    /// How long name resolution and TCP connect may take together.
    pub connect_timeout: Duration,
    /// How long one reply may take.
    pub request_timeout: Duration,
    /// How much one request may ask for.
    pub limits: Limits,
    /// What is read, in the order in which readings are reported. Each tag
    /// [fits](Tag::fits) the limits.
    pub tags: Vec<Tag>,
}

#[cfg(test)]
mod tests;
