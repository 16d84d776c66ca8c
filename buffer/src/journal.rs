//! The journal: where a commit becomes durable, for both lanes in one write and one sync.
//!
//! `fdatasync` of a file that grows writes the file system's journal too, and each lane has a file of its own. So a commit is written
//! here first, into a file whose blocks are there already. What stands here goes on to the [logs](crate::generation::log) of the
//! generations and to sled, many commits at once, and a start [redoes](crate::generation::Database::redo) what sled has not.
//!
//! ```text
//! journal = two halves of equal size; each: records, one behind the other, each from the beginning of a page on
//! ```
//!
//! Records go into one half until it is full, then into the other, over what stood there. Before the first of them, what
//! is being written over is durable in the logs (a checkpoint): that is begun when the half before is full, and
//! goes on beside the commits that fill this one. A record never shares a page with another, so writing one puts no other at
//! risk. Nothing tells which records are old: each says for which generations it is, and doing it again changes nothing.
//!
//! What is too long for a half is not written here but into the logs, before it is answered.
//!
//! [`record`] is what a record looks like.

mod record;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use penstock_events::{Lane, Sequence};

use crate::archive::read_whole;
use crate::durable_file::{InvalidFile, sync_directory};
use crate::generation::{Database, Fault};
use crate::manifest::GenerationId;
use crate::per_lane::{Heads, PerLane};
use record::records;
pub(crate) use record::{PAGE_BYTES, Record};
#[cfg(any(test, fuzzing))]
pub(crate) use record::{rewrite, sealed};

/// What a journal is called until it is whole.
const BESIDE: &str = "new";

/// The databases that a commit is in.
pub(crate) type Touched = PerLane<Option<Arc<Database>>>;

/// The journal that takes commits.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    half_bytes: usize,
    /// Which half takes records.
    is_second: bool,
    /// Where the next record goes in it.
    position: usize,
    /// Those whose logs lack what this half has.
    ahead: Touched,
    checkpoints: Checkpoints,
    /// Whether a commit failed, or a checkpoint: after that nobody knows what the disk has, and nothing is written before it is
    /// [renewed](Self::renew).
    has_failed: bool,
    /// Whether that was a write or a sync of its own file.
    is_broken: bool,
}

impl Journal {
    /// Opens the journal at `path` with halves of `half_bytes`, a multiple of a page, or makes it. What stands in it is to be
    /// durable elsewhere by now.
    pub(crate) fn open(path: &Path, half_bytes: usize) -> io::Result<Self> {
        let file = match OpenOptions::new().write(true).open(path) {
            Ok(file) if file.metadata()?.len() == 2 * half_bytes as u64 => file,
            Ok(_) => make(path, half_bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, half_bytes)?,
            Err(error) => return Err(error),
        };
        // Left by a crash, if it is there.
        drop(fs::remove_file(path.with_extension(BESIDE)));
        Ok(Self {
            path: path.to_owned(),
            file,
            half_bytes,
            is_second: false,
            position: 0,
            ahead: PerLane::default(),
            checkpoints: Checkpoints::start()?,
            has_failed: false,
            is_broken: false,
        })
    }

    /// Makes a commit durable, which goes into the generations that it touched and can be read in them from then on. Both
    /// lanes end at `heads` with it.
    pub(crate) fn write(&mut self, record: &Record, touched: &Touched, heads: Heads) -> Result<(), Fault> {
        self.attempt(|journal| {
            let bytes = record.to_bytes();
            let is_too_long = bytes.len() > journal.half_bytes;
            if !is_too_long {
                journal.put(&bytes)?;
            }
            for lane in Lane::ALL {
                if let Some(database) = &touched[lane] {
                    database.add(lane, record)?;
                    journal.ahead[lane] = Some(Arc::clone(database));
                }
            }
            if is_too_long {
                journal.empty()?;
                // No start is to take what was before it for the end, unless these generations end before it.
                let generations = record.generations;
                journal.put(&Record { durable: heads, generations, ..Record::default() }.to_bytes())?;
            }
            Ok(())
        })
    }

    /// Makes durable in the logs what is in the journal: no start needs it for that.
    pub(crate) fn checkpoint(&mut self) -> Result<(), Fault> {
        self.attempt(Self::empty)
    }

    /// Whether it takes nothing before it is renewed.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Waits until nobody writes to the logs.
    pub(crate) fn rest(&mut self) {
        self.checkpoints.wait();
    }

    /// Begins anew: no start needs what stands in it. One that failed is made again, on other places of the disk.
    pub(crate) fn renew(&mut self) -> Result<(), Fault> {
        if self.is_broken {
            self.file = make(&self.path, self.half_bytes)?;
            self.is_broken = false;
        }
        // What the logs lacked of these generations was put there from memory.
        drop(self.checkpoints.end());
        self.ahead = PerLane::default();
        self.has_failed = false;
        Ok(())
    }

    /// Nothing is tried once something failed.
    fn attempt(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.has_failed {
            return Err(Fault::Stopped);
        }
        let done = work(self);
        self.has_failed = done.is_err();
        done
    }

    fn empty(&mut self) -> Result<(), Fault> {
        self.checkpoints.end()?;
        self.checkpoints.begin(std::mem::take(&mut self.ahead))?;
        self.checkpoints.end()
    }

