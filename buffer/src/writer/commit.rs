//! A commit: a place for each event, one record of all of it in the journal, and then the catalog, the heads and the answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use penstock_events::normalizer::StateChange;
use penstock_events::{Lane, Sequence, Timestamp};

use super::Writer;
use crate::block::{PackedBlock, Tally};
use crate::directory::Directory;
use crate::durable_file::sync_directory;
use crate::error::AppendError;
use crate::generation::{Database, Entries, Fault, Told, Writes, delete};
use crate::intake::Share;
use crate::journal::Record;
use crate::manifest::{self, Extent, Generation, GenerationId, Manifest};
use crate::meters;
use crate::per_lane::{Heads, PerLane, SequenceRange};
use crate::shared::lock;
use crate::source::Source;

/// What one commit adds to the lanes.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) blocks: PerLane<Vec<PackedBlock>>,
    pub(super) state: Vec<StateChange>,
    pub(super) shed_through: PerLane<Option<Sequence>>,
    /// The losses up to this number are announced with it.
    pub(super) announced: Option<u64>,
}

impl Lanes {
    /// How many bytes of blocks it may add to each lane.
    pub(super) fn bytes_bound(&self) -> PerLane<u64> {
        PerLane::from_fn(|lane| self.blocks[lane].iter().map(PackedBlock::bytes_bound).sum())
    }
}

impl Writer {
    /// Makes `lanes` durable as one commit, and visible. Returns the heads before it: where its events begin.
    pub(super) fn write(&mut self, lanes: &Lanes) -> Result<Heads, Fault> {
        let started = Instant::now();
        for lane in Lane::ALL {
            let is_full = || {
                let stored_bytes = self.look_at_active(lane, |active| active.extent.stored_bytes);
                stored_bytes >= self.limits.generation_bytes
            };
            if !lanes.blocks[lane].is_empty() && is_full() {
                self.roll(lane)?;
            }
        }
        let before = self.heads();
        self.reserve(PerLane::from_fn(|lane| lanes.blocks[lane].iter().map(PackedBlock::count).sum()))?;
        let Lanes { blocks, state, shed_through, announced } = lanes;
        self.order += 1;
        let mut grown = PerLane::from_fn(|lane| Extent::before(before[lane].next()));
        let mut writes = PerLane::from_fn(|lane| stamp(&blocks[lane], &mut grown[lane]));
        writes.business.state.clone_from(state);
        writes.business.order = self.order;
        writes.business.shed_through = *shed_through;
        writes.business.announced = *announced;
        let PerLane { business, telemetry } = writes;
        let entries = PerLane { business: Entries::from(business), telemetry: Entries::from(telemetry) };
        let generations = PerLane::from_fn(|lane| self.look_at_active(lane, |active| active.id));
        let record = Record { order: self.order, durable: before, generations, entries };
        let touched = PerLane::from_fn(|lane| {
            (!record.entries[lane].is_empty()).then(|| Arc::clone(&self.active[lane]))
        });
        let heads = PerLane::from_fn(|lane| grown[lane].last);
        self.journal.write(&record, &touched, heads)?;

        self.state.extend(state.iter().map(|StateChange { key, value }| (key.clone(), value.clone())));
        self.publish(&grown);
        meters::committed(before, heads, started.elapsed(), self.stored_bytes());
        Ok(before)
    }

    /// Lets readers and forwarders see what is durable.
    fn publish(&self, grown: &PerLane<Extent>) {
        let mut catalog = lock(&self.shared.catalog);
        for lane in Lane::ALL {
            let active = catalog.lanes[lane].last_mut().expect("every lane has an active generation");
            active.extent.append(&grown[lane]);
        }
        drop(catalog);
        let heads = PerLane::from_fn(|lane| grown[lane].last);
        self.shared.heads.send_if_modified(|known| std::mem::replace(known, heads) != heads);
        self.shared.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Seals the active generation of `lane`, all of it in its log, and starts another.
    pub(super) fn roll(&mut self, lane: Lane) -> Result<(), Fault> {
        self.journal.checkpoint()?;
        self.begin_generation(lane)
    }

    /// Starts a generation of `lane` behind what is durable.
    pub(super) fn begin_generation(&mut self, lane: Lane) -> Result<(), Fault> {
        self.save_changed_marks()?;
        let first = self.look_at_active(lane, |active| active.extent.last).next();
        let mut manifest = lock(&self.shared.catalog).clone();
        let state = match lane {
            Lane::Business => &self.state,
            Lane::Telemetry => &BTreeMap::new(),
        };
        self.order += 1;
        let shed_through =
            PerLane::from_fn(|lane| Some(self.given_up[lane]).filter(|&place| place > Sequence::ZERO));
        // What was announced of damage is in the marks.
        let told = Told { shed_through, announced: 0 };
        let start = Start { lane, first, at: (self.clock)(), order: self.order, told };
        let Begun { id, database, replaced } =
            add_generation(&self.shared.directory, &mut manifest, start, state)?;
        // On the shelf before it is listed: what is not there and listed is taken for complete.
        self.shared.shelf.put(lane, id, Arc::clone(&database));
        *lock(&self.shared.catalog) = manifest;
        self.active[lane] = database;
        if let Some(empty) = replaced {
            self.shared.delete_generation(lane, empty);
        }
        Ok(())
    }

    /// The bytes of blocks in each lane.
    pub(super) fn stored_bytes(&self) -> PerLane<u64> {
        let catalog = lock(&self.shared.catalog);
        PerLane::from_fn(|lane| catalog.stored_bytes(lane))
    }

    /// The last durable place of each lane.
    pub(super) fn heads(&self) -> Heads {
        *self.shared.heads.borrow()
    }

    /// What the catalog says of the generation of `lane` that grows.
    pub(super) fn look_at_active<T>(&self, lane: Lane, look: impl FnOnce(&Generation) -> T) -> T {
        look(lock(&self.shared.catalog).lanes[lane].last().expect("every lane has an active generation"))
    }
}

/// Where a generation begins, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) lane: Lane,
    pub(crate) first: Sequence,
    pub(crate) at: Timestamp,
    /// The order of the state that it begins with.
    pub(crate) order: u64,
    /// What was announced by then, of which the store may not have all consequences.
    pub(crate) told: Told,
}

