//! The configuration: one strict TOML file, read into the types of the crates that are configured.
//!
//! Reading goes on after a problem, so that one [`Report`] names them all, each with its place, what
//! was found, what is allowed and an example. A [`Config`] that exists is right: nothing in it is
//! checked again. Nothing is opened here but the files that the configuration names.
//!
//! Each table has a schema in a file of its own, which asks a [`table::Table`] for its keys; a key
//! that no schema asks for is reported as unknown. To add a key: ask for it in the schema, and
//! explain it in the repository's `config.toml` (a test insists).

mod alarms;
mod asset;
mod buffer;
mod catalog;
mod cells;
mod credentials;
mod endpoint;
mod gateway;
mod log;
mod modbus;
mod mqtt;
mod opcua_server;
mod opcua_tag;
mod pki;
mod report;
mod secret;
mod setting;
mod source;
mod table;
mod tag;
mod tag_list;
mod telemetry;
#[cfg(test)]
mod tests;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use penstock_adapters::modbus::Line;
use penstock_adapters::opcua::Server;
use penstock_events::normalizer::Plan;
use toml::de::DeTable;

use buffer::Buffer;
use catalog::{Catalog, Names};
use gateway::{Gateway, MAX_SOCKET_PATH_BYTES};
pub(crate) use log::{LogFormat, LogSettings};
pub(crate) use modbus::{
    DEFAULT_CONNECT_TIMEOUT, address as modbus_address, parse_address as parse_modbus_address,
};
pub(crate) use mqtt::Destination;
pub(crate) use opcua_server::ad_hoc_server;
pub(crate) use pki::passport;
pub(crate) use report::Report;
use source::{Findings, Spot, Typing};
use table::Table;

use crate::terminal::counted;

/// A larger file is no configuration.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Below the buffer's folder, unless configured.
const SOCKET_NAME: &str = "control.sock";
/// What the TOML parser says of a key that is there twice: the one mistake that leaves the rest readable.
const DUPLICATE_KEY: &str = "duplicate key";

/// What a configuration is read for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// To run the gateway: every secret must be at hand.
    Run,
    /// To look at it: secrets may be out of reach.
    Check,
}

/// Everything that the gateway is to do.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What readings mean. Its sources and tags stand at the index that is their id.
    pub(crate) plan: Plan,
    /// The Modbus devices to poll, by the line that they are on.
    pub(crate) modbus: Vec<Line>,
    /// The OPC UA servers to read.
    pub(crate) opcua: Vec<Server>,
    /// Where the gateway's certificate and those of its servers are.
    pub(crate) pki: PathBuf,
    /// How the buffer is opened.
    pub(crate) buffer: penstock_buffer::Options,
    /// The brokers to deliver to.
    pub(crate) mqtt: Vec<Destination>,
    /// How long the last events may take to be committed and delivered after a signal to stop.
    pub(crate) shutdown_grace: Duration,
    /// The Unix socket on which the running gateway answers commands.
    pub(crate) control_socket: PathBuf,
    /// What is logged, and how.
    pub(crate) log: LogSettings,
    /// What is probably not meant, though it can be run.
    pub(crate) warnings: Report,
}

/// Reads the configuration `path`.
///
/// # Errors
/// A report of every problem in it, and in the files that it names.
pub(crate) fn load(path: &Path, purpose: Purpose) -> Result<Config, Report> {
    let findings = Rc::new(Findings::default());
    let name = path.display().to_string();
    let config = match read_text(path) {
        Ok(text) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            read(findings.open(name.clone(), text, Typing::Toml), folder, purpose)
        }
        Err(Unreadable { problem, allowed }) => {
            findings.unreadable(&name, problem, allowed);
            None
        }
    };
    let has_errors = findings.has_errors();
    let report = Report::new(name, findings.take());
    match config {
        Some(config) if !has_errors => {
            let warnings = report.in_order(config.summary());
            Ok(Config { warnings, ..config })
        }
        _ => Err(report),
    }
}

impl Config {
    /// What is configured, in a line for people: `2 sources with 12 tags, 1 destination`.
    fn summary(&self) -> String {
        format!(
            "{} with {}, {}",
            counted(self.plan.sources.len(), "source"),
            counted(self.plan.tags.len(), "tag"),
            counted(self.mqtt.len(), "destination")
        )
    }
}

