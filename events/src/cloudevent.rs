//! An event as a CloudEvents 1.0 JSON document (CloudEvents JSON Format 1.0.2, section 3).
//!
//! Besides the required attributes (CloudEvents 1.0.2, section 3.1) an event carries the extension
//! attributes `gatewayid`, `stream`, `sequence` (the CloudEvents sequence extension: twenty decimal
//! digits, so that texts sort as numbers do), `partitionkey` (the partitioning extension: the asset)
//! and `observedtime`.

use std::time::Duration;

use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};

use crate::event::{Alert, CounterMark, Event, EventType, Fact, PreviousState, Quality};
use crate::identity;
use crate::name::{GatewayId, Site};
use crate::stream::{Sequence, StreamId};
use crate::time::Timestamp;

/// The media type of the document (CloudEvents JSON Format 1.0.2, section 3).
pub const MEDIA_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// Room for most documents, so that writing one allocates once: the golden ones of the tests have 478
/// to 745 bytes.
const USUAL_BYTES: usize = 768;

/// Whose events these are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// The gateway that observed them.
    pub gateway: GatewayId,
    /// The site that the assets belong to.
    pub site: Site,
}

/// An event in its place: everything that its document says.
///
/// Serializes as the document.
#[derive(Clone, Copy, Debug)]
pub struct CloudEvent<'a> {
    /// Whose event it is.
    pub origin: &'a Origin,
    /// The numbered series that it belongs to.
    pub stream: &'a StreamId,
    /// Its place in the series.
    pub sequence: Sequence,
    /// What happened.
    pub event: &'a Event,
}

impl CloudEvent<'_> {
    /// The document, as one line of UTF-8 JSON.
    pub fn to_json(self) -> Vec<u8> {
        let mut document = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut document, &self).expect("its keys are texts and a Vec takes every byte");
        document
    }
}

impl Serialize for CloudEvent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { origin, stream, sequence, event } = self;
        let kind = event.kind();
        let id = identity::id(&origin.site, event);
        let mut document = serializer.serialize_struct("CloudEvent", 13)?;
        document.serialize_field("specversion", "1.0")?;
        document.serialize_field("id", &format_args!("{id}"))?;
        document.serialize_field("source", &format_args!("urn:penstock:{}:{}", origin.site, event.asset))?;
        document.serialize_field("type", kind.as_str())?;
        document.serialize_field("time", &format_args!("{}", event.time))?;
        document.serialize_field("datacontenttype", "application/json")?;
        document.serialize_field("dataschema", &format_args!("{}", schema_of(kind)))?;
        document.serialize_field("gatewayid", &origin.gateway)?;
        document.serialize_field("stream", stream.as_str())?;
        document.serialize_field("sequence", &format_args!("{:020}", sequence.0))?;
        document.serialize_field("partitionkey", &event.asset)?;
        document.serialize_field("observedtime", &format_args!("{}", event.observed))?;
        document.serialize_field("data", &Data(event))?;
        document.end()
    }
}

/// The URN of the schema of a type's data: `urn:penstock:schema:production.completed:1`.
pub fn schema_of(kind: EventType) -> String {
    format!("urn:penstock:schema:{kind}:{}", kind.version())
}

/// The type's own part of the document.
struct Data<'a>(&'a Event);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut data = serializer.serialize_map(None)?;
        match &self.0.fact {
            Fact::TelemetrySampled { tag, value, unit } => {
                data.serialize_entry("tag", tag)?;
                data.serialize_entry("value", value)?;
                data.serialize_entry("unit", unit)?;
                data.serialize_entry("quality", &QualityData(self.0.quality))?;
            }
            Fact::MachineStateChanged { tag, state, previous } => {
                data.serialize_entry("tag", tag)?;
                data.serialize_entry("state", state)?;
                data.serialize_entry("previous", &previous.as_ref().map(PreviousData))?;
            }
            Fact::ProductionCompleted { tag, output, quantity, counter } => {
                data.serialize_entry("tag", tag)?;
                data.serialize_entry("output", output.as_str())?;
                data.serialize_entry("quantity", quantity)?;
                data.serialize_entry("counter", &CounterData(counter))?;
            }
            Fact::AlertRaised(alert) => serialize_alert(alert, &mut data)?,
            Fact::AlertCleared { alert, since } => {
                serialize_alert(alert, &mut data)?;
                data.serialize_entry("since", &format_args!("{since}"))?;
                data.serialize_entry("duration_ms", &duration_ms(*since, self.0.time))?;
            }
            Fact::SourceDown { source, cause } => {
                data.serialize_entry("source", source)?;
                data.serialize_entry("cause", &format_args!("{cause}"))?;
            }
            Fact::SourceUp { source, down_since } => {
                data.serialize_entry("source", source)?;
                data.serialize_entry("down_since", &format_args!("{down_since}"))?;
            }
            Fact::Gap { stream, first, last, reason, lost } => {
                data.serialize_entry("stream", stream.as_str())?;
                data.serialize_entry("first", &format_args!("{:020}", first.0))?;
                data.serialize_entry("last", &format_args!("{:020}", last.0))?;
                data.serialize_entry("reason", reason.as_str())?;
                data.serialize_entry("lost", &LostData(lost))?;
            }
            Fact::GatewayStarted { version } => data.serialize_entry("version", version)?,
        }
        data.end()
    }
}

fn serialize_alert<M: SerializeMap>(alert: &Alert, data: &mut M) -> Result<(), M::Error> {
    let Alert { tag, condition, name, source_name, severity, message } = alert;
    data.serialize_entry("tag", tag)?;
    data.serialize_entry("condition", condition)?;
    data.serialize_entry("name", name)?;
    data.serialize_entry("source_name", source_name)?;
    data.serialize_entry("severity", severity)?;
    data.serialize_entry("message", message)
}

/// Between two times of one source. A clock that was set back meanwhile makes it nothing.
fn duration_ms(since: Timestamp, until: Timestamp) -> u64 {
    whole_ms(until.checked_since(since).unwrap_or_default())
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

struct QualityData(Quality);

impl Serialize for QualityData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut quality = serializer.serialize_map(None)?;
        match self.0 {
            Quality::Good => quality.serialize_entry("status", "good")?,
            Quality::Uncertain(cause) => {
                quality.serialize_entry("status", "uncertain")?;
                quality.serialize_entry("cause", &format_args!("{cause}"))?;
            }
            Quality::Bad(cause) => {
                quality.serialize_entry("status", "bad")?;
                quality.serialize_entry("cause", &format_args!("{cause}"))?;
            }
        }
        quality.end()
    }
}

struct PreviousData<'a>(&'a PreviousState);

impl Serialize for PreviousData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut previous = serializer.serialize_map(Some(2))?;
        previous.serialize_entry("state", &self.0.state)?;
        previous.serialize_entry("duration_ms", &whole_ms(self.0.duration))?;
        previous.end()
    }
}

struct CounterData<'a>(&'a CounterMark);

impl Serialize for CounterData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let CounterMark { epoch, from, to } = self.0;
        let mut counter = serializer.serialize_map(Some(3))?;
        counter.serialize_entry("epoch", &format_args!("{epoch}"))?;
        counter.serialize_entry("from", from)?;
        counter.serialize_entry("to", to)?;
        counter.end()
    }
}

struct LostData<'a>(&'a [(EventType, u64)]);

impl Serialize for LostData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(kind, count)| (kind.as_str(), count)))
    }
}
