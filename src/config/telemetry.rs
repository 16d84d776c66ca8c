//! What is reported by exception: the schema of a `telemetry` entry, and of a tag list's columns.

use std::time::Duration;

use penstock_events::normalizer::{Deadband, TelemetryRule};
use penstock_events::{AssetPath, TagId};

use super::catalog::Catalog;
use super::setting::{Scalar, Setting};
use super::source::Spot;
use super::table::Table;

/// The longest interval or heartbeat: a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// No quantity of a plant moves this far; it keeps the sum of two values finite.
const LARGEST_DEADBAND: f64 = 1e18;

/// A report by exception that was read from a tag list, for one asset.
pub(super) struct Report {
    asset: AssetPath,
    pace: Pace,
}

#[derive(Clone, Copy)]
struct Pace {
    deadband: Deadband,
    min_interval: Duration,
    heartbeat: Option<Duration>,
}

/// Reads an entry of an asset's `telemetry`.
pub(super) fn read(table: &Table<'_>, asset: Option<&AssetPath>, catalog: &mut Catalog) {
    let tag_field = table.key("tag", "press-1.temp");
    let pattern = tag_field.required::<String>();
    let deadband =
        table.table("deadband", "deadband = { absolute = 0.5 }", deadband).unwrap_or(Deadband::None);
    let pace = pace(table, deadband);
    let (Some(asset), Some(pattern)) = (asset, pattern) else { return };
    let report = || Report { asset: asset.clone(), pace };
    if !pattern.contains('*') {
        if let Some(id) = catalog.resolve(&tag_field) {
            add(report(), id, tag_field.spot().clone(), catalog);
        }
        return;
    }
    let tags = catalog.matching(&pattern);
    if tags.is_empty() {
        catalog.report_unknown(&tag_field, &pattern);
    }
    for id in tags {
        if catalog.reported(id, asset).is_none() {
            add(report(), id, tag_field.spot().clone(), catalog);
        }
    }
}

/// Reads the telemetry columns of a tag list; none without an asset.
pub(super) fn read_columns(table: &Table<'_>) -> Option<(Report, Spot)> {
    let asset_field = table.key("asset", "stamping/line-1/press-1");
    let deadband_field = table.key("deadband", "0.5");
    let asset = asset_field.optional::<AssetPath>();
    let pace = pace(table, deadband_field.or(Deadband::None));
    if !asset_field.is_present() {
        let idle = ["deadband", "min_interval", "heartbeat"].map(|name| table.key(name, ""));
        for field in idle.iter().filter(|field| field.is_present()) {
            field
                .spot()
                .error(format!("`{}` has no effect without an `asset`", field.name()))
                .allowed("the asset whose telemetry the tag is, in the column `asset`")
                .record();
        }
    }
    Some((Report { asset: asset?, pace }, asset_field.spot().clone()))
}

/// Reports the tag by exception, once for each asset.
pub(super) fn add(report: Report, id: TagId, spot: Spot, catalog: &mut Catalog) {
    let Report { asset, pace: Pace { deadband, min_interval, heartbeat } } = report;
    if let Some(first) = catalog.reported(id, &asset) {
        spot.error(format!("`{}` is already reported at {}", catalog.tag(id).path, first.reference()))
            .allowed(
                "one entry for each tag of an asset; entries with a '*' go last, for the tags that remain",
            )
            .record();
        return;
    }
    let unit = catalog.tag(id).unit.clone();
    catalog.add_telemetry(id, TelemetryRule { asset, unit, deadband, min_interval, heartbeat }, spot);
}

fn pace(table: &Table<'_>, deadband: Deadband) -> Pace {
    let min_interval = table.key("min_interval", "5s").or_in(Duration::ZERO, Duration::ZERO..=LONGEST);
    let heartbeat_field = table.key("heartbeat", "60s");
    let heartbeat = heartbeat_field.optional_in(Duration::from_secs(1)..=LONGEST);
    if heartbeat.is_some_and(|heartbeat| heartbeat < min_interval) {
        heartbeat_field.spot().warning("`heartbeat` is shorter than `min_interval`").record();
    }
    Pace { deadband, min_interval, heartbeat }
}

/// Reads a deadband: absolute, in percent, or none.
pub(super) fn deadband(table: &Table<'_>) -> Deadband {
    let absolute = table.key("absolute", "0.5").optional_in(0.0..=LARGEST_DEADBAND);
    let percent = table.key("percent", "2").optional_in(0.0..=100.0);
    if absolute.is_some() && percent.is_some() {
        table
            .spot()
            .error("`deadband` is both absolute and in percent")
            .allowed("one of them")
            .example("deadband = { absolute = 0.5 }")
            .record();
    }
    match (absolute, percent) {
        (Some(change), _) => Deadband::Absolute(change),
        (None, Some(part)) => Deadband::Percent(part),
        (None, None) => Deadband::None,
    }
}

/// The short form of a tag list: `0.5` or `2%`.
impl Setting for Deadband {
    const QUOTED: bool = false;

    fn allowed() -> String {
        "a number that is not negative, or a percentage: 0.5 or 2%".to_owned()
    }

    fn read(scalar: &Scalar<'_>) -> Result<Self, String> {
        let number = |scalar: &Scalar<'_>| {
            f64::read(scalar).and_then(|number| {
                if number < 0.0 { Err("must not be negative".to_owned()) } else { Ok(number) }
            })
        };
        match scalar {
            Scalar::Cell { text, decimal } => match text.strip_suffix('%') {
                Some(part) => {
                    number(&Scalar::Cell { text: part.trim(), decimal: *decimal }).map(Self::Percent)
                }
                None => number(scalar).map(Self::Absolute),
            },
            _ => number(scalar).map(Self::Absolute),
        }
    }
}
