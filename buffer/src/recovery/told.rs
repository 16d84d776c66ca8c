//! What the business lane says already of places that are lost: its gaps are the last word on what was announced when the
//! files that say so are lost themselves.

use penstock_events::{EventType, Fact, GapReason, GatewayId, Lane, Sequence, StreamId};

use crate::archive::Archive;
use crate::marks::Marks;
use crate::per_lane::{PerLane, SequenceRange};

const EVERYWHERE: SequenceRange = SequenceRange { first: Sequence(1), last: Sequence(u64::MAX) };

/// The places that gaps name.
#[derive(Clone)]
pub(super) struct Told {
    streams: PerLane<StreamId>,
    places: PerLane<Vec<SequenceRange>>,
}

impl Told {
    /// Nothing yet of the store `store`.
    pub(super) fn new(gateway: &GatewayId, store: u32) -> Self {
        let streams = PerLane::from_fn(|lane| StreamId::new(gateway, lane, store));
        Self { streams, places: PerLane::default() }
    }

    /// Takes in the gaps of a business generation, as far as they can be read.
    pub(super) fn learn(&mut self, archive: &Archive) {
        archive.events_beside(&[EventType::GatewayGap], EVERYWHERE).for_each(|event| self.take(&event.fact));
    }

    /// Takes what was told out of what is to be told.
    pub(super) fn settle(&self, marks: &mut Marks) {
        Lane::ALL.into_iter().for_each(|lane| marks.forget(lane, &self.places[lane]));
    }

    fn take(&mut self, fact: &Fact) {
        let Fact::Gap { stream, first, last, reason, .. } = fact else { return };
        let lane = Lane::ALL.into_iter().find(|&lane| self.streams[lane] == *stream);
        // A dead letter that is gone is lost to one destination only.
        let is_of_letters = matches!(reason, GapReason::Discarded | GapReason::DeadLettersFull);
        if let Some(lane) = lane.filter(|_| !is_of_letters) {
            self.places[lane].push(SequenceRange { first: *first, last: *last });
        }
    }
}
