//! What must leave the store next, and why. Pure: a view of the store goes in, one step comes out.
//!
//! Delivered generations go before undelivered ones, telemetry before business, the oldest first. An
//! undelivered business generation goes only when the configuration gives business events an age.

use std::time::Duration;

use penstock_events::{GapReason, Lane, Sequence, Timestamp};

use crate::manifest::{Generation, Manifest, Phase};
use crate::options::Limits;
use crate::per_lane::PerLane;

/// The lanes in the order in which they give up generations.
const ORDER: [Lane; 2] = [Lane::Telemetry, Lane::Business];
/// A lane whose events expire begins a generation after this part of their age, so that none stays much
/// longer for the sake of its neighbours.
const GENERATIONS_PER_AGE: u32 = 8;
/// A clock that says less than 2025 was never set. No age is computed from it.
const UNSET_BEFORE: Timestamp = Timestamp::from_micros(1_735_689_600_000_000);

/// The store at one moment.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) catalog: &'a Manifest,
    /// What is about to be added.
    pub(super) coming_bytes: PerLane<u64>,
    /// Up to where every destination has each lane.
    pub(super) delivered: PerLane<Sequence>,
    /// The same with the destinations that are no longer configured: they may come back.
    pub(super) delivered_to_all: PerLane<Sequence>,
    /// Up to where an operator wants nothing kept any longer.
    pub(super) purged: PerLane<Sequence>,
    /// From where on each lane is still needed by a replay. Want of room takes it all the same.
    pub(super) needed_from: PerLane<Option<Sequence>>,
    pub(super) now: Timestamp,
    /// The free bytes of the disk, when they are to be acted upon.
    pub(super) free_bytes: Option<u64>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Delete the delivered generations of a lane up to this place.
    Delete(Lane, Sequence),
    /// Give up the oldest generation of a lane, delivered or not.
    GiveUp(Lane, GapReason),
    /// Begin another generation, so that this one can expire.
    Roll(Lane),
}

