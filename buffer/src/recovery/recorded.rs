//! What is certain of a generation that grew: what stands in its log and in the journal. Of what else is in its files nobody was told,
//! and it may be there in part.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use penstock_events::{Lane, Sequence};

use crate::durable_file::sync_directory;
use crate::generation::log::{self, Log};
use crate::generation::{Database, Fault, State, Told};
use crate::journal::{Left, Record};
use crate::manifest::{Extent, GenerationId};

/// What the records of a generation say.
pub(super) struct Recorded {
    lane: Lane,
    log: Log,
    /// Where each stands in the log, by its order. A crash may have left later ones before earlier ones.
    places: BTreeMap<u64, u64>,
    /// The last place that they hold.
    pub(super) last: Sequence,
    /// Whether more than that was durable: then a part of them is gone, and the database is asked as well.
    pub(super) is_short: bool,
    state: State,
    pub(super) told: Told,
}

impl Recorded {
    /// Has the log take what only the journal has, and reads it: that of a generation that begins at `first` in a lane that was
    /// durable up to `floor` at least. `None` where an older version made it, without a log.
    pub(super) fn gather(
        directory: &Path,
        left: &Left,
        (lane, id): (Lane, GenerationId),
        (first, floor): (Sequence, Sequence),
    ) -> Result<Option<Self>, Fault> {
        let log = match Log::open(directory)? {
            Some(log) => log,
            None if left.of(lane, id).next().is_none() => return Ok(None),
            None => remade(directory)?,
        };
        let (mut last, mut state, mut told) = (first.before(), State::new(), Told::default());
        let mut note = |record: &Record| {
            let entries = &record.entries[lane];
            last = entries.last_place().unwrap_or_default().max(last);
            entries.tell(&mut state, &mut told)
        };
        let mut places = BTreeMap::new();
        for found in log.records() {
            let (place, record) = found?;
            note(&record)?;
            places.insert(record.order, place);
        }
        // What came to the log since the journal began may be with the system only: a kill leaves it so, and a sync that failed. It is about
        // to count as durable.
        if let Some(order) = left.first_order() {
            log::write_again(directory, places.range(order..).map(|(_, &place)| place))?;
        }
        let (mut unlogged, mut records) = (Vec::new(), Vec::new());
        for record in left.of(lane, id) {
            let mut bytes = Vec::new();
            record.put_into(&mut bytes, &[lane]);
            if places.get(&record.order).is_none_or(|&place| !log.has(place, &bytes)) {
                note(record)?;
                unlogged.push((record.order, records.len() as u64));
                records.append(&mut bytes);
            }
        }
        let base = log::append(directory, &records)?;
        places.extend(unlogged.into_iter().map(|(order, at)| (order, base + at)));
        let log = reopened(directory)?;
        Ok(Some(Self { lane, log, places, is_short: last < floor, last, state, told }))
    }

    /// The order of the last of them.
    pub(super) fn order(&self) -> u64 {
        self.places.keys().next_back().copied().unwrap_or_default()
    }

    /// Has a database take what it lacks of them; `extent` and `state` are what is in it.
    pub(super) fn redo(
        &self,
        database: &Database,
        extent: &mut Extent,
        state: &mut State,
    ) -> Result<(), Fault> {
        self.take_out_of(state);
        let redo = |&place| database.redo((place, self.lane, &self.log.record_at(place)?), extent, state);
        self.places.values().try_for_each(redo)
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

/// An empty log in place of one that is gone, with its directory if need be, for what is left in the journal.
fn remade(directory: &Path) -> io::Result<Log> {
    fs::create_dir_all(directory)?;
    log::append(directory, &[])?;
    sync_directory(directory.parent().expect("a generation stands in its lane's directory"))?;
    reopened(directory)
}

fn reopened(directory: &Path) -> io::Result<Log> {
    Log::open(directory)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}
