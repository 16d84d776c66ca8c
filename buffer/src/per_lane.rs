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

impl SequenceRange {
    /// How many places it has.
    pub(crate) fn count(self) -> u64 {
        self.last.0 - self.first.0 + 1
    }

    /// Whether some place is in both.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// The runs of its places that are in none of `taken`, ascending.
    pub(crate) fn without<'a>(self, taken: impl IntoIterator<Item = &'a Self>) -> Vec<Self> {
        let mut left = vec![self];
        for one in taken {
            left = left.into_iter().flat_map(|run| run.around(one)).collect();
        }
        left
    }

    /// What of it is before and behind another.
    fn around(self, other: &Self) -> impl Iterator<Item = Self> {
        let Self { first, last } = self;
        let before = (first < other.first).then(|| Self { first, last: last.min(other.first.before()) });
        let behind = (last > other.last).then(|| Self { first: first.max(other.last.next()), last });
        before.into_iter().chain(behind)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn places(first: u64, last: u64) -> SequenceRange {
        SequenceRange { first: Sequence(first), last: Sequence(last) }
    }

    #[test]
    fn of_a_run_is_left_what_nothing_takes() {
        let run = places(10, 20);
        let left = |taken: &[SequenceRange]| run.without(taken);
        assert_eq!(left(&[]), [run]);
        assert_eq!(left(&[places(1, 9), places(21, 30)]), [run]);
        assert_eq!(left(&[places(1, 10), places(20, 30)]), [places(11, 19)]);
        assert_eq!(left(&[places(18, 19), places(12, 12)]), [places(10, 11), places(13, 17), places(20, 20)]);
        assert_eq!(left(&[places(15, 30), places(10, 14)]), []);
        assert_eq!(left(&[places(1, 30)]), []);
    }
}