struct Unreadable {
    problem: String,
    allowed: &'static str,
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    let refuse = |problem, allowed| Unreadable { problem, allowed };
    let cannot = |error: std::io::Error| {
        refuse(format!("the configuration cannot be read: {error}"), "a file that this user may read")
    };
    let metadata = fs::metadata(path).map_err(cannot)?;
    if metadata.is_dir() {
        return Err(refuse("this is a folder".to_owned(), "the configuration file in it"));
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(refuse(format!("the file has {} bytes", metadata.len()), "at most 16 MiB of TOML"));
    }
    let bytes = fs::read(path).map_err(cannot)?;
    if bytes.trim_ascii().is_empty() {
        return Err(refuse(
            "the file is empty".to_owned(),
            "a configuration; the one that comes with penstock explains every key",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        refuse(format!("the file is not UTF-8 text: line {line} is not"), "a TOML file in UTF-8")
    })
}

/// Reads the configuration file at `spot`. What it gives is complete only if nothing was reported.
fn read(spot: Spot, folder: &Path, purpose: Purpose) -> Option<Config> {
    let file = Rc::clone(spot.file());
    let (document, errors) = DeTable::parse_recoverable(file.text());
    file.hide_secrets(document.get_ref(), !errors.is_empty());
    for error in &errors {
        let span = error.span().unwrap_or_default();
        spot.narrowed(span).error(format!("not TOML: {}", error.message())).record();
    }
    if errors.iter().any(|error| error.message() != DUPLICATE_KEY) {
        return None;
    }
    Table::read(document.get_ref(), spot, |root| read_root(root, folder, purpose))
}

/// The tables of which a configuration cannot be without at least one: what they are for, and an example.
const INDISPENSABLE: [(&[&str], &str, &str); 3] = [
    (
        &["gateway"],
        "[gateway] with the gateway's name and its site",
        "gateway = { id = \"edge-01\", site = \"plant-7\" }",
    ),
    (
        &["modbus", "opcua"],
        "at least one device to read, each under [[modbus]] or [[opcua]]",
        "modbus = [{ name = \"press-1\", address = \"tcp://192.168.10.21\", tags_file = \"press-1.csv\" }]",
    ),
    (
        &["mqtt"],
        "at least one broker to deliver to, each under [[mqtt]]",
        "mqtt = [{ name = \"enterprise\", url = \"mqtts://broker.example.com\" }]",
    ),
];

fn read_root(root: &Table<'_>, folder: &Path, purpose: Purpose) -> Option<Config> {
    report_missing_tables(root);
    let gateway = root.table("gateway", "[gateway]", Gateway::read);
    let origin = gateway.as_ref().and_then(Gateway::origin);
    let mut catalog = Catalog::default();
    let device_context = modbus::Context { folder, purpose };
    let modbus =
        root.tables("modbus", "[[modbus]]", |device| modbus::read(device, &device_context, &mut catalog));
    let modbus = modbus::lines(modbus);
    let server_context = opcua_server::Context { folder, purpose };
    let opcua =
        root.tables("opcua", "[[opcua]]", |server| opcua_server::read(server, &server_context, &mut catalog));
    let mut assets = Names::of("asset");
    let gateway_id = gateway.as_ref().and_then(|gateway| gateway.id.as_ref());
    root.each("asset", "[[asset]]", |asset| asset::read(asset, gateway_id, &mut assets, &mut catalog));
    catalog.report_too_many_facts();
    if !root.spot().findings().has_errors() {
        catalog.warn_of_unused_tags();
    }

    let buffer = root.table("buffer", "[buffer]", |table| Buffer::read(table, folder)).unwrap_or_default();
    let mut names = Names::of("destination");
    let context = mqtt::Context { origin: origin.as_ref(), folder, purpose };
    let mqtt = root.tables("mqtt", "[[mqtt]]", |table| mqtt::read(table, &context, &mut names));
    let log = root.table("log", "[log]", LogSettings::read).unwrap_or_default();

    let pki = pki::read(root, folder, &buffer.path);

    let (origin, gateway) = (origin?, gateway?);
    let control_socket = control_socket(root, &gateway, &buffer, folder);
    let (sources, tags) = catalog.into_plan();
    let start = mqtt.iter().map(|destination| (destination.name.clone(), destination.start)).collect();
    Some(Config {
        buffer: buffer.into_options(origin.gateway.clone(), start),
        plan: Plan { origin, sources, tags },
        modbus,
        opcua,
        pki,
        mqtt,
        shutdown_grace: gateway.shutdown_grace,
        control_socket,
        log,
        warnings: Report::new(String::new(), Vec::new()),
    })
}

fn control_socket(root: &Table<'_>, gateway: &Gateway, buffer: &Buffer, folder: &Path) -> PathBuf {
    if let Some(socket) = &gateway.socket {
        return folder.join(socket);
    }
    let socket = buffer.path.join(SOCKET_NAME);
    if socket.as_os_str().len() > MAX_SOCKET_PATH_BYTES {
        root.spot()
            .renamed("gateway.socket".to_owned())
            .error("the buffer's path is too long for the control socket below it")
            .found(socket.display().to_string())
            .allowed(format!("{MAX_SOCKET_PATH_BYTES} bytes, or a shorter `socket` in [gateway]"))
            .example("socket = \"/run/penstock/control.sock\"")
            .record();
    }
    socket
}

fn report_missing_tables(root: &Table<'_>) {
    for (names, allowed, example) in INDISPENSABLE.into_iter().filter(|(names, ..)| root.is_bare(names)) {
        let name = names[0];
        root.spot()
            .renamed(name.to_owned())
            .error(format!("`{name}` is missing"))
            .found("nothing")
            .allowed(allowed)
            .example(example)
            .record();
    }
}
