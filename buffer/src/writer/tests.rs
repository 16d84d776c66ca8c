//! The writer beside a disk that refuses: what was taken stays, in order and once, and it goes on by itself.

mod losses;
mod state;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use penstock_events::normalizer::StateChange;
use penstock_events::{Event, Fact, Lane, Quality, Sequence, Timestamp, Value};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::fault_injection::{heal, plan};
use crate::{AppendError, Appended, Buffer, Cause, Condition, Options, Ticket};

const DEADLINE: Duration = Duration::from_secs(30);
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const OPERATIONS: [&str; 6] = ["write", "log", "sync", "create", "put", "sync directory"];

fn open(directory: &TempDir) -> Buffer {
    Buffer::open(options(directory)).expect("a store that opens")
}

fn options(directory: &TempDir) -> Options {
    let destination = "erp".parse().expect("a name");
    let gateway = "edge-01".parse().expect("a name");
    let mut options = Options::new(directory.path(), gateway, [destination]);
    // The smallest: so it rolls often.
    (options.max_bytes, options.generation_bytes) = (1 << 20, 2_000);
    options.min_free_bytes = 0;
    options
}

fn event(n: u64) -> Event {
    let fact = if n.is_multiple_of(2) {
        Fact::TelemetrySampled {
            tag: "press-1.temp".parse().expect("a tag"),
            value: Some(Value::UInt(n)),
            unit: None,
        }
    } else {
        Fact::GatewayStarted { version: n.to_string().into() }
    };
    let time = Timestamp::from_micros(1_767_225_600_000_000 + i64::try_from(n).expect("a small number"));
    let asset = "stamping/press-1".parse().expect("a path");
    Event { asset, time, observed: time, quality: Quality::Good, fact }
}

fn wait<F: Future>(future: F) -> F::Output {
    let deadline = Instant::now() + DEADLINE;
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
        assert!(Instant::now() < deadline, "it never resolved");
        thread::sleep(Duration::from_micros(200));
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "it never came to be that {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Queues event `n` with the state that says so.
fn queue(buffer: &Buffer, n: u64) -> Ticket {
    let state = StateChange { key: "n".to_owned(), value: n.to_be_bytes().to_vec() };
    wait(buffer.enqueue(vec![event(n)], vec![state])).expect("there is room")
}

fn place(lane: Lane, appended: &Appended) -> Option<Sequence> {
    appended[lane].map(|places| places.first)
}

/// Everything that is retained, both lanes, without the gaps.
fn retained(buffer: &Buffer) -> Vec<Event> {
    let mut events = Vec::new();
    for lane in Lane::ALL {
        let batch = buffer.read(lane, Sequence(1), 100_000).expect("a store that is whole");
        let places: Vec<u64> = batch.events.iter().map(|(place, _)| place.0).collect();
        assert_eq!(places, (1..=places.len() as u64).collect::<Vec<_>>(), "no hole and nothing twice");
        events.extend(batch.events.into_iter().map(|(_, event)| event));
    }
    events.sort_by_key(|event| event.time);
    events
}

#[test]
fn a_full_disk_is_waited_for_and_said_and_costs_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let buffer = open(&directory);
    wait(queue(&buffer, 1)).expect("a disk that works");
    plan(directory.path(), "write", 0, usize::MAX, ENOSPC);
    let mut waiting: Vec<Ticket> = (2..=5).map(|n| queue(&buffer, n)).collect();
    until("it says so", || match buffer.status().condition {
        Condition::Suspended(outage) => outage.cause == Cause::DiskFull,
        _ => false,
    });
    assert_eq!(retained(&buffer), [event(1)], "what is durable can be read meanwhile");
    for ticket in &mut waiting {
        let polled = std::pin::Pin::new(ticket).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "an append returned that is on no disk");
    }
    heal(directory.path());
    for ticket in waiting {
        wait(ticket).expect("the disk takes it now");
    }
    until("it accepts", || buffer.status().condition == Condition::Accepting);
    assert_eq!(retained(&buffer), (1..=5).map(event).collect::<Vec<_>>());
    buffer.close().expect("a disk that works");
    let reopened = open(&directory);
    assert_eq!(retained(&reopened), (1..=5).map(event).collect::<Vec<_>>());
    assert_eq!(reopened.state()["n"], 5_u64.to_be_bytes());
}

#[test]
fn a_generation_whose_sync_failed_is_never_written_to_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let buffer = open(&directory);
    wait(queue(&buffer, 1)).expect("a disk that works");
    let before = buffer.generations(Lane::Business);
    plan(directory.path(), "sync", 0, 1, EIO);
    let appended = wait(queue(&buffer, 3)).expect("the second attempt");
    assert_eq!(place(Lane::Business, &appended), Some(Sequence(2)));
    let after = buffer.generations(Lane::Business);
    assert_eq!(after.len(), 2);
    assert!(after[0].sealed);
    assert_eq!(after[0].places, before[0].places, "it ends where it was durable");
    assert_eq!(after[1].places.expect("the event").first, Sequence(2));
    heal(directory.path());
}

