//! What the buffer's durability costs: durable appends against a raw file with the same groups and
//! the same bytes, then reading back. One run, one machine, one disk; the ratio is what counts.
//!
//! The raw file gets ready-made bytes and syncs after every group. The buffer encodes and compresses, writes two
//! databases, and lets queued groups share a commit: read the ratio beside the events per commit that are printed
//! with it. Then the same on a disk that takes 2 ms longer for each sync (`slow_disk.c`, where there is a `cc`).
//!
//! `cargo bench -p penstock-buffer`. The directory is `PENSTOCK_BENCH_DIR`, or the system's temporary one.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use penstock_buffer::{Buffer, Options, Ticket};
use penstock_events::{
    AssetPath, CounterMark, DestinationName, Event, Fact, Lane, Output, Quality, Sequence, TagPath,
    Timestamp, Value,
};

/// What one round appends.
const GROUPS: usize = 1_000;
const GROUP_EVENTS: usize = 1_000;
const ROUNDS: usize = 3;
/// Every so many events, one is a business event.
const BUSINESS_EVERY: usize = 20;
/// Groups under way at once: one, a few, and as many as the buffer queues.
const IN_FLIGHT: [usize; 3] = [1, 4, 16];
/// Set in the run on a slower disk.
const SLOW: &str = "PENSTOCK_BENCH_SLOW_DISK";
const READ_BATCH: usize = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::var_os("PENSTOCK_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let slow = std::env::var_os(SLOW).is_some();
    let disk = if slow { "a disk that is 2 ms slower to sync" } else { "this disk" };
    println!(
        "{GROUPS} groups of {GROUP_EVENTS} events, median of {ROUNDS} rounds, {disk}, in {}",
        parent.display()
    );
    for in_flight in IN_FLIGHT {
        let mut rounds =
            (0..ROUNDS).map(|_| Round::run(&parent, in_flight)).collect::<Result<Vec<_>, _>>()?;
        rounds.sort_by(|one, other| one.ratio().total_cmp(&other.ratio()));
        println!("{}", rounds[ROUNDS / 2]);
    }
    if slow { Ok(()) } else { run_on_a_slower_disk() }
}

fn run_on_a_slower_disk() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let library = directory.path().join("slow_disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/slow_disk.c");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(source).status();
    if !compiled.is_ok_and(|status| status.success()) {
        println!("no C compiler: not run on a slower disk");
        return Ok(());
    }
    let ran = Command::new(std::env::current_exe()?).env("LD_PRELOAD", &library).env(SLOW, "1").status()?;
    if ran.success() { Ok(()) } else { Err("the run on a slower disk failed".into()) }
}

/// What one round took.
struct Round {
    in_flight: usize,
    append: Duration,
    raw: Duration,
    raw_per_lane: Duration,
    read: Duration,
    stored: Stored,
}

impl Round {
    fn run(parent: &Path, in_flight: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir_in(parent)?;
        let buffer = directory.path().join("buffer");
        let (append, stored) = append(&buffer, Plant::default().groups(), in_flight)?;
        let group_bytes = stored.bytes / GROUPS as u64;
        Ok(Self {
            in_flight,
            append,
            raw: raw_file(directory.path(), group_bytes, Files::One)?,
            raw_per_lane: raw_file(directory.path(), group_bytes, Files::OnePerLane)?,
            read: read_back(&buffer)?,
            stored,
        })
    }

    fn ratio(&self) -> f64 {
        self.raw.as_secs_f64() / self.append.as_secs_f64()
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = (GROUPS * GROUP_EVENTS) as f64;
        let rate = |took: Duration| events / took.as_secs_f64();
        let Self { in_flight, append, raw, raw_per_lane, read, stored } = self;
        write!(
            f,
            "{in_flight:>2} in flight: append / raw file {:.2} ({:>9.0}/s of {:>9.0}/s), / a raw file per lane {:.2}; \
             {:.0} events/commit, {:.1} bytes/event stored, {:.1} on disk, read {:.0}/s",
            self.ratio(),
            rate(*append),
            rate(*raw),
            raw_per_lane.as_secs_f64() / append.as_secs_f64(),
            events / stored.commits as f64,
            stored.bytes as f64 / events,
            stored.disk_bytes as f64 / events,
            rate(*read),
        )
    }
}

struct Stored {
    commits: u64,
    bytes: u64,
    disk_bytes: u64,
}

fn open(path: &Path) -> Result<Buffer, Box<dyn std::error::Error>> {
    let destination: DestinationName = "enterprise".parse()?;
    Ok(Buffer::open(Options::new(path, "edge-01".parse()?, [destination]))?)
}

