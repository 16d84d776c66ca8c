//! Errands: what is delivered beside the lanes because an operator asked for it. A courier runs one of them, and
//! waits for the connection, for something to do, and after a failure.

use std::future::Future;

use anyhow::Context;
use futures_util::future::join_all;
use penstock_buffer::Buffer;
use penstock_events::{Event, Sequence, StreamId};
use penstock_uplink::Outcome;
use penstock_uplink::mqtt::{Link, MqttUplink};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{LONGEST_PAUSE, Letter, Route, pauses};

/// Deliveries that are under way at once: few beside the window of a lane, which live traffic needs.
pub(super) const TOGETHER: usize = 16;

/// Delivers what an errand brings, to one destination.
#[derive(Clone)]
pub(crate) struct Courier {
    pub(super) route: Route,
    pub(super) buffer: Buffer,
    uplink: MqttUplink,
}

/// What an operator asks for, brought in rounds.
pub(crate) trait Errand: Send {
    /// What it brings, for the log: `dead letters`.
    const CARGO: &'static str;

    /// Brings some of it.
    fn round(&mut self, courier: &Courier) -> impl Future<Output = anyhow::Result<Round>> + Send;
}

/// What one round came to.
pub(crate) enum Round {
    /// Nobody asks for anything.
    Idle,
    /// Every delivery got an answer.
    Answered,
    /// One did not; it is made again.
    Failed(String),
}

impl Courier {
    /// A courier over `uplink`, whose deliveries are addressed as `route` says.
    pub(crate) fn new(route: Route, buffer: Buffer, uplink: MqttUplink) -> Self {
        Self { route, buffer, uplink }
    }

    /// Runs `errand` until `stop`.
    ///
    /// # Errors
    /// When the buffer or the connection is gone.
    pub(crate) async fn run(self, errand: impl Errand, stop: CancellationToken) -> anyhow::Result<()> {
        stop.run_until_cancelled(self.rounds(errand)).await.unwrap_or(Ok(()))
    }

    async fn rounds<E: Errand>(&self, mut errand: E) -> anyhow::Result<()> {
        let (destination, cargo) = (&self.route.destination, E::CARGO);
        let mut link = self.uplink.link();
        let mut errands = self.buffer.errands();
        let mut pauses = pauses();
        loop {
            drop(link.wait_for(Link::is_online).await.context("the connection is gone")?);
            errands.mark_unchanged();
            match errand.round(self).await {
                Ok(Round::Answered) => pauses = self::pauses(),
                Ok(Round::Idle) => errands.changed().await.context("the buffer is gone")?,
                Ok(Round::Failed(reason)) => {
                    warn!(%destination, cargo, reason, "a delivery was not confirmed; it is made again");
                    tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                }
                Err(error) => {
                    warn!(%destination, cargo, error = format!("{error:#}"), "nothing can be delivered");
                    tokio::time::sleep(LONGEST_PAUSE).await;
                }
            }
        }
    }

    /// Delivers these events side by side, as they have always travelled; the answer to each.
    pub(super) async fn deliver(
        &self,
        events: impl IntoIterator<Item = (&StreamId, Sequence, &Event)>,
    ) -> Vec<Outcome> {
        let send = async |(stream, sequence, event): (&StreamId, Sequence, &Event)| {
            let Letter { topic, document } = self.route.letter(stream, sequence, event);
            self.uplink.publish(topic, document).await.await
        };
        join_all(events.into_iter().map(send)).await
    }

    /// Has a thread that may block do something with the buffer.
    pub(super) async fn with_buffer<T: Send + 'static, E: std::error::Error + Send + Sync + 'static>(
        &self,
        work: impl FnOnce(&Buffer) -> Result<T, E> + Send + 'static,
    ) -> anyhow::Result<T> {
        let buffer = self.buffer.clone();
        Ok(tokio::task::spawn_blocking(move || work(&buffer)).await.context("the thread ended")??)
    }
}
