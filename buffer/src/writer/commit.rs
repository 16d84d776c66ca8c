//! The way of one group: a place for each event, both lanes to disk at once, and only then the
//! catalog, the heads and the answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use penstock_events::normalizer::StateChange;
use penstock_events::{Lane, Sequence};

use super::Writer;
use crate::block::{PackedBlock, Tally};
use crate::generation::{Database, Fault, Writes, contain};
use crate::intake::Share;
use crate::manifest::{self, Extent, Generation, Manifest};
use crate::meters;
use crate::per_lane::{Heads, PerLane, SequenceRange};
use crate::shared::lock;

/// What one commit adds to the lanes.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) blocks: PerLane<Vec<PackedBlock>>,
    pub(super) state: Vec<StateChange>,
    pub(super) shed_through: Option<Sequence>,
}

impl Writer {
    /// Makes `lanes` durable: the heads before it, which is where its events begin.
    pub(super) fn commit(&mut self, lanes: Lanes) -> Result<Heads, Fault> {
        let started = Instant::now();
        let before = *self.shared.heads.borrow();
        for lane in Lane::ALL {
            if !lanes.blocks[lane].is_empty() && self.is_due_to_roll(lane) {
                self.roll(lane, before[lane].next())?;
            }
        }
        let Lanes { blocks, state, shed_through } = lanes;
        let mut grown = PerLane::from_fn(|lane| Extent::before(before[lane].next()));
        let mut writes = PerLane::from_fn(|lane| stamp(&blocks[lane], &mut grown[lane]));
        writes.business.state.clone_from(&state);
        writes.business.shed_through = shed_through;
        write_both(&self.active, writes)?;

        self.state.extend(state.into_iter().map(|change| (change.key, change.value)));
        self.publish(&grown);
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
        meters::committed(before, *self.shared.heads.borrow(), started.elapsed(), self.stored_bytes());
        Ok(before)
    }

    /// Seals the active generation of `lane` and starts another at `first`.
    pub(super) fn roll(&mut self, lane: Lane, first: Sequence) -> Result<(), Fault> {
        let mut manifest = lock(&self.shared.catalog).clone();
        let state = match lane {
            Lane::Business => &self.state,
            Lane::Telemetry => &BTreeMap::new(),
        };
        let (id, database) = add_generation(&self.shared.directory, &mut manifest, lane, first, state)?;
        *lock(&self.shared.catalog) = manifest;
        self.shared.shelf.put(lane, id, Arc::clone(&database));
        self.active[lane] = database;
        Ok(())
    }

    /// The bytes of blocks in each lane.
    pub(super) fn stored_bytes(&self) -> PerLane<u64> {
        let catalog = lock(&self.shared.catalog);
        PerLane::from_fn(|lane| catalog.stored_bytes(lane))
    }

    fn is_due_to_roll(&self, lane: Lane) -> bool {
        let catalog = lock(&self.shared.catalog);
        let active = catalog.lanes[lane].last();
        active.is_none_or(|active| active.extent.stored_bytes >= self.limits.generation_bytes)
    }

    /// Lets readers and forwarders see what was committed.
    fn publish(&self, grown: &PerLane<Extent>) {
        {
            let mut catalog = lock(&self.shared.catalog);
            for lane in Lane::ALL {
                let active = catalog.lanes[lane].last_mut().expect("every lane has an active generation");
                active.extent.add(grown[lane].last, grown[lane].stored_bytes, &grown[lane].tally);
            }
        }
        let heads = PerLane::from_fn(|lane| grown[lane].last);
        self.shared.heads.send_if_modified(|known| std::mem::replace(known, heads) != heads);
    }
}

/// Adds an empty active generation to `lane`, durable with `state` in it before the manifest lists it.
pub(crate) fn add_generation(
    directory: &crate::directory::Directory,
    manifest: &mut Manifest,
    lane: Lane,
    first: Sequence,
    state: &BTreeMap<String, Vec<u8>>,
) -> Result<(manifest::GenerationId, Arc<Database>), Fault> {
    let generations = &mut manifest.lanes[lane];
    let id = generations.last().map_or(1, |last| last.id + 1);
    let database = Database::create(&directory.generation(lane, id))?;
    if !state.is_empty() {
        let state = state.iter().map(|(key, value)| StateChange { key: key.clone(), value: value.clone() });
        database.apply(Writes { state: state.collect(), ..Writes::default() })?;
        database.sync()?;
    }
    if let Some(last) = generations.last_mut() {
        last.seal();
    }
    generations.push(Generation::starting_at(id, first));
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
        extent.add(Sequence(extent.last.0 + block.count()), bytes.len() as u64, block.tally());
        stamped.push((first, bytes));
    }
    Writes { blocks: stamped, ..Writes::default() }
}

/// Commits to both lanes' databases. Both are applied before either is synced, and the syncs run side
/// by side: a disk takes two in little more time than one.
fn write_both(active: &PerLane<Arc<Database>>, writes: PerLane<Writes>) -> Result<(), Fault> {
    let PerLane { business, telemetry } = writes;
    let touched = PerLane { business: !business.is_empty(), telemetry: !telemetry.is_empty() };
    if touched.business {
        active.business.apply(business)?;
    }
    if touched.telemetry {
        active.telemetry.apply(telemetry)?;
    }
    match (touched.business, touched.telemetry) {
        (false, false) => Ok(()),
        (true, false) => active.business.sync(),
        (false, true) => active.telemetry.sync(),
        (true, true) => std::thread::scope(|scope| {
            let beside = scope.spawn(|| active.telemetry.sync());
            let here = active.business.sync();
            let beside = beside.join().unwrap_or_else(|panic| contain(|| std::panic::resume_unwind(panic)));
            here.and(beside)
        }),
    }
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
