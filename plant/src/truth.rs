//! What really happened, told by whoever made it happen. The witness judges events against it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Facts that must arrive, each exactly once. Keyed by the tag that a gateway reads them from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// What each counter counted since a gateway first could see it.
    pub counters: BTreeMap<String, Count>,
    /// The states of each machine in order, the one at first sight included.
    pub states: BTreeMap<String, Vec<Entered>>,
    /// The values of each gauge in order.
    pub gauges: BTreeMap<String, Gauge>,
}

impl Truth {
    /// How many facts there are: one per piece, one per state entered, one per value that is owed.
    pub fn facts(&self) -> u64 {
        let pieces: u64 = self.counters.values().map(|count| count.made).sum();
        let entered: usize = self.states.values().map(Vec::len).sum();
        let owed: usize = self.gauges.values().map(|gauge| gauge.owed().count()).sum();
        pieces + (entered + owed) as u64
    }

    /// Adds what another machine did, whose tags are others.
    pub fn and(mut self, other: Self) -> Self {
        self.counters.extend(other.counters);
        self.states.extend(other.states);
        self.gauges.extend(other.gauges);
        self
    }
}

/// A counter in a PLC, and how many pieces it really counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Count {
    /// The raw value before the first piece.
    pub first: u64,
    /// One more than the largest raw value: 65,536 for a 16-bit counter.
    pub modulus: u64,
    /// Pieces made since, however often the raw value rolled over.
    pub made: u64,
}

impl Count {
    /// What the counter shows.
    pub const fn raw(self) -> u64 {
        (self.first + self.made) % self.modulus
    }

    /// How often it rolled over.
    pub const fn rollovers(self) -> u64 {
        (self.first + self.made) / self.modulus
    }
}

/// A machine entered a state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entered {
    /// The state's name in the gateway's map.
    pub state: &'static str,
    /// When, since the simulation began.
    pub at: Duration,
}

/// What a gauge showed whose source tells each change. Nobody adds up what it showed meanwhile, so what changed while
/// nobody listened is gone: it need not arrive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauge {
    /// Each value and when it was taken, also where it is that of before.
    pub values: Vec<Shown>,
    /// When nobody listened, in microseconds since 1970.
    pub unheard: Vec<RangeInclusive<i64>>,
}

impl Gauge {
    /// The values that differ from those before them.
    pub fn changes(&self) -> impl Iterator<Item = &Shown> {
        let before = std::iter::once(None).chain(self.values.iter().map(|shown| Some(shown.value)));
        let changed = self.values.iter().zip(before).filter(|(shown, before)| Some(shown.value) != *before);
        changed.map(|(shown, _)| shown)
    }

    /// The changes that must arrive.
    pub fn owed(&self) -> impl Iterator<Item = &Shown> {
        self.changes().filter(|shown| !self.unheard.iter().any(|span| span.contains(&shown.at_us)))
    }
}

/// A gauge shows a value at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// The value.
    pub value: f64,
}
