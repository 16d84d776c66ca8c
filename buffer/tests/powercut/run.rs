//! What a seed makes of a run: how large the store is, and whether the process is killed.

use std::path::Path;

use penstock_buffer::Options;

use super::workload::DESTINATIONS;
use crate::fixture::{options, tiny};

/// Which part of a run a process is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Life {
    /// All of it.
    Only,
    /// What comes before it is killed: only the recorder can do that.
    Killed,
    /// What comes after that.
    Second,
}

impl Life {
    pub(super) const ALL: [Self; 3] = [Self::Only, Self::Killed, Self::Second];

    /// Those of a run, one after the other.
    pub(super) fn of(seed: u64) -> &'static [Self] {
        if seed.is_multiple_of(3) { &[Self::Killed, Self::Second] } else { &[Self::Only] }
    }
}

/// How large the store of a run is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Size {
    /// The smallest that there is: it rolls, trims and sheds all the time.
    Tiny,
    /// As it comes: sled writes many segments before it is asked to sync any.
    Usual,
}

impl Size {
    pub(super) fn of(seed: u64) -> Self {
        if seed.is_multiple_of(5) { Self::Usual } else { Self::Tiny }
    }

    /// How the store is opened.
    pub(super) fn store(self, root: &Path) -> Options {
        let options = options(&root.join("buffer"), &DESTINATIONS);
        if self == Self::Tiny { tiny(options) } else { options }
    }

    /// How many samples an append has at most.
    pub(super) const fn samples(self) -> usize {
        match self {
            Self::Tiny => 40,
            Self::Usual => 400,
        }
    }
}
