//! The buffer against a model: random appends, reads, acknowledgements, dead letters, replays and restarts, in a
//! buffer so small that it rolls, trims and sheds all the time.

use std::collections::BTreeMap;

use penstock_buffer::{
    Buffer, Condition, DeadLetterFilter, DeadLetterId, Options, PerLane, Refusal, Refused, ReplayOrder,
    Replayed, Selection,
};
use penstock_events::{Event, EventType, Fact, GapReason, Lane, Sequence, Timestamp};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;

use crate::fixture::{Disk, destination, large_sample, options, piece, read_all, sample, state, tiny, wait};

#[derive(Clone, Debug)]
enum Step {
    /// So many pieces, samples and large samples in one append.
    Append { pieces: u64, samples: u64, large: u64 },
    /// A destination acknowledges this share (of 255) of what it lacks.
    Ack { slow: bool, lane: Lane, share: u8 },
    /// A destination refuses the next events of a lane for good.
    Bury { slow: bool, lane: Lane, events: usize },
    /// An operator discards the first dead letters, or has them sent again, which succeeds.
    Decide { letters: usize, discard: bool },
    /// A destination gets everything again that it had and that is retained.
    Replay { slow: bool },
    /// Closes and opens.
    Reopen,
    /// Goes on with what a power cut would leave.
    Crash,
}

