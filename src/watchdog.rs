//! What systemd is told: ready, stopping, and alive. Alive means progress; a timer alone proves nothing.

use std::time::Duration;

use penstock_buffer::{Buffer, Condition};
use penstock_events::Observation;
use sd_notify::NotifyState;
use tokio::sync::mpsc::WeakSender;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use crate::pulse::Pulse;

/// What progress is read from.
#[derive(Clone)]
pub(crate) struct Vitals {
    /// It must commit, or say that it is full.
    pub(crate) buffer: Buffer,
    /// What waits here must be taken.
    pub(crate) observations: WeakSender<Observation>,
    /// Who takes it.
    pub(crate) ingest: Pulse,
}

/// Says that the gateway is up.
pub(crate) fn say_ready() {
    say(NotifyState::Ready);
}

/// Says that the gateway is about to end.
pub(crate) fn say_stopping() {
    say(NotifyState::Stopping);
}

/// Feeds systemd's watchdog for as long as there is progress, until `stop`. Without a watchdog it
/// has nothing to do.
///
/// # Errors
/// Never: a stage that is stuck is left to systemd, which ends the process and starts it again.
pub(crate) async fn run(vitals: Vitals, stop: CancellationToken) -> anyhow::Result<()> {
    let Some(limit) = sd_notify::watchdog_enabled() else { return Ok(()) };
    // Twice within the limit, as sd_watchdog_enabled(3) recommends.
    let pause = limit / 2;
    let mut taken = vitals.ingest.count();
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let before = std::mem::replace(&mut taken, vitals.ingest.count());
        match vitals.stuck(before, pause / 2).await {
            None => say(NotifyState::Watchdog),
            Some(stage) => error!(stage, "no progress; systemd will start the gateway again"),
        }
    }
    Ok(())
}

impl Vitals {
    /// The stage that does not get on with its work.
    async fn stuck(&self, taken_before: u64, patience: Duration) -> Option<&'static str> {
        if matches!(self.buffer.status().condition, Condition::Full | Condition::Suspended(_)) {
            // Waiting for room is not being stuck: a start would find the same buffer and the same disk.
            return None;
        }
        if timeout(patience, self.buffer.append(Vec::new(), Vec::new())).await.is_err() {
            return Some("buffer");
        }
        let waiting =
            self.observations.upgrade().is_some_and(|queue| queue.capacity() < queue.max_capacity());
        (waiting && self.ingest.count() == taken_before).then_some("ingest")
    }
}

fn say(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        // There is nobody to tell; systemd itself notices what matters.
        debug!(%error, "systemd could not be told");
    }
}
