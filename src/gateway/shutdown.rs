//! Stopping in the order of the flow, within a deadline.

use std::time::Duration;

use penstock_buffer::Buffer;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

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
    tokens: &Tokens,
    adapters: &mut Stage,
    core: &mut Stage,
    destinations: &mut Stage,
    buffer: &Buffer,
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
    let delivered = timeout_at(deadline - GOODBYE.min(grace / 2), delivered(buffer)).await.is_ok();
    tokens.forwarders.cancel();
    if timeout_at(deadline, destinations.ended()).await.is_err() {
        warn!(?grace, "connections did not end within the grace period");
    }
    match delivered {
        true => info!("everything is delivered"),
        false => info!(backlog = backlog(buffer), "undelivered events wait in the buffer for the next start"),
    }
    Ok(())
}

async fn delivered(buffer: &Buffer) {
    while backlog(buffer) > 0 {
        tokio::time::sleep(LOOK).await;
    }
}

/// Events that some destination has yet to get.
fn backlog(buffer: &Buffer) -> u64 {
    let status = buffer.status();
    let of = |destination: &penstock_buffer::PerLane<penstock_buffer::DestinationStatus>| {
        penstock_events::Lane::ALL.iter().map(|lane| destination[*lane].backlog).sum::<u64>()
    };
    status.destinations.values().map(of).sum()
}
