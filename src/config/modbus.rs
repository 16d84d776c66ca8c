//! The schema of `[[modbus]]`: a device and its tags.

mod address;

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use penstock_adapters::modbus::{Device, Group, InvalidTls, Limits, Line, Places, SecureHost, Transport};
use penstock_events::{SourceId, SourceName};

use super::catalog::Catalog;
use super::setting::Text;
use super::source::Spot;
use super::table::{Field, Table};
use super::tag::{self, PlacedTag};
use super::tag_list::{self, Incomplete};
use super::{Purpose, tls};
use address::Address;

/// Faster polls are no business of an event gateway, and few PLCs answer in less.
const SHORTEST_POLL: Duration = Duration::from_millis(10);
const LONGEST_POLL: Duration = Duration::from_secs(24 * 3600);
/// How often a device or a tag may be polled.
pub(super) const POLLS: RangeInclusive<Duration> = SHORTEST_POLL..=LONGEST_POLL;
const DEFAULT_POLL: Duration = Duration::from_secs(1);
/// A device in the same plant connects in milliseconds; a retransmitted SYN takes one second more.
pub(crate) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Slow PLCs answer at the end of a scan cycle, gateways to serial lines within some 500 ms.
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(10);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);

impl Text for Places {
    const ALLOWED: &'static str =
        "places of one table, such as holding:200-299, input:7 or the classic 40201-40300";
}

/// What a device's schema needs to know of the rest.
pub(super) struct Context<'a> {
    /// Where relative paths start.
    pub(super) folder: &'a Path,
    /// What the configuration is read for.
    pub(super) purpose: Purpose,
}

/// The `address` that stands for a way.
pub(crate) fn address(transport: &Transport) -> String {
    address::written(transport)
}

/// The way that an `address` stands for.
///
/// # Errors
/// What is wrong with it and what is allowed.
pub(crate) fn parse_address(text: &str) -> Result<Transport, String> {
    match text.parse() {
        Ok(Address::Whole(transport)) => Ok(transport),
        Ok(Address::Tls(_)) => {
            Err("tls:// takes certificates, which only a configuration can name".to_owned())
        }
        Err(error) => Err(format!("{error}; allowed is {}", Address::ALLOWED)),
    }
}

/// A device, and where what it could share with others stands.
pub(super) struct PlacedDevice {
    device: Device,
    transport: Transport,
    address_at: Spot,
    unit_at: Spot,
}

/// Reads a device and the way to it; what it declares goes into the catalog.
pub(super) fn read(table: &Table<'_>, context: &Context<'_>, catalog: &mut Catalog) -> Option<PlacedDevice> {
    let name_field = table.key("name", "press-1");
    let (source, name) = catalog.declare_source(name_field.required::<SourceName>(), name_field.spot());
    let address_field = table.key("address", "tcp://192.168.10.21:502");
    let transport = transport(table, &address_field, context);
    let unit_field = table.key("unit", "1");
    let unit = unit_field.or_in(1_u8, 0..=u8::MAX);
    let poll_field = table.key("poll", "1s");
    let poll = poll_field.or_in(DEFAULT_POLL, POLLS);
    let timeouts = SHORTEST_TIMEOUT..=LONGEST_TIMEOUT;
    let connect_timeout = table.key("connect_timeout", "3s").or_in(DEFAULT_CONNECT_TIMEOUT, timeouts.clone());
    let request_timeout = table.key("request_timeout", "1s").or_in(DEFAULT_REQUEST_TIMEOUT, timeouts);
    let mut limits = limits(table);
    if let Some(transport) = &transport {
        limits = limits.with_request_cost(transport.request_cost_bytes());
    }
    let tags = tags(table, source, &limits, context.folder, catalog);
    let groups = Group::by_poll(tags.into_iter().map(|placed| (placed.poll.unwrap_or(poll), placed.tag)));
    if groups.first().is_some_and(|fastest| fastest.poll < request_timeout) {
        poll_field
            .spot()
            .warning("`poll` is shorter than `request_timeout`: while the device is slow, polls are skipped")
            .record();
    }
    let transport = transport?;
    let device = Device { source, name, unit, connect_timeout, request_timeout, limits, groups };
    let (address_at, unit_at) = (address_field.spot().clone(), unit_field.spot().clone());
    Some(PlacedDevice { device, transport, address_at, unit_at })
}

