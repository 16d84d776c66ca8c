//! One generation that takes appends: a sled database of its own, insert-only, deleted whole. The only module
//! that knows sled.
//!
//! What `sled::flush` leaves to chance is done here: a commit is [`apply`](Database::apply),
//! [`flush`](Database::flush), then [`sync_data`](Database::sync_data); a new database is `fsync`ed with its directories before it is
//! listed anywhere; sled's snapshots are not believed. sled panics on some damage and on some disk errors, so nothing of it runs
//! outside [`contain`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use penstock_events::normalizer::StateChange;
use penstock_events::{Lane, Sequence};

use crate::block::{self, Header, InvalidBlock};
use crate::durable_file::sync_directory;
use crate::manifest::Extent;
use crate::per_lane::PerLane;
use crate::state::{self, Piece};

/// What sled may keep of one generation in memory. Blocks are read once and in order, so more would hold nothing useful.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
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
    #[error("its database gave up: {0}")]
    Panicked(String),
    #[error("the block that begins at {first} cannot be used: {error}")]
    Block { first: Sequence, error: InvalidBlock },
    #[error("event {0} should be in it and is not")]
    Missing(Sequence),
    #[error("its file cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("a commit before it failed")]
    Stopped,
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Io(error),
            other => Self::Database(other.to_string()),
        }
    }
}

/// What is stored under what, in the order in which sled keeps it. State comes before blocks so that
/// it is not rewritten with the pages at the growing end.
enum Key<'a> {
    /// A piece of the normalizer's state (business lane only).
    State(&'a str),
    /// A lane up to this place was announced as given up: its generations are to be deleted (business lane only).
    ShedThrough(Lane),
    /// The block whose first event is this.
    Block(Sequence),
    /// The losses up to a number were announced (business lane only).
    Announced,
}

impl Key<'_> {
    const STATE: u8 = 1;
    const SHED_TELEMETRY: u8 = 2;
    const BLOCK: u8 = 3;
    const SHED_BUSINESS: u8 = 4;
    const ANNOUNCED: u8 = 5;

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::State(key) => [&[Self::STATE], key.as_bytes()].concat(),
            Self::ShedThrough(Lane::Telemetry) => vec![Self::SHED_TELEMETRY],
            Self::ShedThrough(Lane::Business) => vec![Self::SHED_BUSINESS],
            Self::Block(first) => [&[Self::BLOCK][..], &first.0.to_be_bytes()].concat(),
            Self::Announced => vec![Self::ANNOUNCED],
        }
    }
}

/// What one commit adds to a generation.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) blocks: Vec<(Sequence, Vec<u8>)>,
    pub(crate) state: Vec<StateChange>,
    /// The order of `state` among all that was ever written.
    pub(crate) order: u64,
    pub(crate) shed_through: PerLane<Option<Sequence>>,
    /// The losses up to this number are announced with it.
    pub(crate) announced: Option<u64>,
}

impl Writes {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        let sheds = Lane::ALL.into_iter().any(|lane| self.shed_through[lane].is_some());
        self.blocks.is_empty() && self.state.is_empty() && !sheds && self.announced.is_none()
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
        File::open(directory.join("conf"))?.sync_all()?;
        sync_directory(&directory.join("blobs"))?;
        sync_directory(directory)?;
        sync_directory(directory.parent().expect("a generation stands in its lane's directory"))?;
        Ok(made)
    }

    /// Opens a generation that exists.
    pub(crate) fn open(directory: &Path) -> Result<Self, Fault> {
        delete_snapshots(directory)?;
        let config = sled::Config::new()
            .path(directory)
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

    /// Writes all of `writes` or nothing, to memory. It is durable only after [`sync`](Self::sync).
    ///
    /// sled lets one batch in a process at a time, and none while a `flush` runs, in whatever database:
    /// who writes to two applies both before syncing either.
    pub(crate) fn apply(&self, writes: Writes) -> Result<(), Fault> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        for StateChange { key, value } in &writes.state {
            let piece = Piece { order: writes.order, key, value };
            batch.insert(Key::State(key).to_bytes(), piece.to_bytes());
        }
        for lane in Lane::ALL {
            if let Some(through) = writes.shed_through[lane] {
                batch.insert(Key::ShedThrough(lane).to_bytes(), &through.0.to_be_bytes());
            }
        }
        if let Some(through) = writes.announced {
            batch.insert(Key::Announced.to_bytes(), &through.to_be_bytes());
        }
        for (first, block) in writes.blocks {
            batch.insert(Key::Block(first).to_bytes(), block);
        }
        contain(|| Ok(self.db().apply_batch(batch)?))
    }

    /// Makes durable what was applied.
    pub(crate) fn sync(&self) -> Result<(), Fault> {
        self.flush()?;
        self.sync_data()
    }

    /// Has sled hand what was applied to the system: a power cut may still take it.
    pub(crate) fn flush(&self) -> Result<(), Fault> {
        #[cfg(test)]
        crate::fault_injection::check(&self.directory, "flush")?;
        contain(|| Ok(self.db().flush().map(drop)?))
    }

    /// Makes durable what was flushed: `fdatasync` of `<generation>/db`. It does not hinder a commit that is applied meanwhile.
    pub(crate) fn sync_data(&self) -> Result<(), Fault> {
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

    /// Looks at every block: what is in the generation, given that it begins at `first`.
    pub(crate) fn extent(&self, first: Sequence) -> Result<Extent, Fault> {
        let mut extent = Extent::before(first);
        contain(|| {
            for entry in self.db().scan_prefix([Key::BLOCK]) {
                let (key, bytes) = entry?;
                self.touch(&key)?;
                let first = first_of(&key)?;
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
    pub(crate) fn state(&self) -> Result<BTreeMap<String, (u64, Vec<u8>)>, Fault> {
        contain(|| {
            self.db()
                .scan_prefix([Key::STATE])
                .map(|entry| {
                    let (key, bytes) = entry?;
                    let damaged = || Fault::Database(format!("the state {key:?} is not what was written"));
                    let key = std::str::from_utf8(&key[1..]).map_err(|_| damaged())?;
                    let piece = state::read(key, &bytes).ok_or_else(damaged)?;
                    Ok((key.to_owned(), (piece.order, piece.value.to_vec())))
                })
                .collect()
        })
    }

    /// Up to where `lane` was announced as given up, if it ever was in this generation.
    pub(crate) fn shed_through(&self, lane: Lane) -> Result<Option<Sequence>, Fault> {
        let stored = contain(|| Ok(self.db().get(Key::ShedThrough(lane).to_bytes())?))?;
        stored.map(|bytes| sequence_of(&bytes)).transpose()
    }

    /// Up to which loss it was announced in this generation that events are lost; 0 when none was.
    pub(crate) fn announced(&self) -> Result<u64, Fault> {
        let stored = contain(|| Ok(self.db().get(Key::Announced.to_bytes())?))?;
        stored.map_or(Ok(0), |bytes| sequence_of(&bytes).map(|number| number.0))
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

fn sequence_of(bytes: &[u8]) -> Result<Sequence, Fault> {
    let bytes =
        bytes.try_into().map_err(|_| Fault::Database(format!("{bytes:?} is not a place in a lane")))?;
    Ok(Sequence(u64::from_be_bytes(bytes)))
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
