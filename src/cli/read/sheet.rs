//! What was read last of each tag, as a table or as records.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use penstock_adapters::modbus::Line;
use penstock_adapters::opcua::Server;
use penstock_events::normalizer::{Plan, Rule};
use penstock_events::{Observation, Sample, SourceId, TagId, Timestamp, Value};
use serde_json::json;

use super::super::cause::in_words;
use super::super::print;
use crate::exit::Exit;
use crate::terminal::{Align, Table, counted, instant};

const COLUMNS: [(&str, Align); 7] = [
    ("TAG", Align::Left),
    ("VALUE", Align::Right),
    ("UNIT", Align::Left),
    ("QUALITY", Align::Left),
    TIME,
    ("AT", Align::Left),
    TYPE,
];
/// Of servers: their values have times of their own.
const TIME: (&str, Align) = ("TIME", Align::Left);
/// Of devices: what a server tells has its type with it.
const TYPE: (&str, Align) = ("TYPE", Align::Left);

/// The tags that are read.
pub(super) struct Sheet {
    rows: BTreeMap<TagId, Row>,
    /// Sources that do not answer.
    silent: BTreeSet<SourceId>,
    columns: Vec<(&'static str, Align)>,
}

struct Row {
    path: String,
    source: SourceId,
    unit: Option<String>,
    at: String,
    /// How a device's registers are read.
    encoding: Option<String>,
    /// The last sample and its time.
    sample: Option<(Sample, Timestamp)>,
}

impl Sheet {
    /// The tags of `lines` and `servers`, of which nothing is known yet.
    pub(super) fn of(plan: &Plan, lines: &[Line], servers: &[Server]) -> Self {
        let devices = lines.iter().flat_map(|line| &line.devices);
        let of_devices = devices.flat_map(|device| device.groups.iter().flat_map(|group| &group.tags));
        let of_devices = of_devices
            .map(|tag| Row::new(plan, tag.id(), tag.at().to_string(), Some(tag.encoding().to_string())));
        let of_servers = servers.iter().flat_map(|server| &server.tags).map(|tag| {
            let part = tag.part.to_string();
            let gap = if part.is_empty() || part.starts_with('[') { "" } else { " " };
            Row::new(plan, tag.id, format!("{}{gap}{part}", tag.node), None)
        });
        let is_shown = |column: &(&str, Align)| {
            (*column != TIME || !servers.is_empty()) && (*column != TYPE || !lines.is_empty())
        };
        let columns = COLUMNS.into_iter().filter(is_shown).collect();
        Self { rows: of_devices.chain(of_servers).collect(), silent: BTreeSet::new(), columns }
    }

    /// Takes in what was observed; the tags of which it is news.
    pub(super) fn take(&mut self, observation: Observation) -> Vec<TagId> {
        let samples: Vec<(TagId, Sample, Timestamp)> = match observation {
            Observation::Polled { source, readings, .. } => {
                self.silent.remove(&source);
                readings.into_iter().map(|reading| (reading.tag, reading.sample, reading.time)).collect()
            }
            Observation::ToldAll { source, tag, time, active, .. } => {
                self.silent.remove(&source);
                let conditions = format!("{} active", counted(active.len(), "condition"));
                vec![(tag, Sample::Good(Value::Text(conditions.into())), time)]
            }
            Observation::Told { .. } => Vec::new(),
            Observation::Lost { source, observed, cause } => {
                self.silent.insert(source);
                let of_source = self.rows.iter().filter(|(_, row)| row.source == source);
                of_source.map(|(tag, _)| (*tag, Sample::Bad(cause), observed)).collect()
            }
        };
        let mut changed = Vec::new();
        for (tag, sample, time) in samples {
            let Some(row) = self.rows.get_mut(&tag) else { continue };
            if row.sample.as_ref().is_none_or(|(known, _)| *known != sample) {
                changed.push(tag);
            }
            row.sample = Some((sample, time));
        }
        changed
    }

    /// The sources that do not answer.
    pub(super) const fn silent(&self) -> &BTreeSet<SourceId> {
        &self.silent
    }

