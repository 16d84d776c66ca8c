//! The size: what is deleted when it is delivered, what is shed and how that is announced, and when
//! appends wait.

use std::fs;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use penstock_buffer::{Buffer, Condition, Ticket};
use penstock_events::{AssetPath, Event, EventType, Fact, GapReason, Lane, Sequence};

use crate::fixture::{
    Disk, append, destination, eventually, large_business, large_sample, options, piece, poll_once, read_all,
    tiny, wait,
};

/// The gaps that the business lane announces: first, last and how many were lost.
fn gaps(buffer: &Buffer) -> Vec<(u64, u64, u64)> {
    let gap = |(_, event): (Sequence, Event)| match event.fact {
        Fact::Gap { stream, first, last, reason: GapReason::BufferFull, lost } => {
            assert_eq!(stream, *buffer.stream(Lane::Telemetry));
            assert_eq!(event.asset, AssetPath::of_gateway(&"edge-01".parse().expect("a name")));
            let [(EventType::TelemetrySampled, count)] = lost[..] else { panic!("{lost:?}") };
            Some((first.0, last.0, count))
        }
        _ => None,
    };
    read_all(buffer, Lane::Business, Sequence(1)).into_iter().filter_map(gap).collect()
}

fn fill_with_telemetry(buffer: &Buffer, places: std::ops::RangeInclusive<u64>) {
    for n in places {
        append(buffer, vec![large_sample(n)]);
    }
}

#[test]
fn a_full_buffer_sheds_the_oldest_telemetry_and_announces_exactly_what_is_missing() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    append(&buffer, vec![piece(1)]);
    fill_with_telemetry(&buffer, 1..=60);
    let lanes = buffer.status().lanes;
    assert!(lanes.business.stored_bytes + lanes.telemetry.stored_bytes <= penstock_buffer::MIN_MAX_BYTES);
    let retained = read_all(&buffer, Lane::Telemetry, Sequence(1));
    let first_retained = retained.first().expect("the youngest stay").0.0;
    assert!(first_retained > 1, "nothing was shed");
    assert!(retained.iter().all(|(place, event)| *event == large_sample(place.0)));

    let mut next = 1;
    for (first, last, lost) in gaps(&buffer) {
        assert_eq!((first, lost), (next, last - first + 1), "gaps join, and count what they cover");
        next = last + 1;
    }
    assert_eq!(next, first_retained, "what is announced and what is retained join");
    assert_eq!(buffer.status().shed_events, first_retained - 1);
    assert_eq!(read_all(&buffer, Lane::Business, Sequence(1))[0].1, piece(1), "business events stay");
}

#[test]
fn what_is_counted_is_what_the_logs_take_also_of_many_small_commits() {
    let disk = Disk::new();
    let mut options = disk.options();
    options.group.max_delay = Duration::ZERO;
    let buffer = Buffer::open(options).expect("it opens");
    for n in 1..=300 {
        append(&buffer, vec![piece(n)]);
    }
    let counted = buffer.status().lanes.business.stored_bytes;
    buffer.close().expect("a disk that works");
    let log = fs::metadata(disk.path().join("business/00000001/log")).expect("the log").len();
    assert!((log..2 * log).contains(&counted), "counted {counted} bytes, and the log has {log}");
}

#[test]
fn a_crash_between_the_gap_and_the_deletion_sheds_once_and_announces_once() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    let mut before = disk.copy();
    for n in 1.. {
        append(&buffer, vec![large_sample(n)]);
        if buffer.status().shed_events > 0 {
            break;
        }
        before = disk.copy();
    }
    // The gap is durable in the business lane; manifest and telemetry are as they were before it.
    let between = disk.copy();
    for lost in ["manifest", "telemetry"] {
        between.replace(lost, &before);
    }
    let recovered = Buffer::open(tiny(between.options())).expect("it opens");
    let announced = gaps(&recovered);
    assert_eq!(announced, gaps(&buffer));
    let retained = read_all(&recovered, Lane::Telemetry, Sequence(1));
    assert_eq!(retained.first().map(|(place, _)| place.0), announced.last().map(|(_, last, _)| last + 1));
    assert_eq!(retained.last().map(|(place, _)| place.next()), Some(buffer.heads().borrow().telemetry));
}

