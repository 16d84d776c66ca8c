//! Destinations come, go and come back, and no change of the configuration wipes what one has yet to get.

use penstock_buffer::{Buffer, GroupCommit, Options, PerLane, StartAt};
use penstock_events::{Event, Lane, Sequence};

use crate::fixture::{
    Disk, append, destination, large_business, large_sample, options, piece, read_all, sample, tiny,
};

#[test]
fn a_new_destination_starts_at_the_head_and_stays_there_over_a_crash() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1), piece(2)]);
    buffer.close().expect("a disk that works");
    let buffer = Buffer::open(options(&disk.path(), &["erp", "mes"])).expect("it opens");
    append(&buffer, vec![piece(3)]);
    let crashed = disk.copy();
    let reopened = Buffer::open(options(&crashed.path(), &["erp", "mes"])).expect("it opens");
    assert_eq!(reopened.cursor(&destination("mes"), Lane::Business), Some(Sequence(2)));
    assert_eq!(reopened.cursor(&destination("erp"), Lane::Business), Some(Sequence::ZERO));
    assert_eq!(reopened.status().destinations[&destination("mes")].business.backlog, 1);
}

#[test]
fn a_destination_that_is_no_longer_configured_keeps_nobody_waiting_and_finds_what_there_was_room_for() {
    let disk = Disk::new();
    let both = || tiny(options(&disk.path(), &["erp", "mes"]));
    let buffer = Buffer::open(both()).expect("it opens");
    append(&buffer, vec![large_sample(1)]);
    buffer.ack(&destination("mes"), Lane::Telemetry, Sequence(1)).expect("it is durable");
    buffer.close().expect("a disk that works");

    let buffer = Buffer::open(tiny(options(&disk.path(), &["erp"]))).expect("it opens");
    for n in 2..=40 {
        append(&buffer, vec![large_sample(n), large_business(n)]);
        for lane in Lane::ALL {
            let head = buffer.heads().borrow()[lane];
            buffer.ack(&destination("erp"), lane, head).expect("it is durable");
        }
    }
    let lanes = buffer.status().lanes;
    let bytes = lanes.business.stored_bytes + lanes.telemetry.stored_bytes;
    assert!(bytes <= penstock_buffer::MIN_MAX_BYTES);
    assert!(bytes > penstock_buffer::MIN_MAX_BYTES / 2, "what there is room for stays, delivered or not");
    assert_eq!(buffer.cursor(&destination("mes"), Lane::Telemetry), None);
    assert_eq!(buffer.status().shed_events, 0, "the configured destination lacks nothing");
    let retained = read_all(&buffer, Lane::Business, Sequence(1));
    buffer.close().expect("a disk that works");

    let buffer = Buffer::open(both()).expect("it opens");
    assert_eq!(buffer.cursor(&destination("mes"), Lane::Telemetry), Some(Sequence(1)));
    assert_eq!(read_all(&buffer, Lane::Business, Sequence(1)), retained);
}

fn starting(disk: &Disk, start: StartAt) -> Options {
    let mut options = options(&disk.path(), &["erp", "mes"]);
    options.start.insert(destination("mes"), start);
    options
}

#[test]
fn a_new_destination_starts_where_it_is_told_to_and_only_once() {
    for (start, expected) in [(StartAt::Newest, 3), (StartAt::Oldest, 0)] {
        let disk = Disk::new();
        let buffer = disk.open();
        append(&buffer, vec![piece(1), piece(2), piece(3)]);
        buffer.close().expect("a disk that works");
        let buffer = Buffer::open(starting(&disk, start)).expect("it opens");
        let mes = destination("mes");
        assert_eq!(buffer.cursor(&mes, Lane::Business), Some(Sequence(expected)), "{start:?}");
        append(&buffer, vec![piece(4)]);
        buffer.ack(&mes, Lane::Business, Sequence(4)).expect("it is durable");
        buffer.close().expect("a disk that works");
        let buffer = Buffer::open(starting(&disk, start)).expect("it opens");
        assert_eq!(buffer.cursor(&mes, Lane::Business), Some(Sequence(4)), "{start:?}: it is known by now");
    }
}

#[test]
fn a_destination_that_starts_with_the_oldest_gets_what_is_retained_and_not_what_is_gone() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    for n in 1..=6 {
        append(&buffer, (0..4).map(|k| large_sample(4 * n + k)).collect());
    }
    buffer.ack(&destination("erp"), Lane::Telemetry, Sequence(10)).expect("it is durable");
    buffer.close().expect("a disk that works");
    let buffer = Buffer::open(tiny(starting(&disk, StartAt::Oldest))).expect("it opens");
    let first = buffer.status().lanes.telemetry.first_retained;
    assert!(first > Sequence(1), "nothing was deleted");
    assert_eq!(buffer.cursor(&destination("mes"), Lane::Telemetry), Some(first.before()));
    let lacking = buffer.status().destinations[&destination("mes")].telemetry.backlog;
    assert_eq!(lacking, read_all(&buffer, Lane::Telemetry, Sequence(1)).len() as u64);
}

/// What both destinations have yet to get of a lane.
fn backlog(buffer: &Buffer, lane: Lane) -> Vec<(Sequence, Event)> {
    read_all(buffer, lane, buffer.cursor(&destination("erp"), lane).expect("it is configured").next())
}

#[test]
fn no_change_of_the_configuration_wipes_a_backlog() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    // More than one generation of each lane, so that some could be deleted.
    for n in 1..=3 {
        let business = (3 * n..3 * n + 3).map(large_business);
        append(
            &buffer,
            business.chain((1..=100).map(sample)).chain((3 * n..3 * n + 2).map(large_sample)).collect(),
        );
    }
    buffer.ack(&destination("erp"), Lane::Telemetry, Sequence(120)).expect("it is durable");
    let expected = PerLane::from_fn(|lane| backlog(&buffer, lane));
    buffer.close().expect("a disk that works");

    let same = || disk.options();
    let changes: Vec<(&str, Options)> = vec![
        ("a smaller buffer", Options { max_bytes: 200_000, ..same() }),
        ("the smallest buffer", tiny(same())),
        ("smaller generations", Options { generation_bytes: 1_000, ..same() }),
        ("no dead letters", Options { dead_letters: 0, ..same() }),
        (
            "other groups",
            Options { group: GroupCommit { max_events: 1, ..GroupCommit::default() }, ..same() },
        ),
        ("another gateway", Options { gateway: "edge-02".parse().expect("a name"), ..same() }),
        ("one more destination", options(&disk.path(), &["erp", "mes"])),
        ("another destination instead", options(&disk.path(), &["erp2"])),
        ("no destination", options(&disk.path(), &[])),
        ("as it was", same()),
    ];
    for (what, changed) in changes {
        let is_configured = changed.destinations.contains(&destination("erp"));
        let buffer = Buffer::open(changed).unwrap_or_else(|error| panic!("{what}: {error}"));
        for lane in Lane::ALL {
            let found = if is_configured {
                backlog(&buffer, lane)
            } else {
                read_all(&buffer, lane, expected[lane][0].0)
            };
            assert!(found == expected[lane], "{what}: the {lane} lane has {} events", found.len());
        }
        buffer.close().expect("a disk that works");
    }
}
