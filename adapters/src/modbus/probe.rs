//! Finds out, politely, who answers at an address and what can be read there.
//!
//! Only reading functions (01 to 04), one request in flight, a pause after each. First every unit id is
//! asked for one register: whoever answers, be it with a refusal, is there. Then the tables of each are
//! surveyed (`survey.rs`).

mod caller;
mod survey;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::address::Table;
use super::limits::Limits;
use super::places::Places;
use super::transport::Transport;
use caller::{Caller, Heard, Stop};
use survey::{Oracle, Survey, Verdict};

/// The place that every unit id is asked for. Which one matters little: a refusal is an answer.
const FIRST_PLACE: u16 = 0;
/// When all of at least so many unit ids answer, the device does not look at unit ids.
const CROWD: usize = 8;

/// What to look for, and how gently.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The way to the devices.
    pub transport: Transport,
    /// The unit ids to ask.
    pub units: Vec<u8>,
    /// The tables to survey.
    pub tables: Vec<Table>,
    /// The places of each table to survey.
    pub places: RangeInclusive<u16>,
    /// How far apart single places are tried where a longer request was refused: readable stretches
    /// that are shorter may be missed.
    pub grain: u16,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a reply may take, on a serial line beyond the time on the wire.
    pub request_timeout: Duration,
    /// The rest after each request.
    pub pause: Duration,
    /// How long all of it may take.
    pub within: Duration,
}

/// How far a probe is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// So many of the unit ids have been asked.
    Units {
        /// How many.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// So many places have been looked at, of all units that answered.
    Places {
        /// How many.
        done: u64,
        /// Of how many.
        total: u64,
    },
}

/// What a probe found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// The units that answered, in the order in which they were asked.
    pub units: Vec<FoundUnit>,
    /// Whether the device answers to any unit id, so that only the first was surveyed.
    pub any_unit: bool,
    /// Why not everything was looked at.
    pub cut_short: Option<String>,
    /// How many requests it took.
    pub requests: u64,
}

/// A unit that answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundUnit {
    /// Its id.
    pub unit: u8,
    /// What was found of its tables, as far as they were surveyed.
    pub tables: Vec<FoundTable>,
    /// Why not all of them were.
    pub cut_short: Option<String>,
}

/// What was found of a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundTable {
    /// The table.
    pub table: Table,
    /// Whether the device has the function that reads it.
    pub is_supported: bool,
    /// What can be read.
    pub readable: Vec<Places>,
    /// The most places that the device gives at once, if that is less than Modbus allows.
    pub max_places: Option<u16>,
}

/// Nobody was found at the address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(String);

impl Probe {
    /// Probes, and tells how far it is.
    ///
    /// # Errors
    ///
    /// When there is no connection to begin with. Whatever happens later cuts the findings short.
    pub async fn run(&self, mut progress: impl FnMut(Progress)) -> Result<Found, Unreachable> {
        let mut caller = Caller::new(self);
        caller.connect().await.map_err(|failure| Unreachable(failure.to_string()))?;
        let mut found = Found::default();
        if let Err(Stop::Everything(reason)) = self.look(&mut caller, &mut found, &mut progress).await {
            found.cut_short = Some(reason);
        }
        found.requests = caller.requests();
        Ok(found)
    }

    async fn look(
        &self,
        caller: &mut Caller<'_>,
        found: &mut Found,
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), Stop> {
        let total = self.units.len() as u64;
        for (done, &unit) in (0..).zip(&self.units) {
            progress(Progress::Units { done, total });
            if caller.is_there(unit, FIRST_PLACE).await? {
                found.units.push(FoundUnit { unit, tables: Vec::new(), cut_short: None });
            }
        }
        found.any_unit = found.units.len() >= CROWD && found.units.len() == self.units.len();
        let surveyed = if found.any_unit { 1 } else { found.units.len() };
        let total = (surveyed * self.tables.len()) as u64 * self.places.len() as u64;
        let mut done = 0;
        for unit in found.units.iter_mut().take(surveyed) {
            for &table in &self.tables {
                let mut at = |places| progress(Progress::Places { done: done + places, total });
                match self.survey(caller, unit, table, &mut at).await {
                    Err(Stop::Unit(reason)) => {
                        unit.cut_short = Some(reason);
                        break;
                    }
                    survey => survey?,
                }
                done += self.places.len() as u64;
            }
        }
        Ok(())
    }

    async fn survey(
        &self,
        caller: &mut Caller<'_>,
        unit: &mut FoundUnit,
        table: Table,
        progress: &mut impl FnMut(u64),
    ) -> Result<(), Stop> {
        let mut survey = Survey::new(table, Limits::default().size(table.cell()), self.grain);
        let (first, last) = (*self.places.start(), *self.places.end());
        let mut surveyor = Surveyor { caller, unit: unit.unit, first, reached: first, progress };
        let ended = survey.run(first, last, &mut surveyor).await;
        unit.tables.push(FoundTable {
            table,
            is_supported: !matches!(ended, Err(Stop::Table)),
            readable: survey.found().to_vec(),
            max_places: survey.limit(),
        });
        match ended {
            Err(Stop::Table) => Ok(()),
            ended => ended,
        }
    }
}

/// One unit that is asked for places, and who is told how far that is.
struct Surveyor<'c, 'p, P> {
    caller: &'c mut Caller<'p>,
    unit: u8,
    first: u16,
    /// The furthest place that was asked for.
    reached: u16,
    progress: &'c mut P,
}

impl<P: FnMut(u64)> Oracle for Surveyor<'_, '_, P> {
    type Error = Stop;

    async fn ask(&mut self, places: Places) -> Result<Verdict, Stop> {
        self.reached = self.reached.max(places.first());
        (self.progress)(u64::from(self.reached - self.first));
        match self.caller.ask(self.unit, places).await? {
            Heard::Values => Ok(Verdict::Readable),
            Heard::Refusal => Ok(Verdict::Refused),
        }
    }
}

#[cfg(test)]
mod tests;