#[test]
fn a_gap_covers_only_what_the_slowest_destination_lacked() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(options(&disk.path(), &["erp", "mes"]))).expect("it opens");
    // A whole generation and a half, of which one destination has all and the other has five.
    append(&buffer, (1..=8).map(large_sample).collect());
    buffer.ack(&destination("erp"), Lane::Telemetry, Sequence(8)).expect("it is durable");
    buffer.ack(&destination("mes"), Lane::Telemetry, Sequence(5)).expect("it is durable");
    fill_with_telemetry(&buffer, 9..=30);
    let (first, last, lost) = gaps(&buffer)[0];
    assert_eq!(first, 6);
    assert_eq!(lost, last - first + 1);
}

#[test]
fn delivered_generations_give_their_disk_back() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    append(&buffer, (1..=10).map(large_sample).collect());
    append(&buffer, vec![large_sample(11)]);
    let folders = || std::fs::read_dir(disk.path().join("telemetry")).expect("a directory").count();
    assert_eq!(folders(), 2);
    buffer.ack(&destination("erp"), Lane::Telemetry, Sequence(9)).expect("it is durable");
    buffer.ack(&destination("erp"), Lane::Telemetry, Sequence(10)).expect("it is durable");
    eventually("the first generation's directory is gone", || folders() == 1);
    assert_eq!(buffer.status().lanes.telemetry.first_retained, Sequence(11));
    assert_eq!(read_all(&buffer, Lane::Telemetry, Sequence(1)), [(Sequence(11), large_sample(11))]);
}

/// Appends business events until there is no room. The last place that is durable by then; the append that was under way
/// when that was known, which may be durable yet; and one that waits.
fn fill(buffer: &Buffer) -> (Sequence, Ticket, Ticket) {
    let queue = || wait(buffer.enqueue(vec![large_business(1)], Vec::new())).expect("it is open");
    let mut durable = Sequence::ZERO;
    while durable < Sequence(100) {
        let mut ticket = queue();
        let answer = loop {
            match poll_once(&mut ticket) {
                Poll::Pending if buffer.status().condition == Condition::Accepting => thread::yield_now(),
                answer => break answer,
            }
        };
        let Poll::Ready(appended) = answer else { return (durable, ticket, queue()) };
        durable = appended.expect("a disk that works").business.expect("it is one").last;
    }
    panic!("the buffer never filled");
}

#[test]
fn a_buffer_full_of_business_events_makes_appends_wait_until_they_are_delivered() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    let (durable, last, mut waiting) = fill(&buffer);
    assert_eq!(poll_once(&mut waiting), Poll::Pending);
    assert_eq!(buffer.status().condition, Condition::Full);
    let places = read_all(&buffer, Lane::Business, Sequence(1)).into_iter().map(|(place, _)| place.0);
    assert!(places.take_while(|place| *place <= durable.0).eq(1..=durable.0), "nothing was given up");

    buffer.ack(&destination("erp"), Lane::Business, durable).expect("it is durable");
    let place =
        |ticket: Ticket| wait(ticket).expect("a disk that works").business.expect("a business event").first;
    assert_eq!(place(last), durable.next());
    assert_eq!(place(waiting), durable.next().next());
    eventually("it accepts again", || buffer.status().condition == Condition::Accepting);
}

#[test]
fn a_full_buffer_closes_and_refuses_what_waits() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    let (durable, last, waiting) = fill(&buffer);
    buffer.close().expect("a disk that works");
    let head = wait(last).map_or(durable, |appended| appended.business.expect("it is one").last);
    assert_eq!(wait(waiting), Err(penstock_buffer::AppendError::Closed));
    assert_eq!(disk.open().heads().borrow().business, head);
}

#[test]
fn without_destinations_nothing_is_held_back() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(options(&disk.path(), &[]))).expect("it opens");
    for n in 1..=40 {
        append(&buffer, vec![large_business(n), large_sample(n)]);
    }
    assert!(gaps(&buffer).is_empty());
    assert_eq!(buffer.status().condition, Condition::Accepting);
}
