//! The writer: the one thread that changes anything on disk. It commits groups, rolls generations,
//! keeps the cursors' file and the size in bounds.
//!
//! [`commit`] is the way of one group until sled has written it, [`pipeline`] from there until it is
//! durable; [`policy`] says what is deleted, when and why, and [`retention`] does it.

mod commit;
mod pipeline;
mod policy;
mod retention;

pub(crate) use commit::{Start, add_generation};
use pipeline::Flushed;
pub(crate) use pipeline::Pipeline;
pub(crate) use retention::{DiskWatch, Loss};

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::time::{Duration, Instant};

use penstock_events::{GatewayId, Timestamp};

use crate::block::Packer;
use crate::cursors;
use crate::error::AppendError;
use crate::generation::{Database, Fault};
use crate::intake::{Arrival, Group};
use crate::manifest::Extent;
use crate::meters;
use crate::options::Limits;
use crate::per_lane::PerLane;
use crate::shared::{Saved, Shared, lock};

/// How long an acknowledgement may be in memory only. A crash costs at most this much repeated delivery.
const CURSOR_DELAY: Duration = Duration::from_millis(100);

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
    /// Stop.
    Close,
}

/// Losses to announce with `gateway.gap` events, in one commit.
pub(crate) struct Announcement {
    pub(crate) losses: Vec<Loss>,
    /// Told once they are durable, or why they are not.
    pub(crate) answer: SyncSender<Result<(), String>>,
}

/// The writer thread.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: Limits,
    pub(crate) gateway: GatewayId,
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) free_bytes_of: fn(&Path) -> io::Result<u64>,
    pub(crate) disk: DiskWatch,
    /// The generations that grow; the last of each lane in the catalog.
    pub(crate) active: PerLane<Arc<Database>>,
    /// What is in them, with what the pipeline has: the catalog follows as it becomes durable.
    pub(crate) placed: PerLane<Extent>,
    pub(crate) pipeline: Pipeline,
    /// All of the normalizer's state, to write into each generation of the business lane first.
    pub(crate) state: BTreeMap<String, Vec<u8>>,
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
        loop {
            match next(work, house_due) {
                Some(Work::Group(group)) => held.push_back(group),
                Some(Work::Nudge) => {
                    house_due = house_due.min(Instant::now() + CURSOR_DELAY);
                }
                Some(Work::Announce(announcement)) => self.serve_announcement(announcement),
                Some(Work::Close) => break,
                None => {}
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
        self.attempt(Self::keep_house);
    }

    /// Makes room for a group and commits it, or refuses it. It is answered once it is durable.
    fn serve(&mut self, group: Group) {
        let Group { shares, blocks, state } = group;
        let lanes = commit::Lanes { blocks, state, shed_through: PerLane::default() };
        let placed = match self.refusal() {
            Some(refusal) => Err(refusal),
            None => self
                .make_room(lanes.bytes_bound())
                .and_then(|()| self.place(lanes))
                .map_err(|fault| self.shared.fail_append(&fault)),
        };
        match placed {
            Ok(flushed) => self.attempt(|writer| writer.pipeline.sync(Flushed { shares, ..flushed })),
            Err(error) => pipeline::refuse(shares, &error),
        }
        self.note_fullness();
        // An intake that is gone has closed.
        drop(self.intake.send(Arrival::Committed));
    }

    /// Losses are announced in a full buffer too: an announcement is small, and it is what makes room.
    fn serve_announcement(&mut self, Announcement { losses, answer }: Announcement) {
        let announced = match self.shared.failure.get() {
            Some(reason) => Err(reason.clone()),
            None => self
                .announce(losses, PerLane::default())
                .map_err(|fault| self.shared.fail_append(&fault).to_string()),
        };
        // Who no longer waits has nothing to decide.
        drop(answer.send(announced));
    }

    /// Why nothing can be taken.
    fn refusal(&self) -> Option<AppendError> {
        if let Some(reason) = self.shared.failure.get() {
            return Some(AppendError::Failed(reason.clone()));
        }
        self.shared.full.load(Ordering::Acquire).then_some(AppendError::Closed)
    }

    /// Whether groups must wait for room. They do not when the buffer failed or is closing: then they are refused.
    fn must_wait(&self) -> bool {
        self.shared.full.load(Ordering::Acquire)
            && self.shared.failure.get().is_none()
            && !self.shared.closing.load(Ordering::Acquire)
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
        self.save_cursors()?;
        self.make_room(PerLane::default())
    }

    fn save_cursors(&mut self) -> Result<(), Fault> {
        let unsaved = {
            let mut live = lock(&self.shared.cursors);
            match std::mem::replace(&mut live.saved, Saved::Yes) {
                Saved::Yes => None,
                Saved::No => Some(live.cursors.clone()),
            }
        };
        if let Some(unsaved) = unsaved {
            cursors::save(&self.shared.directory.cursors(), &unsaved)?;
        }
        Ok(())
    }

    fn attempt(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Fault>) {
        if self.shared.failure.get().is_none()
            && let Err(fault) = work(self)
        {
            self.shared.fail_append(&fault);
        }
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
