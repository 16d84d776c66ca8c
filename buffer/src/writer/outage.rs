//! What the writer does while the disk refuses: nothing is given up and nothing that failed is believed.
//!
//! A commit that could not be written or synced leaves its generations in a state that nobody knows: after
//! a failed `fdatasync` the system may hold pages for clean that the disk never got. So they are
//! not written to again. They end, by the manifest, at the last commit that was durable, with what only the journal has of
//! them in their logs; what came after is committed once more, in the same order, into new generations. Until that has gone through,
//! groups wait, and with them those who append: that is the back pressure that makes polling wait.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use penstock_events::Lane;

use super::Writer;
use super::commit::{Lanes, Undo};
use super::pipeline::{Applied, refuse};
use crate::archive::{Bounds, Found};
use crate::error::AppendError;
use crate::generation::{Fault, log};
use crate::intake::Share;
use crate::journal::Left;
use crate::manifest::Generation;
use crate::meters;
use crate::shared::lock;
use crate::status::{Cause, Outage};

/// The first pause before the disk is tried again. It doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause: each attempt may write a megabyte.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A commit that is not durable.
pub(super) struct Commit {
    pub(super) lanes: Lanes,
    pub(super) shares: Vec<Share>,
}

/// What is to be done when the disk takes something again.
pub(crate) struct Interruption {
    /// Not durable, in order.
    commits: VecDeque<Commit>,
    /// Whether the active generations were written to in vain.
    tainted: bool,
    retry: Instant,
    pause: Duration,
}

impl Writer {
    /// When the disk is to be tried again, while it refuses.
    pub(super) fn retry_due(&self) -> Option<Instant> {
        self.interruption.as_ref().map(|interruption| interruption.retry)
    }

    /// Makes room for a commit and hands it on. It is answered once it is durable.
    pub(super) fn commit(&mut self, commit: Commit) {
        let room = self.make_room(commit.lanes.bytes_bound());
        match room.and_then(|()| self.place(&commit.lanes)) {
            Ok(placed) => self.pipeline.publish(Applied { commit, placed }),
            Err(fault) => self.interrupt(&fault, [commit]),
        }
    }

    /// Does something that writes. If the disk refuses, the writer is interrupted.
    pub(super) fn attempt<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Option<T> {
        if self.shared.failure.get().is_some() || self.interruption.is_some() {
            return None;
        }
        work(self).map_err(|fault| self.interrupt(&fault, None)).ok()
    }

    /// The disk refused. Keeps what is not durable, with `unplaced` after it, until it is tried again.
    pub(super) fn interrupt(&mut self, fault: &Fault, unplaced: impl IntoIterator<Item = Commit>) {
        let Some(unsynced) = self.pipeline.take_back() else {
            unplaced.into_iter().for_each(|commit| self.refuse_commit(commit));
            return;
        };
        let cause = unsynced.fault.as_ref().unwrap_or(fault);
        let tainted = unsynced.fault.is_some() || std::mem::take(&mut self.tainted);
        let before = self.interruption.take();
        let pause = before.as_ref().map_or(FIRST_PAUSE, |before| (before.pause * 2).min(LONGEST_PAUSE));
        let mut commits = self.take_back(unsynced.commits);
        commits.extend(unplaced);
        let was_tainted = before.as_ref().is_some_and(|before| before.tainted);
        if tainted
            && !was_tainted
            && let Err(fault) = self.read_without_sled()
        {
            tracing::warn!(%fault, "what is durable may not be read before the disk is back");
        }
        let tainted = tainted || was_tainted;
        commits.extend(before.into_iter().flat_map(|before| before.commits));
        self.interruption = Some(Interruption { commits, tainted, retry: Instant::now() + pause, pause });
        self.say_interrupted(cause);
    }

    /// Commits that sled has and the disk may not: what they changed in memory is undone.
    fn take_back(&mut self, unsynced: Vec<Applied>) -> VecDeque<Commit> {
        let mut commits = VecDeque::new();
        for Applied { commit, placed } in unsynced.into_iter().rev() {
            self.undo(placed.undo);
            // Whoever announces a loss is told that it failed, and announces it again.
            if !commit.shares.is_empty() {
                commits.push_front(commit);
            }
        }
        commits
    }

