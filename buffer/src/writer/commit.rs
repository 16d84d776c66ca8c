//! The first half of a commit: a place for each event, and both lanes handed to the system at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use penstock_events::normalizer::StateChange;
use penstock_events::{Lane, Sequence, Timestamp};

use super::Writer;
use super::pipeline::Flushed;
use crate::block::{PackedBlock, Tally};
use crate::generation::{Database, Fault, Writes};
use crate::intake::Share;
use crate::manifest::{self, Extent, Generation, Manifest};
use crate::per_lane::{Heads, PerLane, SequenceRange};
use crate::shared::lock;

/// What one commit adds to the lanes.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) blocks: PerLane<Vec<PackedBlock>>,
    pub(super) state: Vec<StateChange>,
    pub(super) shed_through: PerLane<Option<Sequence>>,
}

impl Lanes {
    /// How many bytes of blocks it may add to each lane.
    pub(super) fn bytes_bound(&self) -> PerLane<u64> {
        PerLane::from_fn(|lane| self.blocks[lane].iter().map(PackedBlock::bytes_bound).sum())
    }
}

impl Writer {
    /// Has sled write `lanes`: the commit that the pipeline is to make durable.
    pub(super) fn place(&mut self, lanes: Lanes) -> Result<Flushed, Fault> {
        let started = Instant::now();
        for lane in Lane::ALL {
            if !lanes.blocks[lane].is_empty()
                && self.placed[lane].stored_bytes >= self.limits.generation_bytes
            {
                self.roll(lane)?;
            }
        }
        let before = PerLane::from_fn(|lane| self.placed[lane].last);
        let Lanes { blocks, state, shed_through } = lanes;
        let mut grown = PerLane::from_fn(|lane| Extent::before(before[lane].next()));
        let mut writes = PerLane::from_fn(|lane| stamp(&blocks[lane], &mut grown[lane]));
        writes.business.state.clone_from(&state);
        writes.business.shed_through = shed_through;
        let touched =
            PerLane::from_fn(|lane| (!writes[lane].is_empty()).then(|| Arc::clone(&self.active[lane])));
        let PerLane { business, telemetry } = writes;
        // Both before either is flushed: sled applies nothing while it flushes, in whatever database.
        self.active.business.apply(business)?;
        self.active.telemetry.apply(telemetry)?;
        self.pipeline.flush(&touched)?;

        self.state.extend(state.into_iter().map(|change| (change.key, change.value)));
        for lane in Lane::ALL {
            self.placed[lane].append(&grown[lane]);
        }
        Ok(Flushed { touched, before, grown, shares: Vec::new(), started })
    }

    /// Seals the active generation of `lane` and starts another.
    pub(super) fn roll(&mut self, lane: Lane) -> Result<(), Fault> {
        self.pipeline.settle()?;
        let first = self.placed[lane].last.next();
        let mut manifest = lock(&self.shared.catalog).clone();
        let state = match lane {
            Lane::Business => &self.state,
            Lane::Telemetry => &BTreeMap::new(),
        };
        let start = Start { lane, first, at: (self.clock)() };
        let (id, database) = add_generation(&self.shared.directory, &mut manifest, start, state)?;
        *lock(&self.shared.catalog) = manifest;
        self.shared.shelf.put(lane, id, Arc::clone(&database));
        self.active[lane] = database;
        self.placed[lane] = Extent::before(first);
        Ok(())
    }

    /// The bytes of blocks in each lane, with those that are not durable yet.
    pub(super) fn stored_bytes(&self) -> PerLane<u64> {
        let catalog = lock(&self.shared.catalog);
        PerLane::from_fn(|lane| catalog.sealed_bytes(lane) + self.placed[lane].stored_bytes)
    }
}

/// Where a generation begins, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) lane: Lane,
    pub(crate) first: Sequence,
    pub(crate) at: Timestamp,
}

/// Adds an empty active generation to a lane, durable with `state` in it before the manifest lists it.
pub(crate) fn add_generation(
    directory: &crate::directory::Directory,
    manifest: &mut Manifest,
    Start { lane, first, at }: Start,
    state: &BTreeMap<String, Vec<u8>>,
) -> Result<(manifest::GenerationId, Arc<Database>), Fault> {
    let generations = &mut manifest.lanes[lane];
    let id = generations.iter().map(|generation| generation.id).max().unwrap_or_default() + 1;
    let database = Database::create(&directory.generation(lane, id))?;
    if !state.is_empty() {
        let state = state.iter().map(|(key, value)| StateChange { key: key.clone(), value: value.clone() });
        database.apply(Writes { state: state.collect(), ..Writes::default() })?;
        database.sync()?;
    }
    if let Some(last) = generations.last_mut() {
        last.seal(at);
    }
    generations.push(Generation::starting_at(id, first, at));
    manifest::save(&directory.manifest(), manifest)?;
    Ok((id, Arc::new(database)))
}

/// Tells each caller where its events stand, given where the group began.
pub(super) fn answer(shares: Vec<Share>, before: Heads) {
    let mut heads = before;
    for Share { counts, answer } in shares {
        let appended = PerLane::from_fn(|lane| {
            let first = heads[lane].next();
            heads[lane] = Sequence(heads[lane].0 + counts[lane]);
            (counts[lane] > 0).then_some(SequenceRange { first, last: heads[lane] })
        });
        answer.send(Ok(appended));
    }
}

/// Gives blocks their places, from the end of `extent` on.
fn stamp(blocks: &[PackedBlock], extent: &mut Extent) -> Writes {
    let mut stamped = Vec::with_capacity(blocks.len());
    for block in blocks {
        let first = extent.last.next();
        let bytes = block.stamp(first);
        let last = Sequence(extent.last.0 + block.count());
        extent.add(last, bytes.len() as u64, block.tally(), block.times());
        stamped.push((first, bytes));
    }
    Writes { blocks: stamped, ..Writes::default() }
}

/// The events of `extent` after `through`, by type, counted from the blocks.
pub(super) fn tally_after(database: &Database, extent: &Extent, through: Sequence) -> Result<Tally, Fault> {
    let mut lost = Tally::new();
    let mut place = through.next();
    while place <= extent.last {
        let header = database.header_with(place)?;
        if header.first == place {
            header.tally.iter().for_each(|(&kind, count)| *lost.entry(kind).or_default() += count);
        } else {
            let (_, events) = database.block_with(place)?;
            let skipped =
                usize::try_from(place.0 - header.first.0).expect("a block has a few hundred events");
            events.iter().skip(skipped).for_each(|event| *lost.entry(event.kind()).or_default() += 1);
        }
        place = header.last.next();
    }
    Ok(lost)
}
