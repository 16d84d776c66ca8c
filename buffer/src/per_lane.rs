//! One of something for each lane.

use std::ops::{Index, IndexMut};

use penstock_events::{Lane, Sequence};
use serde::{Deserialize, Serialize};

/// One value for each lane.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct PerLane<T> {
    /// The business lane's.
    pub business: T,
    /// The telemetry lane's.
    pub telemetry: T,
}

/// The last durable sequence of each lane; [`Sequence::ZERO`] before the first event.
pub type Heads = PerLane<Sequence>;

/// Where an append's events stand; `None` for a lane that got none of them.
pub type Appended = PerLane<Option<SequenceRange>>;

/// An unbroken run of places in a lane, both ends included.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SequenceRange {
    /// The first place.
    pub first: Sequence,
    /// The last place.
    pub last: Sequence,
}

impl<T> PerLane<T> {
    /// What `make` returns for each lane, business first.
    pub fn from_fn(mut make: impl FnMut(Lane) -> T) -> Self {
        Self { business: make(Lane::Business), telemetry: make(Lane::Telemetry) }
    }
}

impl<T> Index<Lane> for PerLane<T> {
    type Output = T;

    fn index(&self, lane: Lane) -> &T {
        match lane {
            Lane::Business => &self.business,
            Lane::Telemetry => &self.telemetry,
        }
    }
}

impl<T> IndexMut<Lane> for PerLane<T> {
    fn index_mut(&mut self, lane: Lane) -> &mut T {
        match lane {
            Lane::Business => &mut self.business,
            Lane::Telemetry => &mut self.telemetry,
        }
    }
}
