//! What the configuration promises: a small valid one to break, and how a break is shown.

#![allow(clippy::unwrap_used)]

mod documented;
mod files;
mod hostile;
mod lines;
mod meaning;
mod opcua;
mod problems;
mod rendered;
mod secrets;
mod tag_lists;

use std::fs;

use tempfile::TempDir;

use super::report::{Report, Severity};
use super::{Config, Purpose, load};

/// The least that makes sense of every kind; the tests break it.
const VALID: &str = r#"[gateway]
id = "edge-01"
site = "plant-7"

[[modbus]]
name = "press-1"
address = "tcp://127.0.0.1:1502"
tags = [
  { name = "state", at = "holding:100", type = "u16" },
  { name = "good", at = "holding:102", type = "u32" },
  { name = "scrap", at = "holding:104", type = "u32" },
  { name = "temp", at = "input:10", type = "i16", scale = 0.1 },
]

[[asset]]
path = "stamping/line-1/press-1"
state = { tag = "press-1.state", map = { 0 = "stopped", 1 = "running" } }
produced = { good = "press-1.good", scrap = { tag = "press-1.scrap" } }
telemetry = [{ tag = "press-1.temp", deadband = { absolute = 0.5 } }]

[buffer]
path = "/var/lib/penstock"

[[mqtt]]
name = "enterprise"
url = "mqtt://127.0.0.1"
"#;

/// A folder with a configuration and files beside it.
struct Plant {
    folder: TempDir,
}

impl Plant {
    fn with(config: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), config).unwrap();
        Self { folder }
    }

    fn and(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    fn load_for(&self, purpose: Purpose) -> Result<Config, Report> {
        load(&self.folder.path().join("config.toml"), purpose)
    }

    fn load(&self) -> Result<Config, Report> {
        self.load_for(Purpose::Check)
    }

    /// The report, without the name of the folder, which differs from run to run.
    fn report(&self) -> String {
        let text = match self.load() {
            Ok(config) => config.warnings.to_string(),
            Err(report) => report.to_string(),
        };
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }

    /// Each problem as `line:column path: message`, in the order of the report.
    fn problems(&self, severity: Severity) -> Vec<String> {
        let report = self.load().map_or_else(|report| report, |config| config.warnings);
        let of_severity = report.problems().iter().filter(|problem| problem.severity == severity);
        let shown = of_severity.map(|problem| {
            let place = &problem.place;
            format!("{}:{} {}: {}", place.line, place.column, problem.path, problem.message)
        });
        shown.map(|line| line.replace(&format!("{}/", self.folder.path().display()), "")).collect()
    }
}

/// [`VALID`] with one piece replaced, which must be there once.
fn edited(piece: &str, replacement: &str) -> String {
    assert_eq!(VALID.matches(piece).count(), 1, "{piece:?} must be there once");
    VALID.replace(piece, replacement)
}

#[test]
fn the_configuration_that_the_tests_break_is_valid_and_has_no_warning() {
    let config = Plant::with(VALID).load().unwrap();
    assert_eq!(config.warnings.problems(), []);
}
