//! The operator's desk: what each command on the buffer means, whoever asks. Commands come here over the control
//! socket while the gateway runs, and directly when it does not.
//!
//! An answer is a row of [`Reply`]s that are handed over as they are found, so that none grows with the buffer.

mod dead;
mod events;
mod inspect;
mod purge;
mod record;
mod replay;
mod reply;
mod request;

use std::time::{Duration, Instant, SystemTime};

use penstock_buffer::{Buffer, DeadLetterError, PurgeError, ReadError, ReplayError};
use penstock_events::Timestamp;
use penstock_events::cloudevent::Origin;
use serde::Serialize;

pub(crate) use record::{
    DeadLettersRecord, LetterRecord, ReplayPlanRecord, StatusRecord, VerifyRecord, WhatIf,
};
pub(crate) use reply::{Failure, FailureKind, Reply};
pub(crate) use request::{Letters, Request};

/// How often progress is told at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Carries out commands on one buffer.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Whose events they are.
    pub(crate) origin: Origin,
    /// The buffer.
    pub(crate) buffer: Buffer,
    /// Whether there are forwarders beside it, which carry out what is only noted here.
    pub(crate) is_running: bool,
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nobody listens any more.
    Gone,
    /// It cannot be carried out.
    Failed(Failure),
}

/// Takes the replies of a command, one after the other; an error says that nobody wants more.
pub(crate) struct Replies<'a> {
    send: &'a mut dyn FnMut(Reply) -> Result<(), Stop>,
    told: Option<Instant>,
}

impl Desk {
    /// Carries out `request`. Blocks on disk: not for an async worker.
    ///
    /// # Errors
    /// When it cannot be carried out, or nobody takes the replies.
    pub(crate) fn carry_out(
        &self,
        request: Request,
        send: &mut dyn FnMut(Reply) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let replies = &mut Replies { send, told: None };
        match request {
            Request::Status => self.status(replies),
            Request::Verify { lane } => self.verify(lane, replies),
            Request::Peek { destination: Some(destination), selection, limit } => {
                self.peek_next(&destination, &selection, limit, replies)
            }
            Request::Peek { destination: None, selection, limit } => {
                self.peek_newest(&selection, limit, replies)
            }
            Request::Export { selection, limit } => self.export(&selection, limit, replies),
            Request::Purge { purge, dry_run } => self.purge(&purge, dry_run, replies),
            Request::Replay { order } => self.order_replay(order, replies),
            Request::PlanReplay { order } => self.plan_replay(&order, replies),
            Request::CancelReplay { id } => self.cancel_replay(id, replies),
            Request::ListDead { filter, limit } => self.list_dead(&filter, limit, replies),
            Request::ShowDead { id } => self.show_dead(&id, replies),
            Request::RetryDead { letters } => self.retry_dead(&letters, replies),
            Request::DiscardDead { letters, dry_run } => self.discard_dead(&letters, dry_run, replies),
            Request::ExportDead { filter } => self.export_dead(&filter, replies),
        }
    }
}

impl Replies<'_> {
    /// Hands over a record: one line of the command's JSON.
    fn record(&mut self, record: &impl Serialize) -> Result<(), Stop> {
        let json = serde_json::to_string(record).expect("its keys are texts and a String takes every byte");
        (self.send)(Reply::Record(json))
    }

    /// Hands over an event as it travels.
    fn document(&mut self, json: Vec<u8>) -> Result<(), Stop> {
        (self.send)(Reply::Record(String::from_utf8(json).expect("JSON is UTF-8")))
    }

    /// Tells how far the command is, now and then.
    fn progress(&mut self, done: u64, total: u64) -> Result<(), Stop> {
        if self.told.is_some_and(|told| told.elapsed() < PROGRESS_EVERY) {
            return Ok(());
        }
        self.told = Some(Instant::now());
        (self.send)(Reply::Progress { done, total })
    }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Failure::new(FailureKind::Data, format!("{error}; `penstock buffer verify` tells what is damaged"))
            .into()
    }
}

impl From<PurgeError> for Stop {
    fn from(error: PurgeError) -> Self {
        Failure::new(FailureKind::TryAgain, error.to_string()).into()
    }
}

impl From<ReplayError> for Stop {
    fn from(error: ReplayError) -> Self {
        let kind = match &error {
            ReplayError::UnknownDestination { .. } => FailureKind::Usage,
            ReplayError::Nothing(_) | ReplayError::Unknown(_) | ReplayError::Ended(_) => {
                FailureKind::NotFound
            }
            ReplayError::TooMany => FailureKind::TryAgain,
            ReplayError::Io { .. } => FailureKind::Disk,
        };
        Failure::new(kind, error.to_string()).into()
    }
}

impl From<DeadLetterError> for Stop {
    fn from(error: DeadLetterError) -> Self {
        let kind = match &error {
            DeadLetterError::Unknown(_) => FailureKind::NotFound,
            DeadLetterError::Unreadable { .. } => FailureKind::Data,
            DeadLetterError::Io { .. } => FailureKind::Disk,
            DeadLetterError::NotAnnounced(_) => FailureKind::TryAgain,
        };
        Failure::new(kind, error.to_string()).into()
    }
}