/// A generation that is durable and listed.
pub(crate) struct Begun {
    pub(crate) id: GenerationId,
    pub(crate) database: Arc<Database>,
    /// The one that was active and empty: it is no longer listed.
    pub(crate) replaced: Option<GenerationId>,
}

/// Adds an empty active generation to a lane, durable with `state` in it before the manifest lists it.
/// After a fault `manifest` is not what is on disk, and not to be used.
pub(crate) fn add_generation(
    directory: &Directory,
    manifest: &mut Manifest,
    Start { lane, first, at, order, told }: Start,
    state: &BTreeMap<String, Vec<u8>>,
) -> Result<Begun, Fault> {
    let generations = &mut manifest.lanes[lane];
    let highest = generations.iter().map(|generation| generation.id).max().unwrap_or_default();
    // A directory that is there and not listed is what an attempt left that may have been listed on disk.
    let free = |id: &GenerationId| !directory.generation(lane, *id).exists();
    let id = (highest + 1..).find(free).expect("numbers for more generations than a disk can hold");
    let path = directory.generation(lane, id);
    let writes = match lane {
        Lane::Business => Writes {
            state: state
                .iter()
                .map(|(key, value)| StateChange { key: key.clone(), value: value.clone() })
                .collect(),
            order,
            shed_through: told.shed_through,
            announced: Some(told.announced).filter(|&number| number > 0),
            ..Writes::default()
        },
        Lane::Telemetry => Writes::default(),
    };
    let made = create(&path, lane, writes);
    let replaced = match generations.last_mut() {
        Some(last) if last.is_empty() => generations.pop().map(|empty| empty.id),
        Some(last) => {
            last.seal(at);
            None
        }
        None => None,
    };
    generations.push(Generation::starting_at(id, first, at));
    let database =
        match made.and_then(|made| Ok(manifest::put(&directory.manifest(), manifest).map(|()| made)?)) {
            Ok(made) => Arc::new(made),
            Err(fault) => {
                // Half a generation is not to fill a disk that is full.
                delete(&path);
                return Err(fault);
            }
        };
    // If this fails the manifest may be on disk, and what it lists is to be there.
    sync_directory(directory.root())?;
    Ok(Begun { id, database, replaced })
}

fn create(path: &Path, lane: Lane, writes: Writes) -> Result<Database, Fault> {
    let database = Database::create(path)?;
    let mut record = Record { order: writes.order, ..Record::default() };
    record.entries[lane] = Entries::from(writes);
    if !record.entries[lane].is_empty() {
        database.add(lane, &record)?;
        database.checkpoint()?;
    }
    Ok(database)
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

/// Tells each caller why its events are not taken.
pub(super) fn refuse(shares: Vec<Share>, error: &AppendError) {
    shares.into_iter().for_each(|share| share.answer.send(Err(error.clone())));
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

/// The events at `places`, by type, counted from the blocks.
pub(super) fn tally_of(source: &Source, places: SequenceRange) -> Result<Tally, Fault> {
    let mut lost = Tally::new();
    let mut place = places.first;
    while place <= places.last {
        let header = source.header_with(place)?;
        if header.first == place && header.last <= places.last {
            header.tally.iter().for_each(|(&kind, count)| *lost.entry(kind).or_default() += count);
        } else {
            let (_, events) = source.block_with(place)?;
            let inside = |at: &Sequence| (place..=places.last).contains(at);
            let there = (header.first.0..=header.last.0).map(Sequence).zip(&events);
            there
                .filter(|(at, _)| inside(at))
                .for_each(|(_, event)| *lost.entry(event.kind()).or_default() += 1);
        }
        place = header.last.next();
    }
    Ok(lost)
}
