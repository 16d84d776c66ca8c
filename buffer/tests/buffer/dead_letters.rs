//! Dead letters on a real disk: they survive, are bounded, and none is lost in silence.

use std::fs;

use penstock_buffer::{
    Buffer, DeadLetter, DeadLetterError, DeadLetterFilter, DeadLetterId, Options, Refusal, Refused,
};
use penstock_events::{Event, EventType, Fact, GapReason, Lane, Sequence, Timestamp};

use crate::fixture::{Disk, append, destination, options, piece, read_all, sample};

fn refusal(attempts: u32) -> Refusal {
    let time = Timestamp::from_micros(1_767_225_600_000_000);
    let reason = "payload format invalid".to_owned();
    Refusal { reason, code: Some(0x99), first: time, last: time, attempts }
}

fn refused(lane: Lane, sequence: u64, event: Event) -> Refused {
    Refused { lane, sequence: Sequence(sequence), event, refusal: refusal(1) }
}

fn bury(buffer: &Buffer, refused: Vec<Refused>) -> usize {
    buffer.bury(&destination("erp"), refused).expect("a disk that works")
}

fn pieces(places: std::ops::RangeInclusive<u64>) -> Vec<Refused> {
    places.map(|n| refused(Lane::Business, n, piece(n))).collect()
}

fn samples(places: std::ops::RangeInclusive<u64>) -> Vec<Refused> {
    places.map(|n| refused(Lane::Telemetry, n, sample(n))).collect()
}

fn id(text: &str) -> DeadLetterId {
    text.parse().expect("an id")
}

fn all(buffer: &Buffer) -> Vec<DeadLetter> {
    let page = buffer.dead_letters(&DeadLetterFilter::default(), None, 1_000).expect("a disk that works");
    assert_eq!(page.next, None);
    page.letters
}

fn shown(letters: &[DeadLetter]) -> Vec<String> {
    letters.iter().map(|letter| letter.id.to_string()).collect()
}

/// The gaps that the business lane announces: stream, first, last, how many events are counted, why.
fn gaps(buffer: &Buffer) -> Vec<(String, u64, u64, u64, GapReason)> {
    let gap = |(_, event): (Sequence, Event)| match event.fact {
        Fact::Gap { stream, first, last, reason, lost } => {
            let lost = lost.iter().map(|(_, count)| count).sum();
            Some((stream.as_str().to_owned(), first.0, last.0, lost, reason))
        }
        _ => None,
    };
    read_all(buffer, Lane::Business, Sequence(1)).into_iter().filter_map(gap).collect()
}

fn bounded(disk: &Disk, dead_letters: usize) -> Options {
    Options { dead_letters, ..disk.options() }
}

#[test]
fn a_dead_letter_outlives_a_power_cut_with_everything_that_is_known_of_it() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1), sample(1)]);
    assert_eq!(bury(&buffer, pieces(1..=1)), 1);
    assert_eq!(bury(&buffer, samples(1..=1)), 1);

    let copy = disk.copy();
    let after = copy.open();
    let letters = all(&after);
    assert_eq!(shown(&letters), ["erp/business/1", "erp/telemetry/1"]);
    assert_eq!(letters[0].event, piece(1));
    assert_eq!(letters[0].refusal, refusal(1));
    assert_eq!(letters[0].stream, *after.stream(Lane::Business));
    assert_eq!(after.dead_letter(&id("erp/telemetry/1")).expect("it is there").event, sample(1));
    let counts = after.dead_letter_counts();
    assert_eq!(counts[&destination("erp")].letters, 2);
}

