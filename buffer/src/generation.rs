//! One generation that takes appends: a log of its own and a sled database that knows what stands where in it, insert-only, deleted
//! whole. The only module that knows sled.
//!
//! What is [added](Database::add) is durable in the journal. A [checkpoint](Database::checkpoint) takes it into the generation's [log], many
//! commits at once, and then into sled, so that sled never has what the log has not. Until then it is read from memory. A new database
//! is `fsync`ed with its directories before it is listed anywhere, and what sled writes later is left to chance: what it lacks at a start it is
//! [given again](Database::redo), and its snapshots are not believed. sled panics on some damage and on some disk errors, so nothing of
//! it runs outside [`contain`].

mod entries;
mod fault;
pub(crate) mod log;
mod unlogged;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use penstock_events::{Event, Lane, Sequence};

use crate::block::{self, Header};
use crate::durable_file::sync_directory;
use crate::journal::Record;
use crate::manifest::Extent;
use crate::shared::lock;
use crate::state;
pub(crate) use entries::{Entries, Told, Writes};
use entries::{Key, Place, sequence_of};
pub(crate) use fault::{Fault, contain, is_locked, may_be_damage};
use log::Log;
use unlogged::Unlogged;

/// What sled may keep of one generation in memory: all that it has of a full one.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// How much sled's file grows by.
pub(crate) const SEGMENT_BYTES: usize = 512 * 1024;
/// What it was for a while, in generations that may still grow.
const OLD_SEGMENT_BYTES: usize = 1024 * 1024;
/// How long a generation that was just closed may hold its lock: sled's threads let go of the file a little after the last handle does.
const UNLOCK_TIMEOUT: Duration = Duration::from_secs(5);
const UNLOCK_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A block as it is stored, not yet looked at.
pub(crate) struct Stored {
    /// Where its key says that it begins.
    pub(crate) first: Sequence,
    pub(crate) bytes: Vec<u8>,
}

impl Stored {
    /// Its header and its events.
    pub(crate) fn unpack(&self) -> Result<(Header, Vec<Event>), Fault> {
        let first = self.first;
        contain(|| block::unpack(&self.bytes).map_err(|error| Fault::Block { first, error }))
    }
}

/// The pieces of state by key, each with its order.
pub(crate) type State = BTreeMap<String, (u64, Vec<u8>)>;

/// An open generation.
pub(crate) struct Database {
    directory: PathBuf,
    /// `None` only while it is being dropped.
    db: Option<sled::Db>,
    /// `None` in a generation of an older version.
    log: Option<Log>,
    unlogged: Mutex<Unlogged>,
    deleted: AtomicBool,
}

impl Database {
    /// How much memory one takes, about.
    pub(crate) const MEMORY_BYTES: usize = CACHE_BYTES as usize;

    /// Makes an empty generation, durable with its directory entry.
    pub(crate) fn create(directory: &Path) -> Result<Self, Fault> {
        #[cfg(test)]
        crate::fault_injection::check(directory, "create")?;
        fs::create_dir(directory)?;
        log::create(directory)?;
        let made = Self::open(directory)?;
        made.sync()?;
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
        Ok(Self {
            directory: directory.to_owned(),
            db: Some(db),
            log: Log::open(directory)?,
            unlogged: Mutex::default(),
            deleted: AtomicBool::new(false),
        })
    }

    /// Takes what a record has for the lane of this generation. It can be read at once, and is in the log after the next
    /// [checkpoint](Self::checkpoint).
    pub(crate) fn add(&self, lane: Lane, record: &Record) -> Result<(), Fault> {
        lock(&self.unlogged).add(lane, record)
    }

    /// Makes durable in the log what was added, and has the database know it.
    pub(crate) fn checkpoint(&self) -> Result<(), Fault> {
        let leaving = lock(&self.unlogged).leave();
        if !leaving.records.is_empty() {
            let base = log::append(&self.directory, &leaving.records)?;
            self.apply(&leaving.indexed(base))?;
        }
        lock(&self.unlogged).left();
        Ok(())
    }

    /// What was added and is not known to be in the log.
    pub(crate) fn rest(&self) -> Vec<u8> {
        lock(&self.unlogged).rest()
    }

    /// Makes that durable in the log, when nothing is added any more and no checkpoint is under way. The database is not told.
    pub(crate) fn log_rest(&self) -> Result<(), Fault> {
        let rest = self.rest();
        if !rest.is_empty() {
            log::append(&self.directory, &rest)?;
            lock(&self.unlogged).is_logged = true;
        }
        Ok(())
    }

