//! What is durable stays, with its state, and what is acknowledged stays acknowledged.

use penstock_buffer::{
    AckError, AppendError, Buffer, Condition, MAX_APPEND_EVENTS, MAX_EVENT_BYTES, Options, PerLane,
};
use penstock_events::normalizer::StateChange;
use penstock_events::{Fact, Lane, Sequence, Value};

use crate::fixture::{
    Disk, append, destination, eventually, large_sample, piece, read_all, sample, state, tiny, wait,
};

#[test]
fn an_append_that_returned_is_in_a_copy_of_the_disk() {
    let disk = Disk::new();
    let buffer = disk.open();
    for n in 1..=20 {
        append(&buffer, vec![piece(n), sample(n)]);
        let copy = disk.copy();
        let recovered = copy.open();
        assert_eq!(read_all(&recovered, Lane::Business, Sequence(1)).len() as u64, n);
        assert_eq!(
            read_all(&recovered, Lane::Telemetry, Sequence(1)).last(),
            Some(&(Sequence(n), sample(n)))
        );
    }
}

#[test]
fn an_append_that_is_too_long_for_the_journal_is_in_a_copy_of_the_disk_when_it_returned() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![large_sample(1)]);
    // Two megabytes that do not compress, and half the journal is one.
    let last = 1 + 2 * 1024 * 1024 / 8_000;
    append(&buffer, (2..=last).map(large_sample).collect());
    append(&buffer, vec![large_sample(last + 1)]);
    let recovered = disk.copy().open();
    let expected: Vec<_> = (1..=last + 1).map(|n| (Sequence(n), large_sample(n))).collect();
    assert!(read_all(&recovered, Lane::Telemetry, Sequence(1)) == expected);
}

#[test]
fn what_went_round_in_the_journal_is_in_a_copy_of_the_disk() {
    let disk = Disk::new();
    let buffer = disk.open();
    // Several times all of the journal, so that a start needs what was written over.
    let commits = 5 * 2 * 1024 * 1024 / 8_000 / 20;
    for n in 0..commits {
        append(&buffer, (20 * n + 1..=20 * n + 20).map(large_sample).collect());
    }
    let recovered = disk.copy().open();
    let found = read_all(&recovered, Lane::Telemetry, Sequence(1));
    assert!(found == (1..=20 * commits).map(|n| (Sequence(n), large_sample(n))).collect::<Vec<_>>());
}

#[test]
fn of_a_long_append_that_a_power_cut_tore_nothing_is_taken_for_what_came_to_its_places_later() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![sample(1)]);
    let torn = disk.copy();
    append(&buffer, (1_000..1_600).map(large_sample).collect());
    torn.replace("telemetry/00000001/log", &disk);
    let path = torn.path().join("telemetry/00000001/log");
    let mut log = std::fs::read(&path).expect("a file");
    // Its first page is not there, and with it what says that the rest is a commit.
    let from = log.windows(3).rposition(|at| at == b"PSJ").expect("its record");
    log[from..from + 4096].fill(0);
    std::fs::write(path, log).expect("a writable file");

    let expected: Vec<_> = (1..=20).map(|n| (Sequence(n), sample(n))).collect();
    let buffer = torn.open();
    for n in 2..=20 {
        append(&buffer, vec![sample(n)]);
    }
    assert_eq!(read_all(&buffer, Lane::Telemetry, Sequence(1)), expected);
    buffer.close().expect("a disk that works");
    let buffer = Buffer::open(Options { generation_bytes: 1_000, ..torn.options() }).expect("it opens");
    append(&buffer, vec![large_sample(21)]);
    append(&buffer, vec![sample(22)]);
    assert!(buffer.generations(Lane::Telemetry)[0].sealed, "what was torn is in a complete one");
    buffer.close().expect("a disk that works");
    let buffer = torn.open();
    assert_eq!(read_all(&buffer, Lane::Telemetry, Sequence(1))[..20], expected);
}

