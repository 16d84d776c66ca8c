//! The schema of one OPC UA tag, the same in the TOML and in a tag list beside it.

use std::sync::Arc;
use std::time::Duration;

use penstock_adapters::opcua::{Acquisition, Deadband, Discard, NodeAddress, Part, Sampling, Tag, Trigger};
use penstock_events::{SourceId, TagName, normalizer};

use super::catalog::{Catalog, Meaning};
use super::opcua_server::{DISCARDS, TRIGGERS};
use super::source::Typing;
use super::table::Table;
use super::tag_list::Columns;
use super::telemetry;

/// What a list of OPC UA tags looks like: every key of [`read`].
pub(super) const LIST: Columns = Columns {
    known: &[
        "name",
        "node",
        "element",
        "field",
        "mode",
        "sample",
        "queue",
        "discard",
        "trigger",
        "server_deadband",
        "unit",
        "asset",
        "deadband",
        "min_interval",
        "heartbeat",
    ],
    required: &["name", "node"],
    example: "name,node,unit",
};

/// A value that changes faster than it is published has this many of its changes sent.
const DEFAULT_QUEUE: u32 = 10;
/// More is no queue but a store, which a server is not.
const LONGEST_QUEUE: u32 = 100_000;
const LONGEST_SAMPLE: Duration = Duration::from_secs(24 * 3600);

const MODES: [(&str, Mode); 2] = [("subscribe", Mode::Subscribe), ("read", Mode::Read)];

#[derive(Clone, Copy)]
enum Mode {
    Subscribe,
    Read,
}

/// How tags are obtained unless they say otherwise.
pub(super) struct Defaults {
    mode: Mode,
    sampling: Sampling,
}

impl Defaults {
    /// Those of a server that publishes at this interval.
    pub(super) fn read(table: &Table<'_>, publish: Duration) -> Self {
        let plain = Self {
            mode: Mode::Subscribe,
            sampling: Sampling {
                interval: publish,
                queue: DEFAULT_QUEUE,
                discard: Discard::Oldest,
                trigger: Trigger::Value,
                deadband: Deadband::None,
            },
        };
        plain.overridden(table)
    }

    fn overridden(&self, table: &Table<'_>) -> Self {
        let sampling = &self.sampling;
        Self {
            mode: table.key("mode", "subscribe").choice(&MODES).unwrap_or(self.mode),
            sampling: Sampling {
                interval: table
                    .key("sample", "250ms")
                    .or_in(sampling.interval, Duration::ZERO..=LONGEST_SAMPLE),
                queue: table.key("queue", "10").or_in(sampling.queue, 1..=LONGEST_QUEUE),
                discard: table.key("discard", "oldest").choice(&DISCARDS).unwrap_or(sampling.discard),
                trigger: table.key("trigger", "value").choice(&TRIGGERS).unwrap_or(sampling.trigger),
                deadband: server_deadband(table).unwrap_or(sampling.deadband),
            },
        }
    }

    fn acquisition(self) -> Acquisition {
        match self.mode {
            Mode::Subscribe => Acquisition::Subscribe(self.sampling),
            Mode::Read => Acquisition::Read,
        }
    }
}

fn server_deadband(table: &Table<'_>) -> Option<Deadband> {
    let read = if table.spot().file().typing() == Typing::Toml {
        table.table("server_deadband", "server_deadband = { absolute = 0.2 }", telemetry::deadband)
    } else {
        table.key("server_deadband", "0.2").optional()
    };
    Some(match read? {
        normalizer::Deadband::None => Deadband::None,
        normalizer::Deadband::Absolute(change) => Deadband::Absolute(change),
        normalizer::Deadband::Percent(part) => Deadband::Percent(part),
    })
}

/// Reads a tag of `source`.
pub(super) fn read(
    table: &Table<'_>,
    source: SourceId,
    defaults: &Defaults,
    catalog: &mut Catalog,
) -> Option<Tag> {
    let name_field = table.key("name", "temp");
    let declared =
        name_field.required::<TagName>().map(|name| catalog.declare_tag(source, &name, name_field.spot()));
    if declared.is_none() {
        catalog.mark_incomplete(source);
    }
    let node = table.key("node", "nsu=http://plant.example/oven;s=Oven.Temp").required::<NodeAddress>();
    let part = part(table);
    let acquisition = defaults.overridden(table).acquisition();
    let unit = table.key("unit", "Cel").optional::<String>();
    let report =
        (table.spot().file().typing() != Typing::Toml).then(|| telemetry::read_columns(table)).flatten();

    let (id, path) = declared?;
    catalog.describe_tag(id, Meaning::Told, unit.map(Arc::from));
    if let Some((report, spot)) = report {
        telemetry::add(report, id, spot, catalog);
    }
    Some(Tag { id, path, node: node?, part: part?, acquisition })
}

fn part(table: &Table<'_>) -> Option<Part> {
    let element = table.key("element", "0").optional::<u32>().map(Part::element).unwrap_or_default();
    let field = table.key("field", "Zones[1].Temp");
    match element.then(field.optional::<Part>().unwrap_or_default()) {
        Ok(part) => Some(part),
        Err(error) => {
            field
                .spot()
                .error(error.to_string())
                .allowed("`element`, or a `field` that begins with one")
                .record();
            None
        }
    }
}