    /// Writes all of `entries` or nothing, to memory: sled writes them when it likes.
    fn apply(&self, entries: &Entries) -> Result<(), Fault> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        entries.iter().for_each(|(key, value)| batch.insert(key, value));
        contain(|| Ok(self.db().apply_batch(batch)?))
    }

    /// Applies what the database lacks of a record that stands at `offset` in the log, and notes it in `extent` and `state`: what is in
    /// the database. What is there already, or is older than what is there, stays as it is.
    ///
    /// # Errors
    /// [`Fault::Missing`] when a block does not follow on the last one.
    pub(crate) fn redo(
        &self,
        (offset, lane, record): (u64, Lane, &Record),
        extent: &mut Extent,
        state: &mut State,
    ) -> Result<(), Fault> {
        let mut missing = Entries::default();
        for (key, value, at) in record.values(lane) {
            let is_missing = match Key::read(key)? {
                Key::Block(first) if first <= extent.last => false,
                Key::Block(first) => {
                    let (header, _) = block::open(value).map_err(|error| Fault::Block { first, error })?;
                    if first != extent.last.next() || header.first != first {
                        return Err(Fault::Missing(extent.last.next()));
                    }
                    extent.add(header.last, value.len() as u64, &header.tally, header.times);
                    missing.push(key, &Place::new(offset + at as u64, value.len()).to_bytes());
                    false
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

    /// Makes durable in the database what was applied: sled hands it to the system, which is told to keep it. What it writes
    /// later may put this at risk again.
    pub(crate) fn sync(&self) -> Result<(), Fault> {
        contain(|| Ok(self.db().flush().map(drop)?))?;
        #[cfg(test)]
        crate::fault_injection::check(&self.directory, "sync")?;
        Ok(File::open(self.directory.join("db"))?.sync_data()?)
    }

    /// The first block whose key is at or after `place`.
    pub(crate) fn stored_block_from(&self, place: Sequence) -> Result<Option<Stored>, Fault> {
        // Looked at first: what is not there any more is in the database by now.
        let unlogged = lock(&self.unlogged).block_from(place);
        if unlogged.as_ref().is_some_and(|stored| stored.first == place) {
            return Ok(unlogged);
        }
        let from = Key::Block(place).to_bytes();
        match contain(|| Ok(self.db().range(from..).next().transpose()?))? {
            Some((key, value)) if key.first() == Some(&Key::BLOCK) => self.stored(&key, &value).map(Some),
            Some(_) | None => Ok(unlogged),
        }
    }

    /// The block that holds `sequence`, or the last before it.
    pub(crate) fn stored_block_with(&self, sequence: Sequence) -> Result<Stored, Fault> {
        if let Some(unlogged) = lock(&self.unlogged).block_with(sequence) {
            return Ok(unlogged);
        }
        let after = Key::Block(sequence.next()).to_bytes();
        match contain(|| Ok(self.db().get_lt(after)?))? {
            Some((key, value)) if key.first() == Some(&Key::BLOCK) => self.stored(&key, &value),
            Some(_) | None => Err(Fault::Missing(sequence)),
        }
    }

    /// The block that the database has under a key.
    fn stored(&self, key: &[u8], value: &[u8]) -> Result<Stored, Fault> {
        let first = first_of(key)?;
        let bytes = match (Place::read(value), &self.log) {
            (None, _) => value.to_vec(),
            (Some(place), Some(log)) => log.block_at(place)?,
            (Some(_), None) => return Err(Fault::Missing(first)),
        };
        Ok(Stored { first, bytes })
    }

    /// Looks at every block up to `last`: what is in the generation, given that it begins at `first`.
    pub(crate) fn extent(&self, first: Sequence, last: Sequence) -> Result<Extent, Fault> {
        let mut extent = Extent::before(first);
        contain(|| {
            for entry in self.db().scan_prefix([Key::BLOCK]) {
                let (key, value) = entry?;
                if first_of(&key)? > last {
                    break;
                }
                let Stored { first, bytes } = self.stored(&key, &value)?;
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

fn first_of(key: &[u8]) -> Result<Sequence, Fault> {
    sequence_of(key.get(1..).unwrap_or_default())
}

fn damaged_state(name: &str) -> Fault {
    Fault::Database(format!("the state {name:?} is not what was written"))
}

#[cfg(test)]
mod tests;
