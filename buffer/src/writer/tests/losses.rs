//! Losses by damage that something came between: each place that is lost is named by one gap, and what is there by none.

use std::fs;

use penstock_events::{Event, Fact, Lane, Sequence, Value};
use tempfile::TempDir;

use super::{EIO, ENOSPC, copy_directory, event, open, queue, until, wait};
use crate::block::Tally;
use crate::fault_injection::{heal, plan};
use crate::manifest::GenerationId;
use crate::marks;
use crate::{AppendError, Buffer, Condition, SequenceRange};

const TELEMETRY: Lane = Lane::Telemetry;

fn places(first: u64, last: u64) -> SequenceRange {
    SequenceRange { first: Sequence(first), last: Sequence(last) }
}

/// A closed store with several complete generations of telemetry, one place a block: one from the midst, and its places.
fn store(directory: &TempDir) -> (GenerationId, SequenceRange) {
    let buffer = open(directory);
    for n in 1..=60 {
        wait(queue(&buffer, 2 * n)).expect("a disk that works");
    }
    let generations = buffer.generations(TELEMETRY);
    let victim = generations.iter().find(|one| one.sealed && one.number > 1).expect("a complete one");
    let found = (victim.number, victim.places.expect("it is not empty"));
    assert!(found.1.last.0 > found.1.first.0 + 4, "{victim:?}");
    buffer.close().expect("a disk that works");
    found
}

/// Damages every copy of the blocks that hold these places.
fn damage(directory: &TempDir, lane: Lane, id: GenerationId, lost: SequenceRange) {
    for name in ["db", "log"] {
        let path = directory.path().join(format!("{lane}/{id:08}/{name}"));
        let Ok(mut bytes) = fs::read(&path) else { continue };
        let mut at = 0;
        while at < bytes.len() {
            match crate::block::find(&bytes[at..]) {
                Some((header, length)) => {
                    if (lost.first..=lost.last).contains(&header.first) {
                        bytes[at + length - 1] ^= 1;
                    }
                    at += length;
                }
                None => at += 1,
            }
        }
        fs::write(path, bytes).expect("a writable file");
    }
}

/// The places of telemetry that can be read, and those that gaps name, in the order in which they are told.
fn told(buffer: &Buffer) -> (Vec<u64>, Vec<u64>) {
    let mut there: Vec<u64> = Vec::new();
    loop {
        let from = Sequence(there.last().map_or(1, |last| last + 1));
        let batch = buffer.read(TELEMETRY, from, 10_000).expect("what is lost is announced");
        if batch.events.is_empty() {
            break;
        }
        there.extend(batch.events.iter().map(|(place, _)| place.0));
    }
    let gaps = buffer.read(Lane::Business, Sequence(1), 10_000).expect("it is whole").events;
    let named = |(_, event): (Sequence, Event)| match event.fact {
        Fact::Gap { first, last, stream, .. } => {
            (stream == *buffer.stream(TELEMETRY)).then_some(first.0..=last.0)
        }
        _ => None,
    };
    (there, gaps.into_iter().filter_map(named).flatten().collect())
}

/// Each of the first 60 places is either there or named, and these are named.
fn assert_lost(buffer: &Buffer, lost: SequenceRange) {
    let (there, named) = told(buffer);
    let expected: Vec<u64> = (lost.first.0..=lost.last.0).collect();
    assert_eq!(named, expected, "each place that is lost is named once");
    assert_eq!(there, (1..=60).filter(|place| !expected.contains(place)).collect::<Vec<_>>());
}

#[test]
fn a_loss_that_was_noted_and_never_came_into_the_manifest_is_looked_at_anew() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (id, SequenceRange { first: Sequence(first), .. }) = store(&directory);
    // A power cut between the two files, which gave back a part of what could not be read.
    note(&directory, places(first, first + 3));
    let lost = places(first, first + 1);
    damage(&directory, TELEMETRY, id, lost);
    let buffer = open(&directory);
    assert_lost(&buffer, lost);
    buffer.close().expect("a disk that works");
    assert_lost(&open(&directory), lost);
}

/// Notes places as lost, which says nothing of whether they are.
fn note(directory: &TempDir, lost: SequenceRange) {
    let path = directory.path().join("marks");
    let mut marks = marks::load(&path).expect("a whole file").expect("it is there");
    marks.note(TELEMETRY, lost, Tally::new());
    marks::save(&path, &marks).expect("a writable directory");
}

#[test]
fn a_loss_whose_announcing_can_only_be_read_from_the_gap_itself_is_not_announced_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (id, SequenceRange { first, .. }) = store(&directory);
    let lost = places(first.0, first.0 + 1);
    damage(&directory, TELEMETRY, id, lost);
    let buffer = open(&directory);
    assert_lost(&buffer, lost);
    let last = wait(queue(&buffer, 1)).expect("a disk that works").business.expect("a business event");
    let active = buffer.generations(Lane::Business).last().expect("it holds the gap").number;
    buffer.close().expect("a disk that works");
    // A crash before the marks were told that it is announced, and damage to what tells so as well.
    note(&directory, lost);
    damage(&directory, Lane::Business, active, last);
    let buffer = open(&directory);
    assert!(buffer.generations(Lane::Business).last().expect("another one").number > active);
    assert_lost(&buffer, lost);
}

