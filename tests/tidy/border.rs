//! Who may know whom: crates, third-party crates, and the pure core.

use super::manifest::{Dependency, Section};
use super::rust_text;
use super::tree::{File, Offence, Tree};
use crate::Rule;

/// The whole diagram of ARCHITECTURE.md: a package, and the packages of ours that it may name.
const MAY_DEPEND_ON: [(&str, &[&str]); 8] = [
    ("penstock-events", &[]),
    ("penstock-adapters", &["penstock-events"]),
    ("penstock-adapters-fuzz", &["penstock-adapters"]),
    ("penstock-buffer", &["penstock-events"]),
    ("penstock-buffer-fuzz", &["penstock-buffer"]),
    ("penstock-uplink", &["penstock-events"]),
    ("penstock-plant", &[]),
    ("penstock", &["penstock-adapters", "penstock-buffer", "penstock-events", "penstock-uplink"]),
];
/// What only a package's tests may name besides: the plant never enters the product's binary.
const TESTS_MAY_DEPEND_ON: [(&str, &[&str]); 1] = [("penstock", &["penstock-plant"])];

/// Third-party crates that must stay replaceable, and the paths that may name them. Tests and benches may
/// name any: an independent witness is the better for knowing nothing of ours.
const CONFINED: &[(&str, &[&str])] = &[
    ("anyhow", &["src/", "plant/"]),
    ("axum", &["src/api"]),
    ("clap", &["src/cli", "src/main.rs", "plant/src/"]),
    ("crc32c", &["buffer/src/"]),
    ("csv", &["src/config"]),
    ("opcua", &["adapters/src/opcua", "plant/"]),
    ("sha2", &["adapters/src/opcua/pki"]),
    ("rumqttc", &["uplink/src/mqtt", "plant/"]),
    ("sled", &["buffer/src/"]),
    ("tokio_modbus", &["adapters/src/modbus", "plant/"]),
    ("tokio_rustls", &["adapters/src/modbus/tls"]),
    ("toml", &["src/config"]),
    ("tracing_journald", &["src/logging"]),
    ("tracing_subscriber", &["src/logging"]),
    ("uuid", &["events/src/identity"]),
    ("x509_cert", &["adapters/src/opcua/pki"]),
    ("zstd", &["buffer/src/"]),
];

/// Code that is a function of its arguments: planning, decoding, normalizing.
const PURE: &[&str] = &[
    "events/src/",
    "adapters/src/modbus/address",
    "adapters/src/modbus/decode",
    "adapters/src/modbus/encoding",
    "adapters/src/modbus/forecast",
    "adapters/src/modbus/limits",
    "adapters/src/modbus/places",
    "adapters/src/modbus/inquiry",
    "adapters/src/modbus/plan",
    "adapters/src/modbus/rtu/frame",
    "adapters/src/schedule",
    "adapters/src/modbus/suspicion",
    "adapters/src/opcua/browse/found",
    "adapters/src/opcua/browse/unit",
    "adapters/src/opcua/browse/walk",
    "adapters/src/opcua/code",
    "adapters/src/opcua/dating",
    "adapters/src/opcua/decode",
    "adapters/src/opcua/history",
    "adapters/src/opcua/node",
    "adapters/src/opcua/offer",
    "adapters/src/opcua/part",
    "adapters/src/opcua/request",
    "adapters/src/opcua/pki/certificate",
    "adapters/src/opcua/pki/fingerprint",
    "adapters/src/opcua/pki/reminder",
    "adapters/src/opcua/pki/verdict",
    "adapters/src/opcua/security",
    "adapters/src/opcua/sequence",
    "adapters/src/opcua/sharing",
    "adapters/src/opcua/silence",
    "adapters/src/opcua/structure",
    "buffer/src/block",
    "buffer/src/record",
    "uplink/src/mqtt/topic",
];
/// How async, IO and clocks are spelled.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
];

