//! What the buffer is told when it is opened, with the defaults and the reason for each.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use penstock_events::{DestinationName, GatewayId, Timestamp};

use crate::directory::Directory;
use crate::error::OpenError;
use crate::per_lane::PerLane;
use crate::spare::Spare;

/// Room for a day or more of outage on the smallest disks that gateways have.
pub const DEFAULT_MAX_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Large enough that a drained outage is a few dozen deletions, small enough to open in a blink.
pub const DEFAULT_GENERATION_BYTES: u64 = 64 * 1024 * 1024;
/// At most twenty partly filled commits a second: what flash bears for years.
pub const DEFAULT_MAX_DELAY: Duration = Duration::from_millis(50);
/// Where the cost of a sync is small beside that of the events.
pub const DEFAULT_MAX_EVENTS: usize = 1_000;
/// A day's worth of the slowest flood: 40 MB, since each takes a block of the file system.
pub const DEFAULT_DEAD_LETTERS: usize = 10_000;
/// A day in which what was delivered can be delivered again, for a receiver that lost it.
pub const DEFAULT_RETAIN: Duration = Duration::from_secs(24 * 60 * 60);
/// Room for the cursors, the dead letters and everybody's logs.
pub const DEFAULT_MIN_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Below this the buffer would hold less than a few commits.
pub const MIN_MAX_BYTES: u64 = 64 * 1024;
/// A generation is at most this part of the whole, so that shedding one gives up little.
pub(crate) const GENERATIONS_PER_BUFFER: u64 = 8;
/// How many generations' room the business lane leaves to telemetry, so that each shed frees a whole generation.
pub(crate) const RESERVED_GENERATIONS: u64 = 2;

/// What part of a generation half of the journal is: so a generation is synced as many times before it is sealed.
const JOURNAL_HALVES_PER_GENERATION: u64 = 64;
/// The smallest half: a few commits of the smallest stores.
const MIN_JOURNAL_HALF_BYTES: usize = 16 * 1024;
/// The largest half: a start does again what stands in the journal.
const MAX_JOURNAL_HALF_BYTES: usize = 1024 * 1024;

/// More than any disk holds.
const KEEPS_EVERYTHING: u64 = 1 << 60;

/// How a buffer is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the store; made when it does not exist.
    pub path: PathBuf,
    /// Whose store this is: a part of its streams' ids, and the asset of the gaps that it announces.
    pub gateway: GatewayId,
    /// Who must acknowledge an event before it may be deleted. One that is no longer named keeps its
    /// cursor, and what it lacks stays until its room is needed or it is too old.
    pub destinations: Vec<DestinationName>,
    /// Where a destination starts that the store does not know; [`StartAt::Newest`] where nothing is said.
    pub start: BTreeMap<DestinationName, StartAt>,
    /// How many bytes of blocks may be kept with what is stored beside each, both lanes together; at least [`MIN_MAX_BYTES`]. The disk
    /// needs about a tenth more, for the normalizer's state and for what of sled's files is not used. To that come 2 MB for the
    /// journal and 3 MB that are kept for a full disk.
    pub max_bytes: u64,
    /// At how many bytes of blocks a generation is sealed; at most an eighth of `max_bytes` is used.
    pub generation_bytes: u64,
    /// How long a generation is retained after it was sealed when every destination has it, room permitting.
    pub retain: Duration,
    /// How long undelivered events of each lane are kept; for ever by default. Older ones are given up
    /// and announced, a generation at a time.
    pub max_age: PerLane<Option<Duration>>,
    /// With less free space than this on the disk, delivered generations go, then the oldest telemetry.
    pub min_free_bytes: u64,
    /// How many dead letters each destination may have. A telemetry event without room is given up,
    /// the oldest first; a business event without room holds its lane.
    pub dead_letters: usize,
    /// How appends share commits.
    pub group: GroupCommit,
    /// The time of the gaps that the buffer announces, and what ages are measured by.
    pub clock: fn() -> Timestamp,
    /// The free bytes of the disk on which a path is.
    pub free_bytes: fn(&Path) -> io::Result<u64>,
}

/// Where a destination starts that the store does not know.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StartAt {
    /// Behind the last event: it gets what comes. A receiver that is added to a plant that runs is not flooded
    /// with a day of the past.
    #[default]
    Newest,
    /// With the oldest event that is retained.
    Oldest,
}

/// The text is neither `newest` nor `oldest`.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither \"newest\" nor \"oldest\"")]
pub struct UnknownStart(String);

impl FromStr for StartAt {
    type Err = UnknownStart;

