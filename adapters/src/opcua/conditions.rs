//! Conditions: what the server is asked for, what its events say, and what is known of those of one notifier.
//! Pure; follows OPC 10000-9, version 1.05.

mod filter;
mod notice;
mod watch;

use penstock_events::{TagId, TagPath};

pub(super) use filter::{monitored, refresh};
pub(super) use notice::Notice;
pub(super) use watch::Watch;

use super::node::NodeAddress;

/// A node of the server that tells of conditions, such as its Server object.
#[derive(Clone, Debug, PartialEq)]
pub struct Notifier {
    /// The index in the running configuration of the tag that stands for the conditions.
    pub id: TagId,
    /// Its path, for people.
    pub path: TagPath,
    /// The node.
    pub node: NodeAddress,
}
