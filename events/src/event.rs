//! Governed events: facts about assets that the enterprise acts on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::condition::{ConditionId, Severity, Wording};
use crate::name::{AssetPath, SourceName, StateName, TagPath};
use crate::reading::{Cause, Value};
use crate::stream::{Lane, Sequence, StreamId};
use crate::time::Timestamp;

/// Whether an event's value can be trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quality {
    /// It can.
    Good,
    /// The source itself doubts it, and why.
    Uncertain(Cause),
    /// It cannot, and why.
    Bad(Cause),
}

/// Something that happened to an asset.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Whom it happened to.
    pub asset: AssetPath,
    /// The source's time where it has one, else the poll slot.
    pub time: Timestamp,
    /// The gateway's time.
    pub observed: Timestamp,
    /// Whether the values in it can be trusted.
    pub quality: Quality,
    /// What happened.
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A tag's value, reported by exception.
    TelemetrySampled {
        /// The tag.
        tag: TagPath,
        /// Its value; none while the quality is bad.
        value: Option<Value>,
        /// Its unit as configured (UCUM recommended: `Cel`, `bar`).
        unit: Option<Arc<str>>,
    },
    /// A machine is in another state than before.
    MachineStateChanged {
        /// The tag that tells the state.
        tag: TagPath,
        /// The state that began at the event's time.
        state: StateName,
        /// The state that ended; none for the first ever seen.
        previous: Option<PreviousState>,
    },
    /// A counter of pieces moved.
    ProductionCompleted {
        /// The counter's tag.
        tag: TagPath,
        /// Which pieces it counts.
        output: Output,
        /// How many pieces were completed since the last event of this counter.
        quantity: u64,
        /// Where the counter stands.
        counter: CounterMark,
    },
    /// A condition of an asset asks for attention, since the event's time.
    AlertRaised(Box<Alert>),
    /// It does not ask for it any more.
    AlertCleared {
        /// The alert as it was raised, but with the message that its end came with, if any.
        alert: Box<Alert>,
        /// When it was raised: the time of that event.
        since: Timestamp,
    },
    /// A source stopped answering.
    SourceDown {
        /// The source.
        source: SourceName,
        /// What the gateway saw.
        cause: Cause,
    },
    /// A source answers again.
    SourceUp {
        /// The source.
        source: SourceName,
        /// When it had gone down.
        down_since: Timestamp,
    },
    /// Events of a stream were given up before every destination had them.
    Gap {
        /// The stream that has a hole.
        stream: StreamId,
        /// The first missing place.
        first: Sequence,
        /// The last missing place.
        last: Sequence,
        /// Why they were given up.
        reason: GapReason,
        /// How many events of each type were given up.
        lost: Vec<(EventType, u64)>,
    },
    /// The gateway started.
    GatewayStarted {
        /// The program's version.
        version: Arc<str>,
    },
}

/// A condition that asks for attention.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alert {
    /// The tag that tells of it.
    pub tag: TagPath,
    /// Which condition of that tag.
    pub condition: ConditionId,
    /// What it is called.
    pub name: Option<Wording>,
    /// What it is about.
    pub source_name: Option<Wording>,
    /// How bad it was when it was raised.
    pub severity: Severity,
    /// What it says.
    pub message: Option<Wording>,
}

/// Why events were given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GapReason {
    /// The buffer was at its configured size.
    BufferFull,
    /// They were older than the configuration keeps undelivered events.
    Expired,
    /// The disk had less free space than the configuration leaves to others.
    DiskFull,
    /// A destination had refused them for good, and there was no room to keep them.
    DeadLettersFull,
    /// A destination had refused them for good, and an operator discarded them.
    Discarded,
    /// The disk no longer has them as they were written, or at all.
    Damaged,
}

impl GapReason {
    /// Every reason of this version of the contract.
    pub const ALL: [Self; 6] = [
        Self::BufferFull,
        Self::Expired,
        Self::DiskFull,
        Self::DeadLettersFull,
        Self::Discarded,
        Self::Damaged,
    ];

