//! One generation that takes appends: a sled database of its own, insert-only, deleted whole. The only module
//! that knows sled.
//!
//! What is [applied](Database::apply) is durable in the journal, and then in the generation's [log]. What `sled::flush` leaves to
//! chance is done when the generation is complete: [`sync`](Database::sync). A new database is `fsync`ed with its directories before it is
//! listed anywhere; sled's snapshots are not believed. sled panics on some damage and on some disk errors, so nothing of it runs
//! outside [`contain`].

mod entries;
pub(crate) mod log;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use penstock_events::{Lane, Sequence};

use crate::block::{self, Header, InvalidBlock};
use crate::durable_file::{InvalidFile, sync_directory};
use crate::manifest::Extent;
use crate::state;
pub(crate) use entries::{Entries, Told, Writes};
use entries::{Key, sequence_of};

/// What sled may keep of one generation in memory. Blocks are read once and in order, so more would hold nothing useful.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// sled makes a blob, a file that it never syncs, of what takes more than a quarter of a segment. It writes a leaf of its tree
/// in one piece, and splits one of more than 16 values only when it next comes by: 17 of the longest are 204 KB.
const SEGMENT_BYTES: usize = 1024 * 1024;
/// What it was before, in generations that may still grow.
const OLD_SEGMENT_BYTES: usize = 512 * 1024;
/// How often sled is asked again for a block that was just read. It looks for what to put out of its cache once a shard, one of
/// 256, was asked 64 times: read once and in order, a whole generation would stay in memory (80 MiB, and 32 with this).
const TOUCHES: usize = 3;
/// How long a generation that was just closed may hold its lock: sled's threads let go of the file a little after the last handle does.
const UNLOCK_TIMEOUT: Duration = Duration::from_secs(5);
const UNLOCK_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// What is wrong with a generation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("its database is damaged: {0}")]
    Database(String),
    #[error("its database is of another kind: {0}")]
    Unsupported(String),
    #[error("its database gave up: {0}")]
    Panicked(String),
    #[error("the block that begins at {first} cannot be used: {error}")]
    Block { first: Sequence, error: InvalidBlock },
    #[error("event {0} should be in it and is not")]
    Missing(Sequence),
    #[error("its file cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("its log is of the newer format {0}")]
    NewerLog(u16),
    #[error("a commit before it failed")]
    Stopped,
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Io(error),
            sled::Error::Unsupported(why) => Self::Unsupported(why),
            other => Self::Database(other.to_string()),
        }
    }
}

impl From<InvalidFile> for Fault {
    fn from(invalid: InvalidFile) -> Self {
        match invalid {
            InvalidFile::Io(error) => Self::Io(error),
            InvalidFile::NewerFormat { found, .. } => Self::NewerLog(found),
            InvalidFile::Damaged(why) => Self::Database(why),
        }
    }
}

/// A block as it is stored, not yet looked at.
pub(crate) struct Stored {
    /// Where its key says that it begins.
    pub(crate) first: Sequence,
    pub(crate) bytes: Vec<u8>,
}

impl Stored {
    /// Decodes all of it: its header.
    pub(crate) fn unpack(&self) -> Result<Header, Fault> {
        let first = self.first;
        let unpacked = contain(|| block::unpack(&self.bytes).map_err(|error| Fault::Block { first, error }))?;
        Ok(unpacked.0)
    }
}

/// The pieces of state by key, each with its order.
pub(crate) type State = BTreeMap<String, (u64, Vec<u8>)>;

/// An open generation.
pub(crate) struct Database {
    directory: PathBuf,
    /// `None` only while it is being dropped.
    db: Option<sled::Db>,
    /// `<directory>/db`, for `fdatasync`.
    data: File,
    deleted: AtomicBool,
}

impl Database {
    /// Makes an empty generation, durable with its directory entry.
    pub(crate) fn create(directory: &Path) -> Result<Self, Fault> {
        #[cfg(test)]
        crate::fault_injection::check(directory, "create")?;
        fs::create_dir(directory)?;
        let made = Self::open(directory)?;
        made.sync()?;
        log::create(directory)?;
        File::open(directory.join("conf"))?.sync_all()?;
        sync_directory(&directory.join("blobs"))?;
        sync_directory(directory)?;
        sync_directory(directory.parent().expect("a generation stands in its lane's directory"))?;
        Ok(made)
    }

    /// Opens a generation that exists.
    pub(crate) fn open(directory: &Path) -> Result<Self, Fault> {
        delete_snapshots(directory)?;
        match Self::open_with(directory, SEGMENT_BYTES) {
            Err(Fault::Unsupported(_)) => Self::open_with(directory, OLD_SEGMENT_BYTES),
            opened => opened,
        }
    }

