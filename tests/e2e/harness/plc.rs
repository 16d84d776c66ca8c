//! A PLC: pymodbus, playing the press of `tests/peers/plc.py`, which keeps its own record.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::loopback::own_address;
use super::patience::eventually;
use super::process::Process;

/// A running PLC.
pub(crate) struct Plc {
    name: String,
    place: Place,
    process: Process,
}

/// Where a PLC is reached.
#[derive(Clone, Debug)]
enum Place {
    Tcp(SocketAddr),
    Serial(String),
}

/// How a PLC comes up.
#[derive(Clone, Copy, Default)]
pub(crate) struct Boot {
    /// Where the counter of good pieces stands.
    pub(crate) good: u64,
    /// Where the counter of scrap stands.
    pub(crate) scrap: u64,
    /// Where the counter of good pieces ends; never unless given.
    pub(crate) last_good: Option<u64>,
    /// Seeds the random changes.
    pub(crate) seed: u64,
}

/// What happened to a PLC by its own record, from one power-on on. Times are microseconds since the epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Values of the counter of good pieces, each with the time from which it was there.
    pub(crate) good: Vec<(i64, u64)>,
    /// The same of scrap.
    pub(crate) scrap: Vec<(i64, u64)>,
    /// The same of the state.
    pub(crate) states: Vec<(i64, u64)>,
    /// From when on nothing changes.
    pub(crate) held_at: Option<i64>,
}

impl Plc {
    /// Switches a PLC on that counts from 0, at once.
    pub(crate) fn start(name: &str) -> Self {
        Self::boot(name, Boot::default())
    }

    /// Switches a PLC on.
    pub(crate) fn boot(name: &str, boot: Boot) -> Self {
        let host = own_address();
        let process = power_on(&Place::Tcp((host, 0).into()), boot);
        let port = listening(&process).as_u64().and_then(|port| u16::try_from(port).ok());
        let place = Place::Tcp((host, port.expect("a port is a small number")).into());
        Self { name: name.to_owned(), place, process }
    }

    /// Switches a PLC on that is unit 1 of a serial line of its own, on which nobody else answers.
    pub(crate) fn on_serial_line(name: &str) -> Self {
        let process = power_on(&Place::Serial(String::new()), Boot::default());
        let port = listening(&process).as_str().expect("a port has a path").to_owned();
        Self { name: name.to_owned(), place: Place::Serial(port), process }
    }

    /// Its address in the gateway's configuration.
    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::Tcp(address) => format!("tcp://{address}"),
            Place::Serial(port) => format!("rtu://{port}?baud=115200&parity=none"),
        }
    }

    /// Its name in the gateway's configuration.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Ends all changes and returns the record, which is complete then.
    pub(crate) fn hold(&mut self) -> Facts {
        self.process.tell("hold");
        eventually("the PLC to hold", || Some(self.facts()).filter(|facts| facts.held_at.is_some()))
    }

    /// The record of the current power-on so far.
    pub(crate) fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        for line in self.process.stdout(0) {
            facts.take(&line);
        }
        facts
    }

    /// Cuts its power.
    pub(crate) fn power_off(&mut self) {
        self.process.kill();
    }

    /// Gives it power again, at the same address.
    pub(crate) fn power_on(&mut self, boot: Boot) {
        self.process = power_on(&self.place, boot);
        listening(&self.process);
    }

    /// Lets it hang: connections stay, and nothing is answered.
    pub(crate) fn hang(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        self.process.signal("CONT");
    }
}

impl Facts {
    fn take(&mut self, line: &str) {
        let Ok(fact) = serde_json::from_str::<Value>(line) else { return };
        for (key, values) in
            [("good", &mut self.good), ("scrap", &mut self.scrap), ("state", &mut self.states)]
        {
            values.extend(fact["at"].as_i64().zip(fact[key].as_u64()));
        }
        if fact["held"] == true {
            self.held_at = fact["at"].as_i64();
        }
    }

    /// Where the counter of good pieces stands.
    pub(crate) fn last_good(&self) -> u64 {
        self.good.last().expect("it is recorded at power-on").1
    }

    /// Where the counter of scrap stands.
    pub(crate) fn last_scrap(&self) -> u64 {
        self.scrap.last().expect("it is recorded at power-on").1
    }
}

fn power_on(place: &Place, boot: Boot) -> Process {
    let mut command = peer("plc.py");
    match place {
        Place::Tcp(address) => {
            command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
        }
        Place::Serial(_) => drop(command.arg("--serial")),
    }
    command.args(["--good", &boot.good.to_string(), "--scrap", &boot.scrap.to_string()]);
    command.args(["--seed", &boot.seed.to_string()]);
    command.args(boot.last_good.iter().flat_map(|last| ["--last-good".to_owned(), last.to_string()]));
    Process::start("pymodbus", &mut command)
}

fn listening(process: &Process) -> Value {
    eventually("pymodbus to listen", || {
        let ready = process.stdout(0).into_iter().find(|line| line.contains("listening"))?;
        let mut ready: Value = serde_json::from_str(&ready).expect("plc.py writes JSON");
        Some(ready["listening"].take())
    })
}

/// A Python peer of `tests/peers`, to be started.
pub(crate) fn peer(script: &str) -> Command {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = std::env::var_os("PENSTOCK_PEERS_PYTHON")
        .map_or_else(|| root.join("target/peers/venv/bin/python"), PathBuf::from);
    let mut command = Command::new(python);
    command.arg(root.join("tests/peers").join(script));
    command
}
