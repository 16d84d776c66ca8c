//! Appends under way at once: their order, their sharing of commits, and closing under them.

use std::pin::pin;
use std::task::Poll;

use penstock_buffer::{AppendError, Buffer, SequenceRange};
use penstock_events::{Lane, Sequence};

use crate::fixture::{Disk, append, piece, poll_once, read_all, sample, wait};

#[test]
fn appends_in_flight_are_numbered_in_the_order_in_which_they_were_first_polled() {
    let disk = Disk::new();
    let buffer = disk.open();
    let tickets: Vec<_> =
        (1..=2_000).map(|n| wait(buffer.enqueue(vec![piece(n)], Vec::new())).expect("it is open")).collect();
    for (n, ticket) in (1..).zip(tickets) {
        let appended = wait(ticket).expect("a disk that works");
        let place = Sequence(n);
        assert_eq!(appended.business, Some(SequenceRange { first: place, last: place }));
    }
    let stored = read_all(&buffer, Lane::Business, Sequence(1));
    assert!(stored.iter().all(|(place, event)| *event == piece(place.0)));
}

#[test]
fn the_order_of_asking_holds_when_the_queue_has_no_room() {
    const APPENDS: u64 = 12;
    const EVENTS: u64 = 4_000;
    let disk = Disk::new();
    let buffer = disk.open();
    // Each is polled in turn before any is polled again; most find the queue full.
    let mut waiting: Vec<_> = (0..APPENDS)
        .map(|n| {
            let events = (1..=EVENTS).map(|at| piece(n * EVENTS + at)).collect();
            let mut append = Box::pin(buffer.append(events, Vec::new()));
            assert_eq!(poll_once(&mut append), Poll::Pending);
            append
        })
        .collect();
    // The last is driven first: it must not overtake.
    let others: Vec<_> = waiting.drain(..waiting.len() - 1).collect();
    let last = waiting.pop().expect("twelve");
    let driver = std::thread::scope(|scope| {
        let first = scope.spawn(|| others.into_iter().for_each(|append| assert!(wait(append).is_ok())));
        let appended = wait(last).expect("a disk that works");
        first.join().expect("the others were appended");
        appended
    });
    assert_eq!(driver.business.map(|range| range.last), Some(Sequence(APPENDS * EVENTS)));
    let stored = read_all(&buffer, Lane::Business, Sequence(1));
    assert!(stored.iter().all(|(place, event)| *event == piece(place.0)));
}

#[test]
fn appends_that_come_faster_than_the_disk_share_commits() {
    const APPENDS: u64 = 1_000;
    let disk = Disk::new();
    let buffer = Buffer::open(disk.options()).expect("it opens");
    let tickets: Vec<_> = (1..=APPENDS)
        .map(|n| wait(buffer.enqueue(vec![sample(n)], Vec::new())).expect("it is open"))
        .collect();
    for ticket in tickets {
        wait(ticket).expect("a disk that works");
    }
    let commits = buffer.status().commits;
    assert!(commits < APPENDS / 10, "{commits} commits for {APPENDS} appends");
}

#[test]
fn an_append_that_is_dropped_while_it_waits_blocks_nobody() {
    let disk = Disk::new();
    let buffer = disk.open();
    let many = || (1..=8_000).map(piece).collect::<Vec<_>>();
    let mut given_up: Vec<_> = (0..6).map(|_| Box::pin(buffer.append(many(), Vec::new()))).collect();
    for append in &mut given_up {
        assert_eq!(poll_once(append), Poll::Pending);
    }
    drop(given_up);
    let appended = append(&buffer, vec![sample(1)]);
    assert_eq!(appended.telemetry.map(|range| range.last), Some(Sequence(1)));
}

#[test]
fn closing_commits_what_is_queued_and_refuses_what_comes_after() {
    let disk = Disk::new();
    let buffer = disk.open();
    let other = buffer.clone();
    let tickets: Vec<_> =
        (1..=500).map(|n| wait(buffer.enqueue(vec![piece(n)], Vec::new())).expect("it is open")).collect();
    buffer.close().expect("a disk that works");
    for ticket in tickets {
        assert!(wait(ticket).is_ok());
    }
    assert_eq!(wait(other.append(vec![piece(501)], Vec::new())), Err(AppendError::Closed));
    assert_eq!(disk.open().heads().borrow().business, Sequence(500));
}

#[test]
fn heads_tell_of_what_is_durable() {
    let disk = Disk::new();
    let buffer = disk.open();
    let mut heads = buffer.heads();
    heads.mark_unchanged();
    let appended = append(&buffer, vec![piece(1), sample(1), sample(2)]);
    wait(pin!(heads.changed())).expect("the buffer is open");
    assert_eq!(heads.borrow_and_update().business, appended.business.expect("a business event").last);
    assert_eq!(heads.borrow().telemetry, Sequence(2));
}
