//! What a refusal by the destination means for the lane. Pure.
//!
//! An event that is refused for good becomes a dead letter, and the lane goes on. One that is not taken
//! without a reason is tried a few times first. When one event after another is refused, the fault is
//! hardly theirs: the lane slows down to one event a pause, so that a mistake at the destination costs a
//! few dead letters and not the whole backlog.

use penstock_events::{Sequence, Timestamp};

/// An event that is not taken without a reason is refused for good at this attempt.
const UNCLEAR_ATTEMPTS: u32 = 5;
/// With more refusals than this in a row, and no delivery between them, the lane slows down.
const FLOOD: u32 = 10;

/// How sure the destination is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Clarity {
    /// It will never take the event.
    Final,
    /// It does not say.
    Unclear,
}

/// What to do with a refused event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// Send it again after a pause.
    TryAgain,
    /// Keep it as a dead letter, and go on.
    Bury(Tried),
    /// Keep it as a dead letter, and go on after a pause.
    BuryAndPause(Tried),
}

/// The attempts at an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Tried {
    /// When the first of them was refused.
    pub(super) first: Timestamp,
    /// How many were.
    pub(super) attempts: u32,
}

/// The refusals of one lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    in_a_row: u32,
    /// The event that is being tried again. Order is kept, so there is at most one.
    doubted: Option<(Sequence, Tried)>,
}

impl Refusals {
    /// An event was delivered: the destination is well.
    pub(super) fn delivered(&mut self) {
        *self = Self::default();
    }

    /// The event at `sequence` was refused at `now`.
    pub(super) fn refused(&mut self, sequence: Sequence, clarity: Clarity, now: Timestamp) -> Verdict {
        let mut tried = match self.doubted {
            Some((doubted, tried)) if doubted == sequence => tried,
            _ => Tried { first: now, attempts: 0 },
        };
        tried.attempts += 1;
        if clarity == Clarity::Unclear && tried.attempts < UNCLEAR_ATTEMPTS {
            self.doubted = Some((sequence, tried));
            return Verdict::TryAgain;
        }
        self.doubted = None;
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.is_flood() { Verdict::BuryAndPause(tried) } else { Verdict::Bury(tried) }
    }

    /// Whether one event after another is refused.
    pub(super) fn is_flood(&self) -> bool {
        self.in_a_row > FLOOD
    }

    /// Whether the last refusal made it a flood.
    pub(super) fn flood_begins(&self) -> bool {
        self.in_a_row == FLOOD + 1
    }

    /// How many events may be under way, where `usual` may be: what follows an event that is likely to be
    /// refused is not sent for nothing.
    pub(super) fn window(&self, usual: usize) -> usize {
        if self.is_flood() || self.doubted.is_some() { 1 } else { usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn what_is_refused_for_good_is_buried_at_once() {
        let mut refusals = Refusals::default();
        let tried = Tried { first: at(1), attempts: 1 };
        assert_eq!(refusals.refused(Sequence(7), Clarity::Final, at(1)), Verdict::Bury(tried));
        assert_eq!(refusals.window(250), 250);
    }

    #[test]
    fn what_is_refused_without_a_reason_is_tried_five_times_alone() {
        let mut refusals = Refusals::default();
        for second in 1..i64::from(UNCLEAR_ATTEMPTS) {
            assert_eq!(refusals.refused(Sequence(7), Clarity::Unclear, at(second)), Verdict::TryAgain);
            assert_eq!(refusals.window(250), 1);
        }
        let tried = Tried { first: at(1), attempts: UNCLEAR_ATTEMPTS };
        assert_eq!(refusals.refused(Sequence(7), Clarity::Unclear, at(9)), Verdict::Bury(tried));
        assert_eq!(
            refusals.refused(Sequence(8), Clarity::Unclear, at(9)),
            Verdict::TryAgain,
            "it begins anew"
        );
    }

    #[test]
    fn a_flood_of_refusals_slows_the_lane_until_one_event_is_delivered() {
        let mut refusals = Refusals::default();
        let tried = Tried { first: at(1), attempts: 1 };
        for n in 1..=u64::from(FLOOD) {
            assert_eq!(refusals.refused(Sequence(n), Clarity::Final, at(1)), Verdict::Bury(tried));
        }
        for n in 0..5 {
            let verdict = refusals.refused(Sequence(100 + n), Clarity::Final, at(1));
            assert_eq!(verdict, Verdict::BuryAndPause(tried));
            assert_eq!(refusals.flood_begins(), n == 0, "it is told once");
            assert_eq!(refusals.window(250), 1);
        }
        refusals.delivered();
        assert_eq!(refusals.window(250), 250);
        assert_eq!(refusals.refused(Sequence(200), Clarity::Final, at(1)), Verdict::Bury(tried));
    }

    #[test]
    fn deliveries_between_refusals_keep_the_lane_at_its_pace() {
        let mut refusals = Refusals::default();
        for n in 0..1_000 {
            let verdict = refusals.refused(Sequence(2 * n), Clarity::Final, at(1));
            assert!(matches!(verdict, Verdict::Bury(_)));
            refusals.delivered();
        }
    }
}
