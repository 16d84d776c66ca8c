//! What the buffer's threads and its callers share: the catalog of generations, the cursors, the
//! heads and the open generations.
//!
//! The writer is the only one that changes the catalog and the heads. Locks are held for a look or
//! an assignment, save for the shelf's, under which a generation may be opened. The order is shelf
//! before catalog.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use penstock_events::{DestinationName, Event, Lane, Sequence, StreamId};
use tokio::sync::watch;

use crate::archive::Archive;
use crate::cursors::Cursors;
use crate::dead::Letterbox;
use crate::directory::Directory;
use crate::generation::{Database, Fault, contain, delete};
use crate::manifest::{GenerationId, Manifest};
use crate::per_lane::{Heads, PerLane};
use crate::replay::Register;
use crate::source::Source;
use crate::status::Outage;

/// How much memory the generations may take that stay open and that nobody is using. Opening one that is complete looks through all of
/// it, so those should stay to which readers come back in turn: each destination in each lane, and a replay.
const MAX_IDLE_BYTES: usize = 16 * 1024 * 1024;
/// How many there may be at most: each has two files open.
const MAX_IDLE_OPEN: usize = 64;
/// How many decoded blocks are kept, so that reading on from the middle of one does not decode it
/// again. One for each of a few destinations on each lane.
pub(crate) const MAX_DECODED_BLOCKS: usize = 8;

/// What the buffer's threads and its callers share.
pub(crate) struct Shared {
    pub(crate) directory: Directory,
    pub(crate) streams: PerLane<StreamId>,
    /// The destinations that hold events back.
    pub(crate) destinations: Vec<DestinationName>,
    /// A mutex and not a message: readers must see a generation's end without waiting for a commit.
    pub(crate) catalog: Mutex<Manifest>,
    /// A mutex and not a message: an acknowledgement must hold from the moment it returns.
    pub(crate) cursors: Mutex<LiveCursors>,
    pub(crate) heads: watch::Sender<Heads>,
    pub(crate) failure: OnceLock<String>,
    /// While the disk refuses what is written.
    pub(crate) outage: Mutex<Option<Outage>>,
    pub(crate) closing: AtomicBool,
    /// Whether the business lane is full and appends wait.
    pub(crate) full: AtomicBool,
    /// Commits since the buffer was opened.
    pub(crate) commits: AtomicU64,
    /// Events shed since the buffer was opened.
    pub(crate) shed_events: AtomicU64,
    pub(crate) dead: Letterbox,
    pub(crate) replays: Register,
    /// Moves when there is something to deliver again beside the lanes.
    pub(crate) errands: watch::Sender<u64>,
    /// Up to where an operator wants nothing of each lane retained that every destination has.
    pub(crate) purged: Mutex<PerLane<Sequence>>,
    pub(crate) shelf: Shelf,
    pub(crate) decoded: Mutex<VecDeque<DecodedBlock>>,
}

/// The cursors, and whether the file knows them.
pub(crate) struct LiveCursors {
    pub(crate) cursors: Cursors,
    pub(crate) saved: Saved,
}

/// Whether what is in memory is also on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Saved {
    Yes,
    No,
}

/// A block that was read lately.
#[derive(Clone)]
pub(crate) struct DecodedBlock {
    pub(crate) lane: Lane,
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    pub(crate) events: Arc<[Event]>,
}

/// The generations that are open. sled allows one handle of a database in a process, so all share it.
#[derive(Default)]
pub(crate) struct Shelf {
    open: Mutex<Vec<Shelved>>,
}

struct Shelved {
    lane: Lane,
    id: GenerationId,
    source: Source,
    /// Whether its files alone have not all of it.
    is_kept: bool,
}

impl Shared {
    /// The generation `id`, opened if need be; `None` when it has left the catalog.
    pub(crate) fn open_generation(&self, lane: Lane, id: GenerationId) -> Result<Option<Source>, Fault> {
        let mut open = lock(&self.shelf.open);
        if let Some(at) = open.iter().position(|shelved| shelved.lane == lane && shelved.id == id) {
            let shelved = open.remove(at);
            let source = shelved.source.clone();
            open.push(shelved);
            return Ok(Some(source));
        }
        // Looked up under the shelf's lock: what is listed here cannot be deleted before it is on the shelf.
        let listed = lock(&self.catalog).lanes[lane].iter().find(|one| one.id == id).cloned();
        let Some(listed) = listed else { return Ok(None) };
        let archive = Archive::of(&self.directory.generation(lane, id), &listed)?;
        let source = Source::Complete(Arc::new(archive));
        Shelf::make_room(&mut open);
        open.push(Shelved { lane, id, source: source.clone(), is_kept: false });
        Ok(Some(source))
    }

    /// Deletes a generation that has left the catalog, once its last reader is done with it.
    pub(crate) fn delete_generation(&self, lane: Lane, id: GenerationId) {
        let mut open = lock(&self.shelf.open);
        let at = open.iter().position(|shelved| shelved.lane == lane && shelved.id == id);
        match at.map(|at| open.remove(at).source) {
            Some(Source::Growing(database)) => database.delete_on_close(),
            Some(Source::Complete(_)) | None => delete(&self.directory.generation(lane, id)),
        }
    }