    fn put(&mut self, record: &[u8]) -> Result<(), Fault> {
        if self.position + record.len() > self.half_bytes {
            self.turn()?;
        }
        let half = if self.is_second { self.half_bytes } else { 0 };
        let written = self.write_at(record, (half + self.position) as u64);
        self.is_broken |= written.is_err();
        self.position += record.len().next_multiple_of(PAGE_BYTES);
        Ok(written?)
    }

    /// Goes on in the other half, once the logs have what stands in it.
    fn turn(&mut self) -> Result<(), Fault> {
        self.checkpoints.end()?;
        self.checkpoints.begin(std::mem::take(&mut self.ahead))?;
        self.is_second = !self.is_second;
        self.position = 0;
        Ok(())
    }

    fn write_at(&self, record: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        crate::fault_injection::check(&self.path, "write")?;
        self.file.write_all_at(record, offset)?;
        #[cfg(test)]
        crate::fault_injection::check(&self.path, "sync")?;
        self.file.sync_data()
    }
}

/// Makes an empty journal, durable, in place of what is at `path`. Its blocks are written, not only reserved: so a sync has
/// nothing to do but to write data.
fn make(path: &Path, half_bytes: usize) -> io::Result<File> {
    let beside = path.with_extension(BESIDE);
    let file = File::create(&beside)?;
    let made = file.write_all_at(&vec![0; 2 * half_bytes], 0).and_then(|()| file.sync_all());
    if let Err(error) = made {
        // Half a journal is not to fill a disk that is full.
        drop(fs::remove_file(&beside));
        return Err(error);
    }
    fs::rename(&beside, path)?;
    sync_directory(path.parent().expect("the files of a store stand in its directory"))?;
    Ok(file)
}

/// Writes logs beside the commits, both lanes' at a time.
struct Checkpoints {
    /// `None` only while it is being dropped.
    ask: Option<SyncSender<Touched>>,
    done: Receiver<Result<(), Fault>>,
    is_under_way: bool,
    /// What came of it, when that is known already.
    outcome: Option<Result<(), Fault>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    fn start() -> io::Result<Self> {
        let (ask, asked) = sync_channel::<Touched>(1);
        let (say, done) = sync_channel(1);
        let thread = thread::Builder::new().name("buffer-checkpoint".to_owned()).spawn(move || {
            while let Ok(ahead) = asked.recv() {
                let log = |database: &Arc<Database>| database.checkpoint();
                let logged =
                    Lane::ALL.into_iter().try_for_each(|lane| ahead[lane].as_ref().map_or(Ok(()), log));
                // Before it is said: whoever closes the databases is to be the last to have them.
                drop(ahead);
                if say.send(logged).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { ask: Some(ask), done, is_under_way: false, outcome: None, thread: Some(thread) })
    }

    fn begin(&mut self, ahead: Touched) -> Result<(), Fault> {
        let ask = self.ask.as_ref().ok_or(Fault::Stopped)?;
        ask.send(ahead).map_err(|_| Fault::Stopped)?;
        self.is_under_way = true;
        Ok(())
    }

    /// Waits for the one that is under way, if there is one.
    fn end(&mut self) -> Result<(), Fault> {
        self.wait();
        self.outcome.take().unwrap_or(Ok(()))
    }

    fn wait(&mut self) {
        if std::mem::take(&mut self.is_under_way) {
            self.outcome = Some(self.done.recv().unwrap_or(Err(Fault::Stopped)));
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.ask = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a thread of the buffer panicked");
        }
    }
}

/// What a start finds in a journal.
#[derive(Default)]
pub(crate) struct Left {
    /// In the order in which they were written.
    records: Vec<Record>,
    is_there: bool,
}

impl Left {
    /// Reads the journal at `path`. One that is not there has nothing.
    pub(crate) fn read(path: &Path) -> Result<Self, InvalidFile> {
        match File::open(path) {
            Ok(file) => Ok(Self { records: records(&read_whole(file)?)?, is_there: true }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// What it has for a generation, a commit at a time.
    pub(crate) fn of(&self, lane: Lane, id: GenerationId) -> impl Iterator<Item = &Record> {
        self.records
            .iter()
            .filter(move |record| record.generations[lane] == id && !record.entries[lane].is_empty())
    }

    /// The order of the first commit in it, 0 when there is none; `None` after a clean end.
    pub(crate) fn first_order(&self) -> Option<u64> {
        // What only tells that a long commit is durable has none.
        let orders = self.records.iter().map(|record| record.order).filter(|&order| order > 0);
        self.is_there.then(|| orders.min().unwrap_or_default())
    }

    /// The order of the last commit in it.
    pub(crate) fn last_order(&self) -> u64 {
        self.records.last().map_or(0, |record| record.order)
    }

    /// What it has for a generation, as that generation's log has it.
    pub(crate) fn log_of(&self, lane: Lane, id: GenerationId) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.of(lane, id).for_each(|record| record.put_into(&mut bytes, &[lane]));
        bytes
    }

    /// Whether it has nothing. If it has something, that tells where the lanes end.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// A place up to which a lane was durable whose generation `active` grew.
    pub(crate) fn durable(&self, lane: Lane, active: Option<GenerationId>) -> Sequence {
        // Only of a commit that was answered is that certain. What tells that of a long one may have failed: then its generation was
        // ended before it.
        let is_certain = |record: &&Record| record.order > 0 || Some(record.generations[lane]) == active;
        self.records.iter().filter(is_certain).map(|record| record.durable[lane]).max().unwrap_or_default()
    }
}
