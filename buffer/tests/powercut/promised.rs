//! What a store was told and asked up to a cut.

use std::collections::{BTreeMap, BTreeSet};

use penstock_buffer::PerLane;
use penstock_events::{Lane, Sequence};

use super::Promise;

/// All promises up to a cut.
#[derive(Debug, Default)]
pub(super) struct Promised {
    pub(super) offered: PerLane<u64>,
    /// Runs of places: first, last, ordinal of the first.
    pub(super) durable: PerLane<Vec<(Sequence, Sequence, u64)>>,
    pub(super) told: Vec<(Sequence, Sequence)>,
    pub(super) acknowledged: BTreeMap<(String, Lane), Sequence>,
    /// How far each replay may be; none where it was not begun.
    pub(super) replaying: BTreeMap<(u32, Lane), Sequence>,
    /// The replays that were ordered, and whether each had ended.
    pub(super) replays: BTreeMap<u32, bool>,
    /// Places of dead letters that must be there.
    pub(super) buried: BTreeSet<(String, Lane, Sequence)>,
    /// Places of telemetry that damage may have taken.
    damaged: Vec<(Sequence, Sequence)>,
    pub(super) closed: bool,
}

impl Promised {
    pub(super) fn note(&mut self, promise: Promise) {
        self.closed = false;
        match promise {
            Promise::Offered { business, telemetry } => self.offered = PerLane { business, telemetry },
            Promise::Durable { lane, first, last, ordinal } => {
                self.durable[lane].push((first, last, ordinal));
            }
            Promise::Told { first, last } => self.told.push((first, last)),
            Promise::Acknowledging { destination, lane, through } => {
                self.acknowledged.insert((destination, lane), through);
            }
            Promise::ReplayOrdered { id } => drop(self.replays.insert(id, false)),
            Promise::Replaying { id, lane, next } => drop(self.replaying.insert((id, lane), next)),
            Promise::ReplayEnded { id } => drop(self.replays.insert(id, true)),
            Promise::Buried { destination, lane, first, last } => {
                let places = (first.0..=last.0).map(Sequence);
                self.buried.extend(places.map(|place| (destination.clone(), lane, place)));
            }
            Promise::Deciding { lane, first, last } => {
                self.buried.retain(|&(_, of, place)| of != lane || !(first..=last).contains(&place));
            }
            Promise::Damaging { first, last, .. } => self.damaged.push((first, last)),
            Promise::Refusing { .. } | Promise::Dying { .. } | Promise::Killed => {}
            Promise::Closed => self.closed = true,
        }
    }

    pub(super) fn may_be_damaged(&self, lane: Lane, place: Sequence) -> bool {
        lane == Lane::Telemetry && self.damaged.iter().any(|(first, last)| (first..=last).contains(&&place))
    }

    pub(super) fn durable_head(&self, lane: Lane) -> Sequence {
        self.durable[lane].last().map_or(Sequence::ZERO, |&(_, last, _)| last)
    }
}
