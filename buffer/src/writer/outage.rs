//! What the writer does while the disk refuses: nothing is given up and nothing that failed is believed.
//!
//! A commit that could not be written or synced leaves the journal and the logs in a state that nobody knows: after
//! a failed `fdatasync` the system may hold pages for clean that the disk never got. So they are
//! not written to again, but for the logs behind what was certain. The generations end, by the manifest, at the last commit that was
//! durable, with all of them in their logs; the commit that failed is made once more, into new generations. Until that has gone through,
//! groups wait, and with them those who append: that is the back pressure that makes polling wait.

use std::time::{Duration, Instant};

use penstock_events::Lane;

use super::Writer;
use super::commit::{Lanes, answer, refuse};
use crate::archive::{Bounds, Found};
use crate::error::AppendError;
use crate::generation::Fault;
use crate::intake::Share;
use crate::manifest::{self, Generation};
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
    /// Whether the active generations are read without sled by now.
    without_sled: bool,
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
        let retry = Instant::now() + FIRST_PAUSE;
        self.keep(Interruption { commit, without_sled: false, retry, pause: FIRST_PAUSE }, fault);
    }

    fn keep(&mut self, mut interruption: Interruption, fault: &Fault) {
        // At once: what follows may take long on such a disk.
        self.say_interrupted(fault);
        if self.journal.has_failed() && !interruption.without_sled {
            let read = self.read_without_sled();
            interruption.without_sled = read.is_ok();
            if let Err(fault) = read {
                tracing::warn!(%fault, "what is durable may not be read before the disk is back");
            }
        }
        self.interruption = Some(interruption);
    }

    /// Tries the disk again. What was kept is durable when this returns `true`.
    pub(super) fn resume(&mut self) -> bool {
        let Some(mut interruption) = self.interruption.take() else { return true };
        if let Err(fault) = self.try_to_resume(&mut interruption) {
            interruption.pause = (interruption.pause * 2).min(LONGEST_PAUSE);
            interruption.retry = Instant::now() + interruption.pause;
            self.keep(interruption, &fault);
            return false;
        }
        let outage = lock(&self.shared.outage).take();
        let since = outage.map(|outage| outage.since.to_string());
        tracing::warn!(since, "the disk takes events again; nothing was lost");
        meters::suspended(false);
        true
    }

    fn try_to_resume(&mut self, interruption: &mut Interruption) -> Result<(), Fault> {
        // Even that takes a little room.
        let spare = self.spare.clone();
        spare.lend(|| self.make_way(), |fault| Cause::of(fault) == Cause::DiskFull)?;
        spare.take()?;
        if self.journal.has_failed() {
            self.journal.rest();
            Lane::ALL.into_iter().try_for_each(|lane| self.restart(lane))?;
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

    /// Saves what is to be true whatever comes, and deletes what nobody waits for.
    fn make_way(&mut self) -> Result<(), Fault> {
        // One whose directory could not be synced may be on disk, and say what never came to be.
        manifest::save(&self.shared.directory.manifest(), &lock(&self.shared.catalog).clone())?;
        self.save_cursors()?;
        self.delete_unneeded()
    }

    /// Ends the active generation of `lane` at its last durable event and goes on in a new one.
    fn restart(&mut self, lane: Lane) -> Result<(), Fault> {
        self.active[lane].log_rest()?;
        self.begin_generation(lane)
    }

    /// Has the active generations read from what is durable of them: sled does not find again what it could not write.
    fn read_without_sled(&mut self) -> Result<(), Fault> {
        self.journal.rest();
        for lane in Lane::ALL {
            let active = self.look_at_active(lane, Generation::clone);
            let path = self.shared.directory.generation(lane, active.id);
            let found = Found::with_records(&path, Bounds::of(&active), self.active[lane].rest())?;
            self.shared.shelf.replace(lane, active.id, found.archive);
        }
        Ok(())
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
            // What failed before was said.
            Some(_) if matches!(fault, Fault::Stopped) => {}
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