/// How a write to a Modbus device, or a function code of one's own, is spelled.
const WRITES: [&str; 8] = [
    "Custom",
    "MaskWriteRegister",
    "ReadWriteMultipleRegisters",
    "WriteMultipleCoils",
    "WriteMultipleRegisters",
    "WriteSingleCoil",
    "WriteSingleRegister",
    "Writer",
];

pub(crate) const RULES: &[Rule] = &[
    Rule {
        claim: "dependencies between our crates go one way",
        remedy: "move what both need down into events, or hand it over in the binary",
        offences: wrong_way,
        refuses: || {
            vec![
                manifest(
                    "events/Cargo.toml",
                    "penstock-events",
                    "[dependencies]\npenstock-buffer.workspace = true",
                ),
                manifest(
                    "uplink/Cargo.toml",
                    "penstock-uplink",
                    "[dev-dependencies]\npenstock-plant.workspace = true",
                ),
                manifest(
                    "buffer/Cargo.toml",
                    "penstock-buffer",
                    "[dependencies]\npenstock-uplink = { path = \"../uplink\" }",
                ),
                manifest(
                    "Cargo.toml",
                    "penstock",
                    "[target.'cfg(unix)'.dependencies]\npenstock-plant.workspace = true",
                ),
                manifest("web/Cargo.toml", "penstock-web", "[dependencies]"),
            ]
        },
        allows: || {
            vec![
                manifest(
                    "adapters/Cargo.toml",
                    "penstock-adapters",
                    "[dependencies]\npenstock-events.workspace = true",
                ),
                manifest(
                    "Cargo.toml",
                    "penstock",
                    "[dependencies]\npenstock-buffer.workspace = true\n[dev-dependencies]\npenstock-plant.workspace = true",
                ),
            ]
        },
    },
    Rule {
        claim: "a third-party crate is named only where it is wrapped",
        remedy: "use what its module offers, or offer more there; a new place goes into CONFINED with a reason",
        offences: escaped,
        refuses: || {
            vec![
                rust("src/gateway.rs", "use sled::Db;"),
                rust("uplink/src/lib.rs", "pub fn f(e: rumqttc::Event) {}"),
                rust("adapters/src/opcua.rs", "use ::tokio_modbus::client;"),
                rust("buffer/src/lib.rs", "fn f() -> anyhow::Result<()> {}"),
            ]
        },
        allows: || {
            vec![
                rust("buffer/src/store.rs", "use sled::Db;"),
                rust("src/gateway.rs", "use penstock_buffer::sled::Db; // sled::Db"),
                rust("uplink/src/mqtt/session.rs", "use rumqttc::Event;"),
                rust("src/api.rs", "use axum::Router;"),
                rust("events/tests/identity.rs", "use uuid::Uuid;"),
            ]
        },
    },
    Rule {
        claim: "the pure core has no async, no IO and no clock",
        remedy: "let the shell do it and pass the result in, time as `now`",
        offences: impure,
        refuses: || {
            vec![
                rust("events/src/time.rs", "fn f() { SystemTime::now(); }"),
                rust("events/src/normalizer.rs", "use tokio::sync::mpsc;"),
                rust("adapters/src/modbus/plan.rs", "pub async fn blocks() {}"),
                rust("adapters/src/modbus/decode/text.rs", "fn f() { std::fs::read(p); }"),
            ]
        },
        allows: || {
            vec![
                rust("events/src/time.rs", "// No tokio here.\nfn f(now: Timestamp) {}"),
                rust("adapters/src/modbus/session.rs", "async fn f() { Instant::now(); }"),
            ]
        },
    },
    Rule {
        claim: "nothing here can write to a Modbus device",
        remedy: "leave it out; commands get a seam of their own, and a configuration that allows each",
        offences: writing,
        refuses: || {
            vec![
                rust("adapters/src/modbus/mbap.rs", "fn f() { call(Request::WriteSingleCoil(0, true)) }"),
                rust("adapters/src/modbus/poller.rs", "use tokio_modbus::client::Writer;"),
                rust("adapters/src/modbus/probe.rs", "fn f() { call(Request::Custom(6, data)) }"),
            ]
        },
        allows: || {
            vec![
                rust(
                    "adapters/src/modbus/mbap.rs",
                    "// No Writer.\nfn f() { call(Request::ReadCoils(0, 1)) }",
                ),
                rust("plant/src/modbus_server.rs", "fn f() { Request::WriteSingleCoil(0, true); }"),
            ]
        },
    },
];