    /// Its name in the contract: `buffer_full`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BufferFull => "buffer_full",
            Self::Expired => "expired",
            Self::DiskFull => "disk_full",
            Self::DeadLettersFull => "dead_letters_full",
            Self::Discarded => "discarded",
            Self::Damaged => "damaged",
        }
    }
}

/// The state that a machine left.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PreviousState {
    /// The state.
    pub state: StateName,
    /// How long the machine was in it.
    pub duration: Duration,
}

/// Which pieces a counter counts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Output {
    /// Good pieces.
    Good,
    /// Scrap.
    Scrap,
}

impl Output {
    /// `good` or `scrap`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Scrap => "scrap",
        }
    }
}

/// Where a counter stands: the natural key of a production event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CounterMark {
    /// The slot in which this run of the counter began: its first reading, a rollover or a reset. Later
    /// than the epoch of the run before even if the clock was set back.
    pub epoch: Timestamp,
    /// The counter's value before, in its own run.
    pub from: u64,
    /// The counter's value.
    pub to: u64,
}

/// The type of an event, as consumers see it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum EventType {
    /// `telemetry.sampled`
    TelemetrySampled,
    /// `machine.state_changed`
    MachineStateChanged,
    /// `production.completed`
    ProductionCompleted,
    /// `maintenance.alert_raised`
    MaintenanceAlertRaised,
    /// `maintenance.alert_cleared`
    MaintenanceAlertCleared,
    /// `gateway.source_down`
    GatewaySourceDown,
    /// `gateway.source_up`
    GatewaySourceUp,
    /// `gateway.gap`
    GatewayGap,
    /// `gateway.started`
    GatewayStarted,
}

impl EventType {
    /// Every type of this version of the contract.
    pub const ALL: [Self; 9] = [
        Self::TelemetrySampled,
        Self::MachineStateChanged,
        Self::ProductionCompleted,
        Self::MaintenanceAlertRaised,
        Self::MaintenanceAlertCleared,
        Self::GatewaySourceDown,
        Self::GatewaySourceUp,
        Self::GatewayGap,
        Self::GatewayStarted,
    ];

    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TelemetrySampled => "telemetry.sampled",
            Self::MachineStateChanged => "machine.state_changed",
            Self::ProductionCompleted => "production.completed",
            Self::MaintenanceAlertRaised => "maintenance.alert_raised",
            Self::MaintenanceAlertCleared => "maintenance.alert_cleared",
            Self::GatewaySourceDown => "gateway.source_down",
            Self::GatewaySourceUp => "gateway.source_up",
            Self::GatewayGap => "gateway.gap",
            Self::GatewayStarted => "gateway.started",
        }
    }

    /// The version of the type's data.
    pub const fn version(self) -> u16 {
        1
    }

    /// The lane that events of this type travel in.
    pub const fn lane(self) -> Lane {
        match self {
            Self::TelemetrySampled => Lane::Telemetry,
            Self::MachineStateChanged
            | Self::ProductionCompleted
            | Self::MaintenanceAlertRaised
            | Self::MaintenanceAlertCleared
            | Self::GatewaySourceDown
            | Self::GatewaySourceUp
            | Self::GatewayGap
            | Self::GatewayStarted => Lane::Business,
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of an event type.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an event type")]
pub struct UnknownEventType(String);

impl FromStr for EventType {
    type Err = UnknownEventType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownEventType(text.to_owned()))
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Event {
    /// The event's type.
    pub const fn kind(&self) -> EventType {
        match self.fact {
            Fact::TelemetrySampled { .. } => EventType::TelemetrySampled,
            Fact::MachineStateChanged { .. } => EventType::MachineStateChanged,
            Fact::ProductionCompleted { .. } => EventType::ProductionCompleted,
            Fact::AlertRaised(_) => EventType::MaintenanceAlertRaised,
            Fact::AlertCleared { .. } => EventType::MaintenanceAlertCleared,
            Fact::SourceDown { .. } => EventType::GatewaySourceDown,
            Fact::SourceUp { .. } => EventType::GatewaySourceUp,
            Fact::Gap { .. } => EventType::GatewayGap,
            Fact::GatewayStarted { .. } => EventType::GatewayStarted,
        }
    }

    /// The lane it travels in.
    pub const fn lane(&self) -> Lane {
        self.kind().lane()
    }
}
