//! The schema of one Modbus tag, the same in the TOML and in a tag list beside it.

use std::sync::Arc;
use std::time::Duration;

use penstock_adapters::modbus::{
    Address, Encoding, InvalidEncoding, InvalidTag, Layout, Limits, Names, Number, Order, Scaling, Tag,
};
use penstock_events::{SourceId, TagName};

use super::catalog::{Catalog, Meaning};
use super::modbus;
use super::setting::Text;
use super::source::{Spot, Typing};
use super::table::Table;
use super::tag_list::Columns;
use super::telemetry;

/// The columns that a tag list may have: every key of [`read`].
pub(super) const COLUMNS: [&str; 18] = [
    "name",
    "at",
    "type",
    "order",
    "bytes",
    "bits",
    "scale",
    "offset",
    "invalid",
    "min",
    "max",
    "names",
    "poll",
    "unit",
    "asset",
    "deadband",
    "min_interval",
    "heartbeat",
];
/// The columns that a tag list must have.
const REQUIRED_COLUMNS: [&str; 3] = ["name", "at", "type"];
/// What a list of Modbus tags looks like.
pub(super) const LIST: Columns =
    Columns { known: &COLUMNS, required: &REQUIRED_COLUMNS, example: "name,at,type,order,scale,unit" };

impl Text for Address {
    const ALLOWED: &'static str = "coil:N, discrete:N, input:N or holding:N, N from 0, or the classic 00001, 10001, \
                                   30001 or 40001; a bit of a register follows a dot";
}

impl Text for Names {
    const ALLOWED: &'static str = "numbers and their names, such as 0=off, 1=heating";
}

/// A tag, and where it stands.
pub(super) struct PlacedTag {
    /// The tag.
    pub(super) tag: Tag,
    /// The time between its polls, where it is not the device's.
    pub(super) poll: Option<Duration>,
    /// Where its address stands.
    pub(super) at: Spot,
}

/// Reads a tag of `source`.
pub(super) fn read(
    table: &Table<'_>,
    source: SourceId,
    limits: &Limits,
    catalog: &mut Catalog,
) -> Option<PlacedTag> {
    let name_field = table.key("name", "temp");
    let declared =
        name_field.required::<TagName>().map(|name| catalog.declare_tag(source, &name, name_field.spot()));
    if declared.is_none() {
        catalog.mark_incomplete(source);
    }
    let at_field = table.key("at", "holding:100");
    let at = at_field.required::<Address>();
    let encoding = encoding(table);
    let scaling = scaling(table);
    let trust = Trust::read(table);
    let names = table.key("names", "0=off, 1=heating").optional::<Names>();
    let poll = table.key("poll", "10s").optional_in(modbus::POLLS);
    let unit = table.key("unit", "Cel").optional::<String>();
    let report =
        (table.spot().file().typing() != Typing::Toml).then(|| telemetry::read_columns(table)).flatten();

    let (id, path) = declared?;
    let encoding = encoding?;
    let reject = |error: &InvalidTag| {
        let key = match error {
            InvalidTag::ScaledNotANumber { .. } | InvalidTag::Scaling { .. } => "scale",
            InvalidTag::NeverInvalid { .. } => "invalid",
            InvalidTag::RangeOfNoNumber { .. } | InvalidTag::EmptyRange { .. } => trust.key(),
            InvalidTag::NeverNamed { .. } | InvalidTag::NamedNumber => "names",
            _ => "at",
        };
        table.key(key, "").spot().error(error.to_string()).record();
    };
    let mut tag = Tag::new(id, path, at?, encoding).inspect_err(reject).ok()?;
    if let Some(scaling) = scaling {
        tag = tag.scaled(scaling).inspect_err(reject).ok()?;
    }
    tag = trust.apply(tag).inspect_err(reject).ok()?;
    if let Some(names) = names {
        tag = tag.named(names).inspect_err(reject).ok()?;
    }
    tag.fits(limits).inspect_err(reject).ok()?;
    catalog.describe_tag(id, meaning(&tag), unit.map(Arc::from));
    if let Some((report, spot)) = report {
        telemetry::add(report, id, spot, catalog);
    }
    Some(PlacedTag { tag, poll, at: at_field.spot().clone() })
}

