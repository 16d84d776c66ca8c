//! The real gateway as a child process: its configuration, its life and its own account of its backlog.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use penstock_plant::oven::ZONES;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::plant::Plant;

/// How long one question for the status may take; a gateway that is busier than that has none to give.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of the gateway's log is shown when the demo fails.
const LOG_LINES_SHOWN: usize = 25;

/// A gateway that can be started, killed and asked.
pub(super) struct Gateway {
    binary: PathBuf,
    home: TempDir,
    process: Option<Child>,
}

impl Gateway {
    /// Writes the configuration; nothing runs yet.
    pub(super) fn new(binary: &Path, plant: &Plant, broker: SocketAddr) -> anyhow::Result<Self> {
        let binary = binary.canonicalize().with_context(|| format!("no gateway at {}", binary.display()))?;
        let home =
            tempfile::Builder::new().prefix("penstock-demo-").tempdir().context("no temporary directory")?;
        let gateway = Self { binary, home, process: None };
        fs::write(
            gateway.config(),
            configuration(plant.press(), plant.oven(), broker, &gateway.home.path().join("buffer")),
        )?;
        Ok(gateway)
    }

    /// Starts the process. Its log goes to a file beside its configuration.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let child = Command::new(&self.binary)
            .args(["run", "--config"])
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.process = Some(child);
        Ok(())
    }

    /// SIGKILL: it gets no chance to save anything. Returns once it is dead.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.process.take() {
            child.kill().await.context("cannot kill the gateway")?;
        }
        Ok(())
    }

    /// Whether it is meant to run.
    pub(super) const fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Fails if the process has ended on its own.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.process.as_mut().map(Child::try_wait).transpose()?.flatten() {
            None => Ok(()),
            Some(status) => anyhow::bail!("the gateway ended on its own: {status}"),
        }
    }

    /// What the gateway says of itself; nothing while it cannot be asked.
    pub(super) async fn account(&self) -> Option<Account> {
        self.process.as_ref()?;
        let asking = Command::new(&self.binary)
            .args(["status", "--json", "--config"])
            .arg(self.config())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(STATUS_TIMEOUT, asking).await.ok()?.ok()?;
        Account::of(&serde_json::from_slice(&output.stdout).ok()?)
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    /// Leaves the directory where it is, for whoever looks into a failure.
    pub(super) fn keep_home(&mut self) -> &Path {
        self.home.disable_cleanup(true);
        self.home.path()
    }

    fn config(&self) -> PathBuf {
        self.home.path().join("config.toml")
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("gateway.log")
    }
}

/// What a gateway says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Account {
    /// Events that wait, of all destinations and lanes together.
    pub(super) backlog: u64,
    /// Sources that answer.
    pub(super) sources_up: usize,
}

impl Account {
    fn of(status: &Value) -> Option<Self> {
        let destinations = status.get("destinations")?.as_array()?;
        let lanes = destinations.iter().filter_map(|one| one.get("lanes")?.as_array()).flatten();
        let sources = status.get("sources")?.as_array()?;
        Some(Self {
            backlog: lanes.map(|lane| lane.get("backlog")?.as_u64()).sum::<Option<u64>>()?,
            sources_up: sources.iter().filter(|source| source["state"] == "up").count(),
        })
    }
}

/// The tags of the oven's zones, a line each.
fn zones() -> String {
    let zone = |element| {
        let number = element + 1;
        format!(
            "  {{ name = \"zone-{number}\", node = \"nsu=urn:plant:oven;s=Zones\", element = {element}, unit = \"Cel\" }},\n"
        )
    };
    (0..ZONES).map(zone).collect()
}

/// What plant IT would write for these two.
fn configuration(press: SocketAddr, oven: SocketAddr, broker: SocketAddr, buffer: &Path) -> String {
    let zones = zones();
    format!(
        r#"[gateway]
id = "edge-01"
site = "demo"

[[modbus]]
name = "press-1"
address = "tcp://{press}"
unit = 1
poll = "200ms"
tags = [
  {{ name = "state", at = "holding:100", type = "u16" }},
  {{ name = "good", at = "holding:102", type = "u16" }},
  {{ name = "scrap", at = "holding:103", type = "u32", order = "CDAB" }},
  {{ name = "die-temp", at = "input:10", type = "f32", unit = "Cel" }},
  {{ name = "oil-temp", at = "input:12", type = "f32", order = "CDAB", unit = "Cel" }},
  {{ name = "pressure", at = "holding:105", type = "i16", scale = 0.1, unit = "bar" }},
]

[[opcua]]
name = "oven-1"
endpoint = "opc.tcp://{oven}/oven"
security = "None"
publish = "100ms"
sample = "0s"
queue = 100
tags = [
  {{ name = "state", node = "nsu=urn:plant:oven;s=State" }},
  {{ name = "parts", node = "nsu=urn:plant:oven;s=Count" }},
{zones}]

[[asset]]
path = "stamping/line-1/press-1"
state = {{ tag = "press-1.state", map = {{ 0 = "stopped", 1 = "running", 2 = "faulted", 3 = "setup" }} }}
produced = {{ good = "press-1.good", scrap = "press-1.scrap" }}
telemetry = [
  {{ tag = "press-1.die-temp", deadband = {{ absolute = 0.5 }}, heartbeat = "5s" }},
  {{ tag = "press-1.oil-temp", deadband = {{ absolute = 0.5 }}, heartbeat = "5s" }},
  {{ tag = "press-1.pressure", deadband = {{ absolute = 2.0 }}, heartbeat = "5s" }},
]

[[asset]]
path = "heat-treatment/oven-1"
state = {{ tag = "oven-1.state", map = {{ 0 = "cold", 1 = "heating", 2 = "running", 3 = "faulted" }} }}
produced = {{ good = {{ tag = "oven-1.parts", highest = 4294967295 }} }}
telemetry = [{{ tag = "oven-1.zone-*" }}]

[buffer]
path = {buffer:?}

[[mqtt]]
name = "enterprise"
url = "mqtt://{broker}"
"#
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_account_adds_up_what_waits_everywhere_and_counts_what_answers() {
        let lanes =
            json!([{"lane": "business", "cursor": 3, "backlog": 4}, {"lane": "telemetry", "backlog": 38}]);
        let sources = json!([{"name": "one", "state": "up"}, {"name": "two", "state": "down"}]);
        let status = json!({
            "destinations": [{"name": "one", "lanes": lanes}, {"name": "two", "lanes": lanes}],
            "sources": sources,
        });
        assert_eq!(Account::of(&status), Some(Account { backlog: 84, sources_up: 1 }));
        let nothing = json!({"destinations": [], "sources": []});
        assert_eq!(Account::of(&nothing), Some(Account { backlog: 0, sources_up: 0 }));
        assert_eq!(Account::of(&json!({"error": "starting"})), None);
    }
}
