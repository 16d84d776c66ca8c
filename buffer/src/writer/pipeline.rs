//! The durable half of a commit, beside the other half, which applies it to sled: the journal, and once sled
//! has it too, the catalog, the heads and the answers.
//!
//! Its thread stays, so that none is started per commit. What the writer changes other than by a
//! commit (rolling, deleting) it changes after [`Pipeline::settle`], when nothing is on its way.
//!
//! One record is written after the other is durable, so each tells of all before it that they were.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use penstock_events::Lane;

use super::Work;
use super::commit::{Undo, answer};
use super::outage::Commit;
use crate::error::AppendError;
use crate::generation::Fault;
use crate::intake::Share;
use crate::journal::{Journal, Record, Touched};
use crate::manifest::Extent;
use crate::meters;
use crate::per_lane::{Heads, PerLane};
use crate::shared::{Shared, lock};

/// A commit that sled has.
pub(super) struct Placed {
    /// The heads before it: where its events begin.
    pub(super) before: Heads,
    /// What it adds to the active generations.
    pub(super) grown: PerLane<Extent>,
    /// The state that it replaced, in order.
    pub(super) undo: Vec<Undo>,
    pub(super) started: Instant,
}

/// A commit that no power cut is promised to spare yet. It is kept whole until it is durable.
pub(super) struct Applied {
    pub(super) commit: Commit,
    pub(super) placed: Placed,
}

/// What could not be made durable.
#[derive(Default)]
pub(super) struct Unsynced {
    /// What the disk said, if it failed.
    pub(super) fault: Option<Fault>,
    /// The commit that failed and those after it, in order.
    pub(super) commits: Vec<Applied>,
}

enum Step {
    /// Write a commit into the journal, which goes into these generations.
    Write(Arc<Record>, Touched),
    /// That commit is in sled: publish it if it is durable.
    Publish(Box<Applied>),
    /// Say whether everything before this is durable.
    Settle(SyncSender<bool>),
    /// Bring the logs up to date, and say whether everything before this is durable in them.
    Checkpoint(SyncSender<bool>),
    /// Give back what is not durable, and begin anew.
    TakeBack(SyncSender<Unsynced>),
    /// Say when nobody writes to the logs, and whether they were written.
    Rest(SyncSender<bool>),
    /// Begin the journal anew: what stands in it is for generations that take no more.
    Renew(SyncSender<Result<(), Fault>>),
}

/// The writer's end of it.
pub(crate) struct Pipeline {
    /// `None` only while it is being dropped.
    steps: Option<SyncSender<Step>>,
    thread: Option<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts the thread, or fails with the system's refusal.
    pub(crate) fn start(shared: &Arc<Shared>, journal: Journal, writer: Sender<Work>) -> io::Result<Self> {
        // One commit is under way and one waits: then the writer waits too.
        let (steps, to_do) = sync_channel(2);
        let shared = Arc::clone(shared);
        let syncing = Syncing { journal, unsynced: Unsynced::default(), writer };
        let thread = thread::Builder::new()
            .name("buffer-journal".to_owned())
            .spawn(move || shared.guard(|| syncing.run(&shared, &to_do)))?;
        Ok(Self { steps: Some(steps), thread: Some(thread) })
    }

    /// Has a commit written into the journal, which is to be [published](Self::publish) next.
    pub(super) fn write(&self, record: &Arc<Record>, touched: Touched) {
        self.hand_on(Step::Write(Arc::clone(record), touched));
    }

    /// Hands on the commit that was written last, now that sled has it. It is answered here once it is durable, or kept to be
    /// [taken back](Self::take_back).
    pub(super) fn publish(&self, applied: Applied) {
        self.hand_on(Step::Publish(Box::new(applied)));
    }

    fn hand_on(&self, step: Step) {
        // A thread that is gone has failed the buffer; dropped with the channel, the callers learn of it from their tickets.
        drop(self.steps.as_ref().map(|steps| steps.send(step)));
    }

    /// Waits for all that was handed on, and returns what of it is not durable. What is handed on
    /// after this has nothing to do with it. `None` when the thread is gone.
    pub(super) fn take_back(&self) -> Option<Unsynced> {
        self.ask(Step::TakeBack)
    }

