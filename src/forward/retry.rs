//! Dead letters on their second way: those that an operator wants delivered after all.

use penstock_buffer::{DeadLetter, Refusal};
use penstock_uplink::Outcome;
use tracing::{info, warn};

use super::errand::{Courier, Errand, Round, TOGETHER};
use super::now;

/// Delivers the dead letters again that are marked for it.
pub(crate) struct Retry;

impl Errand for Retry {
    const CARGO: &'static str = "dead letters";

    async fn round(&mut self, courier: &Courier) -> anyhow::Result<Round> {
        let name = courier.route.destination.clone();
        let letters =
            courier.with_buffer(move |buffer| buffer.dead_letters_to_retry(&name, TOGETHER)).await?;
        if letters.is_empty() {
            return Ok(Round::Idle);
        }
        let events = letters.iter().map(|letter| (&letter.stream, letter.id.sequence, &letter.event));
        let outcomes = courier.deliver(events).await;
        let mut round = Round::Answered;
        for (letter, outcome) in letters.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Delivered => settle(courier, letter).await?,
                Outcome::Refused { reason, code } | Outcome::Unclear { reason, code } => {
                    refuse(courier, letter, reason, code).await?;
                }
                Outcome::Failed { reason } => round = Round::Failed(reason),
            }
        }
        Ok(round)
    }
}

async fn settle(courier: &Courier, letter: DeadLetter) -> anyhow::Result<()> {
    info!(id = %letter.id, "a dead letter was delivered");
    courier.with_buffer(move |buffer| buffer.settle_dead_letter(&letter.id)).await
}

async fn refuse(
    courier: &Courier,
    letter: DeadLetter,
    reason: String,
    code: Option<u16>,
) -> anyhow::Result<()> {
    warn!(id = %letter.id, reason, "a dead letter is refused again");
    let now = now();
    let refusal = Refusal { reason, code, first: now, last: now, attempts: 1 };
    courier.with_buffer(move |buffer| buffer.refuse_dead_letter(&letter.id, refusal)).await
}
