//! What the recorded process does: it appends, reads, acknowledges, buries, replays, damages, closes and opens a buffer, mostly one
//! so small that it rolls, trims and sheds all the time, and marks what it was promised.
//!
//! Events carry their ordinal in their lane: 1, 2, 3 … in the order of appends, whatever place they get.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use penstock_buffer::{
    Batch, Buffer, DeadLetterFilter, DeadLetterId, Options, PerLane, Refusal, Refused, Replay, ReplayError,
    ReplayOrder, Replayed, Selection, SequenceRange, Ticket,
};
use penstock_events::normalizer::StateChange;
use penstock_events::{Event, Fact, Lane, Sequence, Timestamp};

use super::Promise;
use super::run::{Life, Size};
use crate::fixture::Dice;
use crate::fixture::{DEADLINE, destination, large_sample, piece, sample, wait};

const NAME: &str = "workload::the_workload_runs_to_its_end";
const ROOT: &str = "POWERCUT_STORE_IN";
const SEED: &str = "POWERCUT_SEED";
const MARKS: &str = "POWERCUT_MARKS";
const LIFE: &str = "POWERCUT_LIFE";

pub(super) const DESTINATIONS: [&str; 2] = ["erp", "mes"];
/// The key of the normalizer's state: where the counter of all pieces stands, which is the ordinal of the last business event.
pub(super) const STATE: &str = "counter|stamping/line-1/press-1|press-1.good|good";
const STEPS: usize = 60;
const NOW: Timestamp = Timestamp::from_micros(77);

/// The program that runs the workload of `seed` on a store below `root`, with its marks in a file, one a line.
pub(super) fn program(root: &Path, marks: &Path, seed: u64, life: Life) -> Command {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.args(["--exact", NAME, "--nocapture"]);
    program.env(ROOT, root).env(MARKS, marks).env(SEED, seed.to_string()).env(LIFE, (life as u8).to_string());
    program
}

/// What the programs of the other tests are; by itself it runs on a disk that nothing befalls.
#[test]
fn the_workload_runs_to_its_end() {
    let own = tempfile::tempdir().expect("a temporary directory");
    let path =
        |variable, name| std::env::var_os(variable).map_or_else(|| own.path().join(name), PathBuf::from);
    let number =
        |variable| std::env::var(variable).map_or(0, |number| number.parse::<u64>().expect("a number"));
    let life = Life::ALL.into_iter().find(|&life| life as u64 == number(LIFE)).expect("a life");
    let root = path(ROOT, "");
    let marks = path(MARKS, "marks");
    let marks =
        OpenOptions::new().write(true).create(true).truncate(true).open(marks).expect("a file for marks");
    Workload::begin(&root, marks, number(SEED), life).run();
}

/// The telemetry event with this ordinal; every seventh is large and does not compress.
pub(super) fn telemetry(ordinal: u64) -> Event {
    if ordinal.is_multiple_of(7) { large_sample(ordinal) } else { sample(ordinal) }
}

/// The state with which the piece of this ordinal is stored, as the normalizer does it: a variant, an epoch and a value.
fn standing(ordinal: u64) -> StateChange {
    let value = postcard::to_stdvec(&(1_u32, 0_i64, ordinal)).expect("numbers can be encoded");
    StateChange { key: STATE.to_owned(), value }
}

/// The ordinal in such a state.
pub(super) fn stood(value: &[u8]) -> u64 {
    let (_, _, ordinal): (u32, i64, u64) =
        postcard::from_bytes(value).expect("the state that the workload wrote");
    ordinal
}

struct Workload {
    size: Size,
    options: Options,
    buffer: Buffer,
    marks: File,
    dice: Dice,
    /// How many events were appended.
    made: PerLane<u64>,
    /// After so many steps it is killed.
    end: Option<usize>,
}