#[test]
fn a_closed_store_has_no_journal_and_one_that_an_older_version_left_gets_one() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1)]);
    assert!(disk.path().join("journal").exists());
    buffer.close().expect("a disk that works");
    assert!(!disk.path().join("journal").exists());
    let buffer = disk.open();
    assert_eq!(read_all(&buffer, Lane::Business, Sequence(1)), [(Sequence(1), piece(1))]);
    append(&buffer, vec![piece(2)]);
    assert_eq!(read_all(&disk.copy().open(), Lane::Business, Sequence(1)).len(), 2);
}

#[test]
fn state_is_committed_with_the_events_that_it_explains() {
    let disk = Disk::new();
    let buffer = disk.open();
    for n in 1..=10 {
        wait(buffer.append(vec![piece(n)], vec![state("press-1.good", n)])).expect("a disk that works");
        let recovered = disk.copy().open();
        assert_eq!(recovered.state()["press-1.good"], n.to_be_bytes());
        assert_eq!(recovered.heads().borrow().business, Sequence(n));
    }
}

#[test]
fn what_sled_left_unfinished_when_it_closed_does_not_hinder_a_start() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1)]);
    buffer.close().expect("a disk that works");
    let unfinished = disk.path().join("business/00000001/snap.00000000000000AA.generating");
    std::fs::write(unfinished, []).expect("a directory of ours");
    assert_eq!(read_all(&disk.open(), Lane::Business, Sequence(1)).len(), 1);
}

#[test]
fn state_alone_is_durable_too() {
    let disk = Disk::new();
    let buffer = disk.open();
    let appended = wait(buffer.append(Vec::new(), vec![state("a", 1)])).expect("a disk that works");
    assert_eq!(appended, PerLane::default());
    assert_eq!(disk.copy().open().state()["a"], 1_u64.to_be_bytes());
}

#[test]
fn state_survives_rolls_that_no_change_of_it_came_after() {
    let disk = Disk::new();
    let buffer = penstock_buffer::Buffer::open(tiny(disk.options())).expect("it opens");
    wait(buffer.append(vec![piece(1)], vec![state("old", 1), state("kept", 2)])).expect("a disk that works");
    wait(buffer.append(vec![piece(2)], vec![state("old", 3)])).expect("a disk that works");
    let mut n = 2;
    while buffer.status().lanes.business.generations < 3 {
        let more: Vec<_> = (n + 1..=n + 500).map(piece).collect();
        n += 500;
        append(&buffer, more);
    }
    buffer.ack(&destination("erp"), Lane::Business, Sequence(n)).expect("it is durable");
    eventually("the first generations are deleted", || buffer.status().lanes.business.generations == 1);
    drop(buffer);
    let reopened = disk.open();
    assert_eq!(reopened.state().len(), 2);
    assert_eq!(reopened.state()["old"], 3_u64.to_be_bytes());
    assert_eq!(reopened.state()["kept"], 2_u64.to_be_bytes());
}

#[test]
fn sequences_and_streams_go_on_after_a_restart() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1), sample(1), piece(2)]);
    let stream = buffer.stream(Lane::Business).clone();
    buffer.close().expect("a disk that works");
    let buffer = disk.open();
    let appended = append(&buffer, vec![piece(3)]).business.expect("one business event");
    assert_eq!((appended.first, appended.last), (Sequence(3), Sequence(3)));
    assert_eq!(*buffer.stream(Lane::Business), stream);
    assert_ne!(*buffer.stream(Lane::Telemetry), stream);
}

#[test]
fn a_store_that_is_made_anew_has_a_stream_of_its_own() {
    assert_ne!(Disk::new().open().stream(Lane::Business), Disk::new().open().stream(Lane::Business));
}

