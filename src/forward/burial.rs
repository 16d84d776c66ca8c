//! Keeps what a destination refuses for good as dead letters, and tells the operator without flooding the log.

use std::time::Duration;

use anyhow::Context;
use penstock_buffer::{Buffer, DeadLetterId, Refused};
use penstock_events::{DestinationName, Lane, Sequence};
use tokio::time::Instant;
use tracing::{error, warn};

/// How often dead letters are told at most; those in between are counted.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Makes dead letters of one lane of one destination.
pub(super) struct Burial {
    buffer: Buffer,
    destination: DestinationName,
    lane: Lane,
    quiet_until: Option<Instant>,
    untold: usize,
}

/// What became of refused events.
pub(super) enum Buried {
    /// Each is kept, or given up and announced: the cursor may pass them all.
    All,
    /// There is no room for this one: the cursor must stay before it.
    NoRoom(Sequence, String),
}

impl Burial {
    pub(super) fn new(buffer: Buffer, destination: DestinationName, lane: Lane) -> Self {
        Self { buffer, destination, lane, quiet_until: None, untold: 0 }
    }

    /// Keeps `refused`, durably.
    ///
    /// # Errors
    /// When they cannot be written: the cursor must pass none of them.
    pub(super) async fn keep(&mut self, refused: Vec<Refused>) -> anyhow::Result<Buried> {
        let places: Vec<(Sequence, String)> =
            refused.iter().map(|refused| (refused.sequence, refused.refusal.reason.clone())).collect();
        let (buffer, destination) = (self.buffer.clone(), self.destination.clone());
        let burying = tokio::task::spawn_blocking(move || buffer.bury(&destination, refused));
        let settled = burying.await.context("the burying thread ended")??;
        if let Some((sequence, reason)) = places[..settled].first() {
            self.tell(*sequence, reason, settled);
        }
        Ok(match places.into_iter().nth(settled) {
            Some((sequence, reason)) => Buried::NoRoom(sequence, reason),
            None => Buried::All,
        })
    }

    /// Ends the dead letters of events that the destination took after all. A letter that stays costs a
    /// delivery that receivers know already.
    pub(super) async fn undo(&self, taken: Vec<Sequence>) {
        for sequence in taken {
            let id = DeadLetterId { destination: self.destination.clone(), lane: self.lane, sequence };
            let buffer = self.buffer.clone();
            let settled = tokio::task::spawn_blocking(move || buffer.settle_dead_letter(&id)).await;
            if let Err(error) = settled.map_err(anyhow::Error::from).and_then(|settled| Ok(settled?)) {
                warn!(%sequence, error = format!("{error:#}"), "the dead letter of a delivered event stays");
            }
        }
    }

    fn tell(&mut self, sequence: Sequence, reason: &str, buried: usize) {
        self.untold += buried;
        let now = Instant::now();
        if self.quiet_until.is_none_or(|until| until <= now) {
            let Self { destination, lane, untold: events, .. } = self;
            error!(%destination, %lane, events, %sequence, reason,
                "the destination refuses events for good; they are dead letters, see `penstock dead list`");
            self.untold = 0;
            self.quiet_until = Some(now + TELL_EVERY);
        }
    }
}
