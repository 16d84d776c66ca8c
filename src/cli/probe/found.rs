//! What a probe found, as a table, as JSON, and as a configuration to begin with.

use std::fmt::Write;

use penstock_adapters::modbus::{Cell, Found, FoundTable, FoundUnit, Places, Transport};
use serde_json::{Value, json};

use super::super::print;
use crate::config;
use crate::exit::Exit;
use crate::terminal::{Align, Table, counted, grouped};

const COLUMNS: [(&str, Align); 5] = [
    ("UNIT", Align::Right),
    ("TABLE", Align::Left),
    ("PLACES", Align::Right),
    ("AT ONCE", Align::Right),
    ("READABLE", Align::Left),
];
/// How many stretches a row names; the rest have rows of their own.
const STRETCHES_PER_ROW: usize = 4;
/// A configuration with more tags of one device is better made from its manual.
const MOST_TAGS: usize = 500;
/// Gaps up to this width could be read across: what was refused in them is named.
const WIDEST_GAP: u32 = 125;

/// Prints a table and what there is to say about it.
pub(super) fn print(address: &Transport, found: &Found) -> Result<(), Exit> {
    let mut table = Table::stdout(&COLUMNS);
    for unit in surveyed(found) {
        for of_table in &unit.tables {
            for row in rows(unit, of_table) {
                table.row(row).map_err(|error| print::broken(&error))?;
            }
        }
    }
    table.flush().map_err(|error| print::broken(&error))?;
    drop(table);
    for note in notes(found) {
        print::line(&note)?;
    }
    let units = counted(found.units.len(), "unit");
    print::line(&format!("{units} at {address}, {} requests, nothing written", grouped(found.requests)))
}

/// The same for programs.
pub(super) fn to_json(address: &Transport, found: &Found) -> Value {
    let table = |table: &FoundTable| {
        json!({
            "table": table.table.as_str(),
            "supported": table.is_supported,
            "readable": table.readable.iter().map(Places::to_string).collect::<Vec<_>>(),
            "at_once": table.max_places,
        })
    };
    let unit = |unit: &FoundUnit| {
        json!({
            "unit": unit.unit,
            "tables": unit.tables.iter().map(table).collect::<Vec<_>>(),
            "cut_short": unit.cut_short,
        })
    };
    json!({
        "address": config::modbus_address(address),
        "any_unit": found.any_unit,
        "units": found.units.iter().map(unit).collect::<Vec<_>>(),
        "cut_short": found.cut_short,
        "requests": found.requests,
    })
}

/// A device for each unit, with each place as a tag: to be renamed, retyped and thinned out by the manual.
pub(super) fn to_toml(transport: &Transport, found: &Found) -> String {
    let address = config::modbus_address(transport);
    let mut text = String::new();
    for note in notes(found) {
        writeln!(text, "# {note}").expect("a String takes every write");
    }
    for unit in surveyed(found) {
        let tables = || unit.tables.iter();
        let readable = || tables().flat_map(|table| &table.readable);
        let limit = |cell| {
            tables()
                .filter(move |table| table.table.cell() == cell)
                .filter_map(|table| table.max_places)
                .min()
        };
        writeln!(text, "[[modbus]]\nname = \"unit-{0}\"\naddress = \"{address}\"\nunit = {0}", unit.unit)
            .expect("a String takes every write");
        for (key, limit) in [("max_registers", limit(Cell::Register)), ("max_bits", limit(Cell::Bit))] {
            if let Some(limit) = limit {
                writeln!(text, "{key} = {limit}").expect("a String takes every write");
            }
        }
        let refused: Vec<String> = tables().flat_map(|table| gaps(&table.readable)).collect();
        if !refused.is_empty() {
            writeln!(text, "never_read = [{}]", refused.join(", ")).expect("a String takes every write");
        }
        text.push_str("tags = [\n");
        let tags: Vec<String> = readable().flat_map(tags).take(MOST_TAGS).collect();
        text.push_str(&tags.concat());
        let all: u32 = readable().map(Places::count).sum();
        if all as usize > tags.len() {
            writeln!(text, "  # … and {} more: see `penstock probe`", all as usize - tags.len())
                .expect("a String takes every write");
        }
        text.push_str("]\n\n");
    }
    text
}

/// The units whose tables were looked through.
fn surveyed(found: &Found) -> impl Iterator<Item = &FoundUnit> {
    found.units.iter().filter(|unit| !unit.tables.is_empty())
}

fn rows(unit: &FoundUnit, table: &FoundTable) -> Vec<[String; 5]> {
    let stretches: Vec<String> = table.readable.iter().map(ends).collect();
    let places: u32 = table.readable.iter().map(Places::count).sum();
    let at_once = table.max_places.map_or_else(String::new, |most| most.to_string());
    let nothing = if table.is_supported { "nothing found" } else { "no such table" };
    let mut lines = stretches.chunks(STRETCHES_PER_ROW).map(|line| line.join(", "));
    let first = lines.next().unwrap_or_else(|| nothing.to_owned());
    let count = if places == 0 { String::new() } else { grouped(places.into()) };
    let head = [unit.unit.to_string(), table.table.to_string(), count, at_once, first];
    let rest = lines.map(|line| [String::new(), String::new(), String::new(), String::new(), line]);
    std::iter::once(head).chain(rest).collect()
}

fn ends(places: &Places) -> String {
    let (first, last) = (places.first(), places.last());
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn notes(found: &Found) -> Vec<String> {
    let mut notes = Vec::new();
    if found.any_unit {
        notes
            .push("every unit id is answered: it seems not to be looked at, and one was surveyed".to_owned());
    }
    for unit in &found.units {
        if let Some(reason) = &unit.cut_short {
            notes.push(format!("unit {}: {reason}", unit.unit));
        }
    }
    if let Some(reason) = &found.cut_short {
        notes.push(format!("cut short: {reason}"));
    }
    notes
}

/// What lies between readable stretches and is narrow enough to be read across.
fn gaps(readable: &[Places]) -> Vec<String> {
    let between = |pair: &[Places]| Places::new(pair[0].table(), pair[0].last() + 1, pair[1].first() - 1);
    let gaps = readable.windows(2).filter_map(between).filter(|gap| gap.count() <= WIDEST_GAP);
    gaps.map(|gap| format!("\"{gap}\"")).collect()
}

fn tags(places: &Places) -> impl Iterator<Item = String> {
    let table = places.table();
    let kind = if table.cell() == Cell::Bit { "bool" } else { "u16" };
    (places.first()..=places.last()).map(move |place| {
        format!("  {{ name = \"{table}-{place}\", at = \"{table}:{place}\", type = \"{kind}\" }},\n")
    })
}
