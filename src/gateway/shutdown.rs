//! Stopping in the order of the flow, within a deadline.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::status::Observer;
use crate::supervise::Stage;

/// How often the backlog is looked at while it drains.
const LOOK: Duration = Duration::from_millis(20);
/// Kept of the grace period for the connections to say goodbye in.
const GOODBYE: Duration = Duration::from_secs(1);

/// What each stage is told to stop by.
#[derive(Default)]
pub(super) struct Tokens {
    pub(super) adapters: CancellationToken,
    pub(super) forwarders: CancellationToken,
    pub(super) house: CancellationToken,
}

/// The stages that events go through, in the order of the flow.
pub(super) struct Stages {
    pub(super) adapters: Stage,
    pub(super) core: Stage,
    pub(super) destinations: Stage,
}

/// The signals that stop the gateway.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next one.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Stops the stages one after the other. What is not delivered within `grace` stays in the buffer.
///
/// # Errors
/// When the buffer fails while the last events go into it.
pub(super) async fn drain(
    Stages { adapters, core, destinations }: &mut Stages,
    tokens: &Tokens,
    observer: &Observer,
    grace: Duration,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + grace;
    tokens.adapters.cancel();
    let taken_in = async {
        adapters.ended().await?;
        core.ended().await
    };
    match timeout_at(deadline, taken_in).await {
        Ok(taken_in) => taken_in?,
        Err(_) => warn!(?grace, "the last readings could not be taken in within the grace period"),
    }
    let delivered = timeout_at(deadline - GOODBYE.min(grace / 2), delivered(observer)).await.is_ok();
    tokens.forwarders.cancel();
    if timeout_at(deadline, destinations.ended()).await.is_err() {
        warn!(?grace, "connections did not end within the grace period");
    }
    if !delivered {
        warn!(?grace, "not everything could be delivered within the grace period");
    }
    let backlog = observer.backlog();
    info!(backlog, "undelivered events wait in the buffer for the next start");
    Ok(())
}

/// Waits until nothing is left that could be delivered. What waits for a destination that is offline
/// is not worth waiting for.
async fn delivered(observer: &Observer) {
    while observer.deliverable() > 0 {
        tokio::time::sleep(LOOK).await;
    }
}