fn wrong_way(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (file, package) in tree.files.iter().filter_map(|file| Some((file, file.package()?))) {
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(name, _)| *name == package) else {
            offences.push(file.offence(format!("`{package}` has no place in MAY_DEPEND_ON")));
            continue;
        };
        let for_tests = TESTS_MAY_DEPEND_ON.iter().find(|(name, _)| *name == package);
        let is_allowed = |dependency: &Dependency| {
            let name = dependency.name.as_str();
            allowed.contains(&name)
                || (dependency.section == Section::Tests
                    && for_tests.is_some_and(|(_, more)| more.contains(&name)))
        };
        offences.extend(
            file.dependencies()
                .iter()
                .filter(|dependency| dependency.name.starts_with("penstock") && !is_allowed(dependency))
                .map(|dependency| {
                    file.offence_at(dependency.line, format!("`{package}` depends on `{}`", dependency.name))
                }),
        );
    }
    offences
}

fn escaped(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.rust() {
        for (name, homes) in CONFINED {
            if homes.iter().any(|home| file.path.starts_with(home)) {
                continue;
            }
            offences
                .extend(mentions(file, name).map(|line| file.offence_at(line, format!("names `{name}`"))));
        }
    }
    offences
}

/// The lines that name the crate, not a module of the same name inside another path.
fn mentions<'a>(file: &'a File, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    rust_text::words(&file.code, name)
        .filter(move |at| {
            let (before, after) = (&file.code[..*at], &file.code[at + name.len()..]);
            let nested = before
                .strip_suffix("::")
                .is_some_and(|path| path.ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            let imported = before.trim_end().ends_with("use") && after.trim_start().starts_with([';', ' ']);
            !nested && (after.starts_with("::") || imported)
        })
        .map(|at| rust_text::line_of(&file.code, at))
        .filter(|line| !file.is_test(*line))
}

fn impure(tree: &Tree) -> Vec<Offence> {
    saying(tree, PURE, IMPURE)
}

fn writing(tree: &Tree) -> Vec<Offence> {
    saying(tree, &["adapters/src/modbus"], &WRITES)
}

/// Where one of the `words` is said in what is shipped of these `places`.
fn saying(tree: &Tree, places: &[&str], words: &[&str]) -> Vec<Offence> {
    tree.rust()
        .filter(|file| places.iter().any(|place| file.path.starts_with(place)))
        .flat_map(|file| file.shipped_lines().map(move |(number, line)| (file, number, line)))
        .flat_map(|(file, number, line)| {
            words
                .iter()
                .filter(|word| rust_text::words(line, word).next().is_some())
                .map(move |word| file.offence_at(number, format!("`{word}`")))
        })
        .collect()
}

fn manifest(path: &'static str, package: &str, rest: &str) -> (&'static str, String) {
    (path, format!("[package]\nname = \"{package}\"\n\n{rest}\n"))
}

fn rust(path: &'static str, code: &str) -> (&'static str, String) {
    (path, format!("{code}\n"))
}

#[test]
fn every_place_that_is_named_here_exists() {
    let tree = Tree::of_this_repository();
    let homes = CONFINED.iter().flat_map(|(_, homes)| homes.iter());
    let gone: Vec<&&str> =
        homes.chain(PURE).filter(|place| !tree.rust().any(|file| file.path.starts_with(**place))).collect();
    assert!(gone.is_empty(), "moved or deleted, so the rules no longer hold there: {gone:?}");
}
