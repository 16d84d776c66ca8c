//! Delivered events, selected, replayed and purged: what is found, what is kept for whom, what survives a restart.

use std::time::Duration;

use penstock_buffer::{
    Buffer, OpenError, Options, PerLane, Purge, Replay, ReplayError, ReplayOrder, ReplayState, Replayed,
    Selection, SequenceRange,
};
use penstock_events::{EventType, Lane, Sequence, Timestamp};

use crate::fixture::{Disk, append, destination, large_sample, piece, sample, set_version, tiny};

const NOW: Timestamp = Timestamp::from_micros(77);

fn keeping(disk: &Disk) -> Options {
    Options {
        retain: Duration::from_secs(3600),
        clock: || Timestamp::from_micros(1_800_000_000_000_000),
        ..tiny(disk.options())
    }
}

fn all(selection: Selection) -> ReplayOrder {
    ReplayOrder { destination: destination("erp"), selection, per_second: 100 }
}

/// Three sealed generations of telemetry and some pieces, all delivered.
fn delivered(options: Options) -> Buffer {
    let buffer = Buffer::open(options).expect("it opens");
    let mut n = 0;
    while buffer.generations(Lane::Telemetry).len() < 4 {
        n += 1;
        append(&buffer, vec![large_sample(n), piece(n)]);
    }
    ack_all(&buffer);
    buffer
}

fn ack_all(buffer: &Buffer) {
    for lane in Lane::ALL {
        let head = buffer.heads().borrow()[lane];
        buffer.ack(&destination("erp"), lane, head).expect("it is durable");
    }
}

/// Carries out a step of the replay in turn; the places that it delivers.
fn step(buffer: &Buffer, replay: &Replay) -> Vec<u64> {
    let (lane, found) =
        buffer.replay_next(replay).expect("a store that is whole").expect("something is left");
    let places: Vec<u64> = found.batch.events.iter().map(|(place, _)| place.0).collect();
    let (delivered, missed) = (places.len() as u64, found.missing);
    let step = Replayed { lane, next: found.next, delivered, refused: 0, last_refusal: None, missed };
    buffer.note_replayed(replay.id, step, NOW);
    places
}

/// Carries out what is left of `replay`; the places of each lane that it delivers.
fn carry_out(buffer: &Buffer, id: u32) -> (PerLane<Vec<u64>>, Replay) {
    let mut places = PerLane::<Vec<u64>>::default();
    loop {
        let replay = buffer.replays().into_iter().find(|replay| replay.id == id).expect("it is known");
        let Some((lane, _)) = replay.rest() else { return (places, replay) };
        places[lane].extend(step(buffer, &replay));
    }
}

#[test]
fn a_selection_finds_what_a_look_at_every_event_finds() {
    let disk = Disk::new();
    let buffer = delivered(keeping(&disk));
    append(&buffer, (1..=2_500).map(|n| sample(10_000 + n)).collect());
    let everything = buffer.retained(Lane::Telemetry).expect("it is not empty");
    let time = |n| Some(sample(n).time);
    let selections = [
        Selection::default(),
        Selection { since: time(5), until: time(9), ..Selection::default() },
        Selection { since: time(11_000), ..Selection::default() },
        Selection { until: time(3), ..Selection::default() },
        Selection { types: vec![EventType::MachineStateChanged], ..Selection::default() },
    ];
    for selection in selections {
        let mut found = Vec::new();
        let mut next = everything.first;
        while next <= everything.last {
            let places = SequenceRange { first: next, last: everything.last };
            let look = buffer.select(Lane::Telemetry, places, &selection).expect("a store that is whole");
            assert!(look.next > next && look.missing == 0, "{look:?}");
            found.extend(look.batch.events);
            next = look.next;
        }
        let mut expected = crate::fixture::read_all(&buffer, Lane::Telemetry, Sequence(1));
        expected.retain(|(_, event)| selection.takes(event));
        assert_eq!(found, expected, "{selection:?}");
    }
}

