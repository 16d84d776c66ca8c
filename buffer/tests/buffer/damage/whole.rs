//! A store with something of everything, closed or left by a crash, of which damaged copies are judged.

use std::collections::{BTreeMap, BTreeSet};

use penstock_buffer::{
    Buffer, DeadLetterFilter, DeadLetterId, GenerationInfo, Options, PerLane, Refusal, Refused,
};
use penstock_events::{Event, Fact, GapReason, Lane, Sequence, Timestamp};

use crate::fixture::{
    Disk, append, destination, large_business, large_sample, options, piece, read_all, sample, state, tiny,
    wait,
};

pub(super) const DESTINATIONS: [&str; 2] = ["erp", "mes"];
/// How many times the normalizer's state changes.
const STATES: u64 = 4;

fn store(disk: &Disk) -> Options {
    tiny(options(&disk.path(), &DESTINATIONS))
}

pub(super) fn open(disk: &Disk) -> Buffer {
    Buffer::open(store(disk)).expect("damage never refuses the start")
}

/// A store with several generations in both lanes, of which one destination has a part, with dead letters, closed.
pub(super) struct Whole {
    pub(super) disk: Disk,
    pub(super) events: PerLane<BTreeMap<Sequence, Event>>,
    pub(super) cursors: PerLane<Sequence>,
    letters: BTreeSet<DeadLetterId>,
    /// Those that hold something.
    pub(super) generations: Vec<GenerationInfo>,
}

impl Whole {
    pub(super) fn make() -> Self {
        let (whole, buffer) = Self::open();
        buffer.close().expect("a disk that works");
        whole
    }

    /// The same as a crash leaves it: one commit more is in it, which is not expected to survive damage.
    pub(super) fn left_by_a_crash() -> Self {
        let (mut whole, buffer) = Self::open();
        append(&buffer, vec![piece(800), sample(8)]);
        whole.disk = whole.disk.copy();
        assert!(whole.disk.path().join("journal").exists());
        whole
    }

    fn open() -> (Self, Buffer) {
        let disk = Disk::new();
        let buffer = open(&disk);
        for n in 1..STATES {
            append_with_state(&buffer, n);
            append(&buffer, (0..4).map(|k| large_sample(10 * n + k)).collect());
            append(&buffer, (1..=120).map(|k| sample(1_000 * n + k)).collect());
            append(&buffer, vec![large_business(n), large_business(10 * n), piece(n)]);
        }
        let last = append_with_state(&buffer, STATES);
        let erp = destination("erp");
        buffer.ack(&erp, Lane::Telemetry, Sequence(30)).expect("it is durable");
        buffer.ack(&destination("mes"), Lane::Telemetry, Sequence(20)).expect("it is durable");
        let refused = |sequence, event| Refused {
            lane: Lane::Business,
            sequence: Sequence(sequence),
            event,
            refusal: Refusal {
                reason: "no".to_owned(),
                code: None,
                first: Timestamp::EPOCH,
                last: Timestamp::EPOCH,
                attempts: 1,
            },
        };
        buffer
            .bury(&erp, vec![refused(1, large_business(1)), refused(3, piece(1))])
            .expect("a disk that works");
        let events = PerLane::from_fn(|lane| read_all(&buffer, lane, Sequence(1)).into_iter().collect());
        let cursors = PerLane { business: Sequence::ZERO, telemetry: Sequence(20) };
        let letters = letters(&buffer);
        let listed = Lane::ALL.into_iter().flat_map(|lane| buffer.generations(lane));
        let generations: Vec<_> = listed.filter(|one| one.places.is_some()).collect();
        assert!(generations.len() > 4, "{generations:?}");
        assert_eq!(buffer.heads().borrow().business, last);
        (Self { disk, events, cursors, letters, generations }, buffer)
    }