#[test]
fn an_acknowledgement_reaches_the_disk_without_a_close() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1), piece(2), piece(3)]);
    buffer.ack(&destination("erp"), Lane::Business, Sequence(2)).expect("it is durable");
    assert_eq!(buffer.cursor(&destination("erp"), Lane::Business), Some(Sequence(2)));
    eventually("the cursor is on disk", || {
        disk.copy().open().cursor(&destination("erp"), Lane::Business) == Some(Sequence(2))
    });
}

#[test]
fn closing_makes_the_last_acknowledgement_durable() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1)]);
    buffer.ack(&destination("erp"), Lane::Business, Sequence(1)).expect("it is durable");
    buffer.close().expect("a disk that works");
    assert_eq!(disk.open().cursor(&destination("erp"), Lane::Business), Some(Sequence(1)));
}

#[test]
fn acknowledgements_past_the_head_or_of_strangers_are_refused_and_older_ones_change_nothing() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1), piece(2)]);
    let erp = destination("erp");
    let past = buffer.ack(&erp, Lane::Business, Sequence(3));
    assert_eq!(
        past,
        Err(AckError::PastHead { lane: Lane::Business, through: Sequence(3), head: Sequence(2) })
    );
    let stranger = destination("stranger");
    let refused = buffer.ack(&stranger, Lane::Business, Sequence(1));
    assert_eq!(refused, Err(AckError::UnknownDestination(stranger)));
    buffer.ack(&erp, Lane::Business, Sequence(2)).expect("it is durable");
    buffer.ack(&erp, Lane::Business, Sequence(1)).expect("an old acknowledgement is no error");
    assert_eq!(buffer.cursor(&erp, Lane::Business), Some(Sequence(2)));
}

#[test]
fn what_cannot_be_stored_is_refused_whole() {
    let disk = Disk::new();
    let buffer = disk.open();
    let mut huge = sample(1);
    huge.fact = Fact::TelemetrySampled {
        tag: "press-1.text".parse().expect("a tag"),
        value: Some(Value::Text("x".repeat(MAX_EVENT_BYTES).into())),
        unit: None,
    };
    let refused = wait(buffer.append(vec![piece(1), huge], Vec::new()));
    assert!(matches!(refused, Err(AppendError::EventTooLarge { index: 1, .. })), "{refused:?}");
    let large = StateChange { key: "k".to_owned(), value: vec![0; MAX_EVENT_BYTES] };
    let refused = wait(buffer.append(vec![piece(1)], vec![large]));
    assert!(matches!(refused, Err(AppendError::StateTooLarge { .. })), "{refused:?}");
    let many = (1..).map(piece).take(MAX_APPEND_EVENTS + 1).collect();
    let refused = wait(buffer.append(many, Vec::new()));
    assert!(matches!(refused, Err(AppendError::TooManyEvents { .. })), "{refused:?}");
    assert_eq!(buffer.heads().borrow().business, Sequence::ZERO);
}

#[test]
fn a_disk_that_went_away_is_waited_for() {
    let disk = Disk::new();
    let buffer = penstock_buffer::Buffer::open(tiny(disk.options())).expect("it opens");
    append(&buffer, (1..=4).map(large_sample).collect());
    // The generation is due to be rolled, and there is no place for the next.
    let (here, elsewhere) = (disk.path().join("telemetry"), disk.path().join("elsewhere"));
    std::fs::rename(&here, &elsewhere).expect("a directory");
    let waiting = wait(buffer.enqueue(vec![sample(5)], Vec::new())).expect("it queues");
    eventually("it says so", || matches!(buffer.status().condition, Condition::Suspended(_)));
    let read = buffer.read(Lane::Telemetry, Sequence(1), 100).expect("it is open");
    assert_eq!(read.events.len(), 4, "what is durable can be read meanwhile");
    std::fs::rename(elsewhere, here).expect("a directory");
    let appended = wait(waiting).expect("the disk is back");
    assert_eq!(appended.telemetry.expect("its place").first, Sequence(5));
    eventually("it accepts", || buffer.status().condition == Condition::Accepting);
    assert_eq!(buffer.close(), Ok(()));
}
