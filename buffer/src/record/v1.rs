//! Version 1 of the stored form of events: postcard, names interned per block, times as differences.
//!
//! ```text
//! body     = names: [text], records: [record]
//! record   = asset: name, time: Δ to the record before (the first: to 0), observed: Δ to time,
//!            quality, fact
//! name     = index into names
//! ```
//!
//! Integers are postcard varints, signed ones in zigzag; floats are their eight bytes, so every bit
//! survives. Variants are only ever appended. Ids are not stored: they are derived from the event.

mod fact;
mod names;

use penstock_events::{Event, EventType, Timestamp};
use serde::{Deserialize, Serialize};

use fact::{StoredFact, StoredQuality, load_fact, load_quality, store_fact, store_quality};
use names::{Interner, NameIndex, Names};

/// Why bytes with a good checksum are not a body of this version.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidBody {
    #[error("its records cannot be decoded: {0}")]
    Postcard(#[from] postcard::Error),
    #[error("name {index} of {names} does not exist")]
    NoSuchName { index: u32, names: usize },
    #[error("{text:?} is not a valid name here")]
    BadName { text: String },
    #[error("event type {code} is not known to this version")]
    UnknownType { code: u8 },
    #[error("a duration of {nanos} ns beside whole seconds")]
    BadDuration { nanos: u32 },
}

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    names: Vec<&'a str>,
    records: Vec<Record<'a>>,
}

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    asset: NameIndex,
    time: i64,
    observed: i64,
    quality: StoredQuality,
    #[serde(borrow)]
    fact: StoredFact<'a>,
}

/// The stored code of an event type. Codes are never reused.
pub(crate) const fn type_code(kind: EventType) -> u8 {
    match kind {
        EventType::TelemetrySampled => 1,
        EventType::MachineStateChanged => 2,
        EventType::ProductionCompleted => 3,
        EventType::GatewaySourceDown => 4,
        EventType::GatewaySourceUp => 5,
        EventType::GatewayGap => 6,
        EventType::GatewayStarted => 7,
        EventType::MaintenanceAlertRaised => 8,
        EventType::MaintenanceAlertCleared => 9,
    }
}

/// The event type of a stored code.
pub(crate) fn type_of_code(code: u8) -> Result<EventType, InvalidBody> {
    EventType::ALL.into_iter().find(|&kind| type_code(kind) == code).ok_or(InvalidBody::UnknownType { code })
}

/// Makes bodies, and keeps its room from one to the next.
#[derive(Default)]
pub(crate) struct Encoder {
    records: Vec<u8>,
    body: Vec<u8>,
}

impl Encoder {
    /// The body of a block of `events`, before compression.
    pub(crate) fn encode(&mut self, events: &[&Event]) -> &[u8] {
        let mut names = Interner::default();
        let mut before = 0;
        let mut records = std::mem::take(&mut self.records);
        records.clear();
        for event in events {
            let time = event.time.as_micros();
            let record = Record {
                asset: names.index(event.asset.as_str()),
                time: time.wrapping_sub(before),
                observed: event.observed.as_micros().wrapping_sub(time),
                quality: store_quality(event.quality),
                fact: store_fact(&event.fact, &mut names),
            };
            before = time;
            records = appended(&record, records);
        }
        // As a `Body` with its list of names, which are known only now, and its list of records.
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        body = appended(&names.into_list(), body);
        body = appended(&events.len(), body);
        body.extend_from_slice(&records);
        (self.records, self.body) = (records, body);
        &self.body
    }
}

/// The body of a block of `events`, before compression.
pub(crate) fn encode(events: &[Event]) -> Vec<u8> {
    let events: Vec<&Event> = events.iter().collect();
    Encoder::default().encode(&events).to_vec()
}

fn appended(part: &impl Serialize, bytes: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(part, bytes).expect("a Vec grows, and nothing in a body can fail")
}

/// The events of a body.
pub(crate) fn decode(body: &[u8]) -> Result<Vec<Event>, InvalidBody> {
    let Body { names, records } = postcard::from_bytes(body)?;
    let mut names = Names::new(names);
    let mut before = 0_i64;
    records
        .into_iter()
        .map(|record| {
            let time = before.wrapping_add(record.time);
            before = time;
            Ok(Event {
                asset: names.asset(record.asset)?,
                time: Timestamp::from_micros(time),
                observed: Timestamp::from_micros(time.wrapping_add(record.observed)),
                quality: load_quality(&record.quality),
                fact: load_fact(record.fact, &mut names)?,
            })
        })
        .collect()
}
