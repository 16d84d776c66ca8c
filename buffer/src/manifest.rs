//! The manifest: which generations there are and what should be in them. Pure, but for [`load`] and [`save`].
//!
//! It is the truth about the store. A generation's directory that it does not list does not count.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use penstock_events::{Lane, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::block::Tally;
use crate::durable_file::{self, InvalidFile, Kind};
use crate::per_lane::PerLane;
use crate::record::v1::{type_code, type_of_code};

const KIND: Kind = Kind { magic: *b"PSMA", version: 1 };

/// The number of a generation: unique in its lane, ascending, never used again.
pub(crate) type GenerationId = u32;

/// What the store consists of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Manifest {
    /// Drawn when the store was made: a part of its streams' ids.
    pub(crate) store: u32,
    pub(crate) lanes: PerLane<Vec<Generation>>,
}

/// One sled database: a run of places in a lane.
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
    /// The bytes of its blocks.
    pub(crate) stored_bytes: u64,
    /// Its events by type.
    pub(crate) tally: Tally,
}

impl Manifest {
    /// The bytes of blocks in `lane`.
    pub(crate) fn stored_bytes(&self, lane: Lane) -> u64 {
        self.lanes[lane].iter().map(|generation| generation.extent.stored_bytes).sum()
    }

    /// What is in the generations that grow.
    pub(crate) fn active_extents(&self) -> PerLane<Extent> {
        PerLane::from_fn(|lane| {
            self.lanes[lane].last().map(|active| active.extent.clone()).unwrap_or_default()
        })
    }