    /// How many tags nothing is known of yet.
    pub(super) fn unheard(&self) -> usize {
        self.rows.values().filter(|row| row.sample.is_none()).count()
    }

    /// Whether something is known of every tag, be it that its source does not answer.
    pub(super) fn is_complete(&self) -> bool {
        self.unheard() == 0
    }

    /// All readings, for programs.
    pub(super) fn records(&self) -> impl Iterator<Item = serde_json::Value> {
        self.rows.keys().map(|tag| self.record(*tag))
    }

    /// A reading for programs.
    pub(super) fn record(&self, tag: TagId) -> serde_json::Value {
        let row = &self.rows[&tag];
        let (value, status, cause) = match row.sample.as_ref().map(|(sample, _)| sample) {
            Some(Sample::Good(value)) => (Some(value), "good", None),
            Some(Sample::Uncertain(value, cause)) => (Some(value), "uncertain", Some(*cause)),
            Some(Sample::Bad(cause)) => (None, "bad", Some(*cause)),
            None => (None, "unknown", None),
        };
        let mut quality = json!({ "status": status });
        if let Some(cause) = cause {
            quality["cause"] = cause.to_string().into();
        }
        json!({
            "tag": row.path,
            "value": value,
            "unit": row.unit,
            "quality": quality,
            "time": row.sample.as_ref().map(|(_, time)| time.to_string()),
            "at": row.at,
            "type": row.encoding,
        })
    }

    /// Shows all tags, in the place of the table before where there is one on a terminal; else, after the first
    /// time, only those that `changed`.
    pub(super) fn show(&self, is_again: bool, on_terminal: bool, changed: &[TagId]) -> Result<(), Exit> {
        if is_again && on_terminal {
            // Up to the heading, and clear from there (ECMA-48, sections 8.3.22 and 8.3.39).
            write!(io::stdout(), "\u{1b}[{}A\u{1b}[J", self.rows.len() + 1)
                .map_err(|error| print::broken(&error))?;
        }
        let is_shown = |tag: &TagId| !is_again || on_terminal || changed.contains(tag);
        let mut table = Table::stdout(&self.columns);
        for (_, row) in self.rows.iter().filter(|(tag, _)| is_shown(tag)) {
            let cells = COLUMNS.into_iter().zip(row.cells());
            let cells = cells.filter(|(column, _)| self.columns.contains(column)).map(|(_, cell)| cell);
            table.row(cells).map_err(|error| print::broken(&error))?;
        }
        table.flush().map_err(|error| print::broken(&error))
    }
}

impl Row {
    fn new(plan: &Plan, tag: TagId, at: String, encoding: Option<String>) -> (TagId, Self) {
        let planned = &plan.tags[tag.0 as usize];
        let unit = planned.rules.iter().find_map(|rule| match rule {
            Rule::Telemetry(rule) => rule.unit.as_deref().map(str::to_owned),
            Rule::State(_) | Rule::Counter(_) | Rule::Alert(_) => None,
        });
        let (path, source) = (planned.path.to_string(), planned.source);
        (tag, Self { path, source, unit, at, encoding, sample: None })
    }

    fn cells(&self) -> [String; 7] {
        let (value, quality) = match self.sample.as_ref().map(|(sample, _)| sample) {
            Some(Sample::Good(value)) => (shown(value), "good".to_owned()),
            Some(Sample::Uncertain(value, cause)) => {
                (shown(value), format!("uncertain: {}", in_words(*cause)))
            }
            Some(Sample::Bad(cause)) => ("–".to_owned(), format!("bad: {}", in_words(*cause))),
            None => ("–".to_owned(), "not read yet".to_owned()),
        };
        let unit = self.unit.clone().unwrap_or_default();
        let time = self.sample.as_ref().map_or_else(String::new, |(_, time)| instant(*time));
        let encoding = self.encoding.clone().unwrap_or_default();
        [self.path.clone(), value, unit, quality, time, self.at.clone(), encoding]
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(value) => format!("{value:?}"),
    }
}