#[test]
fn a_replay_brings_every_delivered_event_once_and_goes_on_after_a_restart() {
    let disk = Disk::new();
    let buffer = delivered(keeping(&disk));
    let heads = *buffer.heads().borrow();
    append(&buffer, vec![sample(500), piece(500)]);

    let replay = buffer.order_replay(all(Selection::default()), NOW).expect("there is something");
    assert_eq!(replay.progress(), (0, heads.business.0 + heads.telemetry.0));
    let first = PerLane { business: step(&buffer, &replay), telemetry: Vec::new() };
    drop(buffer);

    let buffer = Buffer::open(keeping(&disk)).expect("it opens");
    let (rest, ended) = carry_out(&buffer, replay.id);
    for lane in Lane::ALL {
        let mut places = first[lane].clone();
        places.extend(&rest[lane]);
        // What was under way before the restart may come again, and nothing may be missing.
        places.sort_unstable();
        places.dedup();
        assert_eq!(
            places,
            (1..=heads[lane].0).collect::<Vec<_>>(),
            "what came after the order is not replayed"
        );
    }
    assert_eq!((ended.state, ended.ended, ended.missed), (ReplayState::Done, Some(NOW), 0));
    assert_eq!(buffer.replay_in_turn(&destination("erp")), None);
    drop(buffer);
    let buffer = Buffer::open(keeping(&disk)).expect("it opens");
    assert_eq!(buffer.replays(), [ended], "an end is durable");
    let next = buffer.order_replay(all(Selection::default()), NOW).expect("there is something");
    assert_eq!(next.id, replay.id + 1);
}

#[test]
fn age_and_purges_leave_what_a_replay_needs_until_it_has_it() {
    let disk = Disk::new();
    let buffer = delivered(keeping(&disk));
    let sealed = buffer.purgeable(&Purge::default());
    assert!(sealed.iter().filter(|one| one.lane == Lane::Telemetry).count() == 3);
    let second = sealed.iter().filter(|one| one.lane == Lane::Telemetry).nth(1).expect("three").places;
    let from = second.expect("it is not empty").first;
    let selection = Selection { lane: Some(Lane::Telemetry), from: Some(from), ..Selection::default() };
    let replay = buffer.order_replay(all(selection), NOW).expect("there is something");
    drop(buffer);

    // Nothing is retained for its own sake any more.
    let buffer = Buffer::open(Options { retain: Duration::ZERO, ..keeping(&disk) }).expect("it opens");
    buffer.purge(&Purge::default()).expect("a disk that works");
    assert_eq!(buffer.retained(Lane::Telemetry).expect("it is not empty").first, from);
    let (places, ended) = carry_out(&buffer, replay.id);
    assert_eq!(places.telemetry.first(), Some(&from.0));
    assert_eq!((ended.missed, ended.delivered), (0, places.telemetry.len() as u64));
    buffer.purge(&Purge::default()).expect("a disk that works");
    assert_eq!(buffer.generations(Lane::Telemetry).len(), 1, "the one that grows");
}

#[test]
fn what_went_for_want_of_room_is_counted_as_missed() {
    let disk = Disk::new();
    let buffer = delivered(keeping(&disk));
    let replay = buffer.order_replay(all(Selection::default()), NOW).expect("there is something");
    let mut n = 1_000;
    while buffer.retained(Lane::Telemetry).expect("it is not empty").first == Sequence(1) {
        n += 1;
        append(&buffer, vec![large_sample(n)]);
        ack_all(&buffer);
    }
    let gone = buffer.retained(Lane::Telemetry).expect("it is not empty").first.0 - 1;
    let (places, ended) = carry_out(&buffer, replay.id);
    assert_eq!(ended.missed, gone);
    let (done, wanted) = ended.progress();
    assert_eq!(done, wanted);
    assert_eq!(wanted - gone, (places.business.len() + places.telemetry.len()) as u64);
}

