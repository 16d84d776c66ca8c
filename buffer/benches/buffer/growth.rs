//! What grows with the backlog and what does not, from one event to 10 million: the append rate, the bytes written to the disk
//! and kept on it, the memory, the time to open, and reading with acknowledging. SQLite goes the same way.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use penstock_buffer::Ticket;
use penstock_events::{Lane, Sequence};

use crate::peers::Sqlite;
use crate::plant::Plant;
use crate::wait::wait;
use crate::{Outcome, destination, disk, open, parent_directory};

const SIZES: [usize; 4] = [1, 100_000, 1_000_000, 10_000_000];
const GROUP_EVENTS: usize = 1_000;
const IN_FLIGHT: usize = 4;
const READ_BATCH: u32 = 500;
/// The buffer makes its cursors durable within this; SQLite acknowledges as often.
const ACKNOWLEDGE_EVERY: Duration = Duration::from_millis(100);

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Store {
    Buffer,
    Sqlite,
}

impl Store {
    const ALL: [Self; 2] = [Self::Buffer, Self::Sqlite];

    const fn name(self) -> &'static str {
        match self {
            Self::Buffer => "penstock",
            Self::Sqlite => "SQLite",
        }
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|store| store.name() == name);
        found.ok_or_else(|| format!("no store is called {name}"))
    }
}

/// Measures every size of every store.
pub(crate) fn run() -> Outcome<()> {
    println!(
        "growth: groups of {GROUP_EVENTS}, up to {IN_FLIGHT} under way, in {}",
        parent_directory().display()
    );
    println!("{}", Measured::HEADING);
    for store in Store::ALL {
        for events in SIZES {
            let ran = Command::new(std::env::current_exe()?)
                .args(["one", store.name(), &events.to_string()])
                .env("MALLOC_ARENA_MAX", "1") // as the service runs
                .status()?;
            if !ran.success() {
                return Err(format!("{} failed with {events} events", store.name()).into());
            }
        }
    }
    Ok(())
}

/// Measures one size of one store, in this process.
pub(crate) fn run_one(store: Store, events: usize) -> Outcome<()> {
    let directory = tempfile::tempdir_in(parent_directory())?;
    let path = directory.path();
    let written_before = disk::written_bytes(path)?;
    let append = match store {
        Store::Buffer => fill_buffer(path, events)?,
        Store::Sqlite => fill_sqlite(path, events)?,
    };
    let written_bytes = disk::written_bytes(path)? - written_before;
    let kept_bytes = disk::kept_bytes(path)?;
    let Drained { open, drain } = match store {
        Store::Buffer => drain_buffer(path, events)?,
        Store::Sqlite => drain_sqlite(path, events)?,
    };
    let resident = disk::most_resident_bytes();
    println!("{}", Measured { store, events, append, written_bytes, kept_bytes, open, drain, resident });
    Ok(())
}

struct Measured {
    store: Store,
    events: usize,
    append: Duration,
    written_bytes: u64,
    kept_bytes: u64,
    open: Duration,
    drain: Duration,
    resident: u64,
}

impl Measured {
    const HEADING: &str = "store    |   events | append/s | written/event | kept/event | open ms | read and ack/s | resident MiB";
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |took: Duration| self.events as f64 / took.as_secs_f64();
        let per_event = |bytes: u64| bytes as f64 / self.events as f64;
        write!(
            f,
            "{:<8} | {:>8} | {:>8.0} | {:>13.1} | {:>10.1} | {:>7.1} | {:>14.0} | {:>12.1}",
            self.store.name(),
            self.events,
            rate(self.append),
            per_event(self.written_bytes),
            per_event(self.kept_bytes),
            self.open.as_secs_f64() * 1e3,
            rate(self.drain),
            self.resident as f64 / f64::from(1 << 20),
        )
    }
}

struct Drained {
    open: Duration,
    drain: Duration,
}

/// The sizes of the groups in which `events` are appended.
fn groups(events: usize) -> impl Iterator<Item = usize> {
    (0..events).step_by(GROUP_EVENTS).map(move |at| GROUP_EVENTS.min(events - at))
}

fn fill_buffer(path: &Path, events: usize) -> Outcome<Duration> {
    let mut plant = Plant::default();
    let buffer = open(path)?;
    let started = Instant::now();
    let mut under_way: VecDeque<Ticket> = VecDeque::new();
    for size in groups(events) {
        if under_way.len() == IN_FLIGHT {
            wait(under_way.pop_front().expect("it is full"))?;
        }
        under_way.push_back(wait(buffer.enqueue(plant.group(size), Vec::new()))?);
    }
    for ticket in under_way {
        wait(ticket)?;
    }
    let took = started.elapsed();
    buffer.close()?;
    Ok(took)
}

fn drain_buffer(path: &Path, events: usize) -> Outcome<Drained> {
    let started = Instant::now();
    let buffer = open(path)?;
    let opened = started.elapsed();
    let destination = destination();
    let started = Instant::now();
    let mut read = 0;
    for lane in Lane::ALL {
        let mut from = Sequence(1);
        loop {
            let batch = buffer.read(lane, from, READ_BATCH as usize)?;
            let Some(&(last, _)) = batch.events.last() else { break };
            from = last.next();
            read += batch.events.len();
            buffer.ack(&destination, lane, last)?;
        }
    }
    let drain = started.elapsed();
    buffer.close()?;
    assert_eq!(read, events);
    Ok(Drained { open: opened, drain })
}

fn fill_sqlite(path: &Path, events: usize) -> Outcome<Duration> {
    let mut plant = Plant::default();
    let mut sqlite = Sqlite::open(&path.join("sqlite"))?;
    let started = Instant::now();
    for size in groups(events) {
        sqlite.append(&plant.group(size))?;
    }
    Ok(started.elapsed())
}

fn drain_sqlite(path: &Path, events: usize) -> Outcome<Drained> {
    let started = Instant::now();
    let mut sqlite = Sqlite::open(&path.join("sqlite"))?;
    let open = started.elapsed();
    let started = Instant::now();
    let (mut read, mut last) = (0, 0);
    let mut acknowledged = Instant::now();
    while read < events {
        let (through, count) = sqlite.read(last, READ_BATCH)?;
        (last, read) = (through, read + count);
        if acknowledged.elapsed() >= ACKNOWLEDGE_EVERY || read == events {
            sqlite.acknowledge(last)?;
            acknowledged = Instant::now();
        }
    }
    Ok(Drained { open, drain: started.elapsed() })
}
