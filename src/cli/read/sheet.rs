//! What was read last of each tag, as a table or as records.

use std::collections::BTreeMap;
use std::io::{self, Write};

use penstock_adapters::modbus::Line;
use penstock_events::normalizer::{Plan, Rule};
use penstock_events::{Cause, Observation, Sample, SourceId, TagId, Timestamp, Value};
use serde_json::json;

use super::super::print;
use crate::exit::Exit;
use crate::terminal::{Align, Table};

const COLUMNS: [(&str, Align); 6] = [
    ("TAG", Align::Left),
    ("VALUE", Align::Right),
    ("UNIT", Align::Left),
    ("QUALITY", Align::Left),
    ("AT", Align::Left),
    ("TYPE", Align::Left),
];

/// The tags that are read.
pub(super) struct Sheet(BTreeMap<TagId, Row>);

struct Row {
    path: String,
    source: SourceId,
    unit: Option<String>,
    at: String,
    encoding: String,
    /// The last sample and its time.
    sample: Option<(Sample, Timestamp)>,
}

impl Sheet {
    /// The tags of `lines`, of which nothing is known yet.
    pub(super) fn of(plan: &Plan, lines: &[Line]) -> Self {
        let devices = lines.iter().flat_map(|line| &line.devices);
        let tags = devices.flat_map(|device| device.groups.iter().flat_map(|group| &group.tags));
        let row = |tag: &penstock_adapters::modbus::Tag| {
            let planned = &plan.tags[tag.id().0 as usize];
            let unit = planned.rules.iter().find_map(|rule| match rule {
                Rule::Telemetry(rule) => rule.unit.as_deref().map(str::to_owned),
                Rule::State(_) | Rule::Counter(_) => None,
            });
            let (at, encoding) = (tag.at().to_string(), tag.encoding().to_string());
            let row = Row {
                path: planned.path.to_string(),
                source: planned.source,
                unit,
                at,
                encoding,
                sample: None,
            };
            (tag.id(), row)
        };
        Self(tags.map(row).collect())
    }

    /// Takes in what was observed; the tags of which it is news.
    pub(super) fn take(&mut self, observation: Observation) -> Vec<TagId> {
        let samples: Vec<(TagId, Sample, Timestamp)> = match observation {
            Observation::Polled { readings, .. } => {
                readings.into_iter().map(|reading| (reading.tag, reading.sample, reading.time)).collect()
            }
            Observation::Lost { source, observed, cause } => {
                let of_source = self.0.iter().filter(|(_, row)| row.source == source);
                of_source.map(|(tag, _)| (*tag, Sample::Bad(cause), observed)).collect()
            }
        };
        let mut changed = Vec::new();
        for (tag, sample, time) in samples {
            let Some(row) = self.0.get_mut(&tag) else { continue };
            if row.sample.as_ref().is_none_or(|(known, _)| *known != sample) {
                changed.push(tag);
            }
            row.sample = Some((sample, time));
        }
        changed
    }

    /// A reading for programs.
    pub(super) fn record(&self, tag: TagId) -> serde_json::Value {
        let row = &self.0[&tag];
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
            write!(io::stdout(), "\u{1b}[{}A\u{1b}[J", self.0.len() + 1)
                .map_err(|error| print::broken(&error))?;
        }
        let is_shown = |tag: &TagId| !is_again || on_terminal || changed.contains(tag);
        let mut table = Table::stdout(&COLUMNS);
        for (_, row) in self.0.iter().filter(|(tag, _)| is_shown(tag)) {
            table.row(row.cells()).map_err(|error| print::broken(&error))?;
        }
        table.flush().map_err(|error| print::broken(&error))
    }
}

impl Row {
    fn cells(&self) -> [String; 6] {
        let (value, quality) = match self.sample.as_ref().map(|(sample, _)| sample) {
            Some(Sample::Good(value)) => (shown(value), "good".to_owned()),
            Some(Sample::Uncertain(value, cause)) => {
                (shown(value), format!("uncertain: {}", in_words(*cause)))
            }
            Some(Sample::Bad(cause)) => ("–".to_owned(), format!("bad: {}", in_words(*cause))),
            None => ("–".to_owned(), "not read yet".to_owned()),
        };
        let unit = self.unit.clone().unwrap_or_default();
        [self.path.clone(), value, unit, quality, self.at.clone(), self.encoding.clone()]
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

/// A cause with what Modbus calls its exceptions (Application Protocol V1.1b3, section 7).
fn in_words(cause: Cause) -> String {
    let Cause::ModbusException(code) = cause else { return cause.to_string() };
    let name = match code {
        1 => "illegal function",
        2 => "illegal data address",
        3 => "illegal data value",
        4 => "device failure",
        5 => "acknowledge",
        6 => "device busy",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "gateway target does not respond",
        _ => return cause.to_string(),
    };
    format!("{cause} ({name})")
}
