//! The schemas of what tells of alarms, an OPC UA server's `alarms`, and of what they mean, an asset's `alerts`.

use penstock_adapters::opcua::{NodeAddress, Notifier};
use penstock_events::normalizer::{AlertRule, Pattern};
use penstock_events::{AssetPath, Severity, SourceId, TagName};

use super::catalog::{Catalog, Meaning};
use super::table::Table;

/// The Server object (OPC 10000-5, section 8.3.2): of a server that has events at all, it tells of all of them.
const SERVER_OBJECT: &str = "i=2253";

/// Reads one of the `alarms` of `source`.
pub(super) fn read(table: &Table<'_>, source: SourceId, catalog: &mut Catalog) -> Option<Notifier> {
    let name_field = table.key("name", "alarms");
    let declared =
        name_field.required::<TagName>().map(|name| catalog.declare_tag(source, &name, name_field.spot()));
    if declared.is_none() {
        catalog.mark_incomplete(source);
    }
    let server_object = SERVER_OBJECT.parse::<NodeAddress>().expect("an identifier of namespace 0");
    let node = table.key("node", SERVER_OBJECT).or(server_object);
    let (id, path) = declared?;
    catalog.describe_tag(id, Meaning::Conditions, None);
    Some(Notifier { id, path, node })
}

/// Reads an entry of an asset's `alerts`.
pub(super) fn read_alert(table: &Table<'_>, asset: Option<&AssetPath>, catalog: &mut Catalog) {
    let tag_field = table.key("tag", "oven.alarms");
    let tag = catalog.resolve_conditions(&tag_field);
    let pattern = |name, example| {
        let pattern = table.key(name, example).optional::<String>();
        pattern.map_or_else(Pattern::any, |text| Pattern::new(&text))
    };
    let source = pattern("source", "Zone*");
    let condition = pattern("condition", "Overheat*");
    let severities = Severity::LEAST.get()..=Severity::GREATEST.get();
    let least = table.key("min_severity", "400").or_in(Severity::LEAST.get(), severities);
    if let (Some(tag), Some(asset)) = (tag, asset) {
        let min_severity = Severity::clamped(least);
        let rule = AlertRule { asset: asset.clone(), source, condition, min_severity };
        catalog.add_alert(tag, rule, table.spot());
    }
}
