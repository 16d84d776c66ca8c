//! What is certain of a generation that grew: what stands in its log and in the journal. Of what sled has beyond that nobody was told,
//! and it may be there in part.

use std::collections::BTreeMap;
use std::path::Path;

use penstock_events::{Lane, Sequence};

use crate::generation::log::Log;
use crate::generation::{Database, Fault, State, Told};
use crate::journal::{Left, Record};
use crate::manifest::{Extent, GenerationId};

/// What the records of a generation say.
pub(super) struct Recorded {
    lane: Lane,
    log: Log,
    /// The place of each record of the log by its order. A crash may have left later ones before earlier ones.
    logged: BTreeMap<u64, u64>,
    /// What the journal has and the log has not, by order.
    unlogged: BTreeMap<u64, Record>,
    /// The last place that they hold.
    pub(super) last: Sequence,
    /// Whether more than that was durable: then a part of them is gone, and sled is asked as well.
    pub(super) is_short: bool,
    pub(super) state: State,
    pub(super) told: Told,
}

impl Recorded {
    /// Reads all of them, of a generation that begins at `first` in a lane that was durable up to `floor` at least; `None` where an
    /// older version made it, without a log.
    pub(super) fn read(
        directory: &Path,
        left: &Left,
        (lane, id): (Lane, GenerationId),
        (first, floor): (Sequence, Sequence),
    ) -> Result<Option<Self>, Fault> {
        let Some(log) = Log::open(directory)? else { return Ok(None) };
        let mut recorded = Self {
            lane,
            log,
            logged: BTreeMap::new(),
            unlogged: BTreeMap::new(),
            last: Sequence::ZERO,
            is_short: false,
            state: State::new(),
            told: Told::default(),
        };
        let mut logged = BTreeMap::new();
        for found in recorded.log.records() {
            let (place, record) = found?;
            logged.insert(record.order, place);
            note(&record, lane, &mut recorded.last, &mut recorded.state, &mut recorded.told)?;
        }
        recorded.logged = logged;
        for record in left.of(lane, id) {
            if !recorded.logged.contains_key(&record.order) {
                note(record, lane, &mut recorded.last, &mut recorded.state, &mut recorded.told)?;
                recorded.unlogged.insert(record.order, record.clone());
            }
        }
        recorded.is_short = recorded.last.max(first.before()) < floor;
        Ok(Some(recorded))
    }

    /// The order of the last of them.
    pub(super) fn order(&self) -> u64 {
        let last = |order: Option<&u64>| order.copied().unwrap_or_default();
        last(self.logged.keys().next_back()).max(last(self.unlogged.keys().next_back()))
    }

    /// What the journal has and the log has not, as it goes into the log.
    pub(super) fn unlogged(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.unlogged.values().for_each(|record| record.put_into(&mut bytes, &[self.lane]));
        bytes
    }

    /// Has a database take what it lacks of them; `extent` and `state` are what is in it.
    pub(super) fn redo(
        &self,
        database: &Database,
        extent: &mut Extent,
        state: &mut State,
    ) -> Result<(), Fault> {
        self.take_out_of(state);
        let mut unlogged = self.unlogged.iter().peekable();
        for (order, place) in &self.logged {
            while let Some((_, record)) = unlogged.next_if(|(other, _)| *other < order) {
                database.redo(&record.entries[self.lane], extent, state)?;
            }
            database.redo(&self.log.record_at(*place)?.entries[self.lane], extent, state)?;
        }
        unlogged.try_for_each(|(_, record)| database.redo(&record.entries[self.lane], extent, state))
    }

    /// Takes out of the state what no record has, and puts in what they have.
    pub(super) fn correct(&self, state: &mut State) {
        self.take_out_of(state);
        for (key, (order, value)) in &self.state {
            if state.get(key).is_none_or(|(known, _)| known < order) {
                state.insert(key.clone(), (*order, value.clone()));
            }
        }
    }

    fn take_out_of(&self, state: &mut State) {
        let last = if self.is_short { u64::MAX } else { self.order() };
        state.retain(|_, (order, _)| *order <= last);
    }
}

fn note(
    record: &Record,
    lane: Lane,
    last: &mut Sequence,
    state: &mut State,
    told: &mut Told,
) -> Result<(), Fault> {
    let entries = &record.entries[lane];
    *last = entries.last_place().unwrap_or_default().max(*last);
    entries.tell(state, told)
}
