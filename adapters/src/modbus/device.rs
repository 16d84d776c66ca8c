//! What a device is and what is read from it: settings that are right once they exist.

use std::collections::BTreeMap;
use std::time::Duration;

use penstock_events::{SourceId, SourceName};

use super::limits::Limits;
use super::tag::Tag;

/// One device: a unit id on a [`Line`](super::Line).
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its index in the running configuration.
    pub source: SourceId,
    /// Its name.
    pub name: SourceName,
    /// The unit id that requests carry and replies must repeat.
    pub unit: u8,
    /// How long name resolution and connect may take together.
    pub connect_timeout: Duration,
    /// How long one reply may take, on a serial line beyond the time on the wire.
    pub request_timeout: Duration,
    /// How much one request may ask for.
    pub limits: Limits,
    /// What is read, by how often. Each tag [fits](Tag::fits) the limits.
    pub groups: Vec<Group>,
}

/// The tags of a device that are polled together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The time between polls: the grid, aligned to the Unix epoch. At least a millisecond.
    pub poll: Duration,
    /// What is read, in the order in which readings are reported.
    pub tags: Vec<Tag>,
}

impl Group {
    /// The groups of tags that each have a time between their polls, the shortest time first. Tags of
    /// one group keep their order.
    pub fn by_poll(tags: impl IntoIterator<Item = (Duration, Tag)>) -> Vec<Self> {
        let mut groups: BTreeMap<Duration, Vec<Tag>> = BTreeMap::new();
        for (poll, tag) in tags {
            groups.entry(poll).or_default().push(tag);
        }
        groups.into_iter().map(|(poll, tags)| Self { poll, tags }).collect()
    }
}

#[cfg(test)]
mod tests;