    /// Waits until all that was handed on is durable, visible and answered.
    ///
    /// # Errors
    /// When a part of it could not be made durable: it is to be taken back.
    pub(super) fn settle(&self) -> Result<(), Fault> {
        self.ask(Step::Settle).filter(|&is_durable| is_durable).map(drop).ok_or(Fault::Stopped)
    }

    /// The same, and all of it is durable in the logs: no start needs the journal for it.
    ///
    /// # Errors
    /// See [`settle`](Self::settle).
    pub(super) fn checkpoint(&self) -> Result<(), Fault> {
        self.ask(Step::Checkpoint).filter(|&is_durable| is_durable).map(drop).ok_or(Fault::Stopped)
    }

    /// Waits until nobody writes to the logs, and nobody will before something is handed on.
    pub(super) fn rest(&self) -> Result<(), Fault> {
        self.ask(Step::Rest).map(drop).ok_or(Fault::Stopped)
    }

    /// Begins the journal anew, when all that stands in it is for generations that take no more.
    pub(super) fn renew(&self) -> Result<(), Fault> {
        self.ask(Step::Renew).unwrap_or(Err(Fault::Stopped))
    }

    /// `None` when the thread is gone.
    fn ask<T>(&self, step: fn(SyncSender<T>) -> Step) -> Option<T> {
        let (give, given) = sync_channel(1);
        self.steps.as_ref()?.send(step(give)).ok()?;
        given.recv().ok()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Its end: nobody can ask any more. The databases that it holds are closed when it is gone.
        self.steps = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a thread of the buffer panicked");
        }
    }
}

/// What the thread has.
struct Syncing {
    journal: Journal,
    /// After a failed sync nobody knows what the disk has: what comes after it is not even tried.
    unsynced: Unsynced,
    writer: Sender<Work>,
}

impl Syncing {
    fn run(mut self, shared: &Shared, steps: &Receiver<Step>) {
        while let Ok(step) = steps.recv() {
            match step {
                Step::Write(record, touched) => {
                    self.attempt(|journal| journal.write(&record, &touched));
                }
                Step::Publish(applied) => {
                    let heads = PerLane::from_fn(|lane| applied.placed.grown[lane].last);
                    if self.attempt(|journal| journal.finish(heads)) {
                        publish(shared, *applied);
                    } else {
                        self.unsynced.commits.push(*applied);
                    }
                }
                Step::Settle(say) => drop(say.send(self.unsynced.fault.is_none())),
                Step::Checkpoint(say) => drop(say.send(self.attempt(Journal::checkpoint))),
                Step::TakeBack(give) => drop(give.send(std::mem::take(&mut self.unsynced))),
                Step::Rest(say) => drop(say.send(self.journal.rest())),
                Step::Renew(give) => drop(give.send(self.journal.renew())),
            }
        }
    }

    /// Whether all before it and `work` went well. Nothing is tried once something did not.
    fn attempt(&mut self, work: impl FnOnce(&mut Journal) -> Result<(), Fault>) -> bool {
        if self.unsynced.fault.is_none()
            && let Err(fault) = work(&mut self.journal)
        {
            self.unsynced.fault = Some(fault);
            // A writer that is gone asks for nothing back.
            drop(self.writer.send(Work::SyncFailed));
        }
        self.unsynced.fault.is_none()
    }
}

/// Lets readers and forwarders see what is durable, and tells the callers.
fn publish(shared: &Shared, Applied { commit, placed }: Applied) {
    let Placed { before, grown, started, .. } = placed;
    let stored = {
        let mut catalog = lock(&shared.catalog);
        for lane in Lane::ALL {
            let active = catalog.lanes[lane].last_mut().expect("every lane has an active generation");
            active.extent.append(&grown[lane]);
        }
        PerLane::from_fn(|lane| catalog.stored_bytes(lane))
    };
    let heads = PerLane::from_fn(|lane| grown[lane].last);
    shared.heads.send_if_modified(|known| std::mem::replace(known, heads) != heads);
    shared.commits.fetch_add(1, Ordering::Relaxed);
    meters::committed(before, heads, started.elapsed(), stored);
    answer(commit.shares, before);
}

pub(super) fn refuse(shares: Vec<Share>, error: &AppendError) {
    shares.into_iter().for_each(|share| share.answer.send(Err(error.clone())));
}
