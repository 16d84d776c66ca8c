//! Which dead letters are kept when there is not room for all. Pure.
//!
//! The oldest telemetry goes first. Business events are never given up: when they fill all the room, the
//! next one has none, and its lane must wait for an operator.

use std::collections::BTreeSet;

use penstock_events::{EventType, Lane, Sequence};

use crate::block::Tally;
use crate::per_lane::SequenceRange;

/// A place of a letter among those of one destination.
pub(super) type Place = (Lane, Sequence);

/// What becomes of letters that come in.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Room {
    /// Those of the new ones that are kept.
    pub(super) kept: BTreeSet<Place>,
    /// Those of the old and the new ones that are given up.
    pub(super) given_up: BTreeSet<Place>,
    /// How many of the first of the new ones have found their end by this; the next one has no room.
    pub(super) settled: usize,
}

impl Room {
    /// Finds room for `new` beside `known`, so that there are no more than `limit`.
    pub(super) fn find(known: BTreeSet<Place>, new: &[Place], limit: usize) -> Self {
        let mut all = known;
        let mut room = Self::default();
        for &place in new {
            if all.len() >= limit && !all.contains(&place) {
                let oldest = all.iter().find(|(lane, _)| *lane == Lane::Telemetry).copied();
                let incoming = (place.0 == Lane::Telemetry).then_some(place);
                let Some(victim) = oldest.into_iter().chain(incoming).min() else { break };
                all.remove(&victim);
                room.kept.remove(&victim);
                room.given_up.insert(victim);
            }
            if !room.given_up.contains(&place) {
                all.insert(place);
                room.kept.insert(place);
            }
            room.settled += 1;
        }
        room
    }
}

/// An unbroken run of events of one lane that are lost, by type where it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Run {
    pub(super) lane: Lane,
    pub(super) places: SequenceRange,
    pub(super) lost: Tally,
}

/// Puts lost events, in order of their places, together as runs.
pub(super) fn runs(lost: impl IntoIterator<Item = (Place, Option<EventType>)>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for ((lane, sequence), kind) in lost {
        match runs.last_mut() {
            Some(run) if run.lane == lane && run.places.last.next() == sequence => run.places.last = sequence,
            _ => {
                let places = SequenceRange { first: sequence, last: sequence };
                runs.push(Run { lane, places, lost: Tally::new() });
            }
        }
        let run = runs.last_mut().expect("there is one by now");
        if let Some(kind) = kind {
            *run.lost.entry(kind).or_default() += 1;
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn business(n: u64) -> Place {
        (Lane::Business, Sequence(n))
    }

    fn telemetry(n: u64) -> Place {
        (Lane::Telemetry, Sequence(n))
    }

    #[test]
    fn the_oldest_telemetry_goes_first_and_business_stays() {
        let known = BTreeSet::from([business(1), telemetry(5), telemetry(9)]);
        let room = Room::find(known, &[business(2), telemetry(12)], 3);
        assert_eq!(room.given_up, BTreeSet::from([telemetry(5), telemetry(9)]));
        assert_eq!(room.kept, BTreeSet::from([business(2), telemetry(12)]));
        assert_eq!(room.settled, 2);
    }

    #[test]
    fn a_business_event_without_room_is_not_settled_and_telemetry_gives_way() {
        let full = || BTreeSet::from([business(1), business(2)]);
        let room = Room::find(full(), &[business(3), business(4)], 2);
        assert_eq!(room, Room::default());
        let room = Room::find(full(), &[telemetry(3), telemetry(4)], 2);
        assert_eq!(room.given_up, BTreeSet::from([telemetry(3), telemetry(4)]));
        assert_eq!((room.kept.len(), room.settled), (0, 2));
    }

    #[test]
    fn a_letter_that_comes_again_takes_its_own_place() {
        let room = Room::find(BTreeSet::from([business(1), telemetry(1)]), &[business(1)], 2);
        assert_eq!((room.settled, room.given_up.len()), (1, 0));
    }

    #[test]
    fn neighbours_are_told_as_one_run() {
        let kind = Some(EventType::TelemetrySampled);
        let lost = [(business(3), None), (telemetry(4), kind), (telemetry(5), kind), (telemetry(7), kind)];
        let runs = runs(lost);
        let places: Vec<_> =
            runs.iter().map(|run| (run.lane, run.places.first.0, run.places.last.0)).collect();
        let expected = [(Lane::Business, 3, 3), (Lane::Telemetry, 4, 5), (Lane::Telemetry, 7, 7)];
        assert_eq!(places, expected);
        assert_eq!(runs[1].lost, Tally::from([(EventType::TelemetrySampled, 2)]));
    }

    fn place() -> impl Strategy<Value = Place> {
        (any::<bool>(), 1..40_u64)
            .prop_map(|(is_business, n)| if is_business { business(n) } else { telemetry(n) })
    }

    proptest! {
        #[test]
        fn whatever_comes_the_bound_holds_and_only_telemetry_is_given_up(
            known in btree_set(place(), 0..8),
            new in vec(place(), 0..12),
            spare in 0..4_usize,
        ) {
            let limit = known.len() + spare;
            let room = Room::find(known.clone(), &new, limit);
            let mut after: BTreeSet<Place> = known.difference(&room.given_up).copied().collect();
            after.extend(&room.kept);
            prop_assert!(after.len() <= limit);
            prop_assert!(room.given_up.iter().all(|(lane, _)| *lane == Lane::Telemetry));
            let settled: BTreeSet<Place> = new[..room.settled].iter().copied().collect();
            for place in &settled {
                prop_assert!(after.contains(place) || room.given_up.contains(place), "{:?} vanished", place);
            }
            if let Some(next) = new.get(room.settled) {
                prop_assert_eq!(next.0, Lane::Business);
                prop_assert!(after.iter().all(|(lane, _)| *lane == Lane::Business) && after.len() == limit);
            }
        }
    }
}
