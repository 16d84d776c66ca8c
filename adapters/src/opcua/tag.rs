//! A tag: which value of which node, and how the server is asked for it.

use std::time::Duration;

use penstock_events::{TagId, TagPath};

use super::node::NodeAddress;
use super::part::Part;

/// One value that is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    /// Its index in the running configuration.
    pub id: TagId,
    /// Its path, for people.
    pub path: TagPath,
    /// The variable.
    pub node: NodeAddress,
    /// Which part of its value it is.
    pub part: Part,
    /// How its values are obtained.
    pub acquisition: Acquisition,
}

/// How values are obtained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Acquisition {
    /// The server says when it has changed: a monitored item of a subscription.
    Subscribe(Sampling),
    /// The gateway asks on its grid, for servers that cannot say.
    Read,
}

/// How the server watches an item (OPC 10000-4, sections 5.13.1 and 7.22.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// How often the server looks at the value; zero is as fast as it can.
    pub interval: Duration,
    /// How many values it keeps between two publications. At least 1.
    pub queue: u32,
    /// Which value it gives up when there are more.
    pub discard: Discard,
    /// What counts as a change.
    pub trigger: Trigger,
    /// How far a number must move.
    pub deadband: Deadband,
}

/// Which value a full queue gives up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Discard {
    /// The oldest.
    Oldest,
    /// The one before the newest.
    Newest,
}

/// What counts as a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trigger {
    /// Another status.
    Status,
    /// Another status or value.
    Value,
    /// Another status, value or source timestamp.
    Timestamp,
}

/// How far a number must move to be sent, judged by the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deadband {
    /// Any change.
    None,
    /// More than this, in the unit of the value.
    Absolute(f64),
    /// More than this part of the range that the server knows for the node (EURange), in percent.
    Percent(f64),
}