#[test]
fn state_of_a_commit_that_failed_is_not_in_the_generation_that_replaces_its_own() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let buffer = open(&directory);
    wait(queue(&buffer, 1)).expect("a disk that works");
    // The commit fails, the generations are replaced, and the second attempt fails as well, for ever.
    plan(directory.path(), "sync", 0, 1, EIO);
    plan(directory.path(), "write", 1, usize::MAX, EIO);
    let waiting = queue(&buffer, 3);
    until("another generation", || buffer.generations(Lane::Business).len() > 1);
    drop(waiting);
    let copy = tempfile::tempdir().expect("a temporary directory");
    until("a copy between two attempts", || copy_directory(directory.path(), copy.path()).is_ok());
    let recovered = open(&copy);
    let events = retained(&recovered);
    let expected = if events == [event(1), event(3)] { 3_u64 } else { 1 };
    assert_eq!(recovered.state()["n"], expected.to_be_bytes(), "state and events go together: {events:?}");
    drop(recovered);
    heal(directory.path());
}

#[test]
fn closing_on_a_disk_that_refuses_refuses_what_waits() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let buffer = open(&directory);
    plan(directory.path(), "write", 0, usize::MAX, ENOSPC);
    let waiting = queue(&buffer, 1);
    until("it is suspended", || matches!(buffer.status().condition, Condition::Suspended(_)));
    let closed = buffer.close().expect_err("the disk is full");
    assert!(closed.to_string().contains("disk full"), "{closed}");
    assert!(matches!(wait(waiting), Err(AppendError::Failed(_))));
    heal(directory.path());
}

/// Says once that the disk is full, after it is told to.
static SCARCE: AtomicBool = AtomicBool::new(false);

#[test]
fn what_comes_after_a_roll_that_failed_at_its_last_sync_is_where_the_manifest_says() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut options = options(&directory);
    options.min_free_bytes = 1;
    options.free_bytes = |_| Ok(u64::from(!SCARCE.swap(false, Ordering::SeqCst)));
    let buffer = Buffer::open(options).expect("a store that opens");
    wait(queue(&buffer, 2)).expect("a disk that works");
    // That of the store itself, after three in the new generation and its lane: the manifest was replaced by then.
    plan(directory.path(), "sync directory", 3, 1, EIO);
    SCARCE.store(true, Ordering::SeqCst);
    for n in [4, 6, 8] {
        wait(queue(&buffer, n)).expect("sooner or later");
    }
    heal(directory.path());
    let expected: Vec<Event> = [2, 4, 6, 8].map(event).into();
    assert_eq!(retained(&buffer), expected);
    buffer.close().expect("a disk that works");
    assert_eq!(retained(&open(&directory)), expected);
}

#[test]
fn a_start_that_a_refusing_disk_broke_off_anywhere_is_made_again_and_costs_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let buffer = open(&directory);
    for n in 1..=5 {
        wait(queue(&buffer, n)).expect("a disk that works");
    }
    let (mut broken_off, expected) = (0, (1..=5).map(event).collect::<Vec<_>>());
    for (operation, pass) in
        OPERATIONS.into_iter().flat_map(|operation| (0..8).map(move |pass| (operation, pass)))
    {
        // What a crash leaves, and no database: so new generations are begun.
        let crashed = tempfile::tempdir().expect("a temporary directory");
        copy_directory(directory.path(), crashed.path()).expect("a store at rest");
        for lane in Lane::ALL {
            std::fs::remove_file(crashed.path().join(format!("{lane}/00000001/db"))).expect("sled's file");
        }
        plan(crashed.path(), operation, pass, 1, EIO);
        let opened = Buffer::open(options(&crashed));
        heal(crashed.path());
        broken_off += usize::from(opened.is_err());
        let buffer = opened.unwrap_or_else(|_| open(&crashed));
        assert_eq!(retained(&buffer), expected, "{operation} failed after {pass}");
        assert_eq!(buffer.state()["n"], 5_u64.to_be_bytes(), "{operation} failed after {pass}");
    }
    assert!(broken_off > 10, "{broken_off} starts were broken off");
}

fn copy_directory(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn faults() -> impl Strategy<Value = Vec<(&'static str, usize, usize, i32)>> {
    let errno = prop_oneof![Just(EIO), Just(ENOSPC)];
    prop::collection::vec((prop::sample::select(&OPERATIONS[..]), 0_usize..12, 1_usize..4, errno), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_and_when_every_event_is_there_once_in_order_with_its_state(faults in faults(), events in 5_u64..60) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let buffer = open(&directory);
        for (operation, pass, times, errno) in faults {
            plan(directory.path(), operation, pass, times, errno);
        }
        let mut waiting = VecDeque::new();
        for n in 1..=events {
            waiting.push_back(queue(&buffer, n));
            if waiting.len() > 3 {
                wait(waiting.pop_front().expect("it is not empty")).expect("sooner or later");
            }
        }
        for ticket in waiting {
            wait(ticket).expect("sooner or later");
        }
        heal(directory.path());
        let expected: Vec<Event> = (1..=events).map(event).collect();
        prop_assert_eq!(&retained(&buffer), &expected);
        buffer.close().expect("a disk that works");
        let reopened = open(&directory);
        prop_assert_eq!(&retained(&reopened), &expected);
        prop_assert_eq!(&reopened.state()["n"][..], &events.to_be_bytes()[..]);
    }
}