#[test]
fn pages_join_and_filters_hold() {
    let disk = Disk::new();
    let buffer = Buffer::open(options(&disk.path(), &["erp", "mes"])).expect("it opens");
    bury(&buffer, pieces(1..=5));
    bury(&buffer, samples(1..=4));
    buffer.bury(&destination("mes"), pieces(7..=7)).expect("a disk that works");

    let mut collected = Vec::new();
    let mut after = None;
    loop {
        let page = buffer.dead_letters(&DeadLetterFilter::default(), after.as_ref(), 3).expect("a page");
        assert!(page.letters.len() <= 3);
        collected.extend(page.letters);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(collected, all(&buffer));
    assert_eq!(collected.len(), 10);

    let only =
        |filter: DeadLetterFilter| buffer.dead_letters(&filter, None, 100).expect("a page").letters.len();
    let by = DeadLetterFilter::default;
    assert_eq!(only(DeadLetterFilter { destination: Some(destination("mes")), ..by() }), 1);
    assert_eq!(only(DeadLetterFilter { lane: Some(Lane::Telemetry), ..by() }), 4);
    assert_eq!(only(DeadLetterFilter { kind: Some(EventType::ProductionCompleted), ..by() }), 6);
    assert_eq!(
        only(DeadLetterFilter { asset: Some("stamping/line-1".parse().expect("a path")), ..by() }),
        10
    );
    assert_eq!(only(DeadLetterFilter { asset: Some("stamping/line-2".parse().expect("a path")), ..by() }), 0);
}

#[test]
fn a_damaged_letter_is_set_aside_and_the_others_are_still_there() {
    let disk = Disk::new();
    let buffer = disk.open();
    bury(&buffer, pieces(1..=3));
    let file = disk.path().join("dead/erp/business-00000000000000000002");
    let mut bytes = fs::read(&file).expect("its file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("its file");

    assert_eq!(shown(&all(&buffer)), ["erp/business/1", "erp/business/3"]);
    assert!(!file.exists() && file.with_extension("damaged").exists());
    assert_eq!(buffer.dead_letter_counts()[&destination("erp")].damaged, 1);
    assert!(matches!(buffer.dead_letter(&id("erp/business/2")), Err(DeadLetterError::Unknown(_))));
    buffer.close().expect("a disk that works");
    let buffer = disk.open();
    let count = buffer.dead_letter_counts()[&destination("erp")];
    assert_eq!((count.letters, count.damaged), (2, 1));
}

#[test]
fn a_letter_under_another_ones_name_is_not_taken_for_it() {
    let disk = Disk::new();
    let buffer = disk.open();
    bury(&buffer, pieces(1..=2));
    let file = |n: u64| disk.path().join(format!("dead/erp/business-{n:020}"));
    fs::copy(file(1), file(2)).expect("its file");
    assert_eq!(shown(&all(&buffer)), ["erp/business/1"]);
}

#[test]
fn a_wish_to_retry_survives_and_ends_with_the_delivery_or_the_next_refusal() {
    let disk = Disk::new();
    let buffer = disk.open();
    bury(&buffer, pieces(1..=3));
    let errands = buffer.errands();
    let wanted = [id("erp/business/1"), id("erp/business/2"), id("erp/business/9")];
    assert_eq!(buffer.retry_dead_letters(&wanted).expect("a disk that works"), 2);
    assert!(errands.has_changed().expect("the buffer is open"));
    assert_eq!(buffer.retry_dead_letters(&wanted).expect("a disk that works"), 0, "once is enough");
    buffer.close().expect("a disk that works");

    let buffer = disk.open();
    let erp = destination("erp");
    let to_retry = buffer.dead_letters_to_retry(&erp, 10).expect("a disk that works");
    assert_eq!(shown(&to_retry), ["erp/business/1", "erp/business/2"]);
    assert!(to_retry.iter().all(|letter| letter.retry));
    assert_eq!(shown(&buffer.dead_letters_to_retry(&erp, 1).expect("a disk that works")), ["erp/business/1"]);

    buffer.settle_dead_letter(&id("erp/business/1")).expect("a disk that works");
    buffer.refuse_dead_letter(&id("erp/business/2"), refusal(1)).expect("a disk that works");
    assert!(buffer.dead_letters_to_retry(&erp, 10).expect("a disk that works").is_empty());
    let letters = all(&disk.copy().open());
    assert_eq!(shown(&letters), ["erp/business/2", "erp/business/3"]);
    assert_eq!(letters[0].refusal.attempts, 2);
    assert!(gaps(&buffer).is_empty(), "nothing is lost");
}

#[test]
fn a_letter_that_is_discarded_while_it_is_under_way_does_not_come_back() {
    let disk = Disk::new();
    let buffer = disk.open();
    bury(&buffer, pieces(1..=1));
    buffer.retry_dead_letters(&[id("erp/business/1")]).expect("a disk that works");
    buffer.discard_dead_letters(&[id("erp/business/1")]).expect("a disk that works");
    buffer.refuse_dead_letter(&id("erp/business/1"), refusal(1)).expect("a disk that works");
    assert!(all(&buffer).is_empty());
}

#[test]
fn letters_beyond_the_cursor_are_known_by_lane() {
    let disk = Disk::new();
    let buffer = disk.open();
    bury(&buffer, pieces(1..=4));
    bury(&buffer, samples(9..=9));
    let beyond = buffer.dead_letters_beyond(&destination("erp"), Lane::Business, Sequence(2));
    assert_eq!(beyond, [Sequence(3), Sequence(4)].into());
}

#[test]
fn what_an_operator_discards_is_announced_as_a_gap() {
    let disk = Disk::new();
    let buffer = disk.open();
    bury(&buffer, pieces(1..=4));
    let ids: Vec<_> = [1, 2, 4].map(|n| id(&format!("erp/business/{n}"))).into();
    assert_eq!(buffer.discard_dead_letters(&ids).expect("a disk that works"), 3);
    assert_eq!(shown(&all(&buffer)), ["erp/business/3"]);
    let stream = buffer.stream(Lane::Business).to_string();
    let told = [(stream.clone(), 1, 2, 2, GapReason::Discarded), (stream, 4, 4, 1, GapReason::Discarded)];
    assert_eq!(gaps(&disk.copy().open()), told);
    assert_eq!(buffer.discard_dead_letters(&ids).expect("nothing to do"), 0);
    assert_eq!(gaps(&buffer).len(), 2, "nothing is announced twice");
}

#[test]
fn a_full_box_gives_up_the_oldest_telemetry_and_says_so() {
    let disk = Disk::new();
    let buffer = Buffer::open(bounded(&disk, 4)).expect("it opens");
    bury(&buffer, samples(1..=3));
    bury(&buffer, pieces(1..=1));
    assert_eq!(bury(&buffer, pieces(2..=3)), 2);
    assert_eq!(
        shown(&all(&buffer)),
        ["erp/business/1", "erp/business/2", "erp/business/3", "erp/telemetry/3"]
    );
    let stream = buffer.stream(Lane::Telemetry).to_string();
    assert_eq!(gaps(&buffer), [(stream, 1, 2, 2, GapReason::DeadLettersFull)]);
}

#[test]
fn a_business_event_without_room_is_left_where_it_is() {
    let disk = Disk::new();
    let buffer = Buffer::open(bounded(&disk, 2)).expect("it opens");
    assert_eq!(bury(&buffer, pieces(1..=3)), 2);
    assert_eq!(bury(&buffer, pieces(3..=3)), 0);
    assert_eq!(shown(&all(&buffer)), ["erp/business/1", "erp/business/2"]);
    assert!(gaps(&buffer).is_empty());
    assert_eq!(bury(&buffer, samples(1..=1)), 1, "telemetry gives way");
    assert_eq!(gaps(&buffer).len(), 1);
    buffer.discard_dead_letters(&[id("erp/business/1")]).expect("a disk that works");
    assert_eq!(bury(&buffer, pieces(3..=3)), 1, "there is room again");
}

#[test]
fn what_a_crash_left_half_written_is_no_letter() {
    let disk = Disk::new();
    let buffer = disk.open();
    bury(&buffer, pieces(1..=1));
    let crashed = disk.copy();
    let folder = crashed.path().join("dead/erp");
    fs::write(folder.join("business-00000000000000000002.new"), b"PSDL").expect("a folder");
    fs::copy(
        folder.join("business-00000000000000000001"),
        folder.join("business-00000000000000000001.retry"),
    )
    .expect("a folder");
    let buffer = crashed.open();
    let letters = all(&buffer);
    assert_eq!(shown(&letters), ["erp/business/1"]);
    assert!(!letters[0].retry, "the refusal came after the wish");
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
}