fn encoding(table: &Table<'_>) -> Option<Encoding> {
    let type_field = table.key("type", "u16");
    let order_field = table.key("order", "CDAB");
    let bytes_field = table.key("bytes", "16");
    let bits_field = table.key("bits", "3");
    let name = type_field.required_choice(&Encoding::NAMES.map(|name| (name, name)));
    let order = order_field.choice(&Order::ALL.map(|order| (order.as_str(), order)));
    let bytes = bytes_field.optional_in(1..=2 * Limits::MAX_REGISTERS);
    let bits = bits_field.optional_in(1..=16);
    let wrong = |error: &InvalidEncoding| {
        let field = match error {
            InvalidEncoding::UnknownType { .. }
            | InvalidEncoding::BytesMissing
            | InvalidEncoding::BitsMissing => &type_field,
            InvalidEncoding::OrderNotUsed { .. } | InvalidEncoding::TextOrder { .. } => &order_field,
            InvalidEncoding::BytesNotUsed { .. } => &bytes_field,
            InvalidEncoding::BitsNotUsed { .. } | InvalidEncoding::BitsOutOfRange { .. } => &bits_field,
        };
        field.spot().error(error.to_string()).record();
    };
    // A size that is there but wrong has been reported and is not missing.
    let bytes = bytes.or(bytes_field.is_present().then_some(1));
    let bits = bits.or(bits_field.is_present().then_some(1));
    Encoding::new(name?, Layout { order, bytes, bits }).inspect_err(wrong).ok()
}

fn scaling(table: &Table<'_>) -> Option<Scaling> {
    let factor = table.key("scale", "0.1").optional::<f64>();
    let offset = table.key("offset", "-40").optional::<f64>();
    (factor.is_some() || offset.is_some())
        .then(|| Scaling { factor: factor.unwrap_or(1.0), offset: offset.unwrap_or(0.0) })
}

fn meaning(tag: &Tag) -> Meaning {
    match (tag.encoding(), tag.encoding().whole_range()) {
        _ if tag.names().is_some() => Meaning::Measured,
        (Encoding::Bool, _) => Meaning::Switch,
        (_, Some((lowest, highest))) if tag.scaling().is_none() => Meaning::Whole { lowest, highest },
        _ => Meaning::Measured,
    }
}

/// Which of a tag's numbers can be trusted.
struct Trust {
    invalid: Option<Number>,
    min: Option<f64>,
    max: Option<f64>,
}

impl Trust {
    fn read(table: &Table<'_>) -> Self {
        Self {
            invalid: table.key("invalid", "-32768").optional(),
            min: table.key("min", "-40").optional(),
            max: table.key("max", "125").optional(),
        }
    }

    /// The key of the range that is there.
    const fn key(&self) -> &'static str {
        if self.min.is_some() { "min" } else { "max" }
    }

    fn apply(&self, mut tag: Tag) -> Result<Tag, InvalidTag> {
        if let Some(number) = self.invalid {
            tag = tag.marked_invalid(number)?;
        }
        if self.min.is_some() || self.max.is_some() {
            tag = tag.within(self.min.unwrap_or(f64::NEG_INFINITY), self.max.unwrap_or(f64::INFINITY))?;
        }
        Ok(tag)
    }
}

/// Reports tags that read some of the same bits of a device: one of them is a typing mistake.
pub(super) fn report_overlaps(tags: &[PlacedTag]) {
    let mut order: Vec<usize> = (0..tags.len()).collect();
    order.sort_by_key(|&index| (tags[index].tag.at().table, tags[index].tag.at().start, index));
    let mut reported = vec![false; tags.len()];
    for (place, &first) in order.iter().enumerate() {
        let (a, end) =
            (&tags[first], u32::from(tags[first].tag.at().start) + u32::from(tags[first].tag.width()));
        let same_reach =
            |b: &PlacedTag| b.tag.at().table == a.tag.at().table && u32::from(b.tag.at().start) < end;
        for &second in order[place + 1..].iter().take_while(|&&second| same_reach(&tags[second])) {
            let (early, late) = (first.min(second), first.max(second));
            if a.tag.overlaps(&tags[second].tag) && !std::mem::replace(&mut reported[late], true) {
                report_overlap(&tags[early], &tags[late]);
            }
        }
    }
}

fn report_overlap(early: &PlacedTag, late: &PlacedTag) {
    let described = |placed: &PlacedTag| {
        format!("`{}` ({} at {})", placed.tag.path(), placed.tag.encoding(), placed.tag.at())
    };
    late.at
        .error(format!("tag {} overlaps {} at {}", described(late), described(early), early.at.reference()))
        .allowed("registers that no other tag of the device reads; different bits of one register are fine")
        .record();
}
