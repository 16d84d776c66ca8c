//! How long a source that does not answer is left alone.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The shortest rest: a device that lost one reply is asked again almost at once.
pub(super) const REST_MIN: Duration = Duration::from_millis(250);
/// The longest rest: how much later than necessary a returning device may be noticed. Bounded, so
/// that a device that is off for a week costs two connects a minute, and returns without help.
pub(super) const REST_MAX: Duration = Duration::from_secs(30);

/// Doubling rests from [`REST_MIN`] to [`REST_MAX`]. Each is drawn between a base and its double,
/// so that the devices behind one failed switch do not come back in one burst.
const RESTS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(REST_MIN)
    .with_max_delay(Duration::from_millis(REST_MAX.as_millis() as u64 / 2))
    .with_jitter()
    .without_max_times();

/// The rests after failures in a row.
pub(super) struct Backoff(<ExponentialBuilder as BackoffBuilder>::Backoff);

impl Backoff {
    /// As after a success.
    pub(super) fn new() -> Self {
        Self(RESTS.build())
    }

    /// The rest after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(REST_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, REST_MAX, REST_MIN};

    #[test]
    fn rests_grow_to_their_limit_and_never_pass_it() {
        let mut backoff = Backoff::new();
        let rests: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(rests.iter().all(|rest| (REST_MIN..=REST_MAX).contains(rest)));
        assert!(rests[0] <= REST_MIN * 2);
        assert!(rests[20..].iter().all(|&rest| rest >= REST_MAX / 2));
    }

    #[test]
    fn rests_are_jittered() {
        let mut backoff = Backoff::new();
        let late: Vec<_> = (0..100).map(|_| backoff.next()).skip(20).collect();
        assert!(late.iter().any(|rest| *rest != late[0]));
    }
}
