//! How long to wait before the next attempt to connect. Pure: randomness comes in.

use std::time::Duration;

/// Delays between attempts to connect: they double from `first` up to `cap`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// The delay before the second attempt. Short, because most outages are restarts.
    pub first: Duration,
    /// The longest delay. It bounds both the load that a fleet of gateways puts on a broker that
    /// comes back and the time that a gateway needs to notice that it has.
    pub cap: Duration,
}

impl Default for Backoff {
    /// From 250 ms to 30 s.
    fn default() -> Self {
        Self { first: Duration::from_millis(250), cap: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The delay after `failures` failed attempts in a row, where `jitter` is a random number from 0
    /// to 1. Half of the delay is fixed, so a gateway never hammers; half is random, so that a fleet
    /// that lost its broker together does not come back together.
    pub fn delay(self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1);
        let full = 2_u32
            .checked_pow(doublings)
            .and_then(|factor| self.first.checked_mul(factor))
            .map_or(self.cap, |delay| delay.min(self.cap));
        full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let backoff = Backoff::default();
        let millis: Vec<_> = (1..=9).map(|failures| backoff.delay(failures, 1.0).as_millis()).collect();
        assert_eq!(millis, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.delay(u32::MAX, 1.0), backoff.cap);
    }

    proptest! {
        #[test]
        fn half_of_the_delay_is_jitter(failures in any::<u32>(), jitter in 0.0..=1.0) {
            let backoff = Backoff::default();
            let full = backoff.delay(failures, 1.0);
            let delay = backoff.delay(failures, jitter);
            prop_assert!(delay >= full / 2 && delay <= full && full <= backoff.cap);
        }
    }
}
