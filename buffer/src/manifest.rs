//! The manifest: which generations there are and what should be in them. Pure, but for [`load`] and [`save`].
//!
//! It is the truth about the store. A generation's directory that it does not list does not count.
//! [`stored`] is what it looks like on disk, by version.

mod stored;

use std::io;
use std::path::Path;

use penstock_events::{Lane, Sequence, Timestamp};

use crate::block::{BESIDE_A_BLOCK_BYTES, Tally};
use crate::durable_file::{self, InvalidFile, Kind};
use crate::per_lane::{PerLane, SequenceRange};

/// Version 1 knew no times, and no holes. Versions 2 and 3 look the same as 4. A store of version 2 has no journal, and one of version 3
/// has its blocks in sled: who knows no more must not open what has more.
const KIND: Kind = Kind { magic: *b"PSMA", version: 4 };

/// The number of a generation: unique in its lane, ascending, never used again.
pub(crate) type GenerationId = u32;

/// What the store consists of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Manifest {
    /// Drawn when the store was made: a part of its streams' ids.
    pub(crate) store: u32,
    pub(crate) lanes: PerLane<Vec<Generation>>,
}

/// A run of places in a lane, in a directory of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Generation {
    pub(crate) id: GenerationId,
    /// The first place that is or will be in it.
    pub(crate) first: Sequence,
    /// When it was made, by this machine's clock.
    pub(crate) began: Timestamp,
    /// When it was sealed: nothing in it is younger. While it is active, when it was made.
    pub(crate) ended: Timestamp,
    /// What is in it. While it is [`Phase::Active`] this is found by looking, not stored.
    pub(crate) extent: Extent,
    pub(crate) phase: Phase,
}

/// Whether a generation still grows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// The lane's last: it takes the appends.
    Active,
    /// Complete.
    Sealed,
}

/// What is in a generation.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Extent {
    /// The last place in it; the one before its first while it is empty.
    pub(crate) last: Sequence,
    /// The bytes of its blocks, and of what is stored beside each.
    pub(crate) stored_bytes: u64,
    /// Its events by type.
    pub(crate) tally: Tally,
    /// The earliest and the latest `time` of its events; `None` while there are none, and where a
    /// manifest of version 1 did not say.
    pub(crate) times: Option<TimeRange>,
    /// Places between its first and its last that damage took, ascending and apart. Readers pass over them.
    pub(crate) holes: Vec<SequenceRange>,
}

/// The earliest and the latest of some times.
pub(crate) type TimeRange = (Timestamp, Timestamp);

impl Manifest {
    /// The bytes of blocks in `lane`.
    pub(crate) fn stored_bytes(&self, lane: Lane) -> u64 {
        self.lanes[lane].iter().map(|generation| generation.extent.stored_bytes).sum()
    }

    /// The runs of places that can be read in `lane`.
    pub(crate) fn runs(&self, lane: Lane) -> Vec<SequenceRange> {
        self.lanes[lane].iter().flat_map(|generation| generation.extent.runs_from(generation.first)).collect()
    }

    /// Takes out the sealed generations of `lane` that end at or before `through`.
    pub(crate) fn drop_through(&mut self, lane: Lane, through: Sequence) -> Vec<Generation> {
        let generations = &mut self.lanes[lane];
        let kept = generations
            .iter()
            .position(|generation| generation.phase == Phase::Active || generation.extent.last > through);
        generations.drain(..kept.unwrap_or(generations.len())).collect()
    }
}

impl Generation {
    /// An empty generation that begins at `first`, made at `began`.
    pub(crate) fn starting_at(id: GenerationId, first: Sequence, began: Timestamp) -> Self {
        Self { id, first, began, ended: began, extent: Extent::before(first), phase: Phase::Active }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.extent.last < self.first
    }

    /// The same generation, complete at `now`.
    pub(crate) fn seal(&mut self, now: Timestamp) {
        self.ended = now;
        self.phase = Phase::Sealed;
    }
}

impl Extent {
    /// Nothing, with `first` to come.
    pub(crate) fn before(first: Sequence) -> Self {
        Self { last: Sequence(first.0.saturating_sub(1)), ..Self::default() }
    }

    /// Adds a block of so many bytes that ends at `last`.
    pub(crate) fn add(&mut self, last: Sequence, block_bytes: u64, tally: &Tally, times: TimeRange) {
        self.append(&Self {
            last,
            stored_bytes: block_bytes + BESIDE_A_BLOCK_BYTES,
            tally: tally.clone(),
            times: Some(times),
            holes: Vec::new(),
        });
    }

    /// Adds what follows.
    pub(crate) fn append(&mut self, more: &Self) {
        self.last = more.last;
        self.stored_bytes += more.stored_bytes;
        for (&kind, count) in &more.tally {
            *self.tally.entry(kind).or_default() += count;
        }
        self.times = match (self.times, more.times) {
            (Some(here), Some(there)) => Some((here.0.min(there.0), here.1.max(there.1))),
            (known, None) | (None, known) => known,
        };
        self.holes.extend_from_slice(&more.holes);
    }

    /// The first place at or after `place` that damage did not take.
    pub(crate) fn first_from(&self, place: Sequence) -> Option<Sequence> {
        let is_in = |hole: &&SequenceRange| (hole.first..=hole.last).contains(&place);
        let place = self.holes.iter().find(is_in).map_or(place, |hole| hole.last.next());
        (place <= self.last).then_some(place)
    }

    /// The runs of places from `place` on that damage did not take.
    pub(crate) fn runs_from(&self, place: Sequence) -> Vec<SequenceRange> {
        let mut runs = Vec::new();
        let mut from = place;
        while let Some(first) = self.first_from(from) {
            let hole = self.holes.iter().find(|hole| hole.first > first);
            let last = hole.map_or(self.last, |hole| hole.first.before());
            runs.push(SequenceRange { first, last });
            from = last.next();
        }
        runs
    }

    /// How many events are in it.
    pub(crate) fn events(&self) -> u64 {
        self.tally.values().sum()
    }
}

/// The manifest at `path`; `None` when there is none.
pub(crate) fn load(path: &Path) -> Result<Option<Manifest>, InvalidFile> {
    let found = durable_file::read_versioned(path, &KIND)?;
    found.map(|(version, payload)| stored::decode(version, &payload)).transpose()
}

/// Like [`save`], but durable only once the directory is synced.
pub(crate) fn put(path: &Path, manifest: &Manifest) -> io::Result<()> {
    durable_file::put(path, &KIND, &stored::encode(manifest))
}

/// Replaces the manifest at `path`.
pub(crate) fn save(path: &Path, manifest: &Manifest) -> io::Result<()> {
    durable_file::replace(path, &KIND, &stored::encode(manifest))
}

/// Has a manifest that an older version wrote at `path` say that this one has had the store.
pub(crate) fn claim(path: &Path, manifest: &Manifest) -> Result<(), InvalidFile> {
    match durable_file::read_versioned(path, &KIND)? {
        Some((version, _)) if version < KIND.version => Ok(save(path, manifest)?),
        Some(_) | None => Ok(()),
    }
}

/// For fuzzing: what is read of a payload is written and read again as the same bytes.
#[cfg(any(test, fuzzing))]
pub(crate) fn rewrite(version: u16, payload: &[u8]) {
    if let Ok(read) = stored::decode(version, payload) {
        let written = stored::encode(&read);
        let again = stored::decode(KIND.version, &written).expect("what was read can be written");
        assert_eq!(stored::encode(&again), written);
    }
}

#[cfg(test)]
mod tests;
