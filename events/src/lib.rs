//! Readings, events, their identity and contract, and the normalizer.
//!
//! This crate is pure: no async, no IO, no clock. Time comes in with what was observed.
//!
//! A [`Reading`] is what a device said. An [`Event`] is what the enterprise acts on. The
//! [`normalizer`] turns the one into the other; [`identity`] gives an event the id that is the same
//! on every retry, after every restart and from every gateway that saw the same fact;
//! [`cloudevent`] writes it as CloudEvents JSON.

pub mod cloudevent;
mod condition;
mod event;
pub mod identity;
mod name;
pub mod normalizer;
mod reading;
mod stream;
mod time;

pub use condition::{
    Condition, ConditionId, InvalidCondition, MAX_CONDITION_BYTES, MAX_WORDING_BYTES, Severity, Standing,
    Wording,
};
pub use event::{
    Alert, CounterMark, Event, EventType, Fact, GapReason, Output, PreviousState, Quality, UnknownEventType,
};
pub use name::{
    AssetPath, DestinationName, GatewayId, InvalidName, MAX_NAME_BYTES, MAX_PATH_SEGMENTS, Site, SourceName,
    StateName, TagName, TagPath,
};
pub use reading::{Cause, MAX_CONDITIONS_TOLD, Observation, Reading, Sample, SourceId, TagId, Value};
pub use stream::{Lane, Sequence, StreamId, UnknownLane};
pub use time::{InvalidTimestamp, Timestamp};
