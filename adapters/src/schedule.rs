//! When to poll: slot arithmetic on a wall clock that may step. Pure.
//!
//! Slots lie on a grid aligned to the Unix epoch, so every gateway with the same interval has the
//! same slots. What holds:
//!
//! - A slot is polled at most once, and slots only grow. A gateway that starts polls from the next
//!   slot on, so a restart within a slot does not poll it twice.
//! - A slot is polled when it begins, or up to half an interval late, which is still nearer to it
//!   than to the next. A slot that is later than that, because a poll overran, the queue was full,
//!   the machine slept or the clock stepped forwards, is skipped and counted; polls never pile up.
//! - When the clock steps back by up to [`HOLD_MAX`], polling pauses until the clock has caught up,
//!   so no slot repeats. After a longer step the clock had been plainly wrong, and a gateway that
//!   waited for it would be running but dead: the grid restarts at the clock's time, and slots
//!   that were polled before may repeat.

use std::time::Duration;

use penstock_events::Timestamp;

/// The longest that polling pauses for a clock that stepped back. Time daemons slew or step by
/// less once they are synchronized; more is a correction of a clock that was wrong.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(10);

/// The shortest interval: tokio's timers have no finer grain.
pub(super) const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// The grid, and the next slot on it.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    interval: Duration,
    next: Timestamp,
}

/// What to do at some time. Ask again after doing it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// Nothing for so long, which is never more than one interval.
    Wait(Duration),
    /// Poll this slot.
    Poll(Timestamp),
    /// Count so many slots that passed without a poll.
    Skipped(u64),
    /// Say that the clock stepped back by more than [`HOLD_MAX`] and the grid restarted.
    Restarted,
}

impl Schedule {
    /// A grid of `interval`, whose first slot is the first after `now`. An interval is whole
    /// microseconds and at least [`INTERVAL_MIN`].
    pub(super) fn new(interval: Duration, now: Timestamp) -> Self {
        let micros = u64::try_from(interval.max(INTERVAL_MIN).as_micros()).unwrap_or(u64::MAX);
        let interval = Duration::from_micros(micros);
        Self { interval, next: first_after(now, interval) }
    }

    /// The slot that is polled next, unless it passes without.
    pub(super) const fn next_slot(&self) -> Timestamp {
        self.next
    }

    /// How long to wait at `now` for the next slot, at most one interval: the clock may be set meanwhile.
    pub(super) fn wait(&self, now: Timestamp) -> Duration {
        self.next.checked_since(now).unwrap_or_default().min(self.interval)
    }

    /// What to do at `now`.
    pub(super) fn due(&mut self, now: Timestamp) -> Due {
        match now.checked_since(self.next) {
            None => self.ahead(now),
            Some(late) if late <= self.interval / 2 => {
                let slot = self.next;
                self.next = slot.saturating_add(self.interval);
                Due::Poll(slot)
            }
            Some(_too_late) => Due::Skipped(self.advance(now)),
        }
    }

    /// Leaves out the slots that passed by `now`, without counting them: nothing was due while the
    /// source rested.
    pub(super) fn rested(&mut self, now: Timestamp) {
        if now > self.next {
            self.advance(now);
        }
    }

    fn ahead(&mut self, now: Timestamp) -> Due {
        if self.next.checked_since(now).is_some_and(|wait| wait > self.interval + HOLD_MAX) {
            self.next = first_after(now, self.interval);
            return Due::Restarted;
        }
        Due::Wait(self.wait(now))
    }

    /// Moves on to the slot that may still begin at `now` or is the next to begin, and returns how
    /// many were passed over.
    fn advance(&mut self, now: Timestamp) -> u64 {
        let current = now.slot(self.interval);
        let late = now.checked_since(current).unwrap_or_default();
        let next = if late <= self.interval / 2 { current } else { first_after(now, self.interval) };
        let passed = next.checked_since(self.next).unwrap_or_default();
        self.next = next;
        u64::try_from(passed.as_micros() / self.interval.as_micros()).unwrap_or(u64::MAX)
    }
}