    fn undo(&mut self, changes: Vec<Undo>) {
        for (key, before) in changes.into_iter().rev() {
            match before {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
    }

    /// Tries the disk again. What was kept is durable when this returns `true`.
    pub(super) fn resume(&mut self) -> bool {
        let Some(mut interruption) = self.interruption.take() else { return true };
        if let Err(fault) = self.try_to_resume(&mut interruption) {
            // What is on its way comes before what is left here.
            self.interruption = Some(interruption);
            self.interrupt(&fault, None);
            return false;
        }
        let outage = lock(&self.shared.outage).take();
        let since = outage.map(|outage| outage.since.to_string());
        tracing::warn!(since, "the disk takes events again; nothing was lost");
        meters::suspended(false);
        true
    }

    fn try_to_resume(&mut self, interruption: &mut Interruption) -> Result<(), Fault> {
        // What every destination has makes room first.
        self.save_cursors()?;
        self.delete_delivered()?;
        if interruption.tainted {
            self.pipeline.rest()?;
            let left = self.left_in_journal()?;
            Lane::ALL.into_iter().try_for_each(|lane| self.restart(lane, &left))?;
            self.pipeline.renew()?;
            interruption.tainted = false;
        }
        while let Some(commit) = interruption.commits.pop_front() {
            match self.place(&commit.lanes) {
                Ok(placed) => self.pipeline.publish(Applied { commit, placed }),
                Err(fault) => {
                    interruption.commits.push_front(commit);
                    return Err(fault);
                }
            }
        }
        self.pipeline.settle()
    }

    /// Ends the active generation of `lane` at its last durable event and goes on in a new one.
    fn restart(&mut self, lane: Lane, left: &Left) -> Result<(), Fault> {
        let active = self.active_generation(lane);
        let logged = left.log_of(lane, active.id);
        if !active.is_empty() && !logged.is_empty() {
            log::append(&self.shared.directory.generation(lane, active.id), &logged)?;
        }
        self.placed[lane] = active.extent;
        self.begin_generation(lane)
    }

    /// Has the active generations read from what is durable of them: sled does not find again what it could not write.
    fn read_without_sled(&self) -> Result<(), Fault> {
        let left = self.left_in_journal()?;
        for lane in Lane::ALL {
            let active = self.active_generation(lane);
            let path = self.shared.directory.generation(lane, active.id);
            let journaled = left.log_of(lane, active.id);
            let found = Found::with_journal(&path, Bounds::of(&active), journaled)?;
            self.shared.shelf.replace(lane, active.id, found.archive);
        }
        Ok(())
    }

    fn left_in_journal(&self) -> Result<Left, Fault> {
        Ok(Left::read(&self.shared.directory.journal())?)
    }

    fn active_generation(&self, lane: Lane) -> Generation {
        lock(&self.shared.catalog).lanes[lane].last().expect("every lane has an active generation").clone()
    }

    /// Refuses what is kept: the buffer closes while the disk refuses.
    pub(super) fn give_up(&mut self) {
        let kept = self.interruption.take().map(|interruption| interruption.commits);
        kept.into_iter().flatten().for_each(|commit| self.refuse_commit(commit));
    }

    fn refuse_commit(&self, commit: Commit) {
        refuse(commit.shares, &self.refusal().unwrap_or(AppendError::Closed));
    }

    fn say_interrupted(&self, fault: &Fault) {
        let mut outage = lock(&self.shared.outage);
        let cause = Cause::of(fault);
        match &mut *outage {
            // Once is enough, unless it is about something else now.
            Some(known) if known.cause == cause => known.detail = fault.to_string(),
            _ => {
                tracing::error!(
                    path = %self.shared.directory.root().display(), %fault,
                    "{cause}: the buffer keeps what it has and tries again; polling waits"
                );
                let since = outage.take().map_or_else(self.clock, |known| known.since);
                *outage = Some(Outage { cause, since, detail: fault.to_string() });
                meters::suspended(true);
            }
        }
    }
}
