//! `penstock probe`: who answers at an address, and what can be read there.

mod found;

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::{Args, Subcommand};
use penstock_adapters::modbus::{Probe as Search, Progress, Table, Transport};

use super::{print, runtime};
use crate::config;
use crate::exit::Exit;
use crate::terminal::Bar;

/// What is looked at.
#[derive(Debug, Subcommand)]
pub(super) enum Probe {
    /// Find the unit ids that answer and the places that can be read. Only reads, one request at a time, and rests
    /// after each. Where reading has an effect, such as a counter that is cleared by it, name only harmless places
    Modbus(Modbus),
}

/// The arguments of `penstock probe modbus`.
#[derive(Args, Debug)]
pub(super) struct Modbus {
    /// Where: as `address` in the configuration
    #[arg(value_name = "ADDRESS", value_parser = config::parse_modbus_address)]
    address: Transport,
    /// The unit ids to ask
    #[arg(long, default_value = "1-247,255", value_name = "LIST", value_parser = units)]
    units: Units,
    /// The tables to look through: coil, discrete, input, holding
    #[arg(long, default_value = "holding,input,coil,discrete", value_name = "LIST", value_delimiter = ',', value_parser = table)]
    tables: Vec<Table>,
    /// The places to look through, counted from 0 as on the wire
    #[arg(long, default_value = "0-9999", value_name = "FIRST-LAST", value_parser = places)]
    places: RangeInclusive<u16>,
    /// How far apart single places are tried where more at once are refused: shorter stretches may be missed, and 1
    /// misses none
    #[arg(long, default_value_t = 10, value_name = "PLACES", value_parser = clap::value_parser!(u16).range(1..))]
    grain: u16,
    /// How long a unit may take to answer
    #[arg(long, default_value = "500ms", value_name = "DURATION", value_parser = super::read::duration)]
    timeout: Duration,
    /// The rest after each request
    #[arg(long, default_value = "20ms", value_name = "DURATION", value_parser = super::read::duration)]
    pause: Duration,
    /// How long all of it may take
    #[arg(long, default_value = "15m", value_name = "DURATION", value_parser = super::read::duration)]
    within: Duration,
    /// Answer as JSON
    #[arg(long, conflicts_with = "toml")]
    json: bool,
    /// Answer as a configuration to begin with
    #[arg(long)]
    toml: bool,
}

/// Unit ids. A type of its own, since a list would be an option that is given several times.
#[derive(Clone, Debug)]
struct Units(Vec<u8>);

impl Probe {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let Self::Modbus(modbus) = self;
        modbus.execute()
    }
}

impl Modbus {
    fn execute(self) -> Result<(), Exit> {
        let search = Search {
            transport: self.address.clone(),
            units: self.units.0.clone(),
            tables: self.tables.clone(),
            places: self.places.clone(),
            grain: self.grain,
            connect_timeout: config::DEFAULT_CONNECT_TIMEOUT,
            request_timeout: self.timeout,
            pause: self.pause,
            within: self.within,
        };
        let mut bar = Bars::new();
        let found = runtime()?.block_on(search.run(|progress| bar.draw(progress)));
        bar.clear()?;
        let found = found.map_err(|error| {
            Exit::unreachable(format_args!(
                "{}: {error}; is it on, and is the address right? A device that bears one connection refuses a \
                 second while the gateway runs",
                self.address
            ))
        })?;
        match (self.json, self.toml) {
            (true, _) => print::json(&found::to_json(&self.address, &found))?,
            (_, true) => print::line(found::to_toml(&self.address, &found).trim_end())?,
            _ => found::print(&self.address, &found)?,
        }
        if found.units.is_empty() {
            return Err(Exit::unreachable(format_args!("no unit answers at {}", self.address)));
        }
        Ok(())
    }
}

/// A bar for each phase.
struct Bars {
    bar: Bar,
    phase: std::mem::Discriminant<Progress>,
    broken: Option<std::io::Error>,
}

impl Bars {
    fn new() -> Self {
        let phase = std::mem::discriminant(&Progress::Units { done: 0, total: 0 });
        Self { bar: Bar::new("asking", "unit ids"), phase, broken: None }
    }

    fn draw(&mut self, progress: Progress) {
        if std::mem::replace(&mut self.phase, std::mem::discriminant(&progress)) != self.phase {
            self.broken = self.bar.clear().err();
            self.bar = Bar::new("reading", "places");
        }
        let (Progress::Units { done, total } | Progress::Places { done, total }) = progress;
        if self.broken.is_none() {
            self.broken = self.bar.draw(done, total).err();
        }
    }

    fn clear(mut self) -> Result<(), Exit> {
        let cleared = self.bar.clear();
        self.broken.map_or(cleared, Err).map_err(|error| Exit::cannot_write("the terminal", &error))
    }
}

/// `1-247,255`.
fn units(text: &str) -> Result<Units, String> {
    let wrong = || format!("{text:?} is no list of unit ids from 0 to 255, such as 1-247,255");
    let mut units = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u8, u8) =
            (first.trim().parse().map_err(|_| wrong())?, last.trim().parse().map_err(|_| wrong())?);
        units.extend((first..=last).filter(|unit| !units.contains(unit)).collect::<Vec<_>>());
    }
    if units.is_empty() { Err(wrong()) } else { Ok(Units(units)) }
}

fn table(name: &str) -> Result<Table, String> {
    let table = Table::ALL.into_iter().find(|table| table.as_str() == name.trim());
    table.ok_or_else(|| format!("{name:?} is no table: use coil, discrete, input or holding"))
}

/// `0-9999`.
fn places(text: &str) -> Result<RangeInclusive<u16>, String> {
    let ends = text.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    match ends {
        Some((first, last)) if first <= last => Ok(first..=last),
        _ => Err(format!("{text:?} is no range of places from 0 to 65535, such as 0-9999")),
    }
}
