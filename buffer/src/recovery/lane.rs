//! Opening one lane: its active generation as it is, or what is left of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use penstock_events::normalizer::{StateChange, recall};
use penstock_events::{EventType, Lane, Sequence, Timestamp};

use super::recorded::Recorded;
use super::told::Told;
use super::{fault_at, save_marks};
use crate::archive::{Archive, Bounds, Found};
use crate::block::{InvalidBlock, Tally};
use crate::directory::Directory;
use crate::error::OpenError;
use crate::generation::{self as database, Database, Fault, State, is_locked, may_be_damage};
use crate::journal::Left;
use crate::manifest::{Extent, Manifest};
use crate::marks::{Marks, RESERVED_PLACES, uncounted};
use crate::per_lane::SequenceRange;
use crate::quarantine::set_aside;
use crate::writer::{Begun, Start, add_generation};

/// The end of what can be looked for: a place that is never used.
const NO_END: Sequence = Sequence(u64::MAX - 1);

/// How many of the last events are asked whether a piece of state is missing. All of them would make opening slow.
const RECALLED_EVENTS: u64 = 16_384;

/// What a lane is opened with.
pub(super) struct Opening<'a> {
    pub(super) directory: &'a Directory,
    pub(super) manifest: &'a mut Manifest,
    pub(super) marks: &'a mut Marks,
    /// What a crash left in the journal.
    pub(super) left: &'a Left,
    pub(super) lane: Lane,
    /// Places up to here were there for certain: they were marked as durable, or acknowledged.
    pub(super) floor: Sequence,
    pub(super) now: Timestamp,
    /// For what a damaged business lane can still say.
    pub(super) told: Told,
}

/// A lane that takes appends.
pub(super) struct OpenLane {
    pub(super) database: Arc<Database>,
    pub(super) head: Sequence,
    pub(super) state: BTreeMap<String, Vec<u8>>,
    /// The order of the latest piece of state.
    pub(super) order: u64,
    /// What its active generation told, as far as that is known.
    pub(super) told: Option<database::Told>,
}

/// A lane's active generation.
enum Active {
    /// Everything is there.
    Whole {
        database: Database,
        extent: Extent,
        state: State,
        /// Whether there is something in it that was never durable, or no log: nothing may be added to it.
        is_littered: bool,
    },
    /// Something is missing. This is what is left.
    Damaged { found: Found, detail: String },
}

