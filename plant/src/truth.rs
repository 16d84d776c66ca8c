//! What really happened, told by whoever made it happen. The witness judges events against it.

use std::collections::BTreeMap;
use std::time::Duration;

/// Facts that must arrive, each exactly once. Keyed by the tag that a gateway reads them from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Truth {
    /// What each counter counted since a gateway first could see it.
    pub counters: BTreeMap<String, Count>,
    /// The states of each machine in order, the one at first sight included.
    pub states: BTreeMap<String, Vec<Entered>>,
}

impl Truth {
    /// How many facts there are: one per piece, one per state entered.
    pub fn facts(&self) -> u64 {
        let pieces: u64 = self.counters.values().map(|count| count.made).sum();
        let entered: usize = self.states.values().map(Vec::len).sum();
        pieces + entered as u64
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
