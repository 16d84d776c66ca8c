//! The marks: which places were certainly durable, which may have been used, and what was lost by damage and is not
//! announced yet. Pure, but for [`load`] and [`save`].
//!
//! They are what tells a generation that lost its end from one that ends there. They are written when the store is opened, when
//! it is closed, every minute while events come, whenever a lane has used up what was reserved for it, and when damage is found.

use std::io;
use std::path::Path;

use penstock_events::{EventType, Lane, Sequence};
use serde::{Deserialize, Serialize};

use crate::block::Tally;
use crate::durable_file::{self, InvalidFile, Kind};
use crate::per_lane::{Heads, PerLane, SequenceRange};
use crate::record::v1::{InvalidBody, type_code, type_of_code};

const KIND: Kind = Kind { magic: *b"PSMK", version: 1 };
/// How many places are reserved for a lane at a time. It is what a lane that lost its end after a crash may skip.
pub(crate) const RESERVED_PLACES: u64 = 1_000_000;

/// What is known of the lanes' ends, and of losses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Marks {
    /// The store's number, in case that the manifest is lost.
    pub(crate) store: u32,
    /// Places up to here were durable when this was written.
    pub(crate) durable: Heads,
    /// No place beyond was ever used.
    pub(crate) reserved: Heads,
    /// The number of the last loss that there was.
    pub(crate) last_loss: u64,
    /// Losses that are to be announced, in the order of their numbers.
    pub(crate) losses: Vec<Lost>,
}

/// Places that damage took.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Lost {
    pub(crate) number: u64,
    pub(crate) lane: Lane,
    pub(crate) places: SequenceRange,
    /// What was there, as far as it is known.
    pub(crate) tally: Tally,
}

impl Marks {
    /// Notes a loss, as far as it is not noted already.
    pub(crate) fn note(&mut self, lane: Lane, places: SequenceRange, tally: Tally) {
        let noted = self.losses.iter().filter(|lost| lost.lane == lane).map(|lost| &lost.places);
        let lost = Lost { number: 0, lane, places, tally };
        places.without(noted).into_iter().for_each(|part| self.add(lost.part(part)));
    }

    /// Takes back what is noted of these places: it was told to nobody, and is to be noted anew or not at all.
    pub(crate) fn forget(&mut self, lane: Lane, places: &[SequenceRange]) {
        let is_hit = |lost: &Lost| lost.lane == lane && places.iter().any(|run| run.overlaps(lost.places));
        let (hit, kept): (Vec<_>, _) = std::mem::take(&mut self.losses).into_iter().partition(is_hit);
        self.losses = kept;
        for lost in hit {
            lost.places.without(places).into_iter().for_each(|part| self.add(lost.part(part)));
        }
    }

    fn add(&mut self, lost: Lost) {
        self.last_loss += 1;
        self.losses.push(Lost { number: self.last_loss, ..lost });
    }

    /// Forgets the losses up to `number`: they are announced.
    pub(crate) fn announced(&mut self, number: u64) {
        self.losses.retain(|lost| lost.number > number);
        self.last_loss = self.last_loss.max(number);
    }
}

impl Lost {
    /// The same, of a part of its places.
    pub(crate) fn part(&self, places: SequenceRange) -> Self {
        let tally = match self.lane {
            _ if places == self.places || self.tally.is_empty() => self.tally.clone(),
            lane => uncounted(lane, places),
        };
        Self { number: self.number, lane: self.lane, places, tally }
    }
}

/// What is known of events that cannot be looked at: telemetry is of one type.
pub(crate) fn uncounted(lane: Lane, places: SequenceRange) -> Tally {
    match lane {
        Lane::Telemetry => Tally::from([(EventType::TelemetrySampled, places.count())]),
        Lane::Business => Tally::new(),
    }
}

#[derive(Serialize, Deserialize)]
struct StoredMarks {
    store: u32,
    durable: (u64, u64),
    reserved: (u64, u64),
    last_loss: u64,
    losses: Vec<StoredLost>,
}

#[derive(Serialize, Deserialize)]
struct StoredLost {
    number: u64,
    is_business: bool,
    first: u64,
    last: u64,
    tally: Vec<(u8, u64)>,
}

/// The marks at `path`; `None` when there are none.
pub(crate) fn load(path: &Path) -> Result<Option<Marks>, InvalidFile> {
    durable_file::read(path, &KIND)?.map(|payload| decode(&payload)).transpose()
}

/// Replaces the marks at `path`.
pub(crate) fn save(path: &Path, marks: &Marks) -> io::Result<()> {
    durable_file::replace(path, &KIND, &encode(marks))
}