impl View<'_> {
    /// The next step towards a store as `limits` want it; none when it is one, or when all that is left must stay.
    pub(super) fn next_step(&self, limits: &Limits) -> Option<Step> {
        self.outlived(limits).or_else(|| self.expired(limits)).or_else(|| self.over(limits))
    }

    /// Whether the disk has less free space than it should.
    pub(super) fn is_scarce(&self, limits: &Limits) -> bool {
        self.free_bytes.is_some_and(|free| free < limits.min_free_bytes)
    }

    /// What is delivered and was retained for long enough. What a destination that is no longer configured has yet to
    /// get stays until it is too old or its room is needed: a change of the configuration wipes nothing.
    fn outlived(&self, limits: &Limits) -> Option<Step> {
        ORDER.into_iter().find_map(|lane| {
            let may_go = |generation: &&Generation| {
                self.is_delivered(lane, generation)
                    && self.needed_from[lane].is_none_or(|needed| generation.extent.last < needed)
                    && (generation.extent.last <= self.purged[lane]
                        || self.age(generation.ended).is_none_or(|age| age >= limits.retain)
                            && self.is_unwanted(lane, generation, limits))
            };
            let last = self.catalog.lanes[lane].iter().take_while(may_go).last()?;
            Some(Step::Delete(lane, last.extent.last))
        })
    }

    /// What is not delivered and too old.
    fn expired(&self, limits: &Limits) -> Option<Step> {
        ORDER.into_iter().find_map(|lane| {
            let max_age = limits.max_age[lane]?;
            let is_older = |time, than| self.age(time).is_some_and(|age| age >= than);
            let oldest = self.catalog.lanes[lane].iter().find(|one| !self.is_delivered(lane, one))?;
            match oldest.phase {
                // What is delivered before it goes with it: the oldest is given up until it is its turn.
                Phase::Sealed => {
                    is_older(oldest.ended, max_age).then_some(Step::GiveUp(lane, GapReason::Expired))
                }
                Phase::Active => {
                    let is_due = !oldest.is_empty() && oldest.extent.last > self.delivered[lane];
                    let ripe = is_older(oldest.began, max_age / GENERATIONS_PER_AGE);
                    (is_due && ripe).then_some(Step::Roll(lane))
                }
            }
        })
    }

    /// What is more than there is room for.
    fn over(&self, limits: &Limits) -> Option<Step> {
        let bytes = PerLane::from_fn(|lane| self.catalog.stored_bytes(lane) + self.coming_bytes[lane]);
        let too_much = bytes.business + bytes.telemetry > limits.max_bytes;
        let has_telemetry = self.catalog.stored_bytes(Lane::Telemetry) > 0;
        if too_much || self.is_scarce(limits) {
            let delivered = ORDER.into_iter().find_map(|lane| self.delete_oldest(lane));
            let reason = if too_much { GapReason::BufferFull } else { GapReason::DiskFull };
            return delivered.or(has_telemetry.then_some(Step::GiveUp(Lane::Telemetry, reason)));
        }
        // Delivered business events must not keep others waiting.
        if bytes.business >= limits.business_bytes { self.delete_oldest(Lane::Business) } else { None }
    }

    fn delete_oldest(&self, lane: Lane) -> Option<Step> {
        let oldest = self.catalog.lanes[lane].first()?;
        self.is_delivered(lane, oldest).then_some(Step::Delete(lane, oldest.extent.last))
    }

    /// Whether `generation` is complete, and every destination has it.
    fn is_delivered(&self, lane: Lane, generation: &Generation) -> bool {
        generation.phase == Phase::Sealed && generation.extent.last <= self.delivered[lane]
    }

    /// Whether no destination that was ever configured may still come for `generation`.
    fn is_unwanted(&self, lane: Lane, generation: &Generation, limits: &Limits) -> bool {
        let is_too_old = |max_age| self.age(generation.ended).is_some_and(|age| age >= max_age);
        generation.extent.last <= self.delivered_to_all[lane] || limits.max_age[lane].is_some_and(is_too_old)
    }

    /// How long ago `time` was; nothing when the clock was not set then. A clock that went back since makes it young.
    fn age(&self, time: Timestamp) -> Option<Duration> {
        (time >= UNSET_BEFORE).then(|| self.now.checked_since(time).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{BESIDE_A_BLOCK_BYTES, Tally};

    const HOUR: Duration = Duration::from_secs(3600);
    const GENERATION_BYTES: u64 = 100;

    fn hour(n: i64) -> Timestamp {
        Timestamp::from_micros(UNSET_BEFORE.as_micros() + n * 3_600_000_000)
    }

    fn limits() -> Limits {
        Limits {
            max_bytes: 1_000,
            generation_bytes: GENERATION_BYTES,
            business_bytes: 600,
            retain: 24 * HOUR,
            max_age: PerLane::default(),
            min_free_bytes: 50,
        }
    }

    /// Generations of ten events, sealed at these hours, and an active one of the last hour.
    fn lane(ended: &[i64]) -> Vec<Generation> {
        let mut generations = Vec::new();
        let mut began = hour(0);
        for at in 0..=ended.len() {
            let first = 10 * at as u64 + 1;
            let id = u32::try_from(at).expect("a few") + 1;
            let mut generation = Generation::starting_at(id, Sequence(first), began);
            let times = (began, began);
            generation.extent.add(
                Sequence(first + 9),
                GENERATION_BYTES - BESIDE_A_BLOCK_BYTES,
                &Tally::new(),
                times,
            );
            if let Some(&ended) = ended.get(at) {
                generation.seal(hour(ended));
                began = hour(ended);
            }
            generations.push(generation);
        }
        generations
    }

    fn store(business: &[i64], telemetry: &[i64]) -> Manifest {
        Manifest { store: 1, lanes: PerLane { business: lane(business), telemetry: lane(telemetry) } }
    }

    /// The store at `now`, of which nothing is delivered, on a disk with room.
    fn view(catalog: &Manifest, now: i64) -> View<'_> {
        View {
            catalog,
            coming_bytes: PerLane::default(),
            delivered: PerLane::default(),
            delivered_to_all: everything(),
            purged: PerLane::default(),
            needed_from: PerLane::default(),
            now: hour(now),
            free_bytes: Some(1_000),
        }
    }

    fn everything() -> PerLane<Sequence> {
        PerLane { business: Sequence(u64::MAX), telemetry: Sequence(u64::MAX) }
    }

    #[test]
    fn what_is_delivered_stays_for_the_time_of_retention_and_no_longer() {
        let catalog = store(&[1], &[1, 2, 9]);
        let at = |now| View { delivered: everything(), ..view(&catalog, now) }.next_step(&limits());
        assert_eq!(at(24), None);
        assert_eq!(at(26), Some(Step::Delete(Lane::Telemetry, Sequence(20))));
        let undelivered = view(&catalog, 1_000);
        assert_eq!(undelivered.next_step(&limits()), None, "without an age nothing undelivered goes");
    }

    #[test]
    fn what_a_removed_destination_lacks_stays_until_it_is_too_old_or_purged_or_in_the_way() {
        let catalog = store(&[], &[1, 2, 9]);
        let delivered_to_all = PerLane { telemetry: Sequence(10), ..everything() };
        let removed = |now| View { delivered: everything(), delivered_to_all, ..view(&catalog, now) };
        let first = Some(Step::Delete(Lane::Telemetry, Sequence(10)));
        let second = Some(Step::Delete(Lane::Telemetry, Sequence(20)));
        assert_eq!(removed(1_000).next_step(&limits()), first);
        let max_age = PerLane { telemetry: Some(48 * HOUR), business: None };
        assert_eq!(removed(50).next_step(&Limits { max_age, ..limits() }), second);
        let purged = PerLane { telemetry: Sequence(20), ..PerLane::default() };
        assert_eq!(View { purged, ..removed(30) }.next_step(&limits()), second);
        let coming_bytes = PerLane { business: 0, telemetry: 1_000 };
        assert_eq!(View { coming_bytes, ..removed(3) }.next_step(&limits()), first, "without a gap");
    }

    #[test]
    fn what_an_operator_purges_is_not_retained() {
        let catalog = store(&[], &[1, 2]);
        let purged = PerLane { telemetry: Sequence(10), ..PerLane::default() };
        let view = View { delivered: everything(), purged, ..view(&catalog, 3) };
        assert_eq!(view.next_step(&limits()), Some(Step::Delete(Lane::Telemetry, Sequence(10))));
    }

    #[test]
    fn what_a_replay_needs_outlives_its_time_and_a_purge_but_not_the_want_of_room() {
        let catalog = store(&[], &[1, 2]);
        let needed_from = PerLane { telemetry: Some(Sequence(11)), ..PerLane::default() };
        let old = View { delivered: everything(), purged: everything(), needed_from, ..view(&catalog, 100) };
        assert_eq!(old.next_step(&limits()), Some(Step::Delete(Lane::Telemetry, Sequence(10))));
        let all = View { needed_from: PerLane { telemetry: Some(Sequence(1)), ..needed_from }, ..old };
        assert_eq!(all.next_step(&limits()), None);
        let scarce = View { free_bytes: Some(49), ..all };
        assert_eq!(scarce.next_step(&limits()), Some(Step::Delete(Lane::Telemetry, Sequence(10))));
    }

    #[test]
    fn the_undelivered_expires_by_the_age_of_its_lane_telemetry_first() {
        let catalog = store(&[1], &[1, 2]);
        let limits = |business, telemetry| Limits { max_age: PerLane { business, telemetry }, ..limits() };
        let at = |now, limits: &Limits| view(&catalog, now).next_step(limits);
        let telemetry = Some(Step::GiveUp(Lane::Telemetry, GapReason::Expired));
        assert_eq!(at(8, &limits(None, Some(8 * HOUR))), None);
        assert_eq!(at(9, &limits(None, Some(8 * HOUR))), telemetry);
        assert_eq!(at(9, &limits(Some(8 * HOUR), Some(8 * HOUR))), telemetry);
        let business = Some(Step::GiveUp(Lane::Business, GapReason::Expired));
        assert_eq!(at(9, &limits(Some(8 * HOUR), None)), business);
    }

    #[test]
    fn a_generation_that_grows_slowly_is_ended_so_that_it_can_expire() {
        let catalog = store(&[], &[]);
        let limits = Limits { max_age: PerLane { telemetry: Some(8 * HOUR), business: None }, ..limits() };
        assert_eq!(View { now: hour(0), ..view(&catalog, 0) }.next_step(&limits), None);
        assert_eq!(view(&catalog, 1).next_step(&limits), Some(Step::Roll(Lane::Telemetry)));
        let delivered = View { delivered: everything(), ..view(&catalog, 1) };
        assert_eq!(delivered.next_step(&limits), None, "nothing in it can expire");
    }

    #[test]
    fn a_clock_that_was_not_set_or_went_back_gives_nothing_up() {
        let mut catalog = store(&[], &[1]);
        let limits = Limits { max_age: PerLane { telemetry: Some(HOUR), business: None }, ..limits() };
        assert_eq!(view(&catalog, -5).next_step(&limits), None);
        for generation in &mut catalog.lanes.telemetry {
            (generation.began, generation.ended) = (Timestamp::EPOCH, Timestamp::EPOCH);
        }
        assert_eq!(view(&catalog, 1_000).next_step(&limits), None);
        let delivered = View { delivered: everything(), ..view(&catalog, 1_000) };
        assert_eq!(delivered.next_step(&limits), Some(Step::Delete(Lane::Telemetry, Sequence(10))));
    }

    #[test]
    fn above_its_size_the_delivered_goes_before_the_undelivered_and_business_is_never_given_up() {
        let catalog = store(&[1, 1, 1], &[1, 1, 1, 1, 1]);
        let full = |delivered| {
            let coming_bytes = PerLane { business: 0, telemetry: 1 };
            View { coming_bytes, delivered, ..view(&catalog, 2) }
        };
        let step = |delivered| full(delivered).next_step(&limits());
        assert_eq!(step(everything()), Some(Step::Delete(Lane::Telemetry, Sequence(10))));
        let business = PerLane { business: Sequence(10), telemetry: Sequence(9) };
        assert_eq!(step(business), Some(Step::Delete(Lane::Business, Sequence(10))));
        let full_of = Some(Step::GiveUp(Lane::Telemetry, GapReason::BufferFull));
        assert_eq!(step(PerLane::default()), full_of);
        let empty = vec![Generation::starting_at(1, Sequence(1), hour(0))];
        let no_telemetry =
            Manifest { store: 1, lanes: PerLane { business: lane(&[1; 19]), telemetry: empty } };
        assert_eq!(view(&no_telemetry, 2).next_step(&limits()), None);
    }

    #[test]
    fn a_disk_with_too_little_room_gives_up_the_same_in_the_same_order() {
        let catalog = store(&[1], &[1]);
        let scarce = |delivered| View { free_bytes: Some(49), delivered, ..view(&catalog, 2) };
        let step = |delivered| scarce(delivered).next_step(&limits());
        let business = PerLane { business: Sequence(10), telemetry: Sequence(0) };
        assert_eq!(step(business), Some(Step::Delete(Lane::Business, Sequence(10))));
        assert_eq!(step(PerLane::default()), Some(Step::GiveUp(Lane::Telemetry, GapReason::DiskFull)));
        let unknown = View { free_bytes: None, ..scarce(PerLane::default()) };
        assert_eq!(unknown.next_step(&limits()), None);
    }

    #[test]
    fn retained_business_events_keep_nobody_waiting() {
        let catalog = store(&[1, 1, 1, 1, 1], &[]);
        let some = View {
            delivered: PerLane { business: Sequence(15), telemetry: Sequence(0) },
            ..view(&catalog, 2)
        };
        assert_eq!(some.next_step(&limits()), Some(Step::Delete(Lane::Business, Sequence(10))));
        assert_eq!(view(&catalog, 2).next_step(&limits()), None, "then polling waits");
    }
}