impl Opening<'_> {
    /// Opens the lane, or makes its first generation.
    pub(super) fn open(mut self) -> Result<OpenLane, OpenError> {
        let Some(active) = self.manifest.lanes[self.lane].last() else {
            return self.begin_without_any();
        };
        let (id, first) = (active.id, active.first);
        // A salvage that came to no end noted them: what is in this generation is looked at anew.
        self.marks.forget(self.lane, &[SequenceRange { first, last: NO_END }]);
        let path = self.directory.generation(self.lane, id);
        let at_path = |fault| match fault {
            Fault::NewerLog(found) => OpenError::NewerFormat { path: path.clone(), found, supported: 1 },
            fault => fault_at(&path, fault),
        };
        let recorded =
            Recorded::gather(&path, self.left, (self.lane, id), (first, self.floor)).map_err(at_path)?;
        let recorded_order = recorded.as_ref().map_or(0, Recorded::order);
        let told = recorded.as_ref().filter(|recorded| !recorded.is_short).map(|recorded| recorded.told);
        if let Some(told) = &told {
            // Before any loss is noted: it must not get the number of one that was told.
            self.marks.announced(told.announced);
        }
        let active = self.look_at(&path, first, recorded.as_ref())?;
        let opened = match active {
            Active::Whole { database, extent, state, is_littered } => {
                let head = extent.last;
                self.active_extent(extent);
                let told = told.map_or_else(|| database.told(), Ok).map_err(at_path)?;
                self.marks.announced(told.announced);
                if is_littered && recorded.is_none() {
                    // What an older version left to it may be with the system only.
                    database.sync().map_err(at_path)?;
                }
                let order = last_order(&state);
                match is_littered {
                    true => OpenLane { told: Some(told), ..self.begin(head, &state, told)? },
                    false => {
                        let (database, state) = (Arc::new(database), values(&state));
                        OpenLane { database, head, state, order, told: Some(told) }
                    }
                }
            }
            Active::Damaged { found, detail } => {
                OpenLane { told, ..self.salvage(&path, found, told.unwrap_or_default(), &detail)? }
            }
        };
        Ok(OpenLane { order: opened.order.max(recorded_order), ..opened })
    }

    fn look_at(
        &self,
        path: &Path,
        first: Sequence,
        recorded: Option<&Recorded>,
    ) -> Result<Active, OpenError> {
        let io = |error| OpenError::Io { path: path.to_owned(), error };
        let last = recorded.map_or(NO_END, |recorded| recorded.last.max(self.floor));
        // Before sled sees it, which overwrites what it cannot read on.
        let bounds = Bounds { first: Some(first), last, holes: &[] };
        let look = || {
            let mut found = Found::in_generation(path, bounds).map_err(io)?;
            if let Some(recorded) = recorded {
                found.goes_on |= found.last_order() > recorded.order();
                recorded.correct(&mut found.state);
            }
            Ok(found)
        };
        let found = look()?;
        if !path.join("db").exists() {
            return Ok(Active::Damaged { found, detail: "it is missing".to_owned() });
        }
        if let Some(missing) = self.missing(&found.extent) {
            return Ok(Active::Damaged { found, detail: format!("event {missing} cannot be read") });
        }
        let lately =
            SequenceRange { first: Sequence(self.floor.0.saturating_sub(RECALLED_EVENTS)), last: self.floor };
        if self.lane == Lane::Business && !recalled(&found.archive, lately, &found.state).is_empty() {
            return Ok(Active::Damaged { found, detail: "a piece of the state cannot be read".to_owned() });
        }
        let detail = match self.opened(path, bounds, recorded) {
            Ok((database, extent, state)) => match self.missing(&extent) {
                None => {
                    let goes_on =
                        database.stored_block_from(extent.last.next()).map_or(true, |it| it.is_some());
                    let is_littered = goes_on
                        || found.goes_on
                        || recorded.is_none_or(|recorded| extent.last > recorded.last)
                        || found.extent.last > extent.last
                        || found.last_order() > last_order(&state);
                    return Ok(Active::Whole { database, extent, state, is_littered });
                }
                Some(missing) => format!("its database has lost event {missing}"),
            },
            Err(Fault::Io(error)) if !may_be_damage(&error) || is_locked(&error) => {
                return Err(fault_at(path, error.into()));
            }
            Err(Fault::Block { error: InvalidBlock::NewerFormat { found }, .. }) => {
                let path = path.to_owned();
                return Err(OpenError::NewerFormat { path, found: found.into(), supported: 1 });
            }
            Err(fault) => fault.to_string(),
        };
        Ok(Active::Damaged { found: look()?, detail })
    }

    /// The database with all that is recorded and no more, and what is in it.
    fn opened(
        &self,
        path: &Path,
        bounds: Bounds<'_>,
        recorded: Option<&Recorded>,
    ) -> Result<(Database, Extent, State), Fault> {
        let database = Database::open(path)?;
        let mut extent = database.extent(bounds.first.unwrap_or_default(), bounds.last)?;
        let mut state = database.state()?;
        if let Some(recorded) = recorded {
            recorded.redo(&database, &mut extent, &mut state)?;
        }
        Ok((database, extent, state))
    }

    /// The first place that should be in a generation and is not.
    fn missing(&self, extent: &Extent) -> Option<Sequence> {
        let hole = extent.holes.first().map_or(extent.last.next(), |hole| hole.first);
        (hole <= self.floor).then_some(hole)
    }

    /// Keeps what can be read of a damaged generation as a complete one, and goes on in another.
    fn salvage(
        &mut self,
        path: &Path,
        found: Found,
        told: database::Told,
        detail: &str,
    ) -> Result<OpenLane, OpenError> {
        if self.lane == Lane::Business {
            // Whether the announcing of losses went through was to be read here.
            self.told.learn(&found.archive);
            self.told.settle(self.marks);
        }
        let Found { archive, first, mut extent, mut state, .. } = found;
        let is_empty = extent.last < first;
        let end = extent.last.max(self.end_of_use(extent.last));
        if extent.last < end {
            extent.holes.push(SequenceRange { first: extent.last.next().max(first), last: end });
        }
        for hole in &extent.holes {
            tracing::error!(
                path = %path.display(), detail, lane = %self.lane, first = %hole.first, last = %hole.last,
                "a part of the buffer is damaged and these events are lost, which is announced; what can be read is delivered: check the disk"
            );
            let was_used = hole.last < end || end <= self.marks.durable[self.lane];
            note(self.marks, self.lane, *hole, was_used);
        }
        if extent.holes.is_empty() && !self.left.is_empty() {
            // sled may not find its way through what a power cut left of what it was never asked to sync.
            tracing::warn!(path = %path.display(), detail, "after a crash, a generation of the buffer is read without its database; no event is lost");
        } else if extent.holes.is_empty() {
            tracing::error!(path = %path.display(), detail, "a part of the buffer is damaged, and no event is lost: check the disk");
        }
        save_marks(self.directory, self.marks)?;
        if self.lane == Lane::Business {
            // A piece of which nothing is left was there at the end of the generation before, if it was there then.
            for (key, piece) in self.state_before()? {
                state.entry(key).or_insert(piece);
            }
            let order = last_order(&state);
            let recalled = recalled(&archive, SequenceRange { first, last: extent.last }, &state);
            state.extend(recalled.into_iter().map(|StateChange { key, value }| (key, (order, value))));
        }
        extent.last = end;
        if !is_empty {
            self.active_extent(extent);
        }
        let directory = self.directory;
        let opened = self.begin(end, &state, told)?;
        if is_empty {
            set_aside(directory.root(), path);
        }
        Ok(opened)
    }

    /// The state that the generation before the active one ended with, which the active one began with.
    fn state_before(&self) -> Result<State, OpenError> {
        let generations = &self.manifest.lanes[self.lane];
        let Some(before) = generations.iter().rev().nth(1) else { return Ok(State::new()) };
        let path = self.directory.generation(self.lane, before.id);
        let found = Found::in_generation(&path, Bounds::of(before));
        found.map(|found| found.state).map_err(|error| OpenError::Io { path, error })
    }

    /// The last place that may have been used, where what was found goes on to `found`.
    fn end_of_use(&self, found: Sequence) -> Sequence {
        // What was durable is in the journal, unless it is older than what else is known.
        if !self.left.is_empty() && self.floor <= found {
            return found;
        }
        let reserved = self.marks.reserved[self.lane];
        if reserved == Sequence::ZERO {
            // There were no marks: by how much they lag is what they would have reserved.
            return Sequence(self.floor.0.saturating_add(RESERVED_PLACES));
        }
        reserved.max(self.floor)
    }

    /// A lane without generations: it is new, or has lost them all.
    fn begin_without_any(mut self) -> Result<OpenLane, OpenError> {
        let mut end = Sequence::ZERO;
        if self.floor > Sequence::ZERO {
            end = self.end_of_use(Sequence::ZERO);
            let places = SequenceRange { first: Sequence(1), last: end };
            tracing::error!(lane = %self.lane, last = %end, "every generation of the lane is missing; what was not delivered is lost, which is announced: check the disk");
            note(self.marks, self.lane, places, false);
            save_marks(self.directory, self.marks)?;
        }
        self.begin(end, &State::new(), database::Told::default())
    }

    /// Begins a generation behind `end`.
    fn begin(&mut self, end: Sequence, state: &State, told: database::Told) -> Result<OpenLane, OpenError> {
        let order = last_order(state) + 1;
        let start = Start { lane: self.lane, first: end.next(), at: self.now, order, told };
        let state = values(state);
        let Begun { id, database, .. } = add_generation(self.directory, self.manifest, start, &state)
            .map_err(|fault| fault_at(self.directory.root(), fault))?;
        tracing::debug!(lane = %self.lane, generation = id, "started a generation");
        Ok(OpenLane { told: None, database, head: end, state, order })
    }

    fn active_extent(&mut self, extent: Extent) {
        self.manifest.lanes[self.lane].last_mut().expect("it was just looked at").extent = extent;
    }
}

/// Notes that places of a lane are lost. Each of them `was_used`, or that is not known.
pub(super) fn note(marks: &mut Marks, lane: Lane, places: SequenceRange, was_used: bool) {
    let tally = if was_used { uncounted(lane, places) } else { Tally::new() };
    marks.note(lane, places, tally);
}

/// What the events at `places` say of the state beyond the pieces that can be read.
fn recalled(archive: &Archive, places: SequenceRange, state: &State) -> Vec<StateChange> {
    let kinds = [EventType::ProductionCompleted, EventType::MachineStateChanged];
    recall(archive.events_beside(&kinds, places), |key| state.get(key).map(|(_, value)| value.as_slice()))
}

fn last_order(state: &State) -> u64 {
    state.values().map(|(order, _)| *order).max().unwrap_or_default()
}

fn values(state: &State) -> BTreeMap<String, Vec<u8>> {
    state.iter().map(|(key, (_, value))| (key.clone(), value.clone())).collect()
}
