//! An oven with an OPC UA server, which keeps its own record: asyncua playing `tests/peers/oven.py`, or node-opcua
//! playing `tests/peers/oven.js`, or `penstock-plant oven`, which are the same oven.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::event::Event;
use super::loopback::own_address;
use super::patience::eventually;
use super::plc::peer;
use super::process::Process;
use super::proof::Proof;

/// Makes of each claim, a function of a [`Kind`], a test against every server; of those after `not ours:`, which ask
/// for what an operator of our own server cannot do, one against each of the others.
macro_rules! against_every_server {
    ($($claim:ident),+ $(,)? $(; not ours: $($other:ident),+ $(,)?)?) => {
        mod asyncua {
            use $crate::harness::oven::Kind::Asyncua;
            $(#[test] fn $claim() { super::$claim(Asyncua); })+
            $($(#[test] fn $other() { super::$other(Asyncua); })+)?
        }
        mod node_opcua {
            use $crate::harness::oven::Kind::NodeOpcua;
            $(#[test] fn $claim() { super::$claim(NodeOpcua); })+
            $($(#[test] fn $other() { super::$other(NodeOpcua); })+)?
        }
        mod penstock_plant {
            use $crate::harness::oven::Kind::PenstockPlant;
            $(#[test] fn $claim() { super::$claim(PenstockPlant); })+
        }
    };
}
pub(crate) use against_every_server;

/// Whose server an oven has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// PyPI's asyncua.
    Asyncua,
    /// npm's node-opcua.
    NodeOpcua,
    /// Our own, on the Rust crate async-opcua.
    PenstockPlant,
}

/// A running oven, called `oven` in the gateway's configuration.
pub(crate) struct Oven {
    kind: Kind,
    host: Ipv4Addr,
    port: u16,
    process: Process,
    told: usize,
    /// Where it keeps its keys.
    folder: TempDir,
}

/// A value of a tag and the source time from which on it was there.
pub(crate) type Recorded = (i64, f64);

impl Oven {
    /// Starts an oven of asyncua.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts an oven of asyncua with options of `oven.py`.
    pub(crate) fn with(options: &[&str]) -> Self {
        Self::of(Kind::Asyncua, options)
    }

    /// Starts an oven with the server `kind`, and options of `oven.py`.
    pub(crate) fn of(kind: Kind, options: &[&str]) -> Self {
        Self::configured(kind, |command| command.args(options))
    }

    /// The same with a clock that is off by so much, such as `+3h`: Debian's faketime tells it to the whole process,
    /// save for the time that measures how long something took.
    pub(crate) fn skewed(kind: Kind, offset: &str) -> Self {
        Self::configured(kind, |command| {
            command.env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1");
            command.env("FAKETIME", offset).env("DONT_FAKE_MONOTONIC", "1")
        })
    }

    fn configured(kind: Kind, configure: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let host = own_address();
        let folder = TempDir::new().unwrap();
        let (process, port) = started(kind, (host, 0).into(), &folder, configure);
        Self { kind, host, port, process, told: 0, folder }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        (self.host, self.port).into()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, at the same address, counting from 0.
    pub(crate) fn restart(&mut self, options: &[&str]) {
        (self.process, _) = started(self.kind, self.address(), &self.folder, |command| command.args(options));
        self.told = 0;
    }

    /// Tells it a command and waits until it has obeyed.
    #[track_caller]
    pub(crate) fn tell(&mut self, command: &str) {
        self.process.tell(command);
        self.told += 1;
        eventually(command, || {
            let done = self.process.stdout(0).iter().filter(|line| line.contains("\"done\"")).count();
            (done >= self.told).then_some(())
        });
    }

    /// Ends all changes; the record is complete then.
    #[track_caller]
    pub(crate) fn hold(&mut self) {
        self.tell("hold");
        eventually("the oven to hold", || {
            self.process.stdout(0).iter().any(|line| line.contains("\"held\"")).then_some(())
        });
    }

    /// How many calls it refused for their size.
    pub(crate) fn refusals(&self) -> usize {
        self.process.stdout(0).iter().filter(|line| line.contains("\"refused\"")).count()
    }

    /// What it recorded of each tag, in numbers.
    pub(crate) fn records(&self) -> HashMap<String, Vec<Recorded>> {
        let mut records: HashMap<String, Vec<Recorded>> = HashMap::new();
        for fact in self.recorded() {
            if let (Some(tag), Some(at), Some(value)) =
                (fact["tag"].as_str(), fact["at"].as_i64(), fact["value"].as_f64())
            {
                records.entry(tag.to_owned()).or_default().push((at, value));
            }
        }
        records
    }

    /// What it recorded of `tag`, in numbers.
    pub(crate) fn record(&self, tag: &str) -> Vec<Recorded> {
        self.records().remove(tag).unwrap_or_default()
    }

    /// What it recorded of a zone: its values when they changed.
    pub(crate) fn zone(&self, zone: usize) -> Vec<Recorded> {
        let facts = self.facts("zones").into_iter();
        let values = facts.filter_map(|fact| Some((fact["at"].as_i64()?, fact["value"][zone].as_f64()?)));
        let mut values: Vec<Recorded> = values.collect();
        values.dedup_by_key(|(_, value)| *value);
        values
    }

    /// What it recorded of `tag`, as it did.
    pub(crate) fn facts(&self, tag: &str) -> Vec<Value> {
        self.recorded().filter(|fact| fact["tag"] == tag).collect()
    }

    /// Everything that it recorded.
    pub(crate) fn recorded(&self) -> impl Iterator<Item = Value> {
        self.process.stdout(0).into_iter().filter_map(|line| serde_json::from_str(&line).ok())
    }

    /// The record of its counter, in whole numbers.
    pub(crate) fn counts(&self) -> Vec<(i64, u64)> {
        self.record("count").into_iter().map(|(at, count)| (at, count as u64)).collect()
    }

    /// The last value of its counter.
    pub(crate) fn last_count(&self) -> f64 {
        self.record("count").last().expect("it is recorded at the start").1
    }
}

fn started(
    kind: Kind,
    address: SocketAddr,
    folder: &TempDir,
    configure: impl FnOnce(&mut Command) -> &mut Command,
) -> (Process, u16) {
    let (name, mut command) = kind.command();
    match kind {
        Kind::PenstockPlant => command.args(["--listen", &address.to_string()]),
        _ => command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]),
    };
    let process = Process::start(name, configure(&mut command).env("TMPDIR", folder.path()));
    let port = eventually(&format!("{name} to listen"), || {
        let lines = process.stdout(0);
        let ready = lines.iter().find(|line| line.contains("\"listening\""))?;
        serde_json::from_str::<Value>(ready).ok()?["listening"].as_u64()?.try_into().ok()
    });
    (process, port)
}

impl Kind {
    fn command(self) -> (&'static str, Command) {
        match self {
            Self::Asyncua => ("asyncua", peer("oven.py")),
            Self::NodeOpcua => {
                let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
                let mut command = Command::new("node");
                command.arg(root.join("tests/peers/oven.js"));
                command.env("NODE_PATH", root.join("target/peers/node/node_modules"));
                ("node-opcua", command)
            }
            Self::PenstockPlant => {
                // Not of this package: `cargo test --workspace` builds it, or `cargo build -p penstock-plant`.
                let plant = Path::new(env!("CARGO_BIN_EXE_penstock")).with_file_name("penstock-plant");
                let mut command = Command::new(plant);
                command.args(["oven", "--record", "--steady", "--period", "0.02"]);
                ("penstock-plant", command)
            }
        }
    }
}

/// The server at `address` and its asset. `keys` go to the server.
pub(crate) fn toml(address: SocketAddr, keys: &str) -> String {
    format!(
        r#"
[[opcua]]
name = "oven"
endpoint = "opc.tcp://{address}/oven"
publish = "50ms"
sample = "0s"
queue = 1000
{keys}
tags = [
  {{ name = "count", node = "nsu=urn:plant:oven;s=Count" }},
  {{ name = "temp",  node = "nsu=urn:plant:oven;s=Temp", unit = "Cel" }},
  {{ name = "name",  node = "nsu=urn:plant:oven;s=Name" }},
  {{ name = "zone",  node = "nsu=urn:plant:oven;s=Zones", element = 1 }},
  {{ name = "still", node = "nsu=urn:plant:oven;s=Still" }},
  {{ name = "late",  node = "nsu=urn:plant:oven;s=Late" }},
  {{ name = "read",  node = "nsu=urn:plant:oven;s=Count", mode = "read" }},
  {{ name = "never", node = "nsu=urn:plant:oven;s=Never" }},
]

[[asset]]
path = "heat-treatment/oven"
produced = {{ good = {{ tag = "oven.count", highest = 4294967295 }} }}
telemetry = [{{ tag = "oven.*" }}]
"#
    )
}

/// The server at `address` with these tags, a table of each, and all of them as telemetry.
pub(crate) fn toml_of(address: SocketAddr, tags: &[String]) -> String {
    let tags = tags.join(",\n  ");
    format!(
        r#"
[[opcua]]
name = "oven"
endpoint = "opc.tcp://{address}/oven"
security = "None"
publish = "50ms"
sample = "0s"
queue = 1000
poll = "100ms"
tags = [
  {tags}
]

[[asset]]
path = "heat-treatment/oven"
telemetry = [{{ tag = "oven.*" }}]
"#
    )
}

/// The good samples of `tag`, each with its time.
pub(crate) fn samples(proof: &Proof, tag: &str) -> Vec<Recorded> {
    let samples = proof.about("telemetry.sampled", &format!("oven.{tag}"));
    let good = samples.into_iter().filter(|event| event.data()["quality"]["status"] == "good");
    good.map(|event| (event.time_us, event.number())).collect()
}

/// Whether a good sample says that `tag` has `value`.
pub(crate) fn has(events: &[Event], tag: &str, value: f64) -> bool {
    let tag = format!("oven.{tag}");
    events
        .iter()
        .any(|event| event.is("telemetry.sampled", &tag) && event.data()["value"].as_f64() == Some(value))
}

/// Checks that what was received of the counter in one life of the oven is what it recorded, from the first value
/// to the last: each once, none missing, each at its source's time.
#[track_caller]
pub(crate) fn assert_recorded(received: &[Recorded], record: &[Recorded]) {
    let first = received.first().expect("something was received");
    let begin = record.iter().position(|recorded| recorded == first);
    let begin = begin.unwrap_or_else(|| panic!("{first:?} was never recorded"));
    let expected = &record[begin..(begin + received.len()).min(record.len())];
    assert_eq!(received, expected, "received and recorded");
}