#[test]
fn a_loss_that_a_refusing_disk_kept_out_of_the_manifest_is_announced_once() {
    for pass in 0..3 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (id, SequenceRange { first: Sequence(first), .. }) = store(&directory);
        let buffer = open(&directory);
        let lost = places(first + 1, first + 2);
        damage(&directory, TELEMETRY, id, lost);
        // The marks, the manifest, the marks again.
        plan(directory.path(), "put", pass, 1, EIO);
        assert!(buffer.read(TELEMETRY, lost.first, 1).is_err(), "nobody passes what the disk does not know");
        until("it accepts", || buffer.status().condition == Condition::Accepting);
        assert_lost(&buffer, lost);
        heal(directory.path());
    }
}

#[test]
fn closing_with_a_loss_to_tell_on_a_disk_that_refuses_says_why_it_refuses() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (id, SequenceRange { first: Sequence(first), .. }) = store(&directory);
    let lost = places(first, first + 1);
    note(&directory, lost);
    damage(&directory, TELEMETRY, id, lost);
    plan(directory.path(), "write", 0, usize::MAX, ENOSPC);
    let buffer = open(&directory);
    let waiting = queue(&buffer, 1);
    until("it is suspended", || matches!(buffer.status().condition, Condition::Suspended(_)));
    let closed = buffer.close().expect_err("the disk is full");
    assert!(closed.to_string().contains("disk full"), "{closed}");
    assert!(matches!(wait(waiting), Err(AppendError::Failed(why)) if why.contains("disk full")));
    heal(directory.path());
    assert_lost(&open(&directory), lost);
}

#[test]
fn what_is_given_up_for_want_of_room_is_announced_once_when_the_disk_keeps_the_manifest_as_it_was() {
    // Of the manifest's changes some are rolls, and some forget what was given up.
    for pass in 0..8 {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let buffer = open(&directory);
        let mut made = 0;
        let mut fill = |events: u64| {
            let more = (made + 1..=made + events).map(large).collect();
            made += events;
            wait(wait(buffer.enqueue(more, Vec::new())).expect("there is room")).expect("sooner or later");
        };
        while buffer.status().shed_events == 0 {
            fill(20);
        }
        plan(&directory.path().join("manifest"), "put", pass, 1, EIO);
        (0..12).for_each(|_| fill(20));
        until("it accepts", || buffer.status().condition == Condition::Accepting);
        heal(&directory.path().join("manifest"));
        let (there, named) = told(&buffer);
        assert_eq!([named, there].concat(), (1..=made).collect::<Vec<_>>(), "each place once, pass {pass}");
    }
}

/// A telemetry event of 4 KB that do not compress.
fn large(n: u64) -> Event {
    let mut state = n;
    let noise = std::iter::from_fn(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from_u32(33 + (state >> 33) as u32 % 94)
    });
    let value = Some(Value::Text(noise.take(4_096).collect::<String>().into()));
    let tag = "press-1.curve".parse().expect("a tag");
    Event { fact: Fact::TelemetrySampled { tag, value, unit: None }, ..event(2 * n) }
}

#[test]
fn a_loss_that_is_found_when_the_marks_are_gone_is_not_taken_for_one_that_was_told_before() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (id, SequenceRange { first, .. }) = store(&directory);
    let lost = places(first.0, first.0);
    damage(&directory, TELEMETRY, id, lost);
    let buffer = open(&directory);
    assert_lost(&buffer, lost);
    let appended: Vec<SequenceRange> = (0..5)
        .map(|n| wait(queue(&buffer, 2 * n + 1)).expect("a disk that works").business.expect("its lane"))
        .collect();
    let active = buffer.generations(Lane::Business).last().expect("it holds the gap").number;
    buffer.close().expect("a disk that works");
    fs::remove_file(directory.path().join("marks")).expect("it was there");
    damage(&directory, Lane::Business, active, appended[2]);
    let buffer = open(&directory);
    let stream = buffer.stream(Lane::Business).clone();
    let is_told = || {
        let events = buffer.read(Lane::Business, Sequence(1), 10_000).expect("the rest of it").events;
        events.iter().any(|(_, event)| {
            matches!(&event.fact, Fact::Gap { stream: of, first, .. } if *of == stream && *first == appended[2].first)
        })
    };
    until("it is told", is_told);
}

#[test]
fn what_a_long_commit_that_failed_left_in_the_journal_is_no_loss() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let buffer = open(&directory);
    wait(queue(&buffer, 1)).expect("a disk that works");
    wait(queue(&buffer, 2)).expect("a disk that works");
    let heads = *buffer.heads().borrow();
    // The logs have the commit, and then the journal fails, and no other can be made.
    let journal = directory.path().join("journal");
    fs::create_dir(journal.with_extension("new")).expect("a writable directory");
    plan(&journal, "sync", 0, 1, EIO);
    let long = (1..=60).map(large).chain((1..60).map(|n| event(2 * n + 1))).collect();
    let waiting = wait(buffer.enqueue(long, Vec::new())).expect("there is room");
    until("both lanes go on elsewhere", || {
        Lane::ALL.into_iter().all(|lane| buffer.generations(lane).len() > 1)
    });
    let copy = tempfile::tempdir().expect("a temporary directory");
    until("a copy between two attempts", || copy_directory(directory.path(), copy.path()).is_ok());
    let recovered = open(&copy);
    assert!(told(&recovered).1.is_empty(), "nothing is lost");
    assert_eq!(*recovered.heads().borrow(), heads);
    drop((recovered, waiting));
    heal(&journal);
}
