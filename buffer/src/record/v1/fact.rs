//! The stored form of facts and qualities, and the way there and back, field by field.

use std::sync::Arc;
use std::time::Duration;

use penstock_events::{
    Alert, Cause, CounterMark, Fact, GapReason, Output, PreviousState, Quality, Sequence, Severity,
    StateName, StreamId, Timestamp, Value, Wording,
};
use serde::{Deserialize, Serialize};

use super::names::{Interner, NameIndex, Names};
use super::{InvalidBody, type_code, type_of_code};

#[derive(Serialize, Deserialize)]
pub(super) enum StoredQuality {
    Good,
    Bad(StoredCause),
    Uncertain(StoredCause),
}

#[derive(Serialize, Deserialize)]
pub(super) enum StoredCause {
    Disconnected,
    Timeout,
    Malformed,
    ModbusException(u8),
    NotFinite,
    NotText,
    OpcUaStatus(u32),
    NotBcd,
    OutOfRange,
    MarkedInvalid,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum StoredValue<'a> {
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(&'a str),
}

#[derive(Serialize, Deserialize)]
pub(super) enum StoredOutput {
    Good,
    Scrap,
}

#[derive(Serialize, Deserialize)]
pub(super) enum StoredGapReason {
    BufferFull,
    Expired,
    DiskFull,
    DeadLettersFull,
    Discarded,
    Damaged,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredPrevious {
    state: NameIndex,
    duration_secs: u64,
    duration_nanos: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) enum StoredFact<'a> {
    TelemetrySampled {
        tag: NameIndex,
        #[serde(borrow)]
        value: Option<StoredValue<'a>>,
        unit: Option<NameIndex>,
    },
    MachineStateChanged {
        tag: NameIndex,
        state: NameIndex,
        previous: Option<StoredPrevious>,
    },
    ProductionCompleted {
        tag: NameIndex,
        output: StoredOutput,
        quantity: u64,
        epoch: i64,
        from: u64,
        to: u64,
    },
    SourceDown {
        source: NameIndex,
        cause: StoredCause,
    },
    SourceUp {
        source: NameIndex,
        down_since: i64,
    },
    Gap {
        stream: NameIndex,
        first: u64,
        last: u64,
        reason: StoredGapReason,
        lost: Vec<(u8, u64)>,
    },
    GatewayStarted {
        version: NameIndex,
    },
    AlertRaised(#[serde(borrow)] StoredAlert<'a>),
    AlertCleared {
        #[serde(borrow)]
        alert: StoredAlert<'a>,
        since: i64,
    },
}

/// What a source says stands here as text: an interned name must not be chosen by anybody outside.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredAlert<'a> {
    tag: NameIndex,
    condition: &'a str,
    name: Option<&'a str>,
    source_name: Option<&'a str>,
    severity: u16,
    message: Option<&'a str>,
}

pub(super) fn store_fact<'a>(fact: &'a Fact, names: &mut Interner<'a>) -> StoredFact<'a> {
    match fact {
        Fact::TelemetrySampled { tag, value, unit } => StoredFact::TelemetrySampled {
            tag: names.index(tag.as_str()),
            value: value.as_ref().map(store_value),
            unit: unit.as_ref().map(|unit| names.index(unit)),
        },
        Fact::MachineStateChanged { tag, state, previous } => StoredFact::MachineStateChanged {
            tag: names.index(tag.as_str()),
            state: names.index(state.as_str()),
            previous: previous.as_ref().map(|previous| StoredPrevious {
                state: names.index(previous.state.as_str()),
                duration_secs: previous.duration.as_secs(),
                duration_nanos: previous.duration.subsec_nanos(),
            }),
        },
        Fact::ProductionCompleted { tag, output, quantity, counter } => StoredFact::ProductionCompleted {
            tag: names.index(tag.as_str()),
            output: match output {
                Output::Good => StoredOutput::Good,
                Output::Scrap => StoredOutput::Scrap,
            },
            quantity: *quantity,
            epoch: counter.epoch.as_micros(),
            from: counter.from,
            to: counter.to,
        },
        Fact::AlertRaised(alert) => StoredFact::AlertRaised(store_alert(alert, names)),
        Fact::AlertCleared { alert, since } => {
            StoredFact::AlertCleared { alert: store_alert(alert, names), since: since.as_micros() }
        }
        Fact::SourceDown { source, cause } => {
            StoredFact::SourceDown { source: names.index(source.as_str()), cause: store_cause(*cause) }
        }
        Fact::SourceUp { source, down_since } => {
            StoredFact::SourceUp { source: names.index(source.as_str()), down_since: down_since.as_micros() }
        }
        Fact::Gap { stream, first, last, reason, lost } => StoredFact::Gap {
            stream: names.index(stream.as_str()),
            first: first.0,
            last: last.0,
            reason: store_gap_reason(*reason),
            lost: lost.iter().map(|&(kind, count)| (type_code(kind), count)).collect(),
        },
        Fact::GatewayStarted { version } => StoredFact::GatewayStarted { version: names.index(version) },
    }
}

pub(super) fn load_fact(fact: StoredFact<'_>, names: &mut Names<'_>) -> Result<Fact, InvalidBody> {
    Ok(match fact {
        StoredFact::TelemetrySampled { tag, value, unit } => Fact::TelemetrySampled {
            tag: names.tag(tag)?,
            value: value.map(load_value),
            unit: unit.map(|unit| names.text(unit).map(Arc::from)).transpose()?,
        },
        StoredFact::MachineStateChanged { tag, state, previous } => Fact::MachineStateChanged {
            tag: names.tag(tag)?,
            state: names.parse(state)?,
            previous: previous.map(|previous| load_previous(&previous, names)).transpose()?,
        },
        StoredFact::ProductionCompleted { tag, output, quantity, epoch, from, to } => {
            Fact::ProductionCompleted {
                tag: names.tag(tag)?,
                output: match output {
                    StoredOutput::Good => Output::Good,
                    StoredOutput::Scrap => Output::Scrap,
                },
                quantity,
                counter: CounterMark { epoch: Timestamp::from_micros(epoch), from, to },
            }
        }
        StoredFact::SourceDown { source, cause } => {
            Fact::SourceDown { source: names.parse(source)?, cause: load_cause(&cause) }
        }
        StoredFact::SourceUp { source, down_since } => {
            Fact::SourceUp { source: names.parse(source)?, down_since: Timestamp::from_micros(down_since) }
        }
        StoredFact::Gap { stream, first, last, reason, lost } => Fact::Gap {
            stream: StreamId::from_stored(names.text(stream)?),
            first: Sequence(first),
            last: Sequence(last),
            reason: load_gap_reason(&reason),
            lost: lost
                .into_iter()
                .map(|(code, count)| Ok((type_of_code(code)?, count)))
                .collect::<Result<_, InvalidBody>>()?,
        },
        StoredFact::GatewayStarted { version } => {
            Fact::GatewayStarted { version: Arc::from(names.text(version)?) }
        }
        StoredFact::AlertRaised(alert) => Fact::AlertRaised(load_alert(&alert, names)?),
        StoredFact::AlertCleared { alert, since } => {
            Fact::AlertCleared { alert: load_alert(&alert, names)?, since: Timestamp::from_micros(since) }
        }
    })
}

fn store_alert<'a>(alert: &'a Alert, names: &mut Interner<'a>) -> StoredAlert<'a> {
    StoredAlert {
        tag: names.index(alert.tag.as_str()),
        condition: alert.condition.as_str(),
        name: alert.name.as_ref().map(Wording::as_str),
        source_name: alert.source_name.as_ref().map(Wording::as_str),
        severity: alert.severity.get(),
        message: alert.message.as_ref().map(Wording::as_str),
    }
}

fn load_alert(alert: &StoredAlert<'_>, names: &mut Names<'_>) -> Result<Box<Alert>, InvalidBody> {
    let bad = |_| InvalidBody::BadName { text: alert.condition.to_owned() };
    Ok(Box::new(Alert {
        tag: names.tag(alert.tag)?,
        condition: alert.condition.parse().map_err(bad)?,
        name: alert.name.and_then(Wording::of),
        source_name: alert.source_name.and_then(Wording::of),
        severity: Severity::clamped(alert.severity),
        message: alert.message.and_then(Wording::of),
    }))
}

fn store_gap_reason(reason: GapReason) -> StoredGapReason {
    match reason {
        GapReason::BufferFull => StoredGapReason::BufferFull,
        GapReason::Expired => StoredGapReason::Expired,
        GapReason::DiskFull => StoredGapReason::DiskFull,
        GapReason::DeadLettersFull => StoredGapReason::DeadLettersFull,
        GapReason::Discarded => StoredGapReason::Discarded,
        GapReason::Damaged => StoredGapReason::Damaged,
    }
}

fn load_gap_reason(reason: &StoredGapReason) -> GapReason {
    match reason {
        StoredGapReason::BufferFull => GapReason::BufferFull,
        StoredGapReason::Expired => GapReason::Expired,
        StoredGapReason::DiskFull => GapReason::DiskFull,
        StoredGapReason::DeadLettersFull => GapReason::DeadLettersFull,
        StoredGapReason::Discarded => GapReason::Discarded,
        StoredGapReason::Damaged => GapReason::Damaged,
    }
}

fn load_previous(previous: &StoredPrevious, names: &Names<'_>) -> Result<PreviousState, InvalidBody> {
    if previous.duration_nanos >= 1_000_000_000 {
        return Err(InvalidBody::BadDuration { nanos: previous.duration_nanos });
    }
    let state: StateName = names.parse(previous.state)?;
    Ok(PreviousState { state, duration: Duration::new(previous.duration_secs, previous.duration_nanos) })
}

fn store_value(value: &Value) -> StoredValue<'_> {
    match value {
        Value::Bool(bit) => StoredValue::Bool(*bit),
        Value::Int(number) => StoredValue::Int(*number),
        Value::UInt(number) => StoredValue::UInt(*number),
        Value::Float(number) => StoredValue::Float(*number),
        Value::Text(text) => StoredValue::Text(text),
    }
}

