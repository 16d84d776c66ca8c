//! Where an event stands: its lane, the numbered series of a store, and its place in it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::GatewayId;

/// The two lanes. Each numbers its events on its own, and telemetry is the first to be shed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Few, precious, ordered.
    Business,
    /// Many; thinned or dropped before any business event.
    Telemetry,
}

impl Lane {
    /// Both lanes, the precious one first.
    pub const ALL: [Self; 2] = [Self::Business, Self::Telemetry];

    /// `business` or `telemetry`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Business => "business",
            Self::Telemetry => "telemetry",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a lane.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a lane; there are business and telemetry")]
pub struct UnknownLane(String);

impl FromStr for Lane {
    type Err = UnknownLane;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == text).ok_or_else(|| UnknownLane(text.to_owned()))
    }
}

/// An event's place in its lane: 1, 2, 3 … without holes.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The place before the first event.
    pub const ZERO: Self = Self(0);

    /// The next place.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The place before; that before the first is itself.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One numbered series of events: a lane of a gateway's store. A store that is made anew starts a
/// stream of its own, so a receiver never takes its first events for old ones.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// The stream of `lane` in the store `store` of `gateway`: `edge-01/business/3f2a9c01`.
    pub fn new(gateway: &GatewayId, lane: Lane, store: u32) -> Self {
        Self(format!("{gateway}/{lane}/{store:08x}").into())
    }

    /// A stream id as it was stored. Only the store makes these.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
