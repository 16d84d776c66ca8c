//! Proof of progress: what feeds systemd's watchdog. A timer alone never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A stage's proof that it is getting on with its work. Cheap to clone; every clone is the same stage's.
///
/// The stage beats once for each piece of work that it completes, and the watchdog compares counts:
/// a count that stands still while there is work is a stage that is stuck.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// A piece of work is complete.
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many pieces of work were completed so far.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