fn load_value(value: StoredValue<'_>) -> Value {
    match value {
        StoredValue::Bool(bit) => Value::Bool(bit),
        StoredValue::Int(number) => Value::Int(number),
        StoredValue::UInt(number) => Value::UInt(number),
        StoredValue::Float(number) => Value::Float(number),
        StoredValue::Text(text) => Value::Text(text.into()),
    }
}

pub(super) fn store_quality(quality: Quality) -> StoredQuality {
    match quality {
        Quality::Good => StoredQuality::Good,
        Quality::Uncertain(cause) => StoredQuality::Uncertain(store_cause(cause)),
        Quality::Bad(cause) => StoredQuality::Bad(store_cause(cause)),
    }
}

pub(super) fn load_quality(quality: &StoredQuality) -> Quality {
    match quality {
        StoredQuality::Good => Quality::Good,
        StoredQuality::Uncertain(cause) => Quality::Uncertain(load_cause(cause)),
        StoredQuality::Bad(cause) => Quality::Bad(load_cause(cause)),
    }
}

fn store_cause(cause: Cause) -> StoredCause {
    match cause {
        Cause::Disconnected => StoredCause::Disconnected,
        Cause::Timeout => StoredCause::Timeout,
        Cause::Malformed => StoredCause::Malformed,
        Cause::ModbusException(code) => StoredCause::ModbusException(code),
        Cause::NotFinite => StoredCause::NotFinite,
        Cause::NotText => StoredCause::NotText,
        Cause::OpcUaStatus(code) => StoredCause::OpcUaStatus(code),
        Cause::NotBcd => StoredCause::NotBcd,
        Cause::OutOfRange => StoredCause::OutOfRange,
        Cause::MarkedInvalid => StoredCause::MarkedInvalid,
    }
}

fn load_cause(cause: &StoredCause) -> Cause {
    match cause {
        StoredCause::Disconnected => Cause::Disconnected,
        StoredCause::Timeout => Cause::Timeout,
        StoredCause::Malformed => Cause::Malformed,
        StoredCause::ModbusException(code) => Cause::ModbusException(*code),
        StoredCause::NotFinite => Cause::NotFinite,
        StoredCause::NotText => Cause::NotText,
        StoredCause::OpcUaStatus(code) => Cause::OpcUaStatus(*code),
        StoredCause::NotBcd => Cause::NotBcd,
        StoredCause::OutOfRange => Cause::OutOfRange,
        StoredCause::MarkedInvalid => Cause::MarkedInvalid,
    }
}
