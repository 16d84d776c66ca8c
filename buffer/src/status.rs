//! What the buffer says about itself.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;

use penstock_events::{DestinationName, Lane, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::generation::Fault;
use crate::manifest::{Generation, Phase};
use crate::per_lane::{PerLane, SequenceRange};
use crate::shared::{Shared, lock};
use crate::spare;

/// What is in the buffer, and who still needs it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Status {
    /// Whether appends go through.
    pub condition: Condition,
    /// Each lane.
    pub lanes: PerLane<LaneStatus>,
    /// Each configured destination.
    pub destinations: BTreeMap<DestinationName, PerLane<DestinationStatus>>,
    /// How many commits there were since the buffer was opened.
    pub commits: u64,
    /// How many undelivered events were given up since the buffer was opened, because it was full.
    pub shed_events: u64,
}

/// Whether appends go through.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// They do.
    Accepting,
    /// They wait: undelivered business events fill the buffer.
    Full,
    /// They wait: the disk refuses what is written. It is tried again until it takes it.
    Suspended(Outage),
    /// They fail, for this reason, until the process starts again.
    Failed(String),
}

/// The disk refuses what is written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Outage {
    /// What is wrong with it.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// What the system said last.
    pub detail: String,
}

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It has no room.
    DiskFull,
    /// It cannot be read or written.
    IoError,
}

impl Cause {
    pub(crate) fn of(fault: &Fault) -> Self {
        let is_full = match fault {
            Fault::Io(error) => spare::is_full(error),
            // sled tells only in words, when it gives up.
            other => other.to_string().contains("StorageFull"),
        };
        if is_full { Self::DiskFull } else { Self::IoError }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "disk full",
            Self::IoError => "io error",
        })
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} since {}: {}", self.cause, self.since, self.detail)
    }
}

/// What is in a lane.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LaneStatus {
    /// The first event that can still be read; the one after the head when there is none.
    pub first_retained: Sequence,
    /// The last durable event.
    pub head: Sequence,
    /// The bytes of its blocks.
    pub stored_bytes: u64,
    /// How many generations they are in.
    pub generations: usize,
}

/// How far a destination is in a lane.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DestinationStatus {
    /// The last event that it acknowledged.
    pub cursor: Sequence,
    /// How many retained events it has yet to get.
    pub backlog: u64,
}

/// A generation: what is stored, sealed and deleted as one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GenerationInfo {
    /// Its lane.
    pub lane: Lane,
    /// Its number, which no other generation of the lane ever has: its directory's name.
    pub number: u32,
    /// The places in it; `None` while it is empty.
    pub places: Option<SequenceRange>,
    /// How many events it holds: fewer than `places` says where damage took some.
    pub events: u64,
    /// The bytes of its blocks.
    pub stored_bytes: u64,
    /// The earliest `time` of its events; `None` while it is empty, and where an older version did not note it.
    pub earliest: Option<Timestamp>,
    /// The latest `time` of its events.
    pub latest: Option<Timestamp>,
    /// Whether it is complete. The others, the last of each lane, take the appends.
    pub sealed: bool,
    /// Whether every configured destination has acknowledged all of it.
    pub delivered: bool,
    /// Places that damage took, and that were announced as lost.
    pub holes: Vec<SequenceRange>,
}

impl Shared {
    /// The generations of `lane`, the oldest first.
    pub(crate) fn generations(&self, lane: Lane) -> Vec<GenerationInfo> {
        let listed = lock(&self.catalog).lanes[lane].clone();
        listed.iter().map(|generation| self.generation_info(lane, generation)).collect()
    }

    pub(crate) fn generation_info(&self, lane: Lane, generation: &Generation) -> GenerationInfo {
        let Generation { id, first, extent, phase, .. } = generation;
        let places = (!generation.is_empty()).then_some(SequenceRange { first: *first, last: extent.last });
        GenerationInfo {
            lane,
            number: *id,
            places,
            events: extent.events(),
            stored_bytes: extent.stored_bytes,
            earliest: extent.times.map(|(earliest, _)| earliest),
            latest: extent.times.map(|(_, latest)| latest),
            sealed: *phase == Phase::Sealed,
            delivered: self.slowest(lane).is_none_or(|slowest| extent.last <= slowest),
            holes: extent.holes.clone(),
        }
    }

    /// What is in the buffer, and who still needs it.
    pub(crate) fn status(&self) -> Status {
        let (lanes, held) = {
            let catalog = lock(&self.catalog);
            let heads = *self.heads.borrow();
            let held = PerLane::from_fn(|lane| catalog.runs(lane));
            let lane_status = |lane| {
                let generations: &Vec<Generation> = &catalog.lanes[lane];
                let retained = generations.iter().find(|generation| !generation.is_empty());
                LaneStatus {
                    first_retained: retained.map_or(heads[lane].next(), |generation| generation.first),
                    head: heads[lane],
                    stored_bytes: catalog.stored_bytes(lane),
                    generations: generations.len(),
                }
            };
            (PerLane::from_fn(lane_status), held)
        };
        let live = lock(&self.cursors);
        let destination = |name: &DestinationName| {
            let cursor = live.cursors.get(name).unwrap_or_default();
            let place = |lane: Lane| destination_status(&held[lane], cursor[lane]);
            (name.clone(), PerLane::from_fn(place))
        };
        Status {
            condition: self.condition(),
            destinations: self.destinations.iter().map(destination).collect(),
            lanes,
            commits: self.commits.load(Ordering::Relaxed),
            shed_events: self.shed_events.load(Ordering::Relaxed),
        }
    }

    fn condition(&self) -> Condition {
        if let Some(reason) = self.failure.get() {
            return Condition::Failed(reason.clone());
        }
        match lock(&self.outage).clone() {
            Some(outage) => Condition::Suspended(outage),
            None if self.full.load(Ordering::Acquire) => Condition::Full,
            None => Condition::Accepting,
        }
    }
}

/// How far it is in a lane that holds these places.
fn destination_status(held: &[SequenceRange], cursor: Sequence) -> DestinationStatus {
    let beyond = |run: &SequenceRange| run.last.next().0.saturating_sub(run.first.max(cursor.next()).0);
    DestinationStatus { cursor, backlog: held.iter().map(beyond).sum() }
}
