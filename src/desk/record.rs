//! The records of the commands on the buffer: with `--json` each is a line. Their fields are described in
//! docs/operating.md, and stay.

use penstock_buffer::{
    Condition, DeadLetter, DeadLetterCount, DeadLetterId, DestinationStatus, FilesVerification,
    GenerationInfo, LaneStatus, Replay, Verification,
};
use penstock_events::cloudevent::{CloudEvent, Origin};
use penstock_events::{AssetPath, DestinationName, EventType, GatewayId, Lane, Sequence, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `penstock buffer status`: what is in the buffer, who needs it, and what is done with it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct StatusRecord {
    pub(crate) gateway: GatewayId,
    /// Whether the gateway runs; else the buffer was opened by the command.
    pub(crate) running: bool,
    pub(crate) now: Timestamp,
    pub(crate) condition: Condition,
    /// Undelivered events that were given up since the buffer was opened.
    pub(crate) shed_events: u64,
    pub(crate) lanes: Vec<LaneRecord>,
    pub(crate) destinations: Vec<DestinationRecord>,
    pub(crate) replays: Vec<Replay>,
    pub(crate) generations: Vec<GenerationInfo>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct LaneRecord {
    pub(crate) lane: Lane,
    #[serde(flatten)]
    pub(crate) status: LaneStatus,
    /// The earliest and the latest `time` of its events.
    pub(crate) earliest: Option<Timestamp>,
    pub(crate) latest: Option<Timestamp>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct DestinationRecord {
    pub(crate) name: DestinationName,
    /// Whether it is configured; else it has nothing but dead letters here.
    pub(crate) configured: bool,
    pub(crate) lanes: Vec<DeliveryRecord>,
    pub(crate) dead_letters: DeadLetterCount,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct DeliveryRecord {
    pub(crate) lane: Lane,
    #[serde(flatten)]
    pub(crate) status: DestinationStatus,
}

/// `penstock buffer verify`: a line for each generation, one for the small files, and one for the dead letters.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum VerifyRecord {
    /// One generation.
    Generation(Verification),
    /// The small files.
    Files(FilesVerification),
    /// All dead letters.
    DeadLetters {
        /// How many are whole.
        letters: u64,
        /// How many are not, and were set aside.
        damaged: u64,
    },
}

/// Whether something was done or is only foretold.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct WhatIf<T> {
    pub(crate) dry_run: bool,
    #[serde(flatten)]
    pub(crate) what: T,
}

/// `penstock dead retry` and `penstock dead discard`: how many letters.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct DeadLettersRecord {
    pub(crate) letters: u64,
}

/// `penstock buffer replay --dry-run`: what would be delivered again.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ReplayPlanRecord {
    pub(crate) destination: DestinationName,
    pub(crate) events: u64,
    /// The places that it would look through.
    pub(crate) lanes: Vec<PlacesRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct PlacesRecord {
    pub(crate) lane: Lane,
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
}

/// `penstock dead list` and `penstock dead show`: one dead letter.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct LetterRecord {
    pub(crate) id: DeadLetterId,
    pub(crate) destination: DestinationName,
    pub(crate) lane: Lane,
    pub(crate) sequence: Sequence,
    #[serde(rename = "type")]
    pub(crate) kind: EventType,
    pub(crate) asset: AssetPath,
    pub(crate) reason: String,
    /// The destination's own code.
    pub(crate) code: Option<u16>,
    pub(crate) first_refused: Timestamp,
    pub(crate) last_refused: Timestamp,
    pub(crate) attempts: u32,
    /// Whether it is to be sent again.
    pub(crate) retry: bool,
    /// The event as it would have travelled.
    pub(crate) event: Value,
}

impl LetterRecord {
    /// The record of a letter of the gateway `origin`.
    pub(super) fn of(letter: DeadLetter, origin: &Origin) -> Self {
        let DeadLetter { id, stream, event, refusal, retry } = letter;
        let document = CloudEvent { origin, stream: &stream, sequence: id.sequence, event: &event };
        Self {
            destination: id.destination.clone(),
            lane: id.lane,
            sequence: id.sequence,
            kind: event.kind(),
            reason: refusal.reason,
            code: refusal.code,
            first_refused: refusal.first,
            last_refused: refusal.last,
            attempts: refusal.attempts,
            retry,
            event: serde_json::to_value(document).expect("its keys are texts"),
            asset: event.asset,
            id,
        }
    }
}
