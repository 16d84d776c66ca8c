//! What polling a device will cost, before anything is asked. Pure.

use std::time::Duration;

use super::address::Cell;
use super::device::{Device, Group};
use super::places::Places;
use super::plan::plan;
use super::transport::Transport;

/// Function, start and count (Application Protocol V1.1b3, sections 6.1 to 6.4).
const REQUEST_PDU_BYTES: u32 = 5;
/// Function and byte count, before the places.
const REPLY_PDU_BYTES: u32 = 2;

/// What one poll of a group of tags asks its device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PollForecast {
    /// The time between polls.
    pub poll: Duration,
    /// How many tags the group has.
    pub tags: usize,
    /// The requests, by table and place.
    pub requests: Vec<RequestForecast>,
}

/// One request of a poll.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestForecast {
    /// What it reads.
    pub places: Places,
    /// How many tags it reads.
    pub tags: usize,
    /// How many of its places belong to a tag.
    pub wanted: u32,
}

impl Device {
    /// What each poll of each group will ask.
    pub fn forecast(&self) -> Vec<PollForecast> {
        self.groups.iter().map(|group| self.forecast_of(group)).collect()
    }

    fn forecast_of(&self, group: &Group) -> PollForecast {
        let plan = plan(&group.tags, &self.limits);
        let mut requests: Vec<RequestForecast> = Vec::with_capacity(plan.blocks.len());
        for block in &plan.blocks {
            let places = Places::new(block.table, block.start, block.start + (block.count - 1));
            let places = places.expect("a block has a place at least");
            requests.push(RequestForecast { places, tags: 0, wanted: 0 });
        }
        let mut in_order: Vec<(usize, u32, u32)> = plan
            .homes
            .iter()
            .zip(&group.tags)
            .map(|(home, tag)| {
                (home.block, u32::from(home.offset), u32::from(home.offset) + u32::from(tag.width()))
            })
            .collect();
        in_order.sort_unstable();
        // Tags may share places: bits of one register. So far is how far each request's are counted.
        let mut counted = (0, 0);
        for (block, begin, end) in in_order {
            let so_far = if counted.0 == block { counted.1 } else { 0 };
            requests[block].tags += 1;
            requests[block].wanted += end.saturating_sub(begin.max(so_far));
            counted = (block, so_far.max(end));
        }
        PollForecast { poll: group.poll, tags: group.tags.len(), requests }
    }
}

impl RequestForecast {
    /// The bytes of the request's PDU and of a good reply's.
    fn pdu_bytes(&self) -> (u32, u32) {
        let data = match self.places.table().cell() {
            Cell::Bit => self.places.count().div_ceil(8),
            Cell::Register => 2 * self.places.count(),
        };
        (REQUEST_PDU_BYTES, REPLY_PDU_BYTES + data)
    }

    /// The bytes of the request and of a good reply as `transport` frames them.
    pub fn bytes_over(&self, transport: &Transport) -> u32 {
        let (request, reply) = self.pdu_bytes();
        request + reply + 2 * transport.frame_bytes()
    }
}

#[cfg(test)]
mod tests;