fn first_after(now: Timestamp, interval: Duration) -> Timestamp {
    now.slot(interval).saturating_add(interval)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use penstock_events::Timestamp;
    use proptest::collection;
    use proptest::prelude::{Strategy, prop_oneof, proptest};

    use super::{Due, HOLD_MAX, Schedule};

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_micros((seconds * 1e6) as i64)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_slot_is_the_first_after_the_start() {
        let mut schedule = Schedule::new(SECOND, at(100.25));
        assert_eq!(schedule.due(at(100.25)), Due::Wait(millis(750)));
        assert_eq!(schedule.due(at(101.0)), Due::Poll(at(101.0)));
        assert_eq!(Schedule::new(SECOND, at(100.0)).due(at(100.0)), Due::Wait(SECOND));
    }

    #[test]
    fn a_poll_that_ends_in_time_waits_for_the_next_slot() {
        let mut schedule = Schedule::new(SECOND, at(0.0));
        assert_eq!(schedule.due(at(1.0)), Due::Poll(at(1.0)));
        assert_eq!(schedule.due(at(1.25)), Due::Wait(millis(750)));
        assert_eq!(schedule.due(at(2.0)), Due::Poll(at(2.0)));
    }

    #[test]
    fn an_overrun_skips_the_slots_it_covered_and_counts_them() {
        let mut schedule = Schedule::new(SECOND, at(0.0));
        assert_eq!(schedule.due(at(1.0)), Due::Poll(at(1.0)));
        assert_eq!(schedule.due(at(4.75)), Due::Skipped(3));
        assert_eq!(schedule.due(at(4.75)), Due::Wait(millis(250)));
        assert_eq!(schedule.due(at(5.0)), Due::Poll(at(5.0)));
    }

    #[test]
    fn a_slot_may_begin_up_to_half_an_interval_late() {
        let mut schedule = Schedule::new(SECOND, at(0.0));
        assert_eq!(schedule.due(at(1.5)), Due::Poll(at(1.0)));
        assert_eq!(schedule.due(at(2.51)), Due::Skipped(1));
        assert_eq!(schedule.due(at(2.51)), Due::Wait(millis(490)));
    }

    #[test]
    fn an_overrun_that_ends_early_in_a_slot_still_polls_that_slot() {
        let mut schedule = Schedule::new(SECOND, at(0.0));
        assert_eq!(schedule.due(at(1.0)), Due::Poll(at(1.0)));
        assert_eq!(schedule.due(at(4.25)), Due::Skipped(2));
        assert_eq!(schedule.due(at(4.25)), Due::Poll(at(4.0)));
    }

    #[test]
    fn a_small_step_back_repeats_no_slot() {
        let mut schedule = Schedule::new(SECOND, at(0.0));
        assert_eq!(schedule.due(at(21.0)), Due::Skipped(20));
        assert_eq!(schedule.due(at(21.0)), Due::Poll(at(21.0)));
        assert_eq!(schedule.due(at(12.0)), Due::Wait(SECOND));
        assert_eq!(schedule.due(at(21.5)), Due::Wait(millis(500)));
        assert_eq!(schedule.due(at(22.0)), Due::Poll(at(22.0)));
    }

    #[test]
    fn after_a_large_step_back_polling_goes_on_at_the_clocks_time() {
        let mut schedule = Schedule::new(SECOND, at(10_000.0));
        assert_eq!(schedule.due(at(10_001.0)), Due::Poll(at(10_001.0)));
        assert_eq!(schedule.due(at(100.5)), Due::Restarted);
        assert_eq!(schedule.due(at(100.5)), Due::Wait(millis(500)));
        assert_eq!(schedule.due(at(101.0)), Due::Poll(at(101.0)));
    }

    #[test]
    fn slots_of_a_rest_are_not_counted() {
        let mut schedule = Schedule::new(SECOND, at(0.0));
        assert_eq!(schedule.due(at(1.0)), Due::Poll(at(1.0)));
        schedule.rested(at(7.75));
        assert_eq!(schedule.due(at(7.75)), Due::Wait(millis(250)));
        schedule.rested(at(7.9));
        assert_eq!(schedule.due(at(8.0)), Due::Poll(at(8.0)));
    }

    /// Steps of a clock in milliseconds: mostly onwards, sometimes a jump either way.
    fn steps() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![8 => 0_i64..400, 2 => 0_i64..5_000, 1 => -15_000_i64..0, 1 => 0_i64..100_000];
        collection::vec(step, 1..200)
    }

    proptest! {
        #[test]
        fn slots_lie_on_the_grid_and_grow_unless_the_grid_restarted(
            interval_ms in 1_u64..3_000,
            steps in steps(),
        ) {
            let interval = millis(interval_ms);
            let mut now = at(1_000_000.0);
            let mut schedule = Schedule::new(interval, now);
            let (mut last, mut furthest) = (now, now);
            for step_ms in steps {
                now = Timestamp::from_micros(now.as_micros() + step_ms * 1_000);
                furthest = furthest.max(now);
                match schedule.due(now) {
                    Due::Wait(wait) => assert!(wait > Duration::ZERO && wait <= interval),
                    Due::Poll(slot) => {
                        assert_eq!(slot, slot.slot(interval));
                        assert!(slot > last, "{slot} after {last}");
                        let late = now.checked_since(slot).expect("no slot is polled before it begins");
                        assert!(late <= interval / 2);
                        last = slot;
                    }
                    Due::Skipped(slots) => assert!(slots > 0),
                    Due::Restarted => {
                        let back = furthest.checked_since(now).expect("only a step back restarts the grid");
                        assert!(back > HOLD_MAX);
                        (last, furthest) = (now, now);
                    }
                }
            }
        }

        #[test]
        fn every_slot_is_polled_or_counted(interval_ms in 1_u64..3_000, steps in collection::vec(0_i64..9_000, 1..200)) {
            let interval = millis(interval_ms);
            let start = at(1_000_000.0);
            let mut schedule = Schedule::new(interval, start);
            let (mut now, mut told) = (start, 0);
            for step_ms in steps {
                now = Timestamp::from_micros(now.as_micros() + step_ms * 1_000);
                loop {
                    match schedule.due(now) {
                        Due::Poll(_) => told += 1,
                        Due::Skipped(slots) => told += slots,
                        Due::Wait(_) => break,
                        Due::Restarted => panic!("the clock never stepped back"),
                    }
                }
            }
            let begun = now.slot(interval).checked_since(start.slot(interval)).expect("time went on");
            assert_eq!(u128::from(told), begun.as_micros() / interval.as_micros());
        }
    }
}