impl Workload {
    fn begin(root: &Path, marks: File, seed: u64, life: Life) -> Self {
        let (size, mut dice) = (Size::of(seed), Dice::new(seed + ((life as u64) << 32)));
        let options = size.store(root);
        let buffer = open(&options, &marks, life, &mut dice);
        let business = buffer.state().get(STATE).map_or(0, |value| stood(value));
        let made = PerLane { business, telemetry: buffer.heads().borrow().telemetry.0 };
        let end = (life == Life::Killed).then(|| dice.below(STEPS));
        let begun = Self { size, options, buffer, marks, dice, made, end };
        if life == Life::Second {
            begun.say_where_cursors_are();
        }
        begun
    }

    fn run(mut self) {
        for step in 0..STEPS {
            if self.end == Some(step) {
                if self.dice.chance(30) {
                    let syncs = 1 + self.dice.below(4);
                    self.mark(&Promise::Refusing { syncs, writes: 0 });
                }
                let syncs = 1 + self.dice.below(8);
                self.mark(&Promise::Dying { syncs });
                self.append_until_killed();
            }
            match self.dice.below(100) {
                0..50 => self.append(1),
                50..61 => self.append(4),
                61..65 => self.refuse(),
                65..88 => self.deliver(),
                88..91 => self.bury(),
                91..92 => self.decide(),
                92..94 => self.replay(),
                94..96 => self.damage(),
                _ => self = self.reopen(),
            }
            self.leave_room();
        }
        self.close();
    }

    /// Has so many appends under way at once.
    fn append(&mut self, count: usize) {
        let tickets: Vec<(Ticket, PerLane<u64>)> = (0..count).map(|_| self.enqueue()).collect();
        for (ticket, before) in tickets {
            let places = wait(ticket).expect("a disk that works");
            for lane in Lane::ALL {
                if let Some(SequenceRange { first, last }) = places[lane] {
                    self.mark(&Promise::Durable { lane, first, last, ordinal: before[lane] + 1 });
                }
            }
        }
    }

    /// The disk refuses for a while.
    fn refuse(&mut self) {
        let count = 1 + self.dice.below(4);
        let (syncs, writes) = if self.dice.chance(50) { (count, 0) } else { (0, count) };
        self.mark(&Promise::Refusing { syncs, writes });
        let count = 1 + self.dice.below(4);
        self.append(count);
        self.mark(&Promise::Refusing { syncs: 0, writes: 0 });
    }

    /// Until it is killed, which takes a few.
    fn append_until_killed(&mut self) -> ! {
        for _ in 0..1_000 {
            self.append(2);
            self.leave_room();
        }
        panic!("nobody killed it");
    }

    /// What was acknowledged last before a kill may be forgotten.
    fn say_where_cursors_are(&self) {
        for name in DESTINATIONS {
            for lane in Lane::ALL {
                let through = self.buffer.cursor(&destination(name), lane).expect("it is configured");
                self.mark(&Promise::Acknowledging { destination: name.to_owned(), lane, through });
            }
        }
    }

