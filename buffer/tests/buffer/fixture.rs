//! What the tests share: a buffer in a directory of its own, and events to put into it.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use penstock_buffer::{Appended, Buffer, Options};
use penstock_events::normalizer::StateChange;
use penstock_events::{
    CounterMark, DestinationName, Event, Fact, Lane, Output, Quality, Sequence, Timestamp, Value,
};
use tempfile::TempDir;

/// How long a test waits for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A directory for one store, deleted with the test.
pub(crate) struct Disk {
    directory: TempDir,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("buffer")
    }

    /// Options for a store here, with one destination.
    pub(crate) fn options(&self) -> Options {
        options(&self.path(), &["erp"])
    }

    pub(crate) fn open(&self) -> Buffer {
        Buffer::open(self.options()).expect("a buffer that opens")
    }

    /// Puts a file or directory of the store back as it is on another disk.
    pub(crate) fn replace(&self, name: &str, by: &Self) {
        let (from, to) = (by.path().join(name), self.path().join(name));
        if from.is_dir() {
            fs::remove_dir_all(&to).expect("a directory");
            copy_directory(&from, &to).expect("a readable directory");
        } else {
            fs::copy(from, to).expect("a readable file");
        }
    }

    /// What another machine would find here if the power went now and the disk kept all it was given.
    /// Copying takes time, so it is done again until nothing changed meanwhile.
    pub(crate) fn copy(&self) -> Self {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let copy = Self::new();
            let before = listing(&self.path());
            let copied = copy_directory(&self.path(), &copy.path());
            if let (Ok(before), Ok(()), Ok(after)) = (before, copied, listing(&self.path()))
                && before == after
            {
                return copy;
            }
            assert!(Instant::now() < deadline, "the store never rested");
        }
    }
}

pub(crate) fn options(path: &Path, destinations: &[&str]) -> Options {
    let gateway = "edge-01".parse().expect("a name");
    let mut options = Options::new(path, gateway, destinations.iter().map(|name| destination(name)));
    options.retain = Duration::ZERO;
    options.min_free_bytes = 0;
    options.clock = || Timestamp::from_micros(77);
    options
}

/// The smallest buffer, in which a generation is a few hundred events.
pub(crate) fn tiny(mut options: Options) -> Options {
    options.max_bytes = penstock_buffer::MIN_MAX_BYTES;
    options
}

pub(crate) fn destination(name: &str) -> DestinationName {
    name.parse().expect("a name")
}

/// A telemetry event that says `n`.
pub(crate) fn sample(n: u64) -> Event {
    fact(
        n,
        Fact::TelemetrySampled {
            tag: "press-1.temp".parse().expect("a tag"),
            value: Some(Value::UInt(n)),
            unit: None,
        },
    )
}

/// A telemetry event that says `n` and takes about 4 KB that do not compress.
pub(crate) fn large_sample(n: u64) -> Event {
    fact(
        n,
        Fact::TelemetrySampled {
            tag: "press-1.curve".parse().expect("a tag"),
            value: Some(Value::Text(noise(n, 4_096).into())),
            unit: None,
        },
    )
}

/// A business event that says `n`.
pub(crate) fn piece(n: u64) -> Event {
    let counter = CounterMark { epoch: Timestamp::EPOCH, from: n - 1, to: n };
    fact(
        n,
        Fact::ProductionCompleted {
            tag: "press-1.good".parse().expect("a tag"),
            output: Output::Good,
            quantity: 1,
            counter,
        },
    )
}

/// A business event that says `n` and takes about 4 KB that do not compress.
pub(crate) fn large_business(n: u64) -> Event {
    fact(n, Fact::GatewayStarted { version: noise(n, 4_096).into() })
}

fn fact(n: u64, fact: Fact) -> Event {
    let time = Timestamp::from_micros(1_767_225_600_000_000 + i64::try_from(n).expect("a small number"));
    let asset = "stamping/line-1/press-1".parse().expect("a path");
    Event { asset, time, observed: time, quality: Quality::Good, fact }
}

fn noise(seed: u64, bytes: usize) -> String {
    let mut random = seed;
    let mut character = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(33 + u8::try_from(random >> 57).expect("seven bits") % 94)
    };
    (0..bytes).map(|_| character()).collect()
}

pub(crate) fn state(key: &str, value: u64) -> StateChange {
    StateChange { key: key.to_owned(), value: value.to_be_bytes().to_vec() }
}

pub(crate) fn append(buffer: &Buffer, events: Vec<Event>) -> Appended {
    wait(buffer.append(events, Vec::new())).expect("a disk that works")
}

/// Everything that `lane` retains from `from` on, read in small batches.
pub(crate) fn read_all(buffer: &Buffer, lane: Lane, from: Sequence) -> Vec<(Sequence, Event)> {
    let mut all = Vec::new();
    let mut from = from;
    loop {
        let batch = buffer.read(lane, from, 97).expect("a store that is whole");
        let Some((last, _)) = batch.events.last() else { return all };
        from = last.next();
        all.extend(batch.events);
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came to be that {what}");
        thread::yield_now();
    }
}

/// Drives a future on this thread: the buffer needs no runtime.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let deadline = Instant::now() + DEADLINE;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        assert!(Instant::now() < deadline, "it never resolved");
        thread::park_timeout(DEADLINE);
    }
}

/// Polls a future once.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Rewrites a small file with another format version and a checksum that fits.
pub(crate) fn set_version(path: &Path, version: u16) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[8..10].copy_from_slice(&version.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[8..]).to_le_bytes();
    bytes[4..8].copy_from_slice(&checksum);
    fs::write(path, bytes).expect("a writable file");
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Every file below `path` with its length and when it was last written.
fn listing(path: &Path) -> io::Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            found.extend(listing(&entry.path())?);
        }
        found.insert(entry.path(), (metadata.len(), metadata.modified()?));
    }
    Ok(found)
}

/// Chance that can be repeated (SplitMix64).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("a 64-bit machine")
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}
