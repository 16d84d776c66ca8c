//! The writer: the one thread that decides what changes on disk. It commits groups, rolls generations,
//! keeps the cursors' file and the size in bounds; only checkpoints are written by a thread of their own, at its word.
//!
//! [`commit`] is the way of one group to the disk; [`outage`] is what happens while the disk refuses; [`policy`] says what is deleted,
//! when and why, and [`retention`] does it.

mod commit;
mod damage;
mod outage;
mod policy;
mod retention;
#[cfg(test)]
mod tests;

pub(crate) use commit::{Begun, Start, add_generation};
use outage::Commit;
pub(crate) use outage::Interruption;
pub(crate) use retention::{DiskWatch, Loss};

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};

use penstock_events::{GatewayId, Lane, Sequence, Timestamp};

use crate::block::Packer;
use crate::cursors;
use crate::error::AppendError;
use crate::generation::{Database, Fault};
use crate::intake::{Arrival, Group};
use crate::journal::Journal;
use crate::manifest::GenerationId;
use crate::marks::{Marks, RESERVED_PLACES};
use crate::meters;
use crate::options::Limits;
use crate::per_lane::PerLane;
use crate::shared::{Saved, Shared, lock};
use crate::spare::Spare;

/// How long an acknowledgement may be in memory only. A crash costs at most this much repeated delivery.
const CURSOR_DELAY: Duration = Duration::from_millis(100);

/// How much of a lane's end may be taken for a torn tail when it is damaged after a crash.
const MARK_EVERY: Duration = Duration::from_secs(60);

/// How often an idle writer looks for what has become too old and for a disk that fills.
const HOUSE_EVERY: Duration = Duration::from_secs(1);

/// What reaches the writer.
pub(crate) enum Work {
    /// Appends to commit.
    Group(Group),
    /// Cursors moved, or the buffer is closing.
    Nudge,
    /// Events are lost: say so.
    Announce(Announcement),
    /// Delete what need not be kept, and say when that is done or why it is not.
    KeepHouse(SyncSender<Result<(), String>>),
    /// Something of a generation cannot be read.
    Examine(Examination),
    /// Stop.
    Close,
}

/// Losses to announce with `gateway.gap` events, in one commit.
pub(crate) struct Announcement {
    pub(crate) losses: Vec<Loss>,
    /// Told once they are durable, or why they are not.
    pub(crate) answer: SyncSender<Result<(), String>>,
}

/// A generation that is to be looked through.
pub(crate) struct Examination {
    pub(crate) lane: Lane,
    pub(crate) id: GenerationId,
    /// Told once what is lost of it is announced, or why that cannot be done.
    pub(crate) answer: SyncSender<Result<(), String>>,
}

/// The writer thread.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Limits,
    pub(crate) gateway: GatewayId,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) free_bytes_of: fn(&Path) -> io::Result<u64>,
    pub(crate) spare: Spare,
    pub(crate) disk: DiskWatch,
    /// The generations that grow; the last of each lane in the catalog.
    pub(crate) active: PerLane<Arc<Database>>,
    pub(crate) journal: Journal,
    /// All of the normalizer's state, to write into each generation of the business lane first.
    pub(crate) state: BTreeMap<String, Vec<u8>>,
    /// The order of the latest piece of state.
    pub(crate) order: u64,
    /// Up to where each lane was announced as given up since the start.
    pub(crate) given_up: PerLane<Sequence>,
    pub(crate) marks: Marks,
    /// Whether they are on disk as they are.
    pub(crate) marks_are_saved: Saved,
    /// When the marks were last brought up to date.
    pub(crate) marked: Instant,
    /// While the disk refuses: what is not durable.
    pub(crate) interruption: Option<Interruption>,
    /// For the gaps that the writer itself announces.
    pub(crate) packer: Packer,
    pub(crate) intake: Sender<Arrival>,
}

impl Writer {
    /// Runs until it is closed.
    pub(crate) fn run(mut self, work: &Receiver<Work>) {
        // Groups that wait for room; the intake lets no more than two get here.
        let mut held: VecDeque<Group> = VecDeque::new();
        let mut house_due = Instant::now() + HOUSE_EVERY;
        // Nothing is taken that the next start could not make durable.
        self.attempt(|writer| Ok(writer.spare.take()?));
        // What was found lost when the store was opened is said before anything else.
        self.attempt(Self::announce_losses);
        loop {
            match next(work, self.retry_due().map_or(house_due, |retry| retry.min(house_due))) {
                Some(Work::Group(group)) => held.push_back(group),
                Some(Work::Nudge) => {
                    house_due = house_due.min(Instant::now() + CURSOR_DELAY);
                }
                Some(Work::Announce(announcement)) => self.serve_announcement(announcement),
                Some(Work::KeepHouse(answer)) => {
                    let kept = self.attempt(Self::keep_house);
                    // Who no longer waits has nothing to decide.
                    drop(answer.send(kept.ok_or_else(|| self.why_not())));
                }
                Some(Work::Examine(examination)) => self.serve_examination(&examination),
                Some(Work::Close) => break,
                None => {}
            }
            if self.retry_due().is_some_and(|due| due <= Instant::now() || self.is_closing()) {
                self.resume();
            }
            if self.must_wait() || house_due <= Instant::now() {
                house_due = Instant::now() + HOUSE_EVERY;
                self.attempt(Self::keep_house);
                self.note_fullness();
            }
            while !self.must_wait()
                && let Some(group) = held.pop_front()
            {
                self.serve(group);
            }
        }
        let is_well = self.resume();
        if !is_well {
            self.give_up();
        }
        self.attempt(Self::keep_house);
        let is_marked = self.attempt(|writer| writer.mark(writer.heads(), 0)).is_some();
        // Else only the journal tells where the lanes end.
        if is_well && is_marked {
            self.drop_journal();
        }
    }

