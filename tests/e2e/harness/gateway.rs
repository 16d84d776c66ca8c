//! The `penstock` binary: a gateway that runs, and commands that end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use penstock_buffer::{Buffer, Options};
use serde_json::Value;
use tempfile::TempDir;

use super::event::Event;
use super::patience::eventually;
use super::plc::Facts;
use super::process::Process;
use super::subscriber::Subscriber;
use super::terminal::Terminal;

/// Small, so that a test has several: a few thousand events.
const GENERATION_BYTES: u64 = 64 * 1024;

/// A gateway with a folder of its own: its configuration, and its data, which outlives its process.
pub(crate) struct Gateway {
    folder: TempDir,
    process: Process,
}

/// A command of the binary, run to its end.
pub(crate) struct Penstock(Output);

impl Gateway {
    /// Starts a gateway on a configuration, whose relative paths are in a folder of its own.
    pub(crate) fn start(toml: &str) -> Self {
        Self::start_beside(toml, &[])
    }

    /// The same, with `files` beside the configuration, each a name and its content.
    pub(crate) fn start_beside(toml: &str, files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        for (name, content) in files.iter().chain(&[("config.toml", toml)]) {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let process = run(&folder.path().join("config.toml"));
        Self { folder, process }
    }

    /// A gateway that has not run yet.
    pub(crate) fn stopped(toml: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let config = folder.path().join("config.toml");
        fs::write(&config, toml).unwrap();
        let mut process = Process::start("penstock", binary().args(["check", path(&config)]));
        assert!(process.wait().success(), "{:?}", process.stderr());
        Self { folder, process }
    }

    /// Writes a file beside the configuration.
    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Tells it to stop, and waits until it has.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.tell_to_stop();
        self.ended()
    }

    /// Tells it to stop.
    pub(crate) fn tell_to_stop(&self) {
        self.process.signal("TERM");
    }

    /// Waits until it has stopped.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Starts it again on what it left.
    pub(crate) fn restart(&mut self) {
        assert!(self.process.ended().is_some(), "it is still running");
        self.process = run(&self.config());
    }

    /// Whether its process is there.
    #[track_caller]
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// Its buffer, to look into while it does not run. Close it before the next start.
    pub(crate) fn buffer(&self) -> Buffer {
        let names = ["enterprise".parse().expect("a name")];
        let gateway = "edge-01".parse().expect("a name");
        let options = Options::new(self.folder.path().join("data"), gateway, names);
        Buffer::open(Options { generation_bytes: GENERATION_BYTES, ..options }).expect("it does not run")
    }

    /// A file or folder beside the configuration.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of an operator, with this gateway's configuration, to its end.
    pub(crate) fn command(&self, words: &[&str]) -> Penstock {
        Penstock(self.operator(words).output().expect("cargo has built it"))
    }

    /// The lines of JSON of a command that must succeed.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Vec<Value> {
        let done = self.command(words);
        assert_eq!(done.code(), 0, "{words:?}: {}", done.stderr());
        done.json()
    }

    /// A command of an operator, to be run.
    pub(crate) fn operator(&self, words: &[&str]) -> Command {
        let mut command = binary();
        command.args(words).arg("--config").arg(self.config()).stdin(Stdio::null());
        command
    }

    /// The most memory that its process ever had, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        self.process.peak_memory_kib()
    }

    /// The memory that its process has, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        self.process.memory_kib()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        self.process.stderr().join("\n")
    }

    /// What `penstock status --json` answers; nothing while it does not run yet.
    pub(crate) fn status(&self) -> Option<Value> {
        let config = self.config();
        let answer = Penstock::run(&["status", "--json", "--config", path(&config)]);
        (answer.code() == 0).then(|| serde_json::from_str(&answer.stdout()).expect("the status is JSON"))
    }

    /// Waits until it says of itself what `is_wanted`.
    #[track_caller]
    pub(crate) fn status_until(&self, awaited: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(awaited, || self.status().filter(|status| is_wanted(status)))
    }

    /// Waits until all `facts` of `press`, which is held, must have been read, committed and delivered, and
    /// returns everything that was received.
    #[track_caller]
    pub(crate) fn delivered(&self, press: &str, facts: &Facts, subscriber: &Subscriber) -> Vec<Event> {
        let held_at = facts.held_at.expect("the press is held");
        let reads = format!("{press}.reads");
        subscriber.wait_until("a poll after the last change", |events| {
            events.iter().any(|event| event.is("telemetry.sampled", &reads) && event.time_us > held_at)
        });
        // Polls go on, and with them samples: what is durable by now is what counts.
        let durable = eventually("the status", || self.status());
        self.status_until("the acknowledgement of everything", |status| {
            of_lanes(&status["destinations"][0], "cursor")
                .zip(of_lanes(&durable, "head"))
                .all(|(cursor, head)| cursor >= head)
        });
        subscriber.flush();
        subscriber.events()
    }

    /// Waits until as many events as `is_wanted` wait for delivery.
    #[track_caller]
    pub(crate) fn backlog_until(&self, awaited: &str, is_wanted: impl Fn(u64) -> bool) {
        self.status_until(awaited, |status| is_wanted(backlog(status)));
    }
}

/// How many events wait for delivery, by what a gateway says of itself.
fn backlog(status: &Value) -> u64 {
    of_lanes(&status["destinations"][0], "backlog").sum()
}

/// A number of each lane.
fn of_lanes(report: &Value, key: &str) -> impl Iterator<Item = u64> {
    let lanes = report["lanes"].as_array().expect("a list of lanes");
    lanes.iter().map(move |lane| lane[key].as_u64().unwrap_or_else(|| panic!("no {key} in {lane}")))
}

impl Penstock {
    /// Runs `penstock` with these arguments until it ends.
    pub(crate) fn run(arguments: &[&str]) -> Self {
        Self(binary().args(arguments).output().expect("cargo has built it"))
    }

    /// Starts a command that goes on until it is dropped.
    pub(crate) fn start(arguments: &[&str]) -> Process {
        Process::start("penstock", binary().args(arguments))
    }

    /// Starts a command at a terminal.
    pub(crate) fn start_at(terminal: &Terminal, arguments: &[&str]) -> Process {
        let (mut command, stdin) = terminal.at(binary().args(arguments));
        Process::start_reading(stdin, "penstock", &mut command)
    }

    /// Its exit status; -1 when a signal ended it.
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    /// What it wrote for programs.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    /// What it wrote for programs, a document a line.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout().lines().map(parse).collect()
    }

    /// What it wrote for people.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}

fn run(config: &Path) -> Process {
    Process::start("penstock", binary().args(["run", "--config", path(config)]))
}

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    // What the machine or cargo has set must not change what is tested.
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
    command.env("MALLOC_ARENA_MAX", "1"); // As the service runs: memory is measured.
    command
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