    /// The disk may refuse still, or again, what comes of an earlier moment.
    fn read(&self, lane: Lane, from: Sequence, limit: usize) -> Batch {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.buffer.read(lane, from, limit) {
                Ok(batch) => return batch,
                Err(error) => assert!(Instant::now() < deadline, "a store that is whole: {error}"),
            }
        }
    }

    fn enqueue(&mut self) -> (Ticket, PerLane<u64>) {
        let before = self.made;
        let pieces = if self.dice.chance(70) { self.dice.below(12) as u64 } else { 0 };
        let samples = self.dice.below(self.size.samples()) as u64 + u64::from(pieces == 0);
        self.made.business += pieces;
        self.made.telemetry += samples;
        let mut events: Vec<Event> = (before.business + 1..=self.made.business).map(piece).collect();
        events.extend((before.telemetry + 1..=self.made.telemetry).map(telemetry));
        let explained = if pieces > 0 { vec![standing(self.made.business)] } else { Vec::new() };
        self.mark(&Promise::Offered { business: self.made.business, telemetry: self.made.telemetry });
        (wait(self.buffer.enqueue(events, explained)).expect("a buffer that takes it"), before)
    }

    /// A destination takes a part of what it lacks.
    fn deliver(&mut self) {
        let name = DESTINATIONS[self.dice.below(2)];
        let lane = Lane::ALL[self.dice.below(2)];
        let share = self.dice.below(101) as u64;
        self.acknowledge(name, lane, share);
    }

    fn acknowledge(&self, name: &str, lane: Lane, percent: u64) {
        let cursor = self.buffer.cursor(&destination(name), lane).expect("it is configured");
        let head = self.buffer.heads().borrow()[lane];
        let through = Sequence(cursor.0 + (head.0 - cursor.0) * percent / 100);
        let mut from = cursor.next();
        while from <= through {
            let batch = self.read(lane, from, 97);
            let Some((last, _)) = batch.events.last() else { break };
            from = last.next();
            for (_, event) in batch.events {
                if let Fact::Gap { first, last, ref stream, .. } = event.fact
                    && stream == self.buffer.stream(Lane::Telemetry)
                {
                    self.mark(&Promise::Told { first, last });
                }
            }
        }
        self.mark(&Promise::Acknowledging { destination: name.to_owned(), lane, through });
        self.buffer
            .ack(&destination(name), lane, through)
            .expect("it is configured, and the lane goes so far");
    }

    /// An operator orders a replay, or the one that is under way comes a step further.
    fn replay(&mut self) {
        let destination = destination(DESTINATIONS[self.dice.below(2)]);
        let Some(replay) = self.buffer.replay_in_turn(&destination) else {
            let order = ReplayOrder { destination, selection: Selection::default(), per_second: 1 };
            match self.buffer.order_replay(order, NOW) {
                Ok(Replay { id, .. }) => self.mark(&Promise::ReplayOrdered { id }),
                Err(ReplayError::Nothing(_)) => {}
                Err(error) => panic!("a disk that works: {error}"),
            }
            return;
        };
        let id = replay.id;
        let (lane, found) =
            self.buffer.replay_next(&replay).expect("a store that is whole").expect("it goes on");
        let (next, missed, delivered) = (found.next, found.missing, found.batch.events.len() as u64);
        self.mark(&Promise::Replaying { id, lane, next });
        let step = Replayed { lane, next, delivered, refused: 0, last_refusal: None, missed };
        if !self.buffer.note_replayed(id, step, NOW) {
            self.mark(&Promise::ReplayEnded { id });
        }
    }

    /// A destination refuses the next few events of a lane for good.
    fn bury(&mut self) {
        let name = DESTINATIONS[self.dice.below(2)];
        let lane = Lane::ALL[self.dice.below(2)];
        let from = self.buffer.cursor(&destination(name), lane).expect("it is configured").next();
        let batch = self.read(lane, from, 3);
        // A gap is no event that the checker knows.
        let known = |(_, event): &&(Sequence, Event)| !matches!(event.fact, Fact::Gap { .. });
        let refusal = |(sequence, event): &(Sequence, Event)| Refused {
            lane,
            sequence: *sequence,
            event: event.clone(),
            refusal: Refusal {
                reason: "no".to_owned(),
                code: None,
                first: Timestamp::EPOCH,
                last: Timestamp::EPOCH,
                attempts: 1,
            },
        };
        let refused: Vec<Refused> = batch.events.iter().take_while(known).map(refusal).collect();
        let places: Vec<Sequence> = refused.iter().map(|refused| refused.sequence).collect();
        let (Some(&first), Some(&last)) = (places.first(), places.last()) else { return };
        self.buffer.bury(&destination(name), refused).expect("a disk that works");
        if last.0 - first.0 + 1 == places.len() as u64 {
            self.mark(&Promise::Buried { destination: name.to_owned(), lane, first, last });
        }
        self.mark(&Promise::Acknowledging { destination: name.to_owned(), lane, through: last });
        self.buffer.ack(&destination(name), lane, last).expect("it was read");
    }

    /// An operator discards the first dead letter, or has it sent again, which succeeds.
    fn decide(&mut self) {
        let page =
            self.buffer.dead_letters(&DeadLetterFilter::default(), None, 1).expect("a disk that works");
        for letter in page.letters {
            let DeadLetterId { lane, sequence, .. } = letter.id;
            self.mark(&Promise::Deciding { lane, first: sequence, last: sequence });
            if self.dice.chance(50) {
                self.buffer.discard_dead_letters(&[letter.id]).expect("a disk that works");
            } else {
                self.buffer.retry_dead_letters(std::slice::from_ref(&letter.id)).expect("a disk that works");
                self.buffer.settle_dead_letter(&letter.id).expect("a disk that works");
            }
        }
    }

    /// A part of a complete generation of telemetry goes bad, and is read.
    fn damage(&mut self) {
        let listed = self.buffer.generations(Lane::Telemetry);
        let Some(victim) = listed.iter().find(|one| one.sealed && !one.delivered) else { return };
        let Some(SequenceRange { first, last }) = victim.places else { return };
        let lane = Lane::Telemetry;
        self.mark(&Promise::Damaging { lane, first, last });
        let path = self.options.path.join(format!("telemetry/{:08}/log", victim.number));
        let file = OpenOptions::new().write(true).open(path).expect("only this thread acknowledges");
        // Anywhere, so that what is damaged already may be damaged further.
        let pages = file.metadata().expect("a file").len().div_ceil(4_096);
        let page = self.dice.below(usize::try_from(pages).expect("a small file")) as u64;
        file.write_all_at(&[0; 12 * 1024], page * 4_096).expect("a disk that works");
        drop(file);
        let mut from = first;
        while let Some((place, _)) = self.read(lane, from, 97).events.last() {
            from = place.next();
        }
    }

    /// A full business lane would wait for ever: nobody else delivers.
    fn leave_room(&self) {
        if self.buffer.status().lanes.business.stored_bytes * 3 > self.options.max_bytes {
            DESTINATIONS.iter().for_each(|name| self.acknowledge(name, Lane::Business, 100));
        }
    }

    fn reopen(self) -> Self {
        let Self { size, options, marks, dice, made, end, buffer } = self;
        buffer.close().expect("a disk that works");
        mark(&marks, &Promise::Closed);
        let buffer = Buffer::open(options.clone()).expect("a buffer that opens");
        Self { size, options, buffer, marks, dice, made, end }
    }

    fn close(self) {
        self.buffer.close().expect("a disk that works");
        mark(&self.marks, &Promise::Closed);
    }

    fn mark(&self, promise: &Promise) {
        mark(&self.marks, promise);
    }
}

/// Opens the store; after a kill, the disk may refuse that a few times.
fn open(options: &Options, marks: &File, life: Life, dice: &mut Dice) -> Buffer {
    if life != Life::Second || dice.chance(60) {
        return Buffer::open(options.clone()).expect("a buffer that opens");
    }
    mark(marks, &Promise::Refusing { syncs: 1 + dice.below(3), writes: 0 });
    let deadline = Instant::now() + DEADLINE;
    let buffer = loop {
        match Buffer::open(options.clone()) {
            Ok(buffer) => break buffer,
            Err(error) => assert!(Instant::now() < deadline, "a buffer that opens: {error}"),
        }
    };
    mark(marks, &Promise::Refusing { syncs: 0, writes: 0 });
    buffer
}

/// Says what the workload was promised, in one call: to a recorder, or to the file.
fn mark(marks: &File, promise: &Promise) {
    (&mut &*marks).write_all(format!("{promise}\n").as_bytes()).expect("room for marks");
}
