//! A manifest from the generations that are there, when the one that was written cannot be read.
//!
//! Blocks carry their places, so looking through every generation tells what the manifest told, but for times: what
//! is complete counts as sealed when it is looked at. It takes as long as reading the whole backlog.

use std::io;

use penstock_events::{Lane, Sequence, Timestamp};

use super::told::Told;
use crate::archive::{Bounds, Found};
use crate::directory::Directory;
use crate::generation::log::{self, Log};
use crate::generation::{self, State};
use crate::journal::Left;
use crate::manifest::{Generation, GenerationId, Manifest};
use crate::marks::Marks;
use crate::per_lane::{Heads, PerLane, SequenceRange};
use crate::quarantine::set_aside;

/// The manifest of the store `store`, whose lanes reached `floor` at least. What is missing between and within
/// its generations is noted in `marks`, unless it was `told`; the last of each lane is left to be opened.
pub(super) fn rebuild(
    directory: &Directory,
    left: &Left,
    marks: &mut Marks,
    mut told: Told,
    (floor, now): (Heads, Timestamp),
) -> io::Result<Manifest> {
    let mut lanes = PerLane::default();
    Lane::ALL.into_iter().try_for_each(|lane| complete_logs(directory, left, lane))?;
    // No loss that is noted now must get the number of one that was told.
    marks.announced(last_announced(directory)?);
    for lane in Lane::ALL {
        let mut generations = look_at(directory, lane, now, &mut told)?;
        let head = generations.iter().map(|one| one.extent.last).max().unwrap_or_default();
        if let Some(last) = generations.last_mut().filter(|last| last.is_empty()) {
            // It was begun and nothing came, or all that came is lost: it holds state at best.
            *last = Generation::starting_at(last.id, head.max(floor[lane]).next(), now);
        }
        note_losses(marks, lane, &generations);
        lanes[lane] = generations;
    }
    told.settle(marks);
    Ok(Manifest { store: marks.store, lanes })
}

/// Up to which loss the business lane says that it was announced.
fn last_announced(directory: &Directory) -> io::Result<u64> {
    let (mut state, mut told) = (State::new(), generation::Told::default());
    for id in directory.numbers(Lane::Business)? {
        let log = Log::open(&directory.generation(Lane::Business, id))?;
        for (_, record) in log.iter().flat_map(Log::records).flatten() {
            // What cannot be understood tells nothing.
            drop(record.entries.business.tell(&mut state, &mut told));
        }
    }
    Ok(told.announced)
}

/// Puts what the journal has into the logs. The generation that grew need not be the last: one may have been begun in vain.
fn complete_logs(directory: &Directory, left: &Left, lane: Lane) -> io::Result<()> {
    for id in directory.numbers(lane)? {
        let logged = left.log_of(lane, id);
        if !logged.is_empty() {
            log::append(&directory.generation(lane, id), &logged)?;
        }
    }
    Ok(())
}

/// The generations of `lane`, the oldest first. The last is left active, with or without events.
fn look_at(
    directory: &Directory,
    lane: Lane,
    now: Timestamp,
    told: &mut Told,
) -> io::Result<Vec<Generation>> {
    let mut ids: Vec<GenerationId> = directory.numbers(lane)?;
    ids.sort_unstable();
    let mut generations: Vec<Generation> = Vec::new();
    // What a later generation holds, an earlier one may hold beyond its end: a commit that failed and was made again.
    let mut beyond = Sequence(u64::MAX);
    for id in ids.into_iter().rev() {
        let path = directory.generation(lane, id);
        let found = Found::in_generation(&path, Bounds { first: None, last: beyond.before(), holes: &[] })?;
        if found.is_empty() && !generations.is_empty() {
            set_aside(directory.root(), &path);
            continue;
        }
        if lane == Lane::Business {
            told.learn(&found.archive);
        }
        let mut generation = Generation::starting_at(id, found.first, now);
        if !found.is_empty() {
            beyond = found.first;
            generation.extent = found.extent;
        }
        if !generations.is_empty() {
            generation.seal(now);
        }
        generations.push(generation);
    }
    generations.reverse();
    Ok(generations)
}

fn note_losses(marks: &mut Marks, lane: Lane, generations: &[Generation]) {
    let mut note = |places| super::lane::note(marks, lane, places, true);
    for pair in generations.windows(2) {
        let [before, after] = pair else { continue };
        before.extent.holes.iter().for_each(|hole| note(*hole));
        let (first, last) = (before.extent.last.next(), after.first.before());
        if first <= last {
            note(SequenceRange { first, last });
        }
    }
}