    /// Tells those that deliver that there is something to deliver again.
    pub(crate) fn new_errands(&self) {
        self.errands.send_modify(|errands| *errands += 1);
    }

    /// Makes every later append fail. The first reason stays.
    pub(crate) fn fail(&self, reason: impl FnOnce() -> String) {
        self.failure.get_or_init(|| {
            let reason = reason();
            tracing::error!(path = %self.directory.root().display(), %reason, "the buffer failed and takes nothing more");
            reason
        });
    }

    /// What keeps the buffer from writing, if anything does.
    pub(crate) fn why_not(&self) -> Option<String> {
        let outage = || lock(&self.outage).as_ref().map(ToString::to_string);
        self.failure.get().cloned().or_else(outage)
    }

    /// Runs a thread's work. A panic in it, which would be a defect, fails the buffer and not silently.
    pub(crate) fn guard(&self, work: impl FnOnce()) {
        let done = contain(|| {
            work();
            Ok(())
        });
        if let Err(fault) = done {
            self.fail(|| fault.to_string());
        }
    }

    /// The end of what every configured destination has of `lane`; `None` without destinations.
    pub(crate) fn slowest(&self, lane: Lane) -> Option<Sequence> {
        lock(&self.cursors).cursors.slowest(&self.destinations, lane)
    }
}

impl Shelf {
    /// Puts a generation that takes appends on the shelf.
    pub(crate) fn put(&self, lane: Lane, id: GenerationId, database: Arc<Database>) {
        let mut open = lock(&self.open);
        // The one before it is complete.
        open.iter_mut().filter(|shelved| shelved.lane == lane).for_each(|shelved| shelved.is_kept = false);
        Self::make_room(&mut open);
        open.push(Shelved { lane, id, source: Source::Growing(database), is_kept: false });
    }

    /// Has a generation read without sled from now on, if it is on the shelf: who has it open may go on with it. It stays there until
    /// another is put in its place: what only the journal has of it is in `archive`.
    pub(crate) fn replace(&self, lane: Lane, id: GenerationId, archive: Archive) {
        let mut open = lock(&self.open);
        if let Some(shelved) = open.iter_mut().find(|shelved| shelved.lane == lane && shelved.id == id) {
            (shelved.source, shelved.is_kept) = (Source::Complete(Arc::new(archive)), true);
        }
    }

    /// Takes a generation from the shelf: who has it open may go on with it.
    pub(crate) fn take(&self, lane: Lane, id: GenerationId) {
        lock(&self.open).retain(|shelved| shelved.lane != lane || shelved.id != id);
    }

    /// Closes everything that nobody is using.
    pub(crate) fn clear(&self) {
        lock(&self.open).clear();
    }

    /// Closes generations that nobody is using, the longest unused first, but for the last that was used. It happens under the
    /// lock, so none is opened again before it is closed.
    fn make_room(open: &mut Vec<Shelved>) {
        let is_idle = |shelved: &Shelved| !shelved.is_kept && shelved.source.is_idle();
        let (mut idle, mut bytes) = (0, 0);
        let mut at = open.len();
        while at > 0 {
            at -= 1;
            if is_idle(&open[at]) {
                idle += 1;
                bytes += open[at].source.memory_bytes();
                if idle > 1 && (idle > MAX_IDLE_OPEN || bytes > MAX_IDLE_BYTES) {
                    drop(open.remove(at));
                }
            }
        }
    }
}

/// Locks a mutex. What it guards is whole even if a thread died in between: every change is one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};
    use std::thread;

    use penstock_events::{Event, Fact, Quality, Timestamp};

    use super::*;
    use crate::{Buffer, Options};

    fn append(buffer: &Buffer, n: u64) {
        let fact = Fact::GatewayStarted { version: n.to_string().repeat(50).into() };
        let (asset, time) = ("press-1".parse().expect("a path"), Timestamp::EPOCH);
        let event = Event { asset, time, observed: time, quality: Quality::Good, fact };
        let mut appending = std::pin::pin!(buffer.append(vec![event], Vec::new()));
        while appending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_generation_to_which_readers_come_back_is_looked_through_once() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let destinations = ["erp".parse().expect("a name")];
        let mut options = Options::new(directory.path(), "edge-01".parse().expect("a name"), destinations);
        (options.generation_bytes, options.min_free_bytes) = (1, 0);
        let buffer = Buffer::open(options.clone()).expect("a store that opens");
        (0..10).for_each(|n| append(&buffer, n));
        buffer.close().expect("a disk that works");
        let buffer = Buffer::open(options).expect("a store that opens");
        let sealed = buffer.generations(Lane::Business).into_iter().filter(|one| one.sealed);
        let open = |id| match buffer.shared().open_generation(Lane::Business, id) {
            Ok(Some(Source::Complete(archive))) => Arc::downgrade(&archive),
            other => panic!("{id}: {:?}", other.map(|found| found.is_some())),
        };
        let opened: Vec<_> = sealed.map(|one| open(one.number)).collect();
        assert_eq!(opened.iter().filter(|archive| archive.strong_count() > 0).count(), 9);
    }
}
