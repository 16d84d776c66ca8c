//! Ages and the disk: how long what is delivered stays, what is given up undelivered, and how that is announced.

use std::fs;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use penstock_buffer::{Buffer, Condition, Options, PerLane};
use penstock_events::{Event, Fact, GapReason, Lane, Sequence, Timestamp};

use crate::fixture::{
    Disk, append, destination, eventually, large_business, large_sample, piece, read_all, tiny,
};

const HOUR: Duration = Duration::from_secs(3600);
/// 2026-01-01: a clock that was set.
const START_MICROS: i64 = 1_767_225_600_000_000;

/// A clock of one test's own.
struct TestClock(AtomicI64);

impl TestClock {
    const fn new() -> Self {
        Self(AtomicI64::new(START_MICROS))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).expect("some hours");
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

/// The gaps that the business lane announces: stream, first, last, how many events are counted, why.
fn gaps(buffer: &Buffer) -> Vec<(String, u64, u64, u64, GapReason)> {
    let gap = |(_, event): (Sequence, Event)| match event.fact {
        Fact::Gap { stream, first, last, reason, lost } => {
            let lost = lost.iter().map(|(_, count)| count).sum();
            Some((stream.to_string(), first.0, last.0, lost, reason))
        }
        _ => None,
    };
    read_all(buffer, Lane::Business, Sequence(1)).into_iter().filter_map(gap).collect()
}

fn ack_all(buffer: &Buffer, lane: Lane) {
    let head = buffer.heads().borrow()[lane];
    buffer.ack(&destination("erp"), lane, head).expect("it is durable");
}

/// Appends until there are `generations` of telemetry.
fn fill_telemetry(buffer: &Buffer, generations: usize) {
    let mut n = buffer.heads().borrow().telemetry.0;
    while buffer.status().lanes.telemetry.generations < generations {
        n += 1;
        append(buffer, vec![large_sample(n)]);
    }
}

#[test]
fn what_is_delivered_can_be_read_until_its_time_of_retention_is_over() {
    static CLOCK: TestClock = TestClock::new();
    let disk = Disk::new();
    let options = Options { retain: HOUR, clock: || CLOCK.now(), ..tiny(disk.options()) };
    let buffer = Buffer::open(options.clone()).expect("it opens");
    fill_telemetry(&buffer, 3);
    ack_all(&buffer, Lane::Telemetry);
    CLOCK.advance(HOUR - Duration::from_secs(1));
    append(&buffer, vec![piece(1)]);
    buffer.close().expect("a disk that works");

    let buffer = Buffer::open(options).expect("it opens");
    append(&buffer, vec![piece(2)]);
    let head = buffer.heads().borrow().telemetry;
    assert_eq!(read_all(&buffer, Lane::Telemetry, Sequence(1)).len() as u64, head.0, "all of it is there");
    CLOCK.advance(Duration::from_secs(2));
    eventually("the complete generations go", || buffer.status().lanes.telemetry.generations == 1);
    assert!(gaps(&buffer).is_empty(), "nothing is lost");
}

#[test]
fn what_is_retained_gives_way_to_what_is_to_be_delivered() {
    static CLOCK: TestClock = TestClock::new();
    let disk = Disk::new();
    let options = Options { retain: 1_000 * HOUR, clock: || CLOCK.now(), ..tiny(disk.options()) };
    let buffer = Buffer::open(options).expect("it opens");
    for n in 1..=60 {
        append(&buffer, vec![large_business(n), large_sample(n)]);
        assert_eq!(buffer.status().condition, Condition::Accepting, "nobody waits for what is delivered");
        ack_all(&buffer, Lane::Business);
        if n < 40 {
            ack_all(&buffer, Lane::Telemetry);
        }
        let lanes = buffer.status().lanes;
        assert!(lanes.business.stored_bytes + lanes.telemetry.stored_bytes <= penstock_buffer::MIN_MAX_BYTES);
    }
    assert!(buffer.status().lanes.telemetry.generations > 1, "what there is room for stays");
    let undelivered: Vec<u64> =
        read_all(&buffer, Lane::Telemetry, Sequence(40)).into_iter().map(|(place, _)| place.0).collect();
    let first = undelivered[0];
    assert_eq!(undelivered, (first..=60).collect::<Vec<_>>());
    assert_eq!(buffer.status().shed_events, first - 40, "only what nobody has counts as lost");
}

#[test]
fn undelivered_telemetry_expires_and_is_announced_while_business_stays() {
    static CLOCK: TestClock = TestClock::new();
    let disk = Disk::new();
    let max_age = PerLane { telemetry: Some(HOUR), business: None };
    let options = Options { max_age, clock: || CLOCK.now(), ..tiny(disk.options()) };
    let buffer = Buffer::open(options).expect("it opens");
    append(&buffer, vec![piece(1)]);
    append(&buffer, (1..=5).map(large_sample).collect());
    buffer.ack(&destination("erp"), Lane::Telemetry, Sequence(2)).expect("it is durable");
    // What comes slowly expires as well: its generation is ended when it is an eighth as old.
    CLOCK.advance(HOUR / 8);
    eventually("another generation", || buffer.status().lanes.telemetry.generations == 2);
    append(&buffer, vec![large_sample(6)]);
    CLOCK.advance(HOUR);
    eventually("the old ones go", || buffer.status().lanes.telemetry.first_retained > Sequence(5));
    let stream = buffer.stream(Lane::Telemetry).to_string();
    assert_eq!(gaps(&buffer)[0], (stream, 3, 5, 3, GapReason::Expired));
    assert_eq!(read_all(&buffer, Lane::Business, Sequence(1))[0].1, piece(1));
    assert!(buffer.status().shed_events >= 3);
}

#[test]
fn business_events_expire_only_where_that_is_configured_and_are_announced_once() {
    static CLOCK: TestClock = TestClock::new();
    let disk = Disk::new();
    let max_age = PerLane { telemetry: None, business: Some(HOUR) };
    let options = |disk: &Disk| Options { max_age, clock: || CLOCK.now(), ..tiny(disk.options()) };
    let buffer = Buffer::open(options(&disk)).expect("it opens");
    append(&buffer, (1..=3).map(piece).collect());
    CLOCK.advance(HOUR / 8);
    eventually("another generation", || buffer.status().lanes.business.generations == 2);
    let before = disk.copy();
    CLOCK.advance(HOUR);
    eventually("the old ones go", || buffer.status().lanes.business.first_retained > Sequence(3));
    let stream = buffer.stream(Lane::Business).to_string();
    let told = gaps(&buffer);
    assert_eq!(told, [(stream, 1, 3, 3, GapReason::Expired)]);

    // A crash after the gap and before the deletion: manifest and generations are as they were before.
    let between = disk.copy();
    between.replace("manifest", &before);
    fs::create_dir(between.path().join("business/00000001")).expect("it was deleted");
    between.replace("business/00000001", &before);
    let recovered = Buffer::open(options(&between)).expect("it opens");
    assert_eq!(gaps(&recovered), told);
    assert_eq!(recovered.status().lanes.business.first_retained, Sequence(4));
}

#[test]
fn a_disk_that_fills_takes_what_is_delivered_then_telemetry_and_never_business() {
    static FREE: AtomicU64 = AtomicU64::new(u64::MAX);
    let disk = Disk::new();
    let options = Options {
        retain: HOUR,
        min_free_bytes: 1_000,
        free_bytes: |_| Ok(FREE.load(Ordering::Relaxed)),
        clock: || Timestamp::from_micros(START_MICROS),
        ..tiny(disk.options())
    };
    let buffer = Buffer::open(options).expect("it opens");
    append(&buffer, (1..=3).map(piece).collect());
    fill_telemetry(&buffer, 3);
    let delivered = Sequence(buffer.heads().borrow().telemetry.0 / 2);
    buffer.ack(&destination("erp"), Lane::Telemetry, delivered).expect("it is durable");
    let head = buffer.heads().borrow().telemetry;

    FREE.store(999, Ordering::Relaxed);
    eventually("all telemetry goes", || buffer.status().lanes.telemetry.stored_bytes == 0);
    FREE.store(1_000, Ordering::Relaxed);
    let told = gaps(&buffer);
    assert!(told.iter().all(|(.., reason)| *reason == GapReason::DiskFull), "{told:?}");
    let (first, last) = (told[0].1, told[told.len() - 1].2);
    assert_eq!((first, last), (delivered.0 + 1, head.0));
    assert_eq!(told.iter().map(|(.., lost, _)| lost).sum::<u64>(), head.0 - delivered.0);
    let business = read_all(&buffer, Lane::Business, Sequence(1));
    assert_eq!(business[2].1, piece(3));
    append(&buffer, vec![large_sample(1)]);
    assert_eq!(buffer.status().lanes.telemetry.first_retained, head.next(), "with room again it is kept");
}