    /// Opens a damaged copy, and says which undelivered places are lost. Everything else must be as it was.
    pub(super) fn lost_in(&self, damaged: &Disk) -> Vec<(Lane, Sequence)> {
        let buffer = open(damaged);
        let state = buffer.state().get("last").expect("at worst it is that of the commit before");
        assert!((1..=STATES).any(|n| state[..] == n.to_be_bytes()), "{state:?} never was the state");
        // Reading finds what is damaged; what comes after is read behind it.
        for lane in Lane::ALL {
            read_all(&buffer, lane, Sequence(1));
        }
        let found_letters = letters(&buffer);
        let places = append(&buffer, vec![piece(900), sample(7)]);
        let found: PerLane<BTreeMap<Sequence, Event>> =
            PerLane::from_fn(|lane| read_all(&buffer, lane, Sequence(1)).into_iter().collect());
        let announced = announced(&buffer, &found.business);
        let mut lost = Vec::new();
        for lane in Lane::ALL {
            let head = *self.events[lane].last_key_value().expect("there are events").0;
            assert!(
                places[lane].expect("one of each").first > head,
                "a place of the {lane} lane is used twice"
            );
            for (&place, event) in &self.events[lane] {
                let is_announced = announced.contains(&(lane, place));
                match found[lane].get(&place) {
                    Some(same) => {
                        assert_eq!(same, event, "{lane} event {place} is another one");
                        let letter = self.letters.iter().any(|id| (id.lane, id.sequence) == (lane, place));
                        assert!(
                            !is_announced || letter,
                            "{lane} event {place} is there, and said to be lost"
                        );
                    }
                    None if place <= self.cursors[lane] => {}
                    None => {
                        assert!(is_announced, "{lane} event {place} is gone without a word");
                        lost.push((lane, place));
                    }
                }
            }
            for name in DESTINATIONS {
                let cursor = buffer.cursor(&destination(name), lane).expect("it is configured");
                assert!(cursor < places[lane].expect("one of each").first, "a cursor is ahead");
            }
        }
        for id in self.letters.difference(&found_letters) {
            assert!(announced.contains(&(id.lane, id.sequence)), "dead letter {id} is gone without a word");
        }
        buffer.close().expect("a disk that works");

        let again = open(damaged);
        let announced_again =
            self::announced(&again, &read_all(&again, Lane::Business, Sequence(1)).into_iter().collect());
        assert_eq!(announced_again, announced, "opened again, it says the same");
        lost
    }

    /// Whether all of `lost` is in one generation.
    pub(super) fn is_in_one_generation(&self, lost: &[(Lane, Sequence)]) -> bool {
        let holds = |one: &GenerationInfo| {
            let places = one.places.expect("it holds something");
            lost.iter()
                .all(|&(lane, place)| lane == one.lane && (places.first..=places.last).contains(&place))
        };
        self.generations.iter().any(holds)
    }

    /// The undelivered places of a generation.
    pub(super) fn places_of(&self, lane: Lane, number: u32) -> Vec<(Lane, Sequence)> {
        let listed = self.generations.iter().find(|one| (one.lane, one.number) == (lane, number));
        let places = listed.and_then(|one| one.places).expect("there is such a one");
        let first = places.first.max(self.cursors[lane].next());
        (first.0..=places.last.0).map(|place| (lane, Sequence(place))).collect()
    }
}

fn append_with_state(buffer: &Buffer, n: u64) -> Sequence {
    let appended = wait(buffer.append(vec![piece(n)], vec![state("last", n)])).expect("a disk that works");
    appended.business.expect("a business event").last
}

fn letters(buffer: &Buffer) -> BTreeSet<DeadLetterId> {
    let page = buffer.dead_letters(&DeadLetterFilter::default(), None, 100).expect("a disk that works");
    page.letters.into_iter().map(|letter| letter.id).collect()
}

/// The places that were announced as damaged, each once.
pub(super) fn announced(buffer: &Buffer, business: &BTreeMap<Sequence, Event>) -> BTreeSet<(Lane, Sequence)> {
    let mut announced = BTreeSet::new();
    for event in business.values() {
        let Fact::Gap { stream, first, last, reason: GapReason::Damaged, .. } = &event.fact else { continue };
        let lane = Lane::ALL
            .into_iter()
            .find(|&lane| stream == buffer.stream(lane))
            .expect("a stream of this store");
        for place in first.0..=last.0.min(first.0 + 10_000) {
            assert!(announced.insert((lane, Sequence(place))), "{lane} event {place} is announced twice");
        }
    }
    announced
}