    /// Deletes the journal, if all that is in it can be made durable elsewhere. Else the next start reads it.
    fn drop_journal(&mut self) {
        let checkpoint = |writer: &mut Self| writer.journal.checkpoint();
        let is_needed = self.attempt(checkpoint).is_none()
            // The disk may have failed long ago, and only been asked now.
            && !(self.resume() && self.attempt(checkpoint).is_some());
        let path = self.shared.directory.journal();
        if !is_needed && let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "the journal could not be deleted; the next start reads it in vain");
        }
    }

    /// Commits a group, or refuses it. It is answered once it is durable.
    fn serve(&mut self, group: Group) {
        let Group { shares, blocks, state } = group;
        let lanes = commit::Lanes { blocks, state, ..commit::Lanes::default() };
        match self.refusal() {
            Some(refusal) => commit::refuse(shares, &refusal),
            None => self.commit(Commit { lanes, shares }),
        }
        self.note_fullness();
        // An intake that is gone has closed.
        drop(self.intake.send(Arrival::Committed));
    }

    /// Losses are announced in a full buffer too: an announcement is small, and it is what makes room.
    fn serve_announcement(&mut self, Announcement { losses, answer }: Announcement) {
        let announced = self.attempt(|writer| writer.announce(losses, commit::Lanes::default()));
        // Who no longer waits has nothing to decide.
        drop(answer.send(announced.ok_or_else(|| self.why_not())));
    }

    fn why_not(&self) -> String {
        self.refusal().unwrap_or(AppendError::Closed).to_string()
    }

    fn serve_examination(&mut self, Examination { lane, id, answer }: &Examination) {
        let examined = self.attempt(|writer| match writer.examine(*lane, *id) {
            // What cannot be read hinders no commit.
            Err(Fault::Unreadable(error)) => Ok(Err(error.to_string())),
            examined => examined.map(Ok),
        });
        // Who no longer waits will read again.
        drop(answer.send(examined.unwrap_or_else(|| Err(self.why_not()))));
    }

    /// Why nothing can be taken.
    fn refusal(&self) -> Option<AppendError> {
        if let Some(reason) = self.shared.why_not() {
            return Some(AppendError::Failed(reason));
        }
        self.shared.full.load(Ordering::Acquire).then_some(AppendError::Closed)
    }

    /// Whether groups must wait. They do not when the buffer failed or is closing: then they are refused.
    fn must_wait(&self) -> bool {
        (self.interruption.is_some() || self.shared.full.load(Ordering::Acquire))
            && self.shared.failure.get().is_none()
            && !self.is_closing()
    }

    fn is_closing(&self) -> bool {
        self.shared.closing.load(Ordering::Acquire)
    }

    /// Notes whether undelivered business events fill the buffer, and says so when that changes.
    pub(crate) fn note_fullness(&self) {
        let bytes = self.stored_bytes().business;
        let full = bytes >= self.limits.business_bytes;
        let was_full = self.shared.full.swap(full, Ordering::AcqRel);
        if full && !was_full {
            tracing::warn!(
                bytes,
                "the buffer is full of undelivered business events; appends wait for deliveries"
            );
        } else if was_full && !full {
            tracing::warn!(bytes, "the buffer has room again; appends go on");
        }
        meters::full(full);
    }

    /// Makes the cursors durable, then deletes what need not be kept.
    fn keep_house(&mut self) -> Result<(), Fault> {
        self.spare.take()?;
        self.announce_losses()?;
        self.save_cursors()?;
        let durable = self.heads();
        if durable != self.marks.durable && self.marked.elapsed() >= MARK_EVERY {
            self.marked = Instant::now();
            self.mark(durable, RESERVED_PLACES)?;
        }
        self.make_room(PerLane::default())
    }

    fn save_cursors(&self) -> Result<(), Fault> {
        let unsaved = {
            let mut live = lock(&self.shared.cursors);
            match std::mem::replace(&mut live.saved, Saved::Yes) {
                Saved::Yes => None,
                Saved::No => Some(live.cursors.clone()),
            }
        };
        if let Some(unsaved) = unsaved {
            let saved = cursors::save(&self.shared.directory.cursors(), &unsaved);
            if saved.is_err() {
                lock(&self.shared.cursors).saved = Saved::No;
            }
            saved?;
        }
        Ok(())
    }
}

/// Waits for work, but not past `due`.
fn next(work: &Receiver<Work>, due: Instant) -> Option<Work> {
    match work.recv_timeout(due.saturating_duration_since(Instant::now())) {
        Ok(work) => Some(work),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Work::Close),
    }
}