#[test]
fn a_purge_takes_what_was_delivered_and_sealed_and_nothing_else() {
    let disk = Disk::new();
    let buffer = delivered(keeping(&disk));
    let pieces = buffer.generations(Lane::Business);
    let telemetry = Purge { lane: Some(Lane::Telemetry), ..Purge::default() };
    let going = buffer.purgeable(&telemetry);
    assert_eq!(buffer.generations(Lane::Telemetry)[..3], going, "a look deletes nothing");
    let oldest = Purge { to: going[0].places.map(|places| places.last), ..telemetry };
    assert_eq!(buffer.purge(&oldest).expect("a disk that works"), going[..1]);
    assert_eq!(buffer.generations(Lane::Telemetry).len(), 3);
    assert_eq!(buffer.generations(Lane::Business), pieces);

    let disk = Disk::new();
    let undelivered = Buffer::open(keeping(&disk)).expect("it opens");
    let mut n = 0;
    while undelivered.generations(Lane::Telemetry).len() < 2 {
        n += 1;
        append(&undelivered, vec![large_sample(n)]);
    }
    assert_eq!(undelivered.purge(&Purge::default()).expect("a disk that works"), []);
    assert_eq!(undelivered.generations(Lane::Telemetry).len(), 2);
}

#[test]
fn orders_that_cannot_be_carried_out_are_refused_and_a_cancelled_one_stops() {
    let disk = Disk::new();
    let buffer = delivered(keeping(&disk));
    let stranger = ReplayOrder { destination: destination("mes"), ..all(Selection::default()) };
    let refused = buffer.order_replay(stranger, NOW).expect_err("it is not configured");
    assert!(matches!(&refused, ReplayError::UnknownDestination { known, .. } if known == "erp"), "{refused}");
    let late =
        Selection { lane: Some(Lane::Business), from: Some(Sequence(1_000_000)), ..Selection::default() };
    assert!(matches!(buffer.order_replay(all(late), NOW), Err(ReplayError::Nothing(_))));

    let replay = buffer.order_replay(all(Selection::default()), NOW).expect("there is something");
    let cancelled = buffer.cancel_replay(replay.id, NOW).expect("it is under way");
    assert_eq!(cancelled.state, ReplayState::Cancelled);
    let late = Replayed {
        lane: Lane::Business,
        next: Sequence(5),
        delivered: 4,
        refused: 0,
        last_refusal: None,
        missed: 0,
    };
    assert!(!buffer.note_replayed(replay.id, late, NOW), "it does not go on");
    assert_eq!(buffer.replays(), [cancelled]);
    assert!(matches!(buffer.cancel_replay(replay.id, NOW), Err(ReplayError::Ended(1))));
    assert!(matches!(buffer.cancel_replay(9, NOW), Err(ReplayError::Unknown(9))));
    for _ in 0..32 {
        buffer.order_replay(all(Selection::default()), NOW).expect("there is room");
    }
    assert!(matches!(buffer.order_replay(all(Selection::default()), NOW), Err(ReplayError::TooMany)));
}

#[test]
fn a_replay_that_cannot_be_read_is_set_aside_and_the_store_opens() {
    let disk = Disk::new();
    let buffer = delivered(keeping(&disk));
    buffer.order_replay(all(Selection::default()), NOW).expect("there is something");
    drop(buffer);
    let folder = disk.path().join("replay");
    let file = folder.join("0000000001");
    let mut bytes = std::fs::read(&file).expect("it is there");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("a disk that works");
    let buffer = Buffer::open(keeping(&disk)).expect("it opens");
    assert_eq!(buffer.replays(), []);
    assert!(folder.join("0000000001.damaged").exists() && !file.exists());
    let damaged = buffer.verify_files().damaged;
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    assert_eq!(damaged[0].file, "replay/0000000001.damaged");
    let next = buffer.order_replay(all(Selection::default()), NOW).expect("there is something");
    assert_eq!(next.id, 2, "its number is not used again");
}

#[test]
fn a_replay_of_a_newer_version_refuses_the_start_and_stays() {
    let disk = Disk::new();
    let buffer = delivered(keeping(&disk));
    buffer.order_replay(all(Selection::default()), NOW).expect("there is something");
    drop(buffer);
    let file = disk.path().join("replay/0000000001");
    set_version(&file, 2);
    let refused = Buffer::open(keeping(&disk)).err().expect("it is newer");
    assert!(matches!(refused, OpenError::NewerFormat { found: 2, supported: 1, .. }), "{refused}");
    assert!(file.exists(), "whoever wrote it can still carry it out");
}
