//! The schema of `[buffer]`: where events are kept, how many, and how they are committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use penstock_buffer::{
    DEFAULT_DEAD_LETTERS, DEFAULT_GENERATION_BYTES, DEFAULT_MAX_BYTES, DEFAULT_MAX_DELAY, DEFAULT_MAX_EVENTS,
    DEFAULT_MIN_FREE_BYTES, DEFAULT_RETAIN, GroupCommit, MIN_MAX_BYTES, Options, PerLane, StartAt,
};
use penstock_events::{DestinationName, GatewayId};

use super::setting::{ByteSize, Ordered};
use super::table::Table;

/// Where systemd's `StateDirectory=penstock` is.
const DEFAULT_PATH: &str = "/var/lib/penstock";
const MAX_BYTES: ByteSize = ByteSize(1 << 50);
const SHORTEST_DELAY: Duration = Duration::from_millis(1);
/// A longer wait would keep events in memory only, where a power cut takes them.
const LONGEST_DELAY: Duration = Duration::from_secs(5);
const MAX_EVENTS: usize = 100_000;
/// Ages are measured by generation, an eighth of the age or more: below this they would be all there is.
const SHORTEST_AGE: Duration = Duration::from_secs(60);
const LONGEST_AGE: Duration = Duration::from_secs(3_650 * 86_400);
/// Each takes a block of the file system: 4 GB.
const MAX_DEAD_LETTERS: usize = 1_000_000;

/// The settings of the buffer.
pub(super) struct Buffer {
    pub(super) path: PathBuf,
    max_bytes: u64,
    generation_bytes: u64,
    retain: Duration,
    max_age: PerLane<Option<Duration>>,
    min_free_bytes: u64,
    dead_letters: usize,
    group: GroupCommit,
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            path: DEFAULT_PATH.into(),
            max_bytes: DEFAULT_MAX_BYTES,
            generation_bytes: DEFAULT_GENERATION_BYTES,
            retain: DEFAULT_RETAIN,
            max_age: PerLane::default(),
            min_free_bytes: DEFAULT_MIN_FREE_BYTES,
            dead_letters: DEFAULT_DEAD_LETTERS,
            group: GroupCommit { max_delay: DEFAULT_MAX_DELAY, max_events: DEFAULT_MAX_EVENTS },
        }
    }
}

impl Buffer {
    /// Reads `[buffer]`; relative paths start at `folder`.
    pub(super) fn read(table: &Table<'_>, folder: &Path) -> Self {
        let default = Self::default();
        let sizes = ByteSize(MIN_MAX_BYTES)..=MAX_BYTES;
        let path = table.key("path", DEFAULT_PATH).or(default.path);
        let max_size = table.key("max_size", "4 GiB").or_in(ByteSize(default.max_bytes), sizes.clone());
        let generation_field = table.key("generation_size", "64 MiB");
        let generation_size = generation_field.or_in(ByteSize(default.generation_bytes), sizes);
        if generation_field.is_present() && generation_size > max_size {
            generation_field
                .spot()
                .error("`generation_size` is more than `max_size`")
                .allowed(format!("at most {}; an eighth of it or less is used", max_size.show()))
                .record();
        }
        let max_delay = table
            .key("commit_interval", "50ms")
            .or_in(default.group.max_delay, SHORTEST_DELAY..=LONGEST_DELAY);
        let max_events = table.key("commit_events", "1000").or_in(default.group.max_events, 1..=MAX_EVENTS);
        let max_age = read_ages(table);
        let retain = table.key("retain", "24h").or_in(default.retain, Duration::ZERO..=LONGEST_AGE);
        let min_free =
            table.key("min_free", "64 MiB").or_in(ByteSize(default.min_free_bytes), ByteSize(0)..=MAX_BYTES);
        let dead_letters =
            table.key("dead_letters", "10000").or_in(default.dead_letters, 1..=MAX_DEAD_LETTERS);
        Self {
            path: folder.join(path),
            max_bytes: max_size.0,
            generation_bytes: generation_size.0,
            retain,
            max_age,
            min_free_bytes: min_free.0,
            dead_letters,
            group: GroupCommit { max_delay, max_events },
        }
    }

    /// The options to open it with: the destinations, and where each starts.
    pub(super) fn into_options(
        self,
        gateway: GatewayId,
        start: BTreeMap<DestinationName, StartAt>,
    ) -> Options {
        let Self { path, max_bytes, generation_bytes, retain, max_age, min_free_bytes, dead_letters, group } =
            self;
        let standard = Options::new(path, gateway, start.keys().cloned());
        Options {
            max_bytes,
            generation_bytes,
            retain,
            max_age,
            min_free_bytes,
            dead_letters,
            group,
            start,
            ..standard
        }
    }
}

/// How long undelivered events are kept. Telemetry goes before business, whatever makes it go.
fn read_ages(table: &Table<'_>) -> PerLane<Option<Duration>> {
    let ages = SHORTEST_AGE..=LONGEST_AGE;
    let telemetry = table.key("telemetry_max_age", "72h").optional_in(ages.clone());
    let field = table.key("business_max_age", "720h");
    let business = field.optional_in(ages);
    if business.is_some_and(|business| telemetry.is_none_or(|telemetry| telemetry > business)) {
        field
            .spot()
            .error("`business_max_age` is less than `telemetry_max_age`: telemetry goes before business")
            .allowed("at least `telemetry_max_age`, which must be given too".to_owned())
            .record();
    }
    PerLane { business, telemetry }
}
