//! Where adapters get the time of day: the machine's clock, or a test's.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use penstock_events::Timestamp;

/// A wall clock. It may step, forwards and back; whoever reads it copes with that.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::from_fn(|| Timestamp::from(SystemTime::now()))
    }

    /// A clock that shows what `now` returns.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that shows `start` and from there advances with tokio's time, which tests can pause.
    pub fn from_tokio(start: Timestamp) -> Self {
        let origin = tokio::time::Instant::now();
        Self::from_fn(move || start.saturating_add(origin.elapsed()))
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
