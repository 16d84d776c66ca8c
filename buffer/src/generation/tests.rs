//! A generation's blocks are found wherever they are on their way.

use penstock_events::{Event, Fact, Lane, Quality, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::block::Packer;

const LANE: Lane = Lane::Telemetry;

/// The block of the one event at a place.
fn block(place: u64) -> Vec<u8> {
    let event = Event {
        asset: "stamping/press-1".parse().expect("a path"),
        time: Timestamp::EPOCH,
        observed: Timestamp::EPOCH,
        quality: Quality::Good,
        fact: Fact::GatewayStarted { version: place.to_string().into() },
    };
    let mut blocks = Vec::new();
    Packer::new().expect("memory").pack(&[&event], &mut blocks).expect("an event that can be packed");
    blocks[0].stamp(Sequence(place))
}

fn entries(place: u64) -> Entries {
    Entries::from(Writes { blocks: vec![(Sequence(place), block(place))], ..Writes::default() })
}

fn record(place: u64) -> Record {
    let mut record = Record { order: place, ..Record::default() };
    record.entries[LANE] = entries(place);
    record
}

fn made() -> (TempDir, Database) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let database = Database::create(&directory.path().join("1")).expect("a disk that works");
    (directory, database)
}

/// Each of these and no other is found from before it, and at its place and beyond.
fn check(database: &Database, places: &[u64]) {
    let last = places.last().copied().unwrap_or_default();
    for place in 1..=last + 2 {
        let after = places.iter().copied().find(|&there| there >= place);
        let found = database.stored_block_from(Sequence(place)).expect("a database that works");
        assert_eq!(found.map(|stored| stored.bytes), after.map(block), "from {place}");
        let before = places.iter().copied().rfind(|&there| there <= place);
        let found = database.stored_block_with(Sequence(place)).ok();
        assert_eq!(found.map(|stored| stored.bytes), before.map(block), "with {place}");
    }
}

#[test]
fn a_block_is_found_before_it_goes_into_the_log_meanwhile_and_after() {
    let (_directory, database) = made();
    check(&database, &[]);
    database.add(LANE, &record(2)).expect("memory");
    check(&database, &[2]);
    database.checkpoint().expect("a disk that works");
    check(&database, &[2]);
    for place in [3, 5] {
        database.add(LANE, &record(place)).expect("memory");
    }
    check(&database, &[2, 3, 5]);
    let leaving = lock(&database.unlogged).leave();
    check(&database, &[2, 3, 5]);
    for place in [6, 9] {
        database.add(LANE, &record(place)).expect("memory");
    }
    check(&database, &[2, 3, 5, 6, 9]);
    let base = log::append(&database.directory, &leaving.records).expect("a disk that works");
    database.apply(&leaving.indexed(base)).expect("a database that works");
    check(&database, &[2, 3, 5, 6, 9]);
    lock(&database.unlogged).left();
    check(&database, &[2, 3, 5, 6, 9]);
    database.checkpoint().expect("a disk that works");
    check(&database, &[2, 3, 5, 6, 9]);
}

#[test]
fn a_database_that_lacks_the_end_of_its_log_is_given_it_again() {
    let (directory, database) = made();
    for place in 1..=3 {
        database.add(LANE, &record(place)).expect("memory");
        database.checkpoint().expect("a disk that works");
    }
    drop(database);
    let path = directory.path().join("1");
    std::fs::remove_file(path.join("db")).expect("sled's file");
    let database = Database::open(&path).expect("an empty one");
    check(&database, &[]);
    let (mut extent, mut state) = (Extent::before(Sequence(1)), State::new());
    for record in Log::open(&path).expect("readable").expect("it is there").records() {
        let (place, record) = record.expect("no newer format");
        database.redo((place, LANE, &record), &mut extent, &mut state).expect("a database that works");
    }
    check(&database, &[1, 2, 3]);
    assert_eq!(extent, database.extent(Sequence(1), Sequence(9)).expect("whole"), "it says what is there");
}

#[test]
fn blocks_that_an_older_version_kept_in_the_database_are_found_beside_places() {
    let (_directory, database) = made();
    for place in [1, 2] {
        database.apply(&entries(place)).expect("a database that works");
    }
    database.add(LANE, &record(3)).expect("memory");
    database.checkpoint().expect("a disk that works");
    check(&database, &[1, 2, 3]);
    assert_eq!(database.extent(Sequence(1), Sequence(9)).expect("whole").last, Sequence(3));
}

#[test]
fn a_place_is_written_as_its_golden_bytes_and_told_from_a_block() {
    let place = Place { offset: 0x0102_0304_0506_0708, bytes: 0x090a_0b0c };
    let golden = [8, 7, 6, 5, 4, 3, 2, 1, 12, 11, 10, 9];
    assert_eq!((place.to_bytes(), Place::read(&golden)), (golden, Some(place)));
    assert_eq!(Place::read(&block(1)), None);
}

#[test]
fn a_place_that_cannot_be_is_no_block() {
    let (_directory, database) = made();
    for (first, place) in
        [(1, Place { offset: 1 << 40, bytes: 100 }), (2, Place { offset: 0, bytes: u32::MAX })]
    {
        let mut entries = Entries::default();
        entries.push(&Key::Block(Sequence(first)).to_bytes(), &place.to_bytes());
        database.apply(&entries).expect("a database that works");
        let found = database.stored_block_with(Sequence(first));
        assert!(matches!(found, Err(Fault::Io(error)) if may_be_damage(&error)));
    }
}
