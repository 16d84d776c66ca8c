//! What the manifest looks like on disk. The newest version is written; every one that was ever written is read.
//!
//! What is in a generation that still grows is not stored: it is found by looking.

use std::collections::{BTreeMap, BTreeSet};

use penstock_events::{Lane, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Extent, Generation, Manifest, Phase};
use crate::durable_file::InvalidFile;
use crate::per_lane::{PerLane, SequenceRange};
use crate::record::v1::{type_code, type_of_code};

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
    times: Option<(i64, i64)>,
    holes: Vec<(u64, u64)>,
}

/// The payload of versions 2 to 4.
pub(super) fn encode(manifest: &Manifest) -> Vec<u8> {
    let lane = |lane: Lane| manifest.lanes[lane].iter().map(store_generation).collect();
    let stored = StoredManifest {
        store: manifest.store,
        business: lane(Lane::Business),
        telemetry: lane(Lane::Telemetry),
    };
    postcard::to_stdvec(&stored).expect("a Vec grows, and nothing in a manifest can fail")
}

/// The manifest in a payload of this version.
pub(super) fn decode(version: u16, payload: &[u8]) -> Result<Manifest, InvalidFile> {
    let damaged = |what: String| InvalidFile::Damaged(what);
    let undecodable = |error| damaged(format!("it cannot be decoded: {error}"));
    let stored = match version {
        1 => v1::decode(payload).map_err(undecodable)?,
        _ => postcard::from_bytes::<StoredManifest>(payload).map_err(undecodable)?,
    };
    let lanes = PerLane {
        business: load_generations(stored.business)?,
        telemetry: load_generations(stored.telemetry)?,
    };
    for lane in Lane::ALL {
        check_order(&lanes[lane]).map_err(|what| damaged(format!("its {lane} lane {what}")))?;
    }
    Ok(Manifest { store: stored.store, lanes })
}

/// Places ascend without overlap, no id is there twice, and all but the last generation are sealed.
fn check_order(lane: &[Generation]) -> Result<(), String> {
    let ids: BTreeSet<_> = lane.iter().map(|generation| generation.id).collect();
    if ids.len() < lane.len() {
        return Err("has two generations of one number".to_owned());
    }
    for pair in lane.windows(2) {
        let [before, after] = pair else { continue };
        if before.extent.last >= after.first || before.phase == Phase::Active {
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
                times: extent.times.map(|(earliest, latest)| (earliest.as_micros(), latest.as_micros())),
                holes: extent.holes.iter().map(|hole| (hole.first.0, hole.last.0)).collect(),
            }),
        },
    }
}

fn load_generations(stored: Vec<StoredGeneration>) -> Result<Vec<Generation>, InvalidFile> {
    let at = Timestamp::from_micros;
    let hole = |(first, last)| SequenceRange { first: Sequence(first), last: Sequence(last) };
    let load = |stored: StoredGeneration| {
        let began = at(stored.began);
        let mut generation = Generation::starting_at(stored.id, Sequence(stored.first), began);
        if let Some(seal) = stored.seal {
            let tally = seal.tally.into_iter().map(|(code, count)| Ok((type_of_code(code)?, count)));
            generation.extent = Extent {
                last: Sequence(seal.last),
                stored_bytes: seal.stored_bytes,
                tally: tally
                    .collect::<Result<BTreeMap<_, _>, crate::record::v1::InvalidBody>>()
                    .map_err(|error| InvalidFile::Damaged(error.to_string()))?,
                times: seal.times.map(|(earliest, latest)| (at(earliest), at(latest))),
                holes: seal.holes.into_iter().map(hole).collect(),
            };
            generation.seal(at(seal.ended));
        }
        Ok(generation)
    };
    stored.into_iter().map(load).collect()
}

/// Version 1, which is read only: what it did not say is not known, and its generations count as made
/// by a clock that was not set.
mod v1 {
    use serde::{Deserialize, Serialize};

    use super::{StoredGeneration, StoredManifest, StoredSeal};

    #[derive(Serialize, Deserialize)]
    struct Manifest {
        store: u32,
        business: Vec<Generation>,
        telemetry: Vec<Generation>,
    }

    #[derive(Serialize, Deserialize)]
    struct Generation {
        id: u32,
        first: u64,
        seal: Option<Seal>,
    }

    #[derive(Serialize, Deserialize)]
    struct Seal {
        last: u64,
        stored_bytes: u64,
        tally: Vec<(u8, u64)>,
    }

    pub(super) fn decode(payload: &[u8]) -> Result<StoredManifest, postcard::Error> {
        let Manifest { store, business, telemetry } = postcard::from_bytes(payload)?;
        let lane = |lane: Vec<Generation>| lane.into_iter().map(Into::into).collect();
        Ok(StoredManifest { store, business: lane(business), telemetry: lane(telemetry) })
    }

    impl From<Generation> for StoredGeneration {
        fn from(Generation { id, first, seal }: Generation) -> Self {
            let seal = seal.map(|Seal { last, stored_bytes, tally }| StoredSeal {
                last,
                ended: 0,
                stored_bytes,
                tally,
                times: None,
                holes: Vec::new(),
            });
            Self { id, first, began: 0, seal }
        }
    }
}
