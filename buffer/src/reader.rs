//! Reading: from a place in a lane onwards, without taking anything away.
//!
//! Readers run beside the writer. They see a generation's end as the catalog has it, which is moved
//! only after the commit is durable.

use std::sync::Arc;

use penstock_events::{Event, Lane, Sequence, StreamId};

use crate::error::ReadError;
use crate::generation::Fault;
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

impl Shared {
    /// Up to `limit` events from the first that is retained at or after `from`.
    pub(crate) fn read(&self, lane: Lane, from: Sequence, limit: usize) -> Result<Batch, ReadError> {
        let mut events = Vec::with_capacity(limit.min(crate::MAX_APPEND_EVENTS));
        let mut from = from;
        while events.len() < limit {
            let Some(stretch) = self.stretch_from(lane, from) else { break };
            let block = match self.block(lane, &stretch) {
                Ok(Some(block)) => block,
                // It was shed or delivered to all since the look at the catalog.
                Ok(None) => continue,
                Err(fault) => return Err(damaged(lane, &stretch, &fault)),
            };
            let places = (block.first.0..=block.last.0.min(stretch.last.0)).map(Sequence);
            let wanted = places.zip(block.events.iter()).skip_while(|(place, _)| *place < stretch.from);
            events.extend(wanted.take(limit - events.len()).map(|(place, event)| (place, event.clone())));
            from = block.last.next();
        }
        Ok(Batch { stream: self.streams[lane].clone(), events })
    }

    fn stretch_from(&self, lane: Lane, from: Sequence) -> Option<Stretch> {
        let catalog = lock(&self.catalog);
        let generation = catalog.lanes[lane]
            .iter()
            .find(|generation| !generation.is_empty() && from <= generation.extent.last)?;
        Some(Stretch {
            generation: generation.id,
            from: from.max(generation.first),
            last: generation.extent.last,
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

fn damaged(lane: Lane, stretch: &Stretch, fault: &Fault) -> ReadError {
    ReadError::Damaged {
        lane,
        generation: stretch.generation,
        sequence: stretch.from,
        detail: fault.to_string(),
    }
}
