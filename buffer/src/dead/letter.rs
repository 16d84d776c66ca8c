//! A dead letter and its file. Pure: bytes come and go, nothing is read or written here.
//!
//! ```text
//! payload = destination, lane, sequence, stream, refusal, derivation of ids, version of the record, record
//! ```
//!
//! The envelope around it (magic, checksum, version) is that of every small file of the store.

use std::fmt;
use std::str::FromStr;

use penstock_events::{
    AssetPath, DestinationName, Event, EventType, InvalidName, Lane, Sequence, StreamId, Timestamp, identity,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::durable_file::{InvalidFile, Kind};
use crate::record;

/// What the file of a dead letter begins with.
pub(super) const KIND: Kind = Kind { magic: *b"PSDL", version: 1 };
/// The most that is kept of a reason; brokers may send 64 KB of it.
const MAX_REASON_BYTES: usize = 1024;
/// The version of the stored form of the event.
const RECORD_VERSION: u8 = 1;

/// Which dead letter: who refused it, and its place. Displays and parses as `enterprise/business/42`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DeadLetterId {
    /// Who refused it.
    pub destination: DestinationName,
    /// Its lane.
    pub lane: Lane,
    /// Its place there.
    pub sequence: Sequence,
}

/// An event that a destination refused for good.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Which one it is.
    pub id: DeadLetterId,
    /// The stream that its place belongs to.
    pub stream: StreamId,
    /// The event, with the id that it always had.
    pub event: Event,
    /// How it was refused.
    pub refusal: Refusal,
    /// Whether an operator asked for another attempt, which is still to come.
    pub retry: bool,
}

/// How a destination refused an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Why, in words.
    pub reason: String,
    /// The destination's own code, where it gave one: a reason code of MQTT 5, a status of HTTP.
    pub code: Option<u16>,
    /// When it was refused first.
    pub first: Timestamp,
    /// When it was refused last.
    pub last: Timestamp,
    /// How often it was refused.
    pub attempts: u32,
}

/// Which dead letters; all of them by default.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterFilter {
    /// Those of this destination.
    pub destination: Option<DestinationName>,
    /// Those of this lane.
    pub lane: Option<Lane>,
    /// Those of this type.
    pub kind: Option<EventType>,
    /// Those of this asset and of all below it.
    pub asset: Option<AssetPath>,
}

/// The text does not name a dead letter.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDeadLetterId {
    /// It has other parts.
    #[error("{0:?} is not DESTINATION/LANE/SEQUENCE, such as enterprise/business/42")]
    Shape(String),
    /// Its destination cannot be one.
    #[error(transparent)]
    Destination(#[from] InvalidName),
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.destination, self.lane, self.sequence)
    }
}

impl FromStr for DeadLetterId {
    type Err = InvalidDeadLetterId;

    fn from_str(text: &str) -> Result<Self, InvalidDeadLetterId> {
        let shape = || InvalidDeadLetterId::Shape(text.to_owned());
        let (destination, place) = text.split_once('/').ok_or_else(shape)?;
        let (lane, sequence) = place.split_once('/').ok_or_else(shape)?;
        let lane = lane.parse().map_err(|_| shape())?;
        let sequence = Sequence(sequence.parse().map_err(|_| shape())?);
        Ok(Self { destination: destination.parse()?, lane, sequence })
    }
}

impl Serialize for DeadLetterId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeadLetterId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Refusal {
    /// This refusal after an `earlier` one of the same event.
    pub(super) fn after(self, earlier: &Self) -> Self {
        let attempts = earlier.attempts.saturating_add(self.attempts);
        Self { first: earlier.first.min(self.first), attempts, ..self }
    }
}