    fn open_with(directory: &Path, segment_bytes: usize) -> Result<Self, Fault> {
        let config = sled::Config::new()
            .path(directory)
            .segment_size(segment_bytes)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .use_compression(false)
            .mode(sled::Mode::HighThroughput);
        let deadline = Instant::now() + UNLOCK_TIMEOUT;
        let db = loop {
            match contain(|| Ok(config.open()?)) {
                Err(Fault::Io(error)) if is_locked(&error) && Instant::now() < deadline => {
                    thread::sleep(UNLOCK_POLL_INTERVAL);
                }
                opened => break opened?,
            }
        };
        let data = File::open(directory.join("db"))?;
        Ok(Self { directory: directory.to_owned(), db: Some(db), data, deleted: AtomicBool::new(false) })
    }

    /// Writes all of `entries` or nothing, to memory: sled writes them when it likes. They are durable in
    /// the database only after [`sync`](Self::sync).
    pub(crate) fn apply(&self, entries: &Entries) -> Result<(), Fault> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        entries.iter().for_each(|(key, value)| batch.insert(key, value));
        contain(|| Ok(self.db().apply_batch(batch)?))
    }

    /// Applies what a journal has of a commit and the database has not, and notes it in `extent` and `state`: what is in the
    /// database. What is there already, or is older than what is there, stays as it is.
    ///
    /// # Errors
    /// [`Fault::Missing`] when a block does not follow on the last one.
    pub(crate) fn redo(
        &self,
        entries: &Entries,
        extent: &mut Extent,
        state: &mut State,
    ) -> Result<(), Fault> {
        let mut missing = Entries::default();
        for (key, value) in entries.iter() {
            let is_missing = match Key::read(key)? {
                Key::Block(first) if first <= extent.last => false,
                Key::Block(first) => {
                    let (header, _) = block::open(value).map_err(|error| Fault::Block { first, error })?;
                    if first != extent.last.next() || header.first != first {
                        return Err(Fault::Missing(extent.last.next()));
                    }
                    extent.add(header.last, value.len() as u64, &header.tally, header.times);
                    true
                }
                Key::State(name) => {
                    let piece = state::read(name, value).ok_or_else(|| damaged_state(name))?;
                    let is_newer = state.get(name).is_none_or(|(order, _)| *order < piece.order);
                    if is_newer {
                        state.insert(name.to_owned(), (piece.order, piece.value.to_vec()));
                    }
                    is_newer
                }
                Key::ShedThrough(_) | Key::Announced => {
                    let known = contain(|| Ok(self.db().get(key)?))?;
                    known.is_none_or(|known| known.as_ref() < value)
                }
            };
            if is_missing {
                missing.push(key, value);
            }
        }
        self.apply(&missing)
    }

    /// Adds records to the log, and returns once they are durable.
    pub(crate) fn log(&self, records: &[u8]) -> Result<(), Fault> {
        Ok(log::append(&self.directory, records)?)
    }

    /// Makes durable in the database what was applied: sled hands it to the system, which is told to keep it.
    ///
    /// sled applies nothing while it flushes, in whatever database of the process. What it writes later may put this at risk again.
    pub(crate) fn sync(&self) -> Result<(), Fault> {
        #[cfg(test)]
        crate::fault_injection::check(&self.directory, "flush")?;
        contain(|| Ok(self.db().flush().map(drop)?))?;
        #[cfg(test)]
        crate::fault_injection::check(&self.directory, "sync")?;
        Ok(self.data.sync_data()?)
    }

    /// The first block whose key is at or after `place`.
    pub(crate) fn stored_block_from(&self, place: Sequence) -> Result<Option<Stored>, Fault> {
        let from = Key::Block(place).to_bytes();
        match contain(|| Ok(self.db().range(from..).next().transpose()?))? {
            Some((key, bytes)) if key.first() == Some(&Key::BLOCK) => {
                self.touch(&key)?;
                Ok(Some(Stored { first: first_of(&key)?, bytes: bytes.to_vec() }))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// The block that holds `sequence`, or the last before it.
    pub(crate) fn stored_block_with(&self, sequence: Sequence) -> Result<Stored, Fault> {
        let after = Key::Block(sequence.next()).to_bytes();
        match contain(|| Ok(self.db().get_lt(after)?))? {
            Some((key, bytes)) if key.first() == Some(&Key::BLOCK) => {
                Ok(Stored { first: first_of(&key)?, bytes: bytes.to_vec() })
            }
            Some(_) | None => Err(Fault::Missing(sequence)),
        }
    }

    /// Looks at every block up to `last`: what is in the generation, given that it begins at `first`.
    pub(crate) fn extent(&self, first: Sequence, last: Sequence) -> Result<Extent, Fault> {
        let mut extent = Extent::before(first);
        contain(|| {
            for entry in self.db().scan_prefix([Key::BLOCK]) {
                let (key, bytes) = entry?;
                self.touch(&key)?;
                let first = first_of(&key)?;
                if first > last {
                    break;
                }
                let (header, _) = block::open(&bytes).map_err(|error| Fault::Block { first, error })?;
                if first != extent.last.next() || header.first != first {
                    return Err(Fault::Missing(extent.last.next()));
                }
                extent.add(header.last, bytes.len() as u64, &header.tally, header.times);
            }
            Ok(())
        })?;
        Ok(extent)
    }

    /// All of the normalizer's state that is in this generation, each piece with its order.
    pub(crate) fn state(&self) -> Result<State, Fault> {
        contain(|| {
            self.db()
                .scan_prefix(Key::states())
                .map(|entry| {
                    let (key, bytes) = entry?;
                    let Key::State(name) = Key::read(&key)? else {
                        unreachable!("every key with this prefix is one of state")
                    };
                    let piece = state::read(name, &bytes).ok_or_else(|| damaged_state(name))?;
                    Ok((name.to_owned(), (piece.order, piece.value.to_vec())))
                })
                .collect()
        })
    }

    /// What was announced, as this generation has it.
    pub(crate) fn told(&self) -> Result<Told, Fault> {
        let stored = |key: Key<'_>| contain(|| Ok(self.db().get(key.to_bytes())?));
        let mut told = Told::default();
        for lane in Lane::ALL {
            let through = stored(Key::ShedThrough(lane))?;
            told.shed_through[lane] = through.map(|bytes| sequence_of(&bytes)).transpose()?;
        }
        let announced = stored(Key::Announced)?;
        told.announced = announced.map_or(Ok(0), |bytes| sequence_of(&bytes).map(|number| number.0))?;
        Ok(told)
    }

    /// Deletes the directory once the last user of this generation lets go of it.
    pub(crate) fn delete_on_close(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    /// Makes sled notice that it should put something out of its cache: see [`TOUCHES`].
    fn touch(&self, key: &[u8]) -> Result<(), Fault> {
        contain(|| (0..TOUCHES).try_for_each(|_| Ok(self.db().contains_key(key).map(drop)?)))
    }

    fn db(&self) -> &sled::Db {
        self.db.as_ref().expect("only drop takes it")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let db = self.db.take();
        // sled syncs once more while it closes, and panics when that fails. Everything that was
        // promised is durable by then, so it is worth a line and no more.
        if let Err(fault) = contain(|| {
            drop(db);
            Ok(())
        }) {
            tracing::warn!(directory = %self.directory.display(), %fault, "closing a generation failed");
        }
        if self.deleted.load(Ordering::Acquire) {
            delete(&self.directory);
        }
    }
}

/// Deletes a generation that is no longer listed. A failure costs disk space until the next start, which tries again.
pub(crate) fn delete(directory: &Path) {
    if let Err(error) = fs::remove_dir_all(directory)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(
            directory = %directory.display(), %error,
            "a generation that is no longer needed could not be deleted; it takes disk space until the next start"
        );
    }
}

/// Deletes the snapshots that sled makes while it closes, so that it opens by its log alone. It would take one that a power
/// cut left unfinished (`snap.….generating`) for whole, and a whole one may speak of a log that was never synced.
fn delete_snapshots(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b"snap.") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Runs `work`, turning a panic into a fault.
pub(crate) fn contain<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Fault::Panicked(text.unwrap_or_else(|| "a panic without words".to_owned())))
    })
}

fn first_of(key: &[u8]) -> Result<Sequence, Fault> {
    sequence_of(key.get(1..).unwrap_or_default())
}

fn damaged_state(name: &str) -> Fault {
    Fault::Database(format!("the state {name:?} is not what was written"))
}

/// Whether what the system said may be the fault of what is in a file or of a bad place on the disk, and not of the whole disk. sled
/// has words of its own, and no number.
pub(crate) fn may_be_damage(error: &io::Error) -> bool {
    let is_bad_place = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    error.raw_os_error().is_none() || error.kind() == io::ErrorKind::NotFound || is_bad_place
}

/// sled has no error of its own for this.
pub(crate) fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}
