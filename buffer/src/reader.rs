//! Reading: from a place in a lane onwards, without taking anything away.
//!
//! Readers run beside the writer. They see a generation's end as the catalog has it, which is moved
//! only after the commit is durable.

use std::io;
use std::sync::Arc;

use penstock_events::{Event, Lane, Sequence, StreamId};

use crate::error::ReadError;
use crate::generation::{Fault, may_be_damage};
use crate::manifest::GenerationId;
use crate::shared::{DecodedBlock, MAX_DECODED_BLOCKS, Shared, lock};

/// Events of one lane, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The stream that the places belong to.
    pub stream: StreamId,
    /// The events with their places. Places are only missing where events were given up.
    pub events: Vec<(Sequence, Event)>,
}

/// A run of places that one generation holds.
struct Stretch {
    generation: GenerationId,
    from: Sequence,
    last: Sequence,
}

/// What reading comes to.
pub(crate) enum Read {
    /// Events, as far as they can be read.
    Batch(Batch),
    /// There is something, and not one event of it can be read.
    Damage(Damage),
}

/// A generation that does not hold what it should.
pub(crate) struct Damage {
    pub(crate) lane: Lane,
    pub(crate) generation: GenerationId,
    /// The event that was wanted.
    pub(crate) sequence: Sequence,
    pub(crate) detail: String,
}

impl Shared {
    /// Up to `limit` events from the first that is retained at or after `from`.
    pub(crate) fn read(&self, lane: Lane, from: Sequence, limit: usize) -> Result<Read, ReadError> {
        let mut events = Vec::with_capacity(limit.min(crate::MAX_APPEND_EVENTS));
        let mut from = from;
        while events.len() < limit {
            let Some(stretch) = self.stretch_from(lane, from) else { break };
            let block = match self.block(lane, &stretch) {
                Ok(Some(block)) => block,
                // It was shed or delivered to all since the look at the catalog.
                Ok(None) => continue,
                // What came before it can be had.
                Err(_) if !events.is_empty() => break,
                Err(Fault::Io(error)) if !may_be_damage(&error) => {
                    return Err(unreadable(lane, &stretch, &error));
                }
                Err(fault) => return Ok(Read::Damage(damage(lane, &stretch, &fault))),
            };
            let places = (block.first.0..=block.last.0.min(stretch.last.0)).map(Sequence);
            let wanted = places.zip(block.events.iter()).skip_while(|(place, _)| *place < stretch.from);
            events.extend(wanted.take(limit - events.len()).map(|(place, event)| (place, event.clone())));
            from = block.last.next();
        }
        Ok(Read::Batch(Batch { stream: self.streams[lane].clone(), events }))
    }

    fn stretch_from(&self, lane: Lane, from: Sequence) -> Option<Stretch> {
        let catalog = lock(&self.catalog);
        catalog.lanes[lane].iter().filter(|generation| !generation.is_empty()).find_map(|generation| {
            let from = generation.extent.first_from(from.max(generation.first))?;
            Some(Stretch { generation: generation.id, from, last: generation.extent.last })
        })
    }

    /// The block that holds the beginning of `stretch`; `None` when its generation is gone.
    fn block(&self, lane: Lane, stretch: &Stretch) -> Result<Option<DecodedBlock>, Fault> {
        let place = stretch.from;
        let known = |block: &DecodedBlock| block.lane == lane && (block.first..=block.last).contains(&place);
        if let Some(block) = lock(&self.decoded).iter().find(|block| known(block)) {
            return Ok(Some(block.clone()));
        }
        let Some(generation) = self.open_generation(lane, stretch.generation)? else { return Ok(None) };
        let (header, events) = generation.block_with(place)?;
        let block = DecodedBlock { lane, first: header.first, last: header.last, events: Arc::from(events) };
        let mut decoded = lock(&self.decoded);
        decoded.truncate(MAX_DECODED_BLOCKS - 1);
        decoded.push_front(block.clone());
        Ok(Some(block))
    }
}

fn unreadable(lane: Lane, stretch: &Stretch, error: &io::Error) -> ReadError {
    let Stretch { generation, from: sequence, .. } = *stretch;
    ReadError::Disk { lane, generation, sequence, detail: error.to_string() }
}

fn damage(lane: Lane, stretch: &Stretch, fault: &Fault) -> Damage {
    let Stretch { generation, from: sequence, .. } = *stretch;
    Damage { lane, generation, sequence, detail: fault.to_string() }
}
