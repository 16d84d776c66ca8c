//! Power cuts at any call. The real buffer runs in a process of its own whose every call on a file is recorded
//! ([`recording`]); a model of a disk says what a cut after any of them leaves ([`disk`]); the real buffer opens that,
//! and what was promised is compared with what is there ([`inspection`]). In some runs the disk refuses for a while, or the process is
//! killed and another goes on.
//!
//! That the simulator bites is shown by runs in which it does not believe a kind of sync: they must lose something.
//!
//! [`sigkill`] has the same checker judge what a process that was killed leaves.
//!
//! These tests are a program of their own: they start others, and whatever is started holds the locks of all open stores
//! until it runs.
//!
//! `POWERCUTS` is how many cuts are made (200); `make torture` makes 10,000. `POWERCUT_FROM` is the first seed, and in `POWERCUT_KEEP`, a
//! directory on the disk of the temporary ones, is kept what broke a promise.

mod disk;
#[expect(dead_code, reason = "the other tests of the buffer use the rest")]
#[path = "../buffer/fixture.rs"]
mod fixture;
mod inspection;
mod promised;
mod recording;
mod run;
mod sigkill;
mod workload;

use std::fmt;
use std::fs;
use std::iter;
use std::num::NonZero;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use penstock_events::{Lane, Sequence};

use disk::{Believing, Disk};
use fixture::Dice;
use inspection::{Thoroughness, inspect};
use promised::Promised;
use recording::{Entry, Recorder};
use run::Size;

const CUTS_A_RUN: usize = 20;
const CUTS: usize = 200;
/// In how many cuts a control run must be found out.
const CONTROL_CUTS: usize = 100;

#[test]
fn a_power_cut_at_any_call_takes_nothing_that_was_acknowledged() {
    let cuts = number_from("POWERCUTS", CUTS);
    let broken = cut(cuts, Believing::Everything);
    assert!(broken.is_empty(), "{} of {cuts} cuts broke a promise:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn without_fdatasync_a_power_cut_is_found_to_take_events() {
    let broken = cut(CONTROL_CUTS, Believing::NoDataSync);
    assert!(!broken.is_empty(), "the simulator does not bite");
}

#[test]
fn without_fsync_of_directories_a_power_cut_is_found_to_take_events() {
    let broken = cut(CONTROL_CUTS, Believing::NoDirectorySync);
    assert!(!broken.is_empty(), "the simulator does not bite");
}

#[test]
fn the_runs_have_kills_and_disks_that_refuse_to_sync() {
    let recorder = Recorder::new();
    let entries: Vec<Entry> = (1..=6).flat_map(|seed| recorder.run(seed).entries).collect();
    let failures = entries.iter().filter(|entry| matches!(entry, Entry::SyncFailed { .. })).count();
    let kills = entries.iter().filter(|entry| entry.is_kill()).count();
    assert!(failures > 5 && kills == 2, "{failures} syncs failed, and {kills} processes were killed");
}

/// Makes `cuts` cuts in as many runs as that takes: what each found broken.
fn cut(cuts: usize, believing: Believing) -> Vec<String> {
    let recorder = Recorder::new();
    let first = number_from("POWERCUT_FROM", 1);
    let (next, end) = (AtomicUsize::new(first), first + cuts.div_ceil(CUTS_A_RUN));
    let cut_some = || {
        let seeds = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|&seed| seed < end);
        seeds.flat_map(|seed| cut_one_run(&recorder, seed as u64, believing)).collect::<Vec<_>>()
    };
    let cutters = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let cutters: Vec<_> = (0..cutters).map(|_| scope.spawn(cut_some)).collect();
        cutters.into_iter().flat_map(|cutter| cutter.join().expect("a run of the workload")).collect()
    })
}

fn cut_one_run(recorder: &Recorder, seed: u64, believing: Believing) -> Vec<String> {
    let recording = recorder.run(seed);
    let mut dice = Dice::new(seed);
    let mut places: Vec<usize> = (0..CUTS_A_RUN).map(|_| dice.below(recording.entries.len() + 1)).collect();
    places.sort_unstable();
    let mut disk = Disk::new(&recording.root, believing);
    let mut promised = Promised::default();
    let mut done = 0;
    let mut broken = Vec::new();
    for (n, place) in places.into_iter().enumerate() {
        for entry in &recording.entries[done..place] {
            disk.apply(entry);
            if let Entry::Mark(mark) = entry {
                promised.note(mark.trim_end().parse().expect("a mark of the workload"));
            }
        }
        done = place;
        let left = tempfile::tempdir().expect("a temporary directory");
        disk.cut(&mut dice, left.path());
        let thoroughness = if n % 4 == 0 { Thoroughness::ToTheEnd } else { Thoroughness::OpenedTwice };
        if let Err(reason) = inspect(left.path(), Size::of(seed), &promised, thoroughness) {
            if let Some(kept) = std::env::var_os("POWERCUT_KEEP") {
                let kept = Path::new(&kept).join(format!("{seed}-{place}"));
                fs::rename(left.keep(), kept).expect("a directory on the same disk");
            }
            broken.push(format!(
                "seed {seed}, cut before call {place} of {}: {reason}",
                recording.entries.len()
            ));
        }
    }
    broken
}