/// The way to the device, with the files that it takes.
fn transport(table: &Table<'_>, address: &Field<'_>, context: &Context<'_>) -> Option<Transport> {
    let files = tls::read(table, context.folder);
    let host = match address.required()? {
        Address::Tls(host) => host,
        Address::Whole(transport) => {
            tls::warn_of_idle(table, "this address", "tls://");
            return Some(transport);
        }
    };
    let (Some(ca), Some((certificate, key))) = (files.ca, files.identity) else {
        let is_there = |name| table.key(name, "").is_present();
        if is_there("ca_file") && is_there("certificate_file") != is_there("key_file") {
            // Half of a certificate has been told.
            return None;
        }
        address
            .spot()
            .error("Modbus/TCP Security takes certificates on both sides")
            .allowed("`ca_file`, `certificate_file` and `key_file` beside a tls:// address")
            .example("ca_file = \"/etc/penstock/ca.pem\"")
            .record();
        return None;
    };
    let secure = SecureHost { host, ca, certificate, key };
    if let Err(error) = secure.check() {
        let spot = table.key(key_of(&secure, &error), "").spot().clone();
        let is_tolerable =
            context.purpose == Purpose::Check && error.path().is_some_and(tls::is_out_of_reach);
        if is_tolerable { spot.warning(error.to_string()) } else { spot.error(error.to_string()) }.record();
    }
    Some(Transport::Tls(secure))
}

fn key_of(secure: &SecureHost, error: &InvalidTls) -> &'static str {
    match error.path() {
        None => "address",
        Some(path) if *path == secure.ca => "ca_file",
        Some(path) if *path == secure.key => "key_file",
        Some(_) => "certificate_file",
    }
}

/// The lines of the devices. Those that cannot share theirs are reported.
pub(super) fn lines(devices: Vec<PlacedDevice>) -> Vec<Line> {
    for (index, device) in devices.iter().enumerate().filter(|(_, placed)| placed.transport.is_serial()) {
        device.report_clash(&devices[..index]);
    }
    Line::sharing(devices.into_iter().map(|placed| (placed.transport, placed.device)))
}

impl PlacedDevice {
    /// Reports why it cannot be on a serial line with the devices that stand `before` it.
    fn report_clash(&self, before: &[Self]) {
        if self.device.unit == 0 {
            self.unit_at
                .error("unit 0 is every device of a serial line, and none of them answers")
                .allowed("a unit from 1 to 247")
                .record();
        }
        let mut on_line =
            before.iter().filter(|other| other.transport.to_string() == self.transport.to_string());
        if let Some(other) = on_line.clone().next().filter(|first| first.transport != self.transport) {
            self.address_at
                .error(format!("`{}` has other settings at {}", self.transport, other.address_at.reference()))
                .allowed("the same settings for every device of a line")
                .record();
        } else if let Some(other) = on_line.find(|other| other.device.unit == self.device.unit) {
            let (unit, name) = (self.device.unit, &other.device.name);
            self.unit_at
                .error(format!("unit {unit} of `{}` is `{name}` already", self.transport))
                .allowed(
                    "one [[modbus]] for each unit, with all its tags; a tag may have a `poll` of its own",
                )
                .record();
        }
    }
}

fn limits(table: &Table<'_>) -> Limits {
    let registers = table.key("max_registers", "125").or_in(Limits::MAX_REGISTERS, 1..=Limits::MAX_REGISTERS);
    let bits = table.key("max_bits", "2000").or_in(Limits::MAX_BITS, 1..=Limits::MAX_BITS);
    let gap_registers = table.key("max_gap_registers", "16").optional_in(0..=Limits::MAX_REGISTERS);
    let gap_bits = table.key("max_gap_bits", "256").optional_in(0..=Limits::MAX_BITS);
    Limits::new(registers, bits)
        .expect("both sizes are within the limits of Modbus")
        .with_gaps(gap_registers, gap_bits)
        .never_reading(table.list("never_read", "holding:200-299"))
}

fn tags(
    table: &Table<'_>,
    source: SourceId,
    limits: &Limits,
    folder: &Path,
    catalog: &mut Catalog,
) -> Vec<PlacedTag> {
    let example = "tags = [{ name = \"state\", at = \"holding:100\", type = \"u16\" }]";
    let mut tags = table.tables("tags", example, |tag| tag::read(tag, source, limits, catalog));
    let list_field = table.key("tags_file", "press-1.csv");
    if let Some(list) = list_field.optional::<std::path::PathBuf>() {
        let read = tag_list::read(&folder.join(list), list_field.spot(), &tag::LIST, |row| {
            tags.extend(tag::read(row, source, limits, catalog));
        });
        if let Err(Incomplete) = read {
            catalog.mark_incomplete(source);
        }
    }
    if catalog.tags_of(source) == 0 && catalog.is_complete(source) {
        table
            .spot()
            .error("the device has no tags")
            .found("none in `tags` and none in a `tags_file`")
            .allowed("at least one tag")
            .example(example)
            .record();
    }
    tag::report_overlaps(&tags);
    tags
}
