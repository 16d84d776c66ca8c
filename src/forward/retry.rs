//! Dead letters on their second way: those that an operator wants delivered after all, beside live traffic.

use anyhow::Context;
use futures_util::future::join_all;
use penstock_buffer::{Buffer, DeadLetter, Refusal};
use penstock_uplink::Outcome;
use penstock_uplink::mqtt::{Link, MqttUplink};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{LONGEST_PAUSE, Letter, Route, now, pauses};

/// Letters that are under way at once: few beside the window of a lane, which live traffic needs.
const TOGETHER: usize = 16;

/// Delivers again what an operator asked for, to one destination.
pub(crate) struct Retry {
    route: Route,
    buffer: Buffer,
    uplink: MqttUplink,
}

/// What one round of attempts came to.
enum Round {
    /// Nobody asks for anything.
    Idle,
    /// Every letter got an answer.
    Answered,
    /// This one did not; it is sent again.
    Failed(String),
}

impl Retry {
    /// Retries over `uplink`, addressed as `route` says.
    pub(crate) fn new(route: Route, buffer: Buffer, uplink: MqttUplink) -> Self {
        Self { route, buffer, uplink }
    }

    /// Delivers what is asked for until `stop`.
    ///
    /// # Errors
    /// When the buffer or the connection is gone.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        stop.run_until_cancelled(self.retry()).await.unwrap_or(Ok(()))
    }

    async fn retry(&self) -> anyhow::Result<()> {
        let destination = &self.route.destination;
        let mut link = self.uplink.link();
        let mut errands = self.buffer.errands();
        let mut pauses = pauses();
        loop {
            drop(link.wait_for(Link::is_online).await.context("the connection is gone")?);
            errands.mark_unchanged();
            match self.round().await {
                Ok(Round::Answered) => pauses = self::pauses(),
                Ok(Round::Idle) => errands.changed().await.context("the buffer is gone")?,
                Ok(Round::Failed(reason)) => {
                    warn!(%destination, reason, "dead letters are not taken; they are sent again");
                    tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
                }
                Err(error) => {
                    warn!(%destination, error = format!("{error:#}"), "dead letters cannot be sent again");
                    tokio::time::sleep(LONGEST_PAUSE).await;
                }
            }
        }
    }

    /// Sends some letters and files the answers.
    async fn round(&self) -> anyhow::Result<Round> {
        let name = self.route.destination.clone();
        let letters = blocking(&self.buffer, move |buffer| buffer.dead_letters_to_retry(&name, TOGETHER));
        let letters = letters.await?;
        if letters.is_empty() {
            return Ok(Round::Idle);
        }
        let outcomes = join_all(letters.iter().map(|letter| self.send(letter))).await;
        let mut round = Round::Answered;
        for (letter, outcome) in letters.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Delivered => self.settle(letter).await?,
                Outcome::Refused { reason, code } | Outcome::Unclear { reason, code } => {
                    self.refuse(letter, reason, code).await?;
                }
                Outcome::Failed { reason } => round = Round::Failed(reason),
            }
        }
        Ok(round)
    }

    async fn send(&self, letter: &DeadLetter) -> Outcome {
        let Letter { topic, document } = self.route.letter(&letter.stream, letter.id.sequence, &letter.event);
        self.uplink.publish(topic, document).await.await
    }

    async fn settle(&self, letter: DeadLetter) -> anyhow::Result<()> {
        info!(id = %letter.id, "a dead letter was delivered");
        blocking(&self.buffer, move |buffer| buffer.settle_dead_letter(&letter.id)).await
    }

    async fn refuse(&self, letter: DeadLetter, reason: String, code: Option<u16>) -> anyhow::Result<()> {
        warn!(id = %letter.id, reason, "a dead letter is refused again");
        let now = now();
        let refusal = Refusal { reason, code, first: now, last: now, attempts: 1 };
        blocking(&self.buffer, move |buffer| buffer.refuse_dead_letter(&letter.id, refusal)).await
    }
}

async fn blocking<T: Send + 'static, E: std::error::Error + Send + Sync + 'static>(
    buffer: &Buffer,
    work: impl FnOnce(&Buffer) -> Result<T, E> + Send + 'static,
) -> anyhow::Result<T> {
    let buffer = buffer.clone();
    Ok(tokio::task::spawn_blocking(move || work(&buffer)).await.context("the thread ended")??)
}