fn append(
    path: &Path,
    groups: Vec<Vec<Event>>,
    in_flight: usize,
) -> Result<(Duration, Stored), Box<dyn std::error::Error>> {
    let buffer = open(path)?;
    let started = Instant::now();
    let mut under_way: std::collections::VecDeque<Ticket> = std::collections::VecDeque::new();
    for group in groups {
        if under_way.len() == in_flight {
            wait(under_way.pop_front().expect("it is full"))?;
        }
        under_way.push_back(wait(buffer.enqueue(group, Vec::new()))?);
    }
    for ticket in under_way {
        wait(ticket)?;
    }
    let took = started.elapsed();
    let status = buffer.status();
    let lanes = status.lanes;
    let bytes = lanes.business.stored_bytes + lanes.telemetry.stored_bytes;
    buffer.close()?;
    Ok((took, Stored { commits: status.commits, bytes, disk_bytes: disk_bytes(path)? }))
}

#[derive(Clone, Copy)]
enum Files {
    One,
    OnePerLane,
}

/// Writes and syncs `group_bytes` as often as there are groups, to one file, or in turn to two.
fn raw_file(directory: &Path, group_bytes: u64, files: Files) -> std::io::Result<Duration> {
    let mut first = File::create(directory.join("raw-1"))?;
    let mut second = File::create(directory.join("raw-2"))?;
    let group: Vec<u8> = (0..group_bytes).map(|at| (at * 31 % 251) as u8).collect();
    let (few, many) = group.split_at(group.len() / BUSINESS_EVERY);
    let started = Instant::now();
    for _ in 0..GROUPS {
        match files {
            Files::One => first.write_all(&group)?,
            Files::OnePerLane => {
                first.write_all(many)?;
                second.write_all(few)?;
                second.sync_data()?;
            }
        }
        first.sync_data()?;
    }
    Ok(started.elapsed())
}

/// Reads everything.
fn read_back(path: &Path) -> Result<Duration, Box<dyn std::error::Error>> {
    let buffer = open(path)?;
    let started = Instant::now();
    let mut read = 0;
    for lane in Lane::ALL {
        let mut from = Sequence(1);
        loop {
            let batch = buffer.read(lane, from, READ_BATCH)?;
            let Some((last, _)) = batch.events.last() else { break };
            from = last.next();
            read += batch.events.len();
        }
    }
    let took = started.elapsed();
    buffer.close()?;
    assert_eq!(read, GROUPS * GROUP_EVENTS);
    Ok(took)
}

/// A press shop: fifty assets that drift, and counters that count.
struct Plant {
    assets: Vec<(AssetPath, TagPath, TagPath)>,
    unit: Arc<str>,
    random: u64,
    at: usize,
}

impl Default for Plant {
    fn default() -> Self {
        let names = |n: usize| {
            let asset = format!("stamping/line-{}/press-{n}", n / 10).parse().expect("a path");
            let temperature = format!("press-{n}.temperature").parse().expect("a tag");
            (asset, temperature, format!("press-{n}.good").parse().expect("a tag"))
        };
        Self { assets: (0..50).map(names).collect(), unit: "Cel".into(), random: 7, at: 0 }
    }
}

impl Plant {
    fn groups(mut self) -> Vec<Vec<Event>> {
        (0..GROUPS).map(|_| (0..GROUP_EVENTS).map(|_| self.event()).collect()).collect()
    }

    fn event(&mut self) -> Event {
        self.at += 1;
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (asset, temperature, good) = &self.assets[self.at % self.assets.len()];
        let time = Timestamp::from_micros(1_767_225_600_000_000 + (self.at as i64 / 50) * 100_000);
        let noise = (self.random >> 40) as f64 / f64::from(1 << 24);
        let fact = if self.at.is_multiple_of(BUSINESS_EVERY) {
            let to = self.at as u64 / 50;
            let counter =
                CounterMark { epoch: Timestamp::from_micros(1_767_225_600_000_000), from: to - 1, to };
            Fact::ProductionCompleted { tag: good.clone(), output: Output::Good, quantity: 1, counter }
        } else {
            let value = Some(Value::Float(((180.0 + 5.0 * noise) * 10.0).round() / 10.0));
            Fact::TelemetrySampled { tag: temperature.clone(), value, unit: Some(Arc::clone(&self.unit)) }
        };
        let observed = time.saturating_add(Duration::from_micros(1_500 + (self.random >> 54)));
        Event { asset: asset.clone(), time, observed, quality: Quality::Good, fact }
    }
}

/// Drives a future on this thread: nothing here needs a runtime.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn disk_bytes(path: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::read_dir(path)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let found = entry.metadata()?;
        Ok(sum + if found.is_dir() { disk_bytes(&entry.path())? } else { found.blocks() * 512 })
    })
}
