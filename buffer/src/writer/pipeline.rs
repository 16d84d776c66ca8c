//! The second half of a commit, beside the first half of the next: `fdatasync`, and only then the
//! catalog, the heads and the answers.
//!
//! Its threads stay, so that none is started per commit. What the writer changes other than by a
//! commit (rolling, deleting) it changes after [`Pipeline::settle`], when nothing is on its way.

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
use crate::generation::{Database, Fault};
use crate::intake::Share;
use crate::manifest::Extent;
use crate::meters;
use crate::per_lane::{Heads, PerLane};
use crate::shared::{Shared, lock};

/// The databases that a commit is in.
pub(super) type Touched = PerLane<Option<Arc<Database>>>;

/// What sled has written of a commit.
pub(super) struct Placed {
    pub(super) touched: Touched,
    /// The heads before it: where its events begin.
    pub(super) before: Heads,
    /// What it adds to the active generations.
    pub(super) grown: PerLane<Extent>,
    /// The state that it replaced, in order.
    pub(super) undo: Vec<Undo>,
    pub(super) started: Instant,
}

/// A commit that no power cut is promised to spare yet. It is kept whole until it is durable.
pub(super) struct Flushed {
    pub(super) commit: Commit,
    pub(super) placed: Placed,
}

/// What could not be made durable.
#[derive(Default)]
pub(super) struct Unsynced {
    /// What the disk said, if it failed.
    pub(super) fault: Option<Fault>,
    /// The commit that failed and those after it, in order.
    pub(super) commits: Vec<Flushed>,
}

enum Step {
    Sync(Box<Flushed>),
    /// Say whether everything before this is durable.
    Settle(SyncSender<bool>),
    /// Give back what is not, and begin anew.
    TakeBack(SyncSender<Unsynced>),
}

/// The writer's end of it.
pub(crate) struct Pipeline {
    flush: Pair,
    /// `None` only while it is being dropped.
    steps: Option<SyncSender<Step>>,
    syncing: Option<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts the threads, or fails with the system's refusal.
    pub(crate) fn start(shared: &Arc<Shared>, writer: Sender<Work>) -> io::Result<Self> {
        let flush = Pair::start("buffer-flush", Database::flush)?;
        let sync = Pair::start("buffer-sync-2", Database::sync_data)?;
        // One commit is synced and one waits: then the writer waits too.
        let (steps, to_do) = sync_channel(1);
        let shared = Arc::clone(shared);
        let syncing = thread::Builder::new()
            .name("buffer-sync".to_owned())
            .spawn(move || shared.guard(|| sync_each(&shared, &sync, &to_do, &writer)))?;
        Ok(Self { flush, steps: Some(steps), syncing: Some(syncing) })
    }

    /// Has sled hand both lanes' databases to the system.
    pub(super) fn flush(&self, touched: &Touched) -> Result<(), Fault> {
        self.flush.run(touched)
    }

    /// Hands a commit on. It is answered here once it is durable, or kept to be [taken back](Self::take_back).
    pub(super) fn sync(&self, flushed: Flushed) {
        // A thread that is gone has failed the buffer; dropped with the channel, the callers learn of it from their tickets.
        drop(self.steps.as_ref().map(|steps| steps.send(Step::Sync(Box::new(flushed)))));
    }

    /// Waits for all that was handed on, and returns what of it is not durable. What is handed on
    /// after this has nothing to do with it. `None` when the thread is gone.
    pub(super) fn take_back(&self) -> Option<Unsynced> {
        let (give, given) = sync_channel(1);
        self.steps.as_ref()?.send(Step::TakeBack(give)).ok()?;
        given.recv().ok()
    }

    /// Waits until all that was handed on is durable, visible and answered.
    ///
    /// # Errors
    /// When a part of it could not be made durable: it is to be taken back.
    pub(super) fn settle(&self) -> Result<(), Fault> {
        let (say, settled) = sync_channel(1);
        self.steps.as_ref().ok_or(Fault::Stopped)?.send(Step::Settle(say)).map_err(|_| Fault::Stopped)?;
        match settled.recv() {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Fault::Stopped),
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Its end: nobody can ask any more. The databases that it holds are closed when it is gone.
        self.steps = None;
        join(&mut self.syncing);
    }
}

/// Work on both lanes' databases side by side: a disk takes two syncs in little more time than one.
struct Pair {
    work: fn(&Database) -> Result<(), Fault>,
    /// `None` only while it is being dropped.
    ask: Option<SyncSender<Arc<Database>>>,
    done: Receiver<Result<(), Fault>>,
    thread: Option<JoinHandle<()>>,
}

impl Pair {
    fn start(name: &str, work: fn(&Database) -> Result<(), Fault>) -> io::Result<Self> {
        let (ask, asked) = sync_channel::<Arc<Database>>(1);
        let (say, done) = sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Ok(database) = asked.recv() {
                if say.send(work(&database)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { work, ask: Some(ask), done, thread: Some(thread) })
    }

    fn run(&self, touched: &Touched) -> Result<(), Fault> {
        match (&touched.business, &touched.telemetry) {
            (None, None) => Ok(()),
            (Some(one), None) | (None, Some(one)) => (self.work)(one),
            (Some(here), Some(beside)) => {
                let ask = self.ask.as_ref().ok_or(Fault::Stopped)?;
                ask.send(Arc::clone(beside)).map_err(|_| Fault::Stopped)?;
                let here = (self.work)(here);
                let beside = self.done.recv().map_err(|_| Fault::Stopped)?;
                here.and(beside)
            }
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.ask = None;
        join(&mut self.thread);
    }
}

fn join(thread: &mut Option<JoinHandle<()>>) {
    if thread.take().is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the buffer panicked");
    }
}

fn sync_each(shared: &Shared, disk: &Pair, steps: &Receiver<Step>, writer: &Sender<Work>) {
    // After a failed sync nobody knows what the disk has: what comes after it is not even tried.
    let mut unsynced = Unsynced::default();
    while let Ok(step) = steps.recv() {
        match step {
            Step::Settle(say) => drop(say.send(unsynced.fault.is_none())),
            Step::TakeBack(give) => drop(give.send(std::mem::take(&mut unsynced))),
            Step::Sync(flushed) => {
                if unsynced.fault.is_none()
                    && let Err(fault) = disk.run(&flushed.placed.touched)
                {
                    unsynced.fault = Some(fault);
                    // A writer that is gone asks for nothing back.
                    drop(writer.send(Work::SyncFailed));
                }
                match &unsynced.fault {
                    None => publish(shared, *flushed),
                    Some(_) => unsynced.commits.push(*flushed),
                }
            }
        }
    }
}

/// Lets readers and forwarders see what is durable, and tells the callers.
fn publish(shared: &Shared, Flushed { commit, placed }: Flushed) {
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