fn number_from(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// What the workload was promised, or asked for.
#[derive(Clone, Debug)]
enum Promise {
    /// Appends up to these ordinals are queued: they may be there.
    Offered { business: u64, telemetry: u64 },
    /// These places are durable, and hold the events from this ordinal on.
    Durable { lane: Lane, first: Sequence, last: Sequence, ordinal: u64 },
    /// A destination was told that this telemetry was given up.
    Told { first: Sequence, last: Sequence },
    /// A destination is about to acknowledge up to here: it may have.
    Acknowledging { destination: String, lane: Lane, through: Sequence },
    /// This replay is ordered, durably.
    ReplayOrdered { id: u32 },
    /// This replay is about to be through with a lane up to here: it may be.
    Replaying { id: u32, lane: Lane, next: Sequence },
    /// This replay has ended, durably.
    ReplayEnded { id: u32 },
    /// These events are dead letters of a destination.
    Buried { destination: String, lane: Lane, first: Sequence, last: Sequence },
    /// The dead letters of these places are about to end: they may be there.
    Deciding { lane: Lane, first: Sequence, last: Sequence },
    /// What holds these places is about to be damaged: they may be lost.
    Damaging { lane: Lane, first: Sequence, last: Sequence },
    /// So many of the next syncs and writes fail.
    Refusing { syncs: usize, writes: usize },
    /// The process is to be killed while it waits for this sync from now on.
    Dying { syncs: usize },
    /// It was killed.
    Killed,
    /// The buffer closed without an error.
    Closed,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offered { business, telemetry } => write!(f, "offered {business} {telemetry}"),
            Self::Durable { lane, first, last, ordinal } => {
                write!(f, "durable {lane} {} {} {ordinal}", first.0, last.0)
            }
            Self::Told { first, last } => write!(f, "told {} {}", first.0, last.0),
            Self::Acknowledging { destination, lane, through } => {
                write!(f, "acknowledging {destination} {lane} {}", through.0)
            }
            Self::ReplayOrdered { id } => write!(f, "replay-ordered {id}"),
            Self::Replaying { id, lane, next } => write!(f, "replaying {id} {lane} {}", next.0),
            Self::ReplayEnded { id } => write!(f, "replay-ended {id}"),
            Self::Buried { destination, lane, first, last } => {
                write!(f, "buried {destination} {lane} {} {}", first.0, last.0)
            }
            Self::Deciding { lane, first, last } => write!(f, "deciding {lane} {} {}", first.0, last.0),
            Self::Damaging { lane, first, last } => write!(f, "damaging {lane} {} {}", first.0, last.0),
            Self::Refusing { syncs, writes } => write!(f, "refusing {syncs} {writes}"),
            Self::Dying { syncs } => write!(f, "dying {syncs}"),
            Self::Killed => f.write_str("killed"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

impl FromStr for Promise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |word: &str| word.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        let place = |word: &str| number(word).map(Sequence);
        let id_of = |word: &str| word.parse::<u32>().map_err(|error| format!("{text}: {error}"));
        let count = |word: &str| word.parse::<usize>().map_err(|error| format!("{text}: {error}"));
        let lane = |word: &str| word.parse::<Lane>().map_err(|error| error.to_string());
        Ok(match words[..] {
            ["offered", business, telemetry] => {
                Self::Offered { business: number(business)?, telemetry: number(telemetry)? }
            }
            ["durable", name, first, last, ordinal] => Self::Durable {
                lane: lane(name)?,
                first: place(first)?,
                last: place(last)?,
                ordinal: number(ordinal)?,
            },
            ["told", first, last] => Self::Told { first: place(first)?, last: place(last)? },
            ["acknowledging", destination, name, through] => Self::Acknowledging {
                destination: destination.to_owned(),
                lane: lane(name)?,
                through: place(through)?,
            },
            ["replay-ordered", id] => Self::ReplayOrdered { id: id_of(id)? },
            ["replaying", id, name, next] => {
                Self::Replaying { id: id_of(id)?, lane: lane(name)?, next: place(next)? }
            }
            ["replay-ended", id] => Self::ReplayEnded { id: id_of(id)? },
            ["buried", destination, name, first, last] => Self::Buried {
                destination: destination.to_owned(),
                lane: lane(name)?,
                first: place(first)?,
                last: place(last)?,
            },
            ["deciding", name, first, last] => {
                Self::Deciding { lane: lane(name)?, first: place(first)?, last: place(last)? }
            }
            ["damaging", name, first, last] => {
                Self::Damaging { lane: lane(name)?, first: place(first)?, last: place(last)? }
            }
            ["refusing", syncs, writes] => Self::Refusing { syncs: count(syncs)?, writes: count(writes)? },
            ["dying", syncs] => Self::Dying { syncs: count(syncs)? },
            ["killed"] => Self::Killed,
            ["closed"] => Self::Closed,
            _ => return Err(text.to_owned()),
        })
    }
}
