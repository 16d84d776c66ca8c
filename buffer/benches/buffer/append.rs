//! Durable appends, beside a raw file and SQLite that are synced after as many events as the buffer's commits had; and
//! reading back. The hardest peer is a raw file that gets the buffer's own compressed bytes, ready-made, and only writes
//! and syncs them. Then all of it on a disk that takes 2 ms longer for each sync (`slow_disk.c`, where there is a `cc`).

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use penstock_buffer::Ticket;
use penstock_events::{Event, Lane, Sequence};

use crate::peers::{RawFile, Sqlite};
use crate::plant::Plant;
use crate::wait::wait;
use crate::{Outcome, disk, open, parent_directory};

/// What one round appends.
const GROUPS: usize = 1_000;
const GROUP_EVENTS: usize = 1_000;
const EVENTS: usize = GROUPS * GROUP_EVENTS;
const ROUNDS: usize = 3;
/// Groups under way at once: one, a few, and as many as the buffer queues.
const IN_FLIGHT: [usize; 3] = [1, 4, 16];
/// Set in the run on a slower disk.
const SLOW: &str = "PENSTOCK_BENCH_SLOW_DISK";
const READ_BATCH: usize = 500;

pub(crate) fn run() -> Outcome<()> {
    let parent = parent_directory();
    let slow = std::env::var_os(SLOW).is_some();
    let disk = if slow { "a disk that is 2 ms slower to sync" } else { "this disk" };
    println!(
        "append: {GROUPS} groups of {GROUP_EVENTS} events, median of {ROUNDS} rounds, {disk}, in {}",
        parent.display()
    );
    println!("{}", Round::HEADING);
    for in_flight in IN_FLIGHT {
        let mut rounds = (0..ROUNDS).map(|_| Round::run(&parent, in_flight)).collect::<Outcome<Vec<_>>>()?;
        rounds.sort_by(|one, other| one.against(one.raw).total_cmp(&other.against(other.raw)));
        println!("{}", rounds[ROUNDS / 2]);
    }
    println!();
    if slow { Ok(()) } else { run_on_a_slower_disk() }
}

fn run_on_a_slower_disk() -> Outcome<()> {
    let directory = tempfile::tempdir()?;
    let library = directory.path().join("slow_disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/buffer/slow_disk.c");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(source).status();
    if !compiled.is_ok_and(|status| status.success()) {
        println!("no C compiler: not run on a slower disk");
        return Ok(());
    }
    let ran = Command::new(std::env::current_exe()?)
        .arg("append")
        .env("LD_PRELOAD", &library)
        .env(SLOW, "1")
        .status()?;
    if ran.success() { Ok(()) } else { Err("the run on a slower disk failed".into()) }
}

/// What one round took.
struct Round {
    in_flight: usize,
    append: Duration,
    /// The same events, encoded as they come.
    raw: Duration,
    /// The buffer's bytes, ready-made.
    ready_made: Duration,
    sqlite: Duration,
    read: Duration,
    stored: Stored,
}

struct Stored {
    /// What the peers sync at once, so that they share their syncs as the buffer did.
    events_per_commit: usize,
    block_bytes: u64,
    kept_bytes: u64,
}

impl Round {
    const HEADING: &str = "in flight | events/s | / raw file | / ready-made bytes | / SQLite | events/commit | \
                           bytes/event in blocks, on disk | read/s";

    fn run(parent: &Path, in_flight: usize) -> Outcome<Self> {
        let directory = tempfile::tempdir_in(parent)?;
        let path = |name| directory.path().join(name);
        let (append, stored) = append(&path("buffer"), in_flight)?;
        let events = Plant::default().group(EVENTS);
        let groups = || events.chunks(stored.events_per_commit);
        let mut raw_file = RawFile::create(&path("raw"))?;
        let raw = timed(groups(), |group| Ok(raw_file.append(group)?))?;
        let mut sqlite = Sqlite::open(&path("sqlite"))?;
        let sqlite = timed(groups(), |group| sqlite.append(group))?;
        let group_bytes = stored.block_bytes * stored.events_per_commit as u64 / EVENTS as u64;
        let bytes: Vec<u8> = (0..group_bytes).map(|at| (at * 31 % 251) as u8).collect();
        let mut file = File::create(path("ready-made"))?;
        let ready_made = timed(groups(), |_| Ok(file.write_all(&bytes).and_then(|()| file.sync_data())?))?;
        Ok(Self { in_flight, append, raw, ready_made, sqlite, read: read_back(&path("buffer"))?, stored })
    }

    fn against(&self, peer: Duration) -> f64 {
        peer.as_secs_f64() / self.append.as_secs_f64()
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |took: Duration| EVENTS as f64 / took.as_secs_f64();
        let per_event = |bytes: u64| bytes as f64 / EVENTS as f64;
        write!(
            f,
            "{:>9} | {:>8.0} | {:>10.2} | {:>18.2} | {:>8.2} | {:>13} | {:>16.1}, {:>12.1} | {:>6.0}",
            self.in_flight,
            rate(self.append),
            self.against(self.raw),
            self.against(self.ready_made),
            self.against(self.sqlite),
            self.stored.events_per_commit,
            per_event(self.stored.block_bytes),
            per_event(self.stored.kept_bytes),
            rate(self.read),
        )
    }
}

fn timed<'e>(
    groups: impl Iterator<Item = &'e [Event]>,
    mut append: impl FnMut(&[Event]) -> Outcome<()>,
) -> Outcome<Duration> {
    let started = Instant::now();
    for group in groups {
        append(group)?;
    }
    Ok(started.elapsed())
}

fn append(path: &Path, in_flight: usize) -> Outcome<(Duration, Stored)> {
    let mut plant = Plant::default();
    let groups: Vec<Vec<Event>> = (0..GROUPS).map(|_| plant.group(GROUP_EVENTS)).collect();
    let buffer = open(path)?;
    let started = Instant::now();
    let mut under_way: VecDeque<Ticket> = VecDeque::new();
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
    buffer.close()?;
    let stored = Stored {
        events_per_commit: (EVENTS as u64 / status.commits.max(1)) as usize,
        block_bytes: status.lanes.business.stored_bytes + status.lanes.telemetry.stored_bytes,
        kept_bytes: disk::kept_bytes(path)?,
    };
    Ok((took, stored))
}

/// Reads everything.
fn read_back(path: &Path) -> Outcome<Duration> {
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
    assert_eq!(read, EVENTS);
    Ok(took)
}
