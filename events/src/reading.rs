//! What adapters say: values of tags with their quality and times, and whether a source answers.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::condition::{Condition, ConditionId};
use crate::time::Timestamp;

/// A tag's index in the running configuration. Never stored: a restart may number tags anew.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TagId(pub u32);

/// A source's index in the running configuration. Never stored.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SourceId(pub u32);

/// A decoded and scaled value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A coil, a discrete input, one bit of a register or an OPC UA Boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A finite number; adapters turn NaN and infinities into [`Cause::NotFinite`].
    Float(f64),
    /// Text from the device, with padding removed.
    Text(Arc<str>),
}

/// Why a sample is not good: the protocol's own code where there is one.
///
/// Displays as a short stable code: `timeout`, `modbus-exception-2`, `opcua-0x80340000`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// No connection to the source.
    Disconnected,
    /// The source did not answer in time.
    Timeout,
    /// The source answered what cannot be an answer to the request.
    Malformed,
    /// A Modbus exception code (Modbus Application Protocol V1.1b3, section 7).
    ModbusException(u8),
    /// An OPC UA status code (OPC 10000-4, section 7.39), of an item, a value or the whole server.
    OpcUaStatus(u32),
    /// A floating-point value that is NaN or infinite.
    NotFinite,
    /// Bytes that are not text in a tag that is configured as text.
    NotText,
    /// A digit above 9 in a tag that is configured as binary-coded decimal.
    NotBcd,
    /// A number outside the range that is configured for its tag.
    OutOfRange,
    /// The number that stands for "no value" in its tag.
    MarkedInvalid,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("disconnected"),
            Self::Timeout => f.write_str("timeout"),
            Self::Malformed => f.write_str("malformed-reply"),
            Self::ModbusException(code) => write!(f, "modbus-exception-{code}"),
            Self::OpcUaStatus(code) => write!(f, "opcua-0x{code:08X}"),
            Self::NotFinite => f.write_str("not-finite"),
            Self::NotText => f.write_str("not-text"),
            Self::NotBcd => f.write_str("not-bcd"),
            Self::OutOfRange => f.write_str("out-of-range"),
            Self::MarkedInvalid => f.write_str("marked-invalid"),
        }
    }
}

/// A value, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// A value that can be trusted.
    Good(Value),
    /// A value that its source itself doubts, such as the last one of a sensor that is gone, and why.
    Uncertain(Value, Cause),
    /// No value to trust.
    Bad(Cause),
}

/// One value of one tag at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Which tag.
    pub tag: TagId,
    /// Its value or why there is none.
    pub sample: Sample,
    /// The source's own time of the value, where the protocol has one, else the poll slot.
    pub time: Timestamp,
}

/// The most conditions in one observation: what follows from them is stored at once.
pub const MAX_CONDITIONS_TOLD: usize = 1_000;

/// What an adapter hands to ingest: one hop, one message.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// The source answered: readings of one poll, in configuration order, or what one message of it says. No tag
    /// occurs twice, so that all of it can be stored at once.
    Polled {
        /// Who answered.
        source: SourceId,
        /// When the gateway had the readings.
        observed: Timestamp,
        /// One reading per tag that was due or has changed.
        readings: Vec<Reading>,
    },
    /// The source told of conditions that it watches, in the order in which it did: no more than
    /// [`MAX_CONDITIONS_TOLD`].
    Told {
        /// Who told.
        source: SourceId,
        /// When the gateway heard it.
        observed: Timestamp,
        /// The tag that stands for these conditions.
        tag: TagId,
        /// How they are.
        conditions: Vec<Condition>,
    },
    /// The source has told of every condition that is active: any other is over.
    ToldAll {
        /// Who told.
        source: SourceId,
        /// When the gateway heard it.
        observed: Timestamp,
        /// The tag that stands for these conditions.
        tag: TagId,
        /// When that was, by the source's clock.
        time: Timestamp,
        /// Those that are active.
        active: BTreeSet<ConditionId>,
    },
    /// The source stopped answering. Said once; nothing follows until it answers again.
    Lost {
        /// Who stopped.
        source: SourceId,
        /// When the gateway noticed.
        observed: Timestamp,
        /// What the gateway saw.
        cause: Cause,
    },
}

impl Observation {
    /// The source that it is about.
    pub fn source(&self) -> SourceId {
        match self {
            Self::Polled { source, .. }
            | Self::Told { source, .. }
            | Self::ToldAll { source, .. }
            | Self::Lost { source, .. } => *source,
        }
    }
}