impl DeadLetterFilter {
    /// Whether `letter` is one of them.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        self.may_match(&letter.id)
            && self.kind.is_none_or(|kind| kind == letter.event.kind())
            && self.asset.as_ref().is_none_or(|asset| asset.covers(&letter.event.asset))
    }

    /// Whether the letter of this id can be one of them, whatever is in it.
    pub(super) fn may_match(&self, id: &DeadLetterId) -> bool {
        self.destination.as_ref().is_none_or(|name| *name == id.destination)
            && self.lane.is_none_or(|lane| lane == id.lane)
    }
}

#[derive(Serialize, Deserialize)]
struct StoredLetter<'a> {
    destination: &'a str,
    lane: StoredLane,
    sequence: u64,
    stream: &'a str,
    reason: &'a str,
    code: Option<u16>,
    first: i64,
    last: i64,
    attempts: u32,
    /// [`identity::DERIVATION`] of the id that the event was given.
    id_derivation: u8,
    record_version: u8,
    #[serde(borrow)]
    record: &'a [u8],
}

#[derive(Serialize, Deserialize)]
enum StoredLane {
    Business,
    Telemetry,
}

/// The payload of a letter's file. Whether it is to be retried is not in it.
pub(super) fn encode(letter: &DeadLetter) -> Vec<u8> {
    let DeadLetter { id, stream, event, refusal, retry: _ } = letter;
    let stored = StoredLetter {
        destination: id.destination.as_str(),
        lane: match id.lane {
            Lane::Business => StoredLane::Business,
            Lane::Telemetry => StoredLane::Telemetry,
        },
        sequence: id.sequence.0,
        stream: stream.as_str(),
        reason: bounded(&refusal.reason),
        code: refusal.code,
        first: refusal.first.as_micros(),
        last: refusal.last.as_micros(),
        attempts: refusal.attempts,
        id_derivation: identity::DERIVATION,
        record_version: RECORD_VERSION,
        record: &record::v1::encode(std::slice::from_ref(event)),
    };
    postcard::to_stdvec(&stored).expect("a Vec grows, and nothing in a letter can fail")
}

/// The letter of a payload.
pub(super) fn decode(payload: &[u8], retry: bool) -> Result<DeadLetter, InvalidFile> {
    let damaged = |what: String| InvalidFile::Damaged(what);
    let stored: StoredLetter<'_> =
        postcard::from_bytes(payload).map_err(|error| damaged(format!("it cannot be decoded: {error}")))?;
    if stored.record_version != RECORD_VERSION || stored.id_derivation != identity::DERIVATION {
        let (record, ids) = (stored.record_version, stored.id_derivation);
        return Err(damaged(format!("it has a record of version {record} with ids of derivation {ids}")));
    }
    let mut events = record::v1::decode(stored.record).map_err(|error| damaged(error.to_string()))?;
    let (Some(event), true) = (events.pop(), events.is_empty()) else {
        return Err(damaged("it does not hold one event".to_owned()));
    };
    let destination =
        stored.destination.parse().map_err(|error| damaged(format!("it names no destination: {error}")))?;
    let lane = match stored.lane {
        StoredLane::Business => Lane::Business,
        StoredLane::Telemetry => Lane::Telemetry,
    };
    Ok(DeadLetter {
        id: DeadLetterId { destination, lane, sequence: Sequence(stored.sequence) },
        stream: StreamId::from_stored(stored.stream),
        event,
        refusal: Refusal {
            reason: stored.reason.to_owned(),
            code: stored.code,
            first: Timestamp::from_micros(stored.first),
            last: Timestamp::from_micros(stored.last),
            attempts: stored.attempts,
        },
        retry,
    })
}

fn bounded(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]
}

/// For fuzzing: what is read of a payload is written and read again as the same bytes.
#[cfg(any(test, fuzzing))]
pub(crate) fn rewrite(payload: &[u8]) {
    if let Ok(read) = decode(payload, false) {
        let written = encode(&read);
        let again = decode(&written, false).expect("what was read can be written");
        assert_eq!(encode(&again), written);
    }
}

#[cfg(test)]
mod tests {
    use penstock_events::{CounterMark, Fact, Output, Quality};
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;
    use crate::durable_file;

