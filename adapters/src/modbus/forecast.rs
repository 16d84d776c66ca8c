//! What polling a device will cost, before anything is asked. Pure.

use std::time::Duration;

use super::address::Cell;
use super::device::{Device, Group};
use super::limits::Limits;
use super::places::Places;
use super::plan::plan;
use super::session::Framing;
use super::transport::Transport;

/// Function, start and count (Application Protocol V1.1b3, sections 6.1 to 6.4).
const REQUEST_PDU_BYTES: u32 = 5;
/// Function and byte count, before the places.
const REPLY_PDU_BYTES: u32 = 2;

/// Over TCP, the header of a frame (Messaging on TCP/IP V1.0b, section 3.1.3).
const MBAP_BYTES: u32 = 7;
/// On a serial line, the unit id and the checksum (Serial Line V1.02, section 2.5.1).
const RTU_BYTES: u32 = 3;
/// The silence of 3.5 bytes by which a frame ends on a serial line.
const RTU_SILENCE_BYTES: u32 = 4;

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

impl Transport {
    /// What a request costs whatever it reads, in bytes of an answer: for [`super::Limits`]. On a serial line
    /// those of both frames and what could go over the wire in the silence behind each.
    pub fn request_cost_bytes(&self) -> u32 {
        match self.framing() {
            Framing::Mbap => Limits::TCP_REQUEST_COST_BYTES,
            Framing::Rtu(pace) => {
                let frames = REQUEST_PDU_BYTES + REPLY_PDU_BYTES + 2 * RTU_BYTES;
                frames + RTU_SILENCE_BYTES + pace.silence_bytes().unwrap_or(RTU_SILENCE_BYTES)
            }
        }
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
        let frame = match transport.framing() {
            Framing::Mbap => MBAP_BYTES,
            Framing::Rtu(_) => RTU_BYTES,
        };
        request + reply + 2 * frame
    }

    /// How long a serial line is busy with it, however fast the device is: the bytes and the silence before
    /// them. None where the line's speed is not known.
    pub fn time_on(&self, transport: &Transport) -> Option<Duration> {
        match transport.framing() {
            Framing::Mbap => None,
            Framing::Rtu(pace) => pace.exchange(self.bytes_over(transport)),
        }
    }
}

#[cfg(test)]
mod tests;
