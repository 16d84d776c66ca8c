//! What the writer does while the disk refuses: nothing is given up and nothing that failed is believed.
//!
//! A commit that could not be written or synced leaves the journal and the logs in a state that nobody knows: after
//! a failed `fdatasync` the system may hold pages for clean that the disk never got. So they are
//! not written to again. The generations end, by the manifest, at the last commit that was durable, with what only the journal has of
//! them in their logs; the commit that failed is made once more, into new generations. Until that has gone through,
//! groups wait, and with them those who append: that is the back pressure that makes polling wait.

use std::time::{Duration, Instant};

use penstock_events::Lane;

use super::Writer;
use super::commit::{Lanes, answer, refuse};
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

/// What callers wait for.
pub(super) struct Commit {
    pub(super) lanes: Lanes,
    pub(super) shares: Vec<Share>,
}

/// What is to be done when the disk takes something again.
pub(crate) struct Interruption {
    /// The commit that is not durable; those after it wait.
    commit: Option<Commit>,
    retry: Instant,
    pause: Duration,
}

impl Writer {
    /// When the disk is to be tried again, while it refuses.
    pub(super) fn retry_due(&self) -> Option<Instant> {
        self.interruption.as_ref().map(|interruption| interruption.retry)
    }

    /// Makes room for a commit and makes it durable. Who waits for it is told then.
    pub(super) fn commit(&mut self, commit: Commit) {
        let room = self.make_room(commit.lanes.bytes_bound());
        match room.and_then(|()| self.write(&commit.lanes)) {
            Ok(before) => answer(commit.shares, before),
            Err(fault) => self.interrupt(&fault, Some(commit)),
        }
    }

    /// Does something that writes. If the disk refuses, the writer is interrupted. Whoever announces a loss announces it again then.
    pub(super) fn attempt<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Option<T> {
        if self.shared.failure.get().is_some() || self.interruption.is_some() {
            return None;
        }
        work(self).map_err(|fault| self.interrupt(&fault, None)).ok()
    }

    /// The disk refused. Keeps what is not durable until it is tried again.
    fn interrupt(&mut self, fault: &Fault, commit: Option<Commit>) {
        self.interruption =
            Some(Interruption { commit, retry: Instant::now() + FIRST_PAUSE, pause: FIRST_PAUSE });
        self.note_refusal(fault, false);
    }

    fn note_refusal(&self, fault: &Fault, had_failed: bool) {
        if self.journal.has_failed()
            && !had_failed
            && let Err(fault) = self.read_without_sled()
        {
            tracing::warn!(%fault, "what is durable may not be read before the disk is back");
        }
        self.say_interrupted(fault);
    }

    /// Tries the disk again. What was kept is durable when this returns `true`.
    pub(super) fn resume(&mut self) -> bool {
        let Some(mut interruption) = self.interruption.take() else { return true };
        let had_failed = self.journal.has_failed();
        if let Err(fault) = self.try_to_resume(&mut interruption) {
            interruption.pause = (interruption.pause * 2).min(LONGEST_PAUSE);
            interruption.retry = Instant::now() + interruption.pause;
            self.interruption = Some(interruption);
            self.note_refusal(&fault, had_failed);
            return false;
        }
        let outage = lock(&self.shared.outage).take();
        let since = outage.map(|outage| outage.since.to_string());
        tracing::warn!(since, "the disk takes events again; nothing was lost");
        meters::suspended(false);
        true
    }

    fn try_to_resume(&mut self, interruption: &mut Interruption) -> Result<(), Fault> {
        // What nobody waits for makes room first.
        self.save_cursors()?;
        self.delete_unneeded()?;
        if self.journal.has_failed() {
            self.journal.rest();
            let left = self.left_in_journal()?;
            Lane::ALL.into_iter().try_for_each(|lane| self.restart(lane, &left))?;
            self.journal.renew()?;
        }
        if let Some(commit) = interruption.commit.take() {
            match self.write(&commit.lanes) {
                Ok(before) => answer(commit.shares, before),
                Err(fault) => {
                    interruption.commit = Some(commit);
                    return Err(fault);
                }
            }
        }
        Ok(())
    }

    /// Ends the active generation of `lane` at its last durable event and goes on in a new one.
    fn restart(&mut self, lane: Lane, left: &Left) -> Result<(), Fault> {
        let active = self.active_generation(lane);
        let logged = left.log_of(lane, active.id);
        if !active.is_empty() && !logged.is_empty() {
            log::append(&self.shared.directory.generation(lane, active.id), &logged)?;
        }
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
        self.look_at_active(lane, Generation::clone)
    }

    /// Refuses what is kept: the buffer closes while the disk refuses.
    pub(super) fn give_up(&mut self) {
        if let Some(commit) = self.interruption.take().and_then(|interruption| interruption.commit) {
            refuse(commit.shares, &self.refusal().unwrap_or(AppendError::Closed));
        }
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
