//! The schema of `[[asset]]`: what the tags of a machine mean.

use std::collections::BTreeMap;
use std::time::Duration;

use penstock_events::normalizer::{CounterRule, Rule, StateRule};
use penstock_events::{AssetPath, GatewayId, Output, StateName};

use super::alarms;
use super::catalog::{Catalog, Meaning, Names};
use super::table::{Field, Table};
use super::telemetry;

/// A state that has to last longer than this to count is no state.
const LONGEST_DEBOUNCE: Duration = Duration::from_secs(3600);
/// A counter that fell is taken to have rolled over when no more than this part of its range was
/// made since: between two polls a machine makes far less, and a reset to 0 is rarely so close to
/// the end of the range.
const DEFAULT_STEP_DIVISOR: u64 = 10;

const STATE: &str = "state = { tag = \"press-1.state\", map = { 0 = \"stopped\", 1 = \"running\" } }";
const PRODUCED: &str = "produced = { good = \"press-1.good\", scrap = \"press-1.scrap\" }";
const TELEMETRY: &str = "telemetry = [{ tag = \"press-1.temp\", deadband = { absolute = 0.5 } }]";
const ALERTS: &str = "alerts = [{ tag = \"oven.alarms\", min_severity = 400 }]";

/// Reads an asset; its rules go to the catalog's tags.
pub(super) fn read(table: &Table<'_>, gateway: Option<&GatewayId>, names: &mut Names, catalog: &mut Catalog) {
    let path_field = table.key("path", "stamping/line-1/press-1");
    let path: Option<AssetPath> = path_field.required();
    if let Some(path) = &path {
        names.add(path.as_str(), path_field.spot());
        if gateway.map(AssetPath::of_gateway).as_ref() == Some(path) {
            path_field
                .spot()
                .error("this path stands for the gateway itself, in the events about itself")
                .allowed("the path of a machine")
                .record();
        }
    }
    let asset = path.as_ref();
    table.table("state", STATE, |state| read_state(state, asset, catalog));
    table.table("produced", PRODUCED, |produced| read_produced(produced, asset, catalog));
    table.each("telemetry", TELEMETRY, |entry| telemetry::read(entry, asset, catalog));
    table.each("alerts", ALERTS, |entry| alarms::read_alert(entry, asset, catalog));
    if table.is_bare(&["state", "produced", "telemetry", "alerts"]) {
        table
            .spot()
            .warning("the asset raises no event")
            .allowed("`state`, `produced`, `telemetry` or `alerts`")
            .example(STATE)
            .record();
    }
}

fn read_state(table: &Table<'_>, asset: Option<&AssetPath>, catalog: &mut Catalog) {
    let tag_field = table.key("tag", "press-1.state");
    let tag = catalog.resolve(&tag_field);
    let meaning = tag.and_then(|id| catalog.tag(id).meaning);
    if meaning == Some(Meaning::Measured) {
        tag_field
            .spot()
            .error("a measured, scaled or named value or a text tells no state")
            .allowed("a tag of type bool, u16, i16, u32, i32, u64 or i64 without scale, offset and names")
            .record();
    }
    let map = table.table("map", "map = { 0 = \"stopped\", 1 = \"running\" }", |map| read_map(map, meaning));
    if map.is_none() && table.is_bare(&["map"]) {
        table
            .spot()
            .error("`map` is missing")
            .found("nothing")
            .allowed("the states by the tag's value")
            .example(STATE)
            .record();
    }
    let otherwise = table.key("otherwise", "unknown").or("unknown".parse().expect("a name"));
    let debounce = table.key("debounce", "2s").or_in(Duration::ZERO, Duration::ZERO..=LONGEST_DEBOUNCE);
    if let (Some(tag), Some(asset), Some(map)) = (tag, asset, map) {
        let asset = asset.clone();
        catalog.add_rule(tag, Rule::State(StateRule { asset, map, otherwise, debounce }));
    }
}

fn read_map(table: &Table<'_>, meaning: Option<Meaning>) -> BTreeMap<i64, StateName> {
    let mut map = BTreeMap::new();
    let entries = table.own_keys("running");
    if entries.is_empty() {
        table.spot().error("the map is empty").allowed("at least one state").example(STATE).record();
    }
    for field in entries {
        let Ok(value) = field.name().parse::<i64>() else {
            let message = format!("`{}` is not a value of a tag", field.name());
            field.spot().error(message).allowed("a whole number; a bool is 0 or 1").example(STATE).record();
            continue;
        };
        report_unreachable(&field, value, meaning);
        if let Some(state) = field.required::<StateName>()
            && map.insert(value, state).is_some()
        {
            field
                .spot()
                .error(format!("the value {value} is mapped twice"))
                .allowed("each value once")
                .record();
        }
    }
    map
}

fn report_unreachable(field: &Field<'_>, value: i64, meaning: Option<Meaning>) {
    let (lowest, highest) = match meaning {
        Some(Meaning::Switch) => (0, 1),
        Some(Meaning::Whole { lowest, highest }) => (lowest, highest),
        Some(Meaning::Measured | Meaning::Told | Meaning::Conditions) | None => return,
    };
    if value < lowest || u64::try_from(value).is_ok_and(|value| value > highest) {
        field
            .spot()
            .error(format!("the tag never has the value {value}"))
            .allowed(format!("{lowest} to {highest}"))
            .record();
    }
}

fn read_produced(table: &Table<'_>, asset: Option<&AssetPath>, catalog: &mut Catalog) {
    let mut counter = |key, output, example| {
        table.table_or(key, "tag", example, |counter| read_counter(counter, output, asset, catalog))
    };
    counter("good", Output::Good, "good = \"press-1.good\"");
    counter("scrap", Output::Scrap, "scrap = \"press-1.scrap\"");
    if table.is_bare(&["good", "scrap"]) {
        table
            .spot()
            .error("nothing is counted")
            .allowed("`good`, `scrap` or both")
            .example(PRODUCED)
            .record();
    }
}

fn read_counter(table: &Table<'_>, output: Output, asset: Option<&AssetPath>, catalog: &mut Catalog) {
    let tag_field = table.key("tag", "press-1.good");
    let tag = catalog.resolve(&tag_field);
    let meaning = tag.and_then(|id| catalog.tag(id).meaning);
    let range = match meaning {
        Some(Meaning::Whole { highest, .. }) => highest,
        Some(Meaning::Switch | Meaning::Measured) => {
            tag_field
                .spot()
                .error("this tag is no counter")
                .allowed("a tag of type u16, i16, u32, i32, u64 or i64 without scale and offset")
                .record();
            u64::MAX
        }
        Some(Meaning::Told | Meaning::Conditions) | None => u64::MAX,
    };
    let highest = table.key("highest", "9999").or_in(range, 1..=range);
    let max_step = table.key("max_step", "1000").or_in((highest / DEFAULT_STEP_DIVISOR).max(1), 1..=highest);
    if let Some(tag) = tag {
        catalog.note_counter(tag, tag_field.spot());
    }
    if let (Some(tag), Some(asset)) = (tag, asset) {
        catalog.add_rule(tag, Rule::Counter(CounterRule { asset: asset.clone(), output, highest, max_step }));
    }
}