    /// The bytes of blocks in the sealed generations of `lane`.
    pub(crate) fn sealed_bytes(&self, lane: Lane) -> u64 {
        let sealed = self.lanes[lane].iter().filter(|generation| generation.phase == Phase::Sealed);
        sealed.map(|generation| generation.extent.stored_bytes).sum()
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

    /// Adds a block that ends at `last`.
    pub(crate) fn add(&mut self, last: Sequence, stored_bytes: u64, tally: &Tally) {
        self.last = last;
        self.stored_bytes += stored_bytes;
        for (&kind, count) in tally {
            *self.tally.entry(kind).or_default() += count;
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredManifest {
    store: u32,
    business: Vec<StoredGeneration>,
    telemetry: Vec<StoredGeneration>,
}

#[derive(Serialize, Deserialize)]
struct StoredGeneration {
    id: u32,
    first: u64,
    began: i64,
    seal: Option<StoredSeal>,
}

#[derive(Serialize, Deserialize)]
struct StoredSeal {
    last: u64,
    ended: i64,
    stored_bytes: u64,
    tally: Vec<(u8, u64)>,
}

/// The manifest at `path`; `None` when there is none.
pub(crate) fn load(path: &Path) -> Result<Option<Manifest>, InvalidFile> {
    durable_file::read(path, &KIND)?.map(|payload| decode(&payload)).transpose()
}

/// Replaces the manifest at `path`.
pub(crate) fn save(path: &Path, manifest: &Manifest) -> io::Result<()> {
    durable_file::replace(path, &KIND, &encode(manifest))
}

fn encode(manifest: &Manifest) -> Vec<u8> {
    let lane = |lane: Lane| manifest.lanes[lane].iter().map(store_generation).collect();
    let stored = StoredManifest {
        store: manifest.store,
        business: lane(Lane::Business),
        telemetry: lane(Lane::Telemetry),
    };
    postcard::to_stdvec(&stored).expect("a Vec grows, and nothing in a manifest can fail")
}

fn decode(payload: &[u8]) -> Result<Manifest, InvalidFile> {
    let damaged = |what: String| InvalidFile::Damaged(what);
    let stored: StoredManifest =
        postcard::from_bytes(payload).map_err(|error| damaged(format!("it cannot be decoded: {error}")))?;
    let lanes = PerLane {
        business: load_generations(stored.business)?,
        telemetry: load_generations(stored.telemetry)?,
    };
    for lane in Lane::ALL {
        check_order(&lanes[lane]).map_err(|what| damaged(format!("its {lane} lane {what}")))?;
    }
    Ok(Manifest { store: stored.store, lanes })
}

/// Ids and places ascend without overlap, and all but the last generation are sealed.
fn check_order(lane: &[Generation]) -> Result<(), String> {
    for pair in lane.windows(2) {
        let [before, after] = pair else { continue };
        if before.id >= after.id || before.extent.last >= after.first || before.phase == Phase::Active {
            return Err(format!("has generation {} before {}, out of order", before.id, after.id));
        }
    }
    match lane.last() {
        Some(last) if last.phase == Phase::Sealed => Err(format!("ends in a sealed generation, {}", last.id)),
        _ => Ok(()),
    }
}

fn store_generation(generation: &Generation) -> StoredGeneration {
    let extent = &generation.extent;
    StoredGeneration {
        id: generation.id,
        first: generation.first.0,
        began: generation.began.as_micros(),
        seal: match generation.phase {
            Phase::Active => None,
            Phase::Sealed => Some(StoredSeal {
                last: extent.last.0,
                ended: generation.ended.as_micros(),
                stored_bytes: extent.stored_bytes,
                tally: extent.tally.iter().map(|(&kind, &count)| (type_code(kind), count)).collect(),
            }),
        },
    }
}

fn load_generations(stored: Vec<StoredGeneration>) -> Result<Vec<Generation>, InvalidFile> {
    let load = |stored: StoredGeneration| {
        let began = Timestamp::from_micros(stored.began);
        let mut generation = Generation::starting_at(stored.id, Sequence(stored.first), began);
        if let Some(seal) = stored.seal {
            let tally = seal.tally.into_iter().map(|(code, count)| Ok((type_of_code(code)?, count)));
            generation.extent = Extent {
                last: Sequence(seal.last),
                stored_bytes: seal.stored_bytes,
                tally: tally
                    .collect::<Result<BTreeMap<_, _>, crate::record::v1::InvalidBody>>()
                    .map_err(|error| InvalidFile::Damaged(error.to_string()))?,
            };
            generation.seal(Timestamp::from_micros(seal.ended));
        }
        Ok(generation)
    };
    stored.into_iter().map(load).collect()
}

#[cfg(test)]
mod tests {
    use penstock_events::EventType;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn sealed(id: GenerationId, first: u64, last: u64) -> Generation {
        let mut generation = Generation::starting_at(id, Sequence(first), at(1));
        let tally = Tally::from([(EventType::TelemetrySampled, last - first + 1)]);
        generation.extent.add(Sequence(last), 1_000, &tally);
        generation.seal(at(2));
        generation
    }

    fn manifest(telemetry: Vec<Generation>) -> Manifest {
        Manifest { store: 0x3f2a_9c01, lanes: PerLane { business: Vec::new(), telemetry } }
    }

    #[test]
    fn a_manifest_survives_its_file() {
        let active = Generation::starting_at(9, Sequence(201), at(3));
        let manifest = manifest(vec![sealed(3, 1, 100), sealed(4, 101, 200), active]);
        assert_eq!(decode(&encode(&manifest)).expect("what was encoded"), manifest);
    }

    #[test]
    fn what_cannot_be_a_store_is_not_taken_for_one() {
        let active = || Generation::starting_at(9, Sequence(201), at(3));
        let wrong = [
            vec![sealed(3, 1, 100)],
            vec![sealed(4, 1, 100), sealed(3, 101, 200), active()],
            vec![sealed(3, 1, 101), sealed(4, 101, 200), active()],
            vec![active(), Generation::starting_at(10, Sequence(300), at(3))],
        ];
        for telemetry in wrong {
            let found = decode(&encode(&manifest(telemetry.clone())));
            assert!(matches!(found, Err(InvalidFile::Damaged(_))), "{telemetry:?} was taken");
        }
    }

    #[test]
    fn only_complete_generations_up_to_the_place_are_dropped() {
        let mut manifest = manifest(vec![
            sealed(1, 1, 10),
            sealed(2, 11, 20),
            Generation::starting_at(3, Sequence(21), at(3)),
        ]);
        assert!(manifest.drop_through(Lane::Telemetry, Sequence(9)).is_empty());
        assert_eq!(manifest.drop_through(Lane::Telemetry, Sequence(19)).len(), 1);
        assert_eq!(manifest.drop_through(Lane::Telemetry, Sequence(u64::MAX)).len(), 1);
        assert_eq!(manifest.lanes.telemetry.len(), 1, "the active one stays");
    }
}