fn encode(marks: &Marks) -> Vec<u8> {
    let both = |heads: Heads| (heads.business.0, heads.telemetry.0);
    let lost = |lost: &Lost| StoredLost {
        number: lost.number,
        is_business: lost.lane == Lane::Business,
        first: lost.places.first.0,
        last: lost.places.last.0,
        tally: lost.tally.iter().map(|(&kind, &count)| (type_code(kind), count)).collect(),
    };
    let stored = StoredMarks {
        store: marks.store,
        durable: both(marks.durable),
        reserved: both(marks.reserved),
        last_loss: marks.last_loss,
        losses: marks.losses.iter().map(lost).collect(),
    };
    postcard::to_stdvec(&stored).expect("a Vec grows, and nothing in a mark can fail")
}

fn decode(payload: &[u8]) -> Result<Marks, InvalidFile> {
    let stored: StoredMarks = postcard::from_bytes(payload)
        .map_err(|error| InvalidFile::Damaged(format!("it cannot be decoded: {error}")))?;
    let both =
        |(business, telemetry)| PerLane { business: Sequence(business), telemetry: Sequence(telemetry) };
    let lost = |stored: StoredLost| {
        let tally = stored.tally.into_iter().map(|(code, count)| Ok((type_of_code(code)?, count)));
        Ok(Lost {
            number: stored.number,
            lane: if stored.is_business { Lane::Business } else { Lane::Telemetry },
            places: SequenceRange { first: Sequence(stored.first), last: Sequence(stored.last) },
            tally: tally.collect::<Result<_, InvalidBody>>()?,
        })
    };
    let losses = stored.losses.into_iter().map(lost).collect::<Result<_, InvalidBody>>();
    Ok(Marks {
        store: stored.store,
        durable: both(stored.durable),
        reserved: both(stored.reserved),
        last_loss: stored.last_loss,
        losses: losses.map_err(|error| InvalidFile::Damaged(error.to_string()))?,
    })
}

/// For fuzzing: what is read of a payload is written and read again as the same bytes.
#[cfg(any(test, fuzzing))]
pub(crate) fn rewrite(payload: &[u8]) {
    if let Ok(read) = decode(payload) {
        let written = encode(&read);
        let again = decode(&written).expect("what was read can be written");
        assert_eq!(encode(&again), written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(first: u64, last: u64) -> SequenceRange {
        SequenceRange { first: Sequence(first), last: Sequence(last) }
    }

    fn marks() -> Marks {
        let heads =
            |business, telemetry| PerLane { business: Sequence(business), telemetry: Sequence(telemetry) };
        let mut marks = Marks {
            store: 0x3f2a_9c01,
            durable: heads(7, 300),
            reserved: heads(1_000_007, 1_000_300),
            last_loss: 4,
            losses: Vec::new(),
        };
        marks.note(Lane::Telemetry, places(101, 350), Tally::from([(EventType::TelemetrySampled, 250)]));
        marks.note(Lane::Business, places(6, 6), Tally::new());
        marks
    }

    #[test]
    fn version_1_is_read_from_and_written_as_its_golden_bytes() {
        let path = Path::new("tests/fixtures/marks-v1.bin");
        assert_eq!(load(path).expect("version 1 stays readable"), Some(marks()));
        let directory = tempfile::tempdir().expect("a temporary directory");
        let written = directory.path().join("marks");
        save(&written, &marks()).expect("a writable directory");
        assert_eq!(std::fs::read(written).expect("just written"), std::fs::read(path).expect("the fixture"));
    }

    #[test]
    fn a_loss_is_noted_once_and_forgotten_when_it_is_announced() {
        let mut marks = marks();
        marks.note(Lane::Business, places(6, 6), Tally::new());
        let numbers = |marks: &Marks| marks.losses.iter().map(|lost| lost.number).collect::<Vec<_>>();
        assert_eq!(numbers(&marks), [5, 6]);
        marks.announced(5);
        assert_eq!(numbers(&marks), [6]);
        marks.announced(6);
        marks.note(Lane::Business, places(6, 6), Tally::new());
        assert_eq!(numbers(&marks), [7], "numbers are not used again");
    }

    #[test]
    fn no_place_is_noted_twice_and_a_part_is_told_with_what_is_known_of_it() {
        let mut marks = marks();
        marks.note(Lane::Telemetry, places(90, 360), Tally::from([(EventType::TelemetrySampled, 271)]));
        let noted = |marks: &Marks| {
            marks
                .losses
                .iter()
                .map(|lost| (lost.places, lost.tally.values().sum()))
                .collect::<Vec<(_, u64)>>()
        };
        let expected =
            [(places(101, 350), 250), (places(6, 6), 0), (places(90, 100), 11), (places(351, 360), 10)];
        assert_eq!(noted(&marks), expected);
        marks.forget(Lane::Telemetry, &[places(95, 355)]);
        assert_eq!(noted(&marks), [(places(6, 6), 0), (places(90, 94), 5), (places(356, 360), 5)]);
        assert!(marks.losses.is_sorted_by_key(|lost| lost.number));
    }
}
