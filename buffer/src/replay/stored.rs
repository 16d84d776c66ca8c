//! The file of a replay. Pure: bytes come and go, nothing is read or written here.
//!
//! ```text
//! payload = the order, when it was given, state, when it ended, a span for each lane, counts
//! ```
//!
//! The envelope around it (magic, checksum, version) is that of every small file of the store.

use std::fmt;
use std::str::FromStr;

use penstock_events::{Lane, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Replay, ReplayOrder, ReplaySpan, ReplayState};
use crate::durable_file::{InvalidFile, Kind};
use crate::per_lane::PerLane;
use crate::selection::Selection;

/// What the file of a replay begins with.
pub(super) const KIND: Kind = Kind { magic: *b"PSRP", version: 1 };

#[derive(Serialize, Deserialize)]
struct StoredReplay {
    destination: String,
    lane: Option<StoredLane>,
    from: Option<u64>,
    to: Option<u64>,
    since: Option<i64>,
    until: Option<i64>,
    assets: Vec<String>,
    types: Vec<String>,
    per_second: u32,
    ordered: i64,
    state: StoredState,
    ended: Option<i64>,
    /// First, next and last place.
    business: Option<(u64, u64, u64)>,
    telemetry: Option<(u64, u64, u64)>,
    delivered: u64,
    refused: u64,
    last_refusal: Option<String>,
    missed: u64,
}

#[derive(Serialize, Deserialize)]
enum StoredLane {
    Business,
    Telemetry,
}

#[derive(Serialize, Deserialize)]
enum StoredState {
    Active,
    Done,
    Cancelled,
}

/// The payload of a replay's file.
pub(super) fn encode(replay: &Replay) -> Vec<u8> {
    let ReplayOrder { destination, selection, per_second } = &replay.order;
    let span = |lane: Lane| replay.lanes[lane].map(|span| (span.first.0, span.next.0, span.last.0));
    let stored = StoredReplay {
        destination: destination.to_string(),
        lane: selection.lane.map(|lane| match lane {
            Lane::Business => StoredLane::Business,
            Lane::Telemetry => StoredLane::Telemetry,
        }),
        from: selection.from.map(|place| place.0),
        to: selection.to.map(|place| place.0),
        since: selection.since.map(Timestamp::as_micros),
        until: selection.until.map(Timestamp::as_micros),
        assets: selection.assets.iter().map(ToString::to_string).collect(),
        types: selection.types.iter().map(ToString::to_string).collect(),
        per_second: *per_second,
        ordered: replay.ordered.as_micros(),
        state: match replay.state {
            ReplayState::Active => StoredState::Active,
            ReplayState::Done => StoredState::Done,
            ReplayState::Cancelled => StoredState::Cancelled,
        },
        ended: replay.ended.map(Timestamp::as_micros),
        business: span(Lane::Business),
        telemetry: span(Lane::Telemetry),
        delivered: replay.delivered,
        refused: replay.refused,
        last_refusal: replay.last_refusal.clone(),
        missed: replay.missed,
    };
    postcard::to_stdvec(&stored).expect("a Vec grows, and nothing in a replay can fail")
}

/// The replay `id` of a payload.
pub(super) fn decode(id: u32, payload: &[u8]) -> Result<Replay, InvalidFile> {
    let stored: StoredReplay = postcard::from_bytes(payload)
        .map_err(|error| InvalidFile::Damaged(format!("it cannot be decoded: {error}")))?;
    let selection = Selection {
        lane: stored.lane.map(|lane| match lane {
            StoredLane::Business => Lane::Business,
            StoredLane::Telemetry => Lane::Telemetry,
        }),
        from: stored.from.map(Sequence),
        to: stored.to.map(Sequence),
        since: stored.since.map(Timestamp::from_micros),
        until: stored.until.map(Timestamp::from_micros),
        assets: names(&stored.assets)?,
        types: names(&stored.types)?,
    };
    let destination = stored.destination.parse().map_err(|error| damaged(&error))?;
    Ok(Replay {
        id,
        order: ReplayOrder { destination, selection, per_second: stored.per_second.max(1) },
        ordered: Timestamp::from_micros(stored.ordered),
        state: match stored.state {
            StoredState::Active => ReplayState::Active,
            StoredState::Done => ReplayState::Done,
            StoredState::Cancelled => ReplayState::Cancelled,
        },
        ended: stored.ended.map(Timestamp::from_micros),
        lanes: PerLane { business: span(stored.business)?, telemetry: span(stored.telemetry)? },
        delivered: stored.delivered,
        refused: stored.refused,
        last_refusal: stored.last_refusal,
        missed: stored.missed,
    })
}

fn names<T: FromStr<Err: fmt::Display>>(texts: &[String]) -> Result<Vec<T>, InvalidFile> {
    texts.iter().map(|text| text.parse().map_err(|error| damaged(&error))).collect()
}

fn span(stored: Option<(u64, u64, u64)>) -> Result<Option<ReplaySpan>, InvalidFile> {
    match stored {
        Some((first, next, last)) if first <= next && next <= last.saturating_add(1) && last < u64::MAX => {
            Ok(Some(ReplaySpan { first: Sequence(first), next: Sequence(next), last: Sequence(last) }))
        }
        Some(span) => Err(damaged(&format_args!("{span:?} are no first, next and last place"))),
        None => Ok(None),
    }
}

fn damaged(what: &dyn fmt::Display) -> InvalidFile {
    InvalidFile::Damaged(what.to_string())
}

/// For fuzzing: what is read of a payload is written and read again as the same bytes.
#[cfg(any(test, fuzzing))]
pub(crate) fn rewrite(payload: &[u8]) {
    if let Ok(read) = decode(1, payload) {
        let written = encode(&read);
        let again = decode(1, &written).expect("what was read can be written");
        assert_eq!(encode(&again), written);
    }
}

#[cfg(test)]
mod tests {
    use penstock_events::EventType;
    use proptest::prelude::{any, proptest};

    use super::*;
    use crate::durable_file;

    fn replay() -> Replay {
        let time = Timestamp::from_micros(1_767_225_600_000_000);
        Replay {
            id: 7,
            order: ReplayOrder {
                destination: "erp".parse().expect("a name"),
                selection: Selection {
                    lane: Some(Lane::Business),
                    from: Some(Sequence(3)),
                    to: Some(Sequence(900)),
                    since: Some(time),
                    until: Some(Timestamp::from_micros(time.as_micros() + 1)),
                    assets: vec!["stamping/line-1".parse().expect("a path")],
                    types: vec![EventType::ProductionCompleted],
                },
                per_second: 200,
            },
            ordered: time,
            state: ReplayState::Cancelled,
            ended: Some(time),
            lanes: PerLane {
                business: Some(ReplaySpan { first: Sequence(3), next: Sequence(11), last: Sequence(900) }),
                telemetry: None,
            },
            delivered: 5,
            refused: 1,
            last_refusal: Some("the broker says: payload format invalid (0x99)".to_owned()),
            missed: 2,
        }
    }

    #[test]
    fn version_1_is_read_from_its_golden_bytes_and_still_written_so() {
        let golden = include_bytes!("../../tests/fixtures/replay-v1.bin");
        let (_, payload) = durable_file::unseal(&KIND, golden).expect("version 1 stays readable");
        assert_eq!(decode(7, payload).expect("a replay"), replay());
        assert_eq!(encode(&replay()), payload);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reading_of_a_replay(bytes in any::<Vec<u8>>()) {
            drop(decode(1, &bytes));
        }
    }
}
