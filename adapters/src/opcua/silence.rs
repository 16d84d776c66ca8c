//! Whether a subscription lives: only what it says is life, not that the connection is there. Pure.

use std::time::Duration;

/// How often a subscription that has nothing to say is to say so.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// How many of its keep-alives may be missing: a loaded server, or a publish request that was late.
const MISSING: u32 = 3;

/// How many publications without news are to pass between two keep-alives.
pub(super) fn keep_alive_count(publish: Duration) -> u32 {
    let count = KEEP_ALIVE.as_millis().div_ceil(publish.as_millis().max(1));
    u32::try_from(count).unwrap_or(u32::MAX).max(1)
}

/// How many publications without a publish request end a subscription: those of the session's time-out and of as long
/// again, so that another session can take it over, and at least three keep-alives (OPC 10000-4, section 5.14.2).
pub(super) fn lifetime_count(publish: Duration, session_timeout: Duration) -> u32 {
    let count = (session_timeout.as_millis() * 2).div_ceil(publish.as_millis().max(1));
    u32::try_from(count).unwrap_or(u32::MAX).max(keep_alive_count(publish).saturating_mul(3))
}

/// How long a subscription may say nothing, by what the server made of the wishes.
pub(super) fn limit(publish: Duration, keep_alive_count: u32) -> Duration {
    publish.saturating_mul(keep_alive_count.max(1)).max(Duration::from_secs(1)).saturating_mul(MISSING)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{keep_alive_count, lifetime_count, limit};

    #[test]
    fn a_subscription_says_every_three_seconds_that_it_lives_or_each_time_if_it_publishes_less_often() {
        assert_eq!(keep_alive_count(Duration::from_millis(100)), 30);
        assert_eq!(keep_alive_count(Duration::from_secs(1)), 3);
        assert_eq!(keep_alive_count(Duration::from_secs(60)), 1);
    }

    #[test]
    fn a_subscription_outlives_its_session() {
        assert_eq!(lifetime_count(Duration::from_millis(100), Duration::from_secs(60)), 1_200);
        assert_eq!(lifetime_count(Duration::from_secs(1), Duration::from_secs(1)), 9);
    }

    #[test]
    fn a_third_of_the_silence_that_is_too_long_is_one_keep_alive() {
        assert_eq!(limit(Duration::from_millis(500), 6), Duration::from_secs(9));
        assert_eq!(limit(Duration::from_millis(10), 1), Duration::from_secs(3));
    }
}