fn any_step() -> impl Strategy<Value = Step> {
    let lane = || prop_oneof![Just(Lane::Business), Just(Lane::Telemetry)];
    prop_oneof![
        6 => (0..40_u64, 0..300_u64, 0..4_u64)
            .prop_map(|(pieces, samples, large)| Step::Append { pieces, samples, large }),
        4 => (any::<bool>(), lane(), any::<u8>()).prop_map(|(slow, lane, share)| Step::Ack { slow, lane, share }),
        2 => (any::<bool>(), lane(), 1..5_usize)
            .prop_map(|(slow, lane, events)| Step::Bury { slow, lane, events }),
        1 => (1..4_usize, any::<bool>()).prop_map(|(letters, discard)| Step::Decide { letters, discard }),
        1 => any::<bool>().prop_map(|slow| Step::Replay { slow }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

/// What should be in the buffer.
struct Model {
    disk: Disk,
    buffer: Option<Buffer>,
    /// Everything ever appended, by place. Gaps are filled in as they are seen.
    appended: PerLane<BTreeMap<Sequence, Event>>,
    cursors: [PerLane<Sequence>; 2],
    letters: BTreeMap<DeadLetterId, Event>,
    state: u64,
    made: u64,
}

const DESTINATIONS: [&str; 2] = ["fast", "slow"];

impl Model {
    fn new() -> Self {
        let disk = Disk::new();
        let buffer = Some(open(&disk));
        Self {
            disk,
            buffer,
            appended: PerLane::default(),
            cursors: [PerLane::default(); 2],
            letters: BTreeMap::new(),
            state: 0,
            made: 0,
        }
    }

    fn buffer(&self) -> &Buffer {
        self.buffer.as_ref().expect("it is open between steps")
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Append { pieces, samples, large } => self.append(pieces, samples, large),
            Step::Ack { slow, lane, share } => self.ack(usize::from(slow), lane, share),
            Step::Bury { slow, lane, events } => self.bury(usize::from(slow), lane, events),
            Step::Decide { letters, discard } => self.decide(letters, discard),
            Step::Replay { slow } => self.replay(usize::from(slow)),
            Step::Reopen => {
                self.buffer.take().expect("open").close().expect("a disk that works");
                self.buffer = Some(open(&self.disk));
            }
            Step::Crash => {
                let copy = self.disk.copy();
                drop(self.buffer.take());
                self.disk = copy;
                self.buffer = Some(open(&self.disk));
                // What was acknowledged lately may have been in memory only.
                let buffer = self.buffer.as_ref().expect("open");
                for (cursor, name) in self.cursors.iter_mut().zip(DESTINATIONS) {
                    *cursor = PerLane::from_fn(|lane| {
                        let found = buffer.cursor(&destination(name), lane).expect("configured");
                        assert!(found <= cursor[lane], "a cursor went ahead");
                        found
                    });
                }
            }
        }
        self.check();
    }

    fn append(&mut self, pieces: u64, samples: u64, large: u64) {
        if self.buffer().status().condition != Condition::Accepting {
            return;
        }
        let mut events = Vec::new();
        let mut number = |make: fn(u64) -> Event| {
            self.made += 1;
            events.push(make(self.made));
        };
        (0..pieces).for_each(|_| number(piece));
        (0..samples).for_each(|_| number(sample));
        (0..large).for_each(|_| number(large_sample));
        let appended = wait(self.buffer().append(events.clone(), vec![state("step", self.state + 1)]));
        let appended = appended.expect("a disk that works");
        self.state += 1;
        for lane in Lane::ALL {
            let events = events.iter().filter(|event| event.lane() == lane);
            let Some(range) = appended[lane] else {
                assert_eq!(events.count(), 0);
                continue;
            };
            let places = (range.first.0..=range.last.0).map(Sequence);
            self.appended[lane].extend(places.zip(events.cloned()));
        }
    }

    fn ack(&mut self, at: usize, lane: Lane, share: u8) {
        let head = self.buffer().heads().borrow()[lane];
        let cursor = &mut self.cursors[at][lane];
        let lacking = head.0.saturating_sub(cursor.0);
        let through = Sequence(cursor.0 + lacking * u64::from(share) / u64::from(u8::MAX));
        *cursor = through.max(*cursor);
        let name = destination(DESTINATIONS[at]);
        self.buffer().ack(&name, lane, through).expect("it is within the lane");
        assert_eq!(self.buffer().cursor(&name, lane), Some(self.cursors[at][lane]));
    }

    fn bury(&mut self, at: usize, lane: Lane, events: usize) {
        let name = destination(DESTINATIONS[at]);
        let from = self.cursors[at][lane].next();
        let batch = self.buffer().read(lane, from, events).expect("a store that is whole");
        let Some(&(last, _)) = batch.events.last() else { return };
        let refusal = Refusal {
            reason: "no".to_owned(),
            code: None,
            first: Timestamp::EPOCH,
            last: Timestamp::EPOCH,
            attempts: 1,
        };
        let refuse = |(sequence, event): &(Sequence, Event)| Refused {
            lane,
            sequence: *sequence,
            event: event.clone(),
            refusal: refusal.clone(),
        };
        let refused: Vec<Refused> = batch.events.iter().map(refuse).collect();
        let settled = self.buffer().bury(&name, refused).expect("a disk that works");
        assert_eq!(settled, batch.events.len());
        self.buffer().ack(&name, lane, last).expect("it was read");
        self.cursors[at][lane] = last;
        let id = |sequence| DeadLetterId { destination: name.clone(), lane, sequence };
        self.letters.extend(batch.events.into_iter().map(|(place, event)| (id(place), event)));
    }

    fn decide(&mut self, letters: usize, discard: bool) {
        let ids: Vec<DeadLetterId> = self.letters.keys().take(letters).cloned().collect();
        let buffer = self.buffer();
        if discard {
            let discarded = buffer.discard_dead_letters(&ids).expect("a disk that works");
            assert_eq!(discarded, ids.len());
        } else {
            assert_eq!(buffer.retry_dead_letters(&ids).expect("a disk that works"), ids.len());
            for name in DESTINATIONS {
                let wanted = buffer.dead_letters_to_retry(&destination(name), 10).expect("a disk that works");
                for letter in wanted {
                    assert_eq!(self.letters.get(&letter.id), Some(&letter.event));
                    buffer.settle_dead_letter(&letter.id).expect("a disk that works");
                }
            }
        }
        ids.iter().for_each(|id| drop(self.letters.remove(id)));
    }

    fn replay(&self, at: usize) {
        let buffer = self.buffer();
        let order = ReplayOrder {
            destination: destination(DESTINATIONS[at]),
            selection: Selection::default(),
            per_second: 1_000,
        };
        // There may be nothing that it had.
        let Ok(ordered) = buffer.order_replay(order, Timestamp::EPOCH) else { return };
        let mut replay = ordered;
        while let Some((lane, found)) = buffer.replay_next(&replay).expect("a store that is whole") {
            for (place, event) in &found.batch.events {
                assert_eq!(
                    self.appended[lane].get(place),
                    Some(event),
                    "{lane} event {place} was never that"
                );
                assert!(*place <= self.cursors[at][lane], "{place} is still on its regular way");
            }
            let delivered = found.batch.events.len() as u64;
            let step = Replayed {
                lane,
                next: found.next,
                delivered,
                refused: 0,
                last_refusal: None,
                missed: found.missing,
            };
            buffer.note_replayed(replay.id, step, Timestamp::EPOCH);
            replay = buffer.replays().into_iter().find(|one| one.id == replay.id).expect("it is known");
        }
        assert!(!replay.is_active(), "it came to its end");
    }

    /// The dead letters are those of the model.
    fn check_letters(&self) {
        let page = self
            .buffer()
            .dead_letters(&DeadLetterFilter::default(), None, 100_000)
            .expect("a disk that works");
        let found: BTreeMap<_, _> =
            page.letters.into_iter().map(|letter| (letter.id, letter.event)).collect();
        assert!(found == self.letters, "{} dead letters, and {} were made", found.len(), self.letters.len());
    }

    /// Everything that some destination lacks is there, or announced as a gap.
    fn check(&mut self) {
        self.check_letters();
        let business = self.read(Lane::Business);
        let announced: Vec<(Sequence, Sequence)> = business
            .values()
            .filter_map(|event| match &event.fact {
                Fact::Gap { reason: GapReason::Discarded, .. } => None,
                Fact::Gap { first, last, lost, .. } => {
                    assert_eq!(lost[..], [(EventType::TelemetrySampled, last.0 - first.0 + 1)]);
                    Some((*first, *last))
                }
                _ => None,
            })
            .collect();
        for (place, event) in &business {
            match (self.appended.business.get(place), event.kind()) {
                (Some(known), _) => assert_eq!(known, event),
                (None, EventType::GatewayGap) => drop(self.appended.business.insert(*place, event.clone())),
                (None, kind) => panic!("a {kind} at {place} that nobody appended"),
            }
        }
        let telemetry = self.read(Lane::Telemetry);
        for (place, event) in &telemetry {
            assert_eq!(self.appended.telemetry.get(place), Some(event));
        }
        let delivered = |lane| self.cursors[0][lane].min(self.cursors[1][lane]);
        for place in self.appended.business.keys().filter(|place| **place > delivered(Lane::Business)) {
            assert!(business.contains_key(place), "business event {place} is lost");
        }
        for place in self.appended.telemetry.keys().filter(|place| **place > delivered(Lane::Telemetry)) {
            let is_announced = announced.iter().any(|(first, last)| (first..=last).contains(&place))
                || self.announced_before(*place);
            assert!(telemetry.contains_key(place) != is_announced, "{place}: announced {is_announced}");
        }
        let state = self
            .buffer()
            .state()
            .get("step")
            .map_or(0, |bytes| u64::from_be_bytes(bytes[..].try_into().expect("eight bytes")));
        assert!(state <= self.state);
    }

    /// Whether a gap that was since delivered and deleted covers `place`.
    fn announced_before(&self, place: Sequence) -> bool {
        self.appended.business.values().any(
            |event| matches!(&event.fact, Fact::Gap { first, last, reason, .. } if *reason != GapReason::Discarded && (*first..=*last).contains(&place)),
        )
    }

    fn read(&self, lane: Lane) -> BTreeMap<Sequence, Event> {
        read_all(self.buffer(), lane, Sequence(1)).into_iter().collect()
    }
}

fn open(disk: &Disk) -> Buffer {
    let options: Options = tiny(options(&disk.path(), &DESTINATIONS));
    Buffer::open(options).expect("a buffer that opens")
}

proptest! {
    #![proptest_config(Config { cases: 16, ..Config::default() })]

    #[test]
    fn whatever_happens_nothing_is_lost_unannounced(steps in proptest::collection::vec(any_step(), 1..25)) {
        let mut model = Model::new();
        for step in &steps {
            model.take(step);
        }
        // After the last restart the state is what the last append left.
        model.take(&Step::Crash);
        let state = model.buffer().state().get("step").cloned();
        proptest::prop_assert_eq!(state, (model.state > 0).then(|| model.state.to_be_bytes().to_vec()));
    }
}
