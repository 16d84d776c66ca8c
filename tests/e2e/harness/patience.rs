//! Waiting for a condition.

use std::thread;
use std::time::{Duration, Instant};

/// Far more than anything takes here, so that only a fault reaches it, on a loaded machine too.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// What `look` gives once it gives something.
///
/// Panics when the deadline has passed, naming what was `awaited`.
#[track_caller]
pub(crate) fn eventually<T>(awaited: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for {awaited}");
        thread::sleep(PAUSE);
    }
}