    fn letter() -> DeadLetter {
        let time = Timestamp::from_micros(1_767_225_600_000_000);
        let counter = CounterMark { epoch: Timestamp::EPOCH, from: 41, to: 42 };
        let (tag, output) = ("press-1.good".parse().expect("a tag"), Output::Good);
        DeadLetter {
            id: "enterprise/business/42".parse().expect("an id"),
            stream: StreamId::from_stored("edge-01/business/3f2a9c01"),
            event: Event {
                asset: "stamping/line-1/press-1".parse().expect("a path"),
                time,
                observed: Timestamp::from_micros(time.as_micros() + 12_345),
                quality: Quality::Good,
                fact: Fact::ProductionCompleted { tag, output, quantity: 1, counter },
            },
            refusal: Refusal {
                reason: "the broker says: payload format invalid (0x99)".to_owned(),
                code: Some(0x99),
                first: time,
                last: Timestamp::from_micros(time.as_micros() + 1),
                attempts: 3,
            },
            retry: false,
        }
    }

    #[test]
    fn version_1_is_read_from_its_golden_bytes_and_still_written_so() {
        let golden = include_bytes!("../../tests/fixtures/dead-letter-v1.bin");
        let (_, payload) = durable_file::unseal(&KIND, golden).expect("version 1 stays readable");
        assert_eq!(decode(payload, false).expect("a letter"), letter());
        assert_eq!(encode(&letter()), payload);
    }

    #[test]
    fn a_reason_without_end_is_cut_and_the_letter_stays_readable() {
        let mut long = letter();
        long.refusal.reason = "ä".repeat(40_000);
        let kept = decode(&encode(&long), false).expect("a letter").refusal.reason;
        assert_eq!(kept, "ä".repeat(MAX_REASON_BYTES / 2));
    }

    #[test]
    fn a_second_refusal_keeps_the_first_time_and_counts_on() {
        let earlier = letter().refusal;
        let again = Refusal {
            first: Timestamp::from_micros(i64::MAX),
            last: Timestamp::from_micros(i64::MAX),
            attempts: 1,
            ..earlier.clone()
        };
        let both = again.after(&earlier);
        assert_eq!((both.first, both.attempts), (earlier.first, 4));
        assert_eq!(both.last, Timestamp::from_micros(i64::MAX));
    }

    #[test]
    fn a_filter_takes_an_asset_with_all_below_it_and_none_that_merely_begins_alike() {
        let asset = |path: &str| DeadLetterFilter {
            asset: Some(path.parse().expect("a path")),
            ..DeadLetterFilter::default()
        };
        assert!(DeadLetterFilter::default().matches(&letter()));
        for (path, is_wanted) in [
            ("stamping", true),
            ("stamping/line-1/press-1", true),
            ("stamp", false),
            ("stamping/line", false),
        ] {
            assert_eq!(asset(path).matches(&letter()), is_wanted, "{path}");
        }
        let other =
            DeadLetterFilter { kind: Some(EventType::TelemetrySampled), ..DeadLetterFilter::default() };
        assert!(!other.matches(&letter()));
    }

    #[test]
    fn texts_that_name_no_dead_letter_are_refused() {
        for text in ["", "a", "a/business", "a/business/x", "a/other/1", "a b/business/1", "a/business/1/2"] {
            assert!(text.parse::<DeadLetterId>().is_err(), "{text:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reading_of_a_letter(bytes in any::<Vec<u8>>()) {
            drop(decode(&bytes, false));
        }

        #[test]
        fn an_id_survives_its_text(sequence in any::<u64>(), business in any::<bool>()) {
            let lane = if business { Lane::Business } else { Lane::Telemetry };
            let destination = "erp-1".parse().expect("a name");
            let id = DeadLetterId { destination, lane, sequence: Sequence(sequence) };
            prop_assert_eq!(id.to_string().parse::<DeadLetterId>().expect("its own text"), id);
        }
    }
}