    fn from_str(text: &str) -> Result<Self, UnknownStart> {
        match text {
            "newest" => Ok(Self::Newest),
            "oldest" => Ok(Self::Oldest),
            other => Err(UnknownStart(other.to_owned())),
        }
    }
}

/// How appends share commits. An append that finds the buffer idle is committed at once; those that
/// come faster than the disk share a commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GroupCommit {
    /// How long after the commit before it a partly filled group waits for more, at most.
    pub max_delay: Duration,
    /// How many events make a group full: it waits no longer.
    pub max_events: usize,
}

impl Default for GroupCommit {
    fn default() -> Self {
        Self { max_delay: DEFAULT_MAX_DELAY, max_events: DEFAULT_MAX_EVENTS }
    }
}

impl Options {
    /// The defaults for a store of `gateway` at `path`: [`DEFAULT_MAX_BYTES`],
    /// [`DEFAULT_GENERATION_BYTES`], [`DEFAULT_RETAIN`], [`DEFAULT_MIN_FREE_BYTES`], [`DEFAULT_DEAD_LETTERS`],
    /// [`GroupCommit::default`] and the system's clock.
    pub fn new(
        path: impl Into<PathBuf>,
        gateway: GatewayId,
        destinations: impl IntoIterator<Item = DestinationName>,
    ) -> Self {
        Self {
            path: path.into(),
            gateway,
            destinations: destinations.into_iter().collect(),
            start: BTreeMap::new(),
            max_bytes: DEFAULT_MAX_BYTES,
            generation_bytes: DEFAULT_GENERATION_BYTES,
            retain: DEFAULT_RETAIN,
            max_age: PerLane::default(),
            min_free_bytes: DEFAULT_MIN_FREE_BYTES,
            dead_letters: DEFAULT_DEAD_LETTERS,
            group: GroupCommit::default(),
            clock: system_time,
            free_bytes: free_bytes_at,
        }
    }

    /// Whether there is a store at the path. One that is not there is made when it is opened.
    pub fn store_exists(&self) -> bool {
        Directory::at(&self.path).manifest().exists()
    }

    /// The same store, of which nothing is given up or deleted while it is open, save for what is purged: for
    /// whoever only looks into it.
    #[must_use]
    pub fn keeping_everything(self) -> Self {
        let max_age = PerLane::default();
        Self { max_bytes: KEEPS_EVERYTHING, retain: Duration::MAX, max_age, min_free_bytes: 0, ..self }
    }

    /// The size of half the journal.
    pub(crate) fn journal_half_bytes(&self) -> usize {
        let part = usize::try_from(self.generation_bytes() / JOURNAL_HALVES_PER_GENERATION);
        let part =
            part.unwrap_or(MAX_JOURNAL_HALF_BYTES).clamp(MIN_JOURNAL_HALF_BYTES, MAX_JOURNAL_HALF_BYTES);
        part.next_multiple_of(MIN_JOURNAL_HALF_BYTES)
    }

    /// Whether there is room to work in.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let max_bytes = self.max_bytes;
        if max_bytes < MIN_MAX_BYTES { Err(OpenError::TooSmall { max_bytes }) } else { Ok(()) }
    }

    /// What is kept for a full disk.
    pub(crate) fn spare(&self) -> Spare {
        Spare::of(&self.path, 2 * self.journal_half_bytes())
    }

    fn generation_bytes(&self) -> u64 {
        self.generation_bytes.clamp(1, self.max_bytes / GENERATIONS_PER_BUFFER)
    }

    /// The limits that follow from these options.
    pub(crate) fn limits(&self) -> Limits {
        let generation_bytes = self.generation_bytes();
        let business_bytes = self.max_bytes - RESERVED_GENERATIONS * generation_bytes;
        Limits {
            max_bytes: self.max_bytes,
            generation_bytes,
            business_bytes,
            retain: self.retain,
            max_age: self.max_age,
            min_free_bytes: self.min_free_bytes,
        }
    }
}

/// When to roll, to delete, to give up and to wait. Sizes are those of stored blocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Limits {
    /// Above this, telemetry is shed.
    pub(crate) max_bytes: u64,
    /// From here on, a generation is sealed.
    pub(crate) generation_bytes: u64,
    /// From here on, appends wait until the business lane is delivered.
    pub(crate) business_bytes: u64,
    /// How long what is delivered stays.
    pub(crate) retain: Duration,
    /// How long what is not delivered stays.
    pub(crate) max_age: PerLane<Option<Duration>>,
    /// How much of the disk is left free.
    pub(crate) min_free_bytes: u64,
}

/// What an ordinary user may still write (POSIX, `statvfs`: `f_bavail`).
fn free_bytes_at(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn system_time() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
