//! A child process: its lines are collected, and it dies with its owner.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::patience::eventually;

/// How many of the last lines of standard error are shown when a test fails.
const TAIL_LINES: usize = 40;

/// A running child process, killed when dropped.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines,
    stderr: Lines,
    /// Ends with the last line of standard output.
    reader: Option<JoinHandle<()>>,
}

/// Lines as they come. Shared with the thread that reads them, since readers look at all of them repeatedly.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Process {
    /// Starts `command`, called `name` when a test fails.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Self {
        Self::start_reading(Stdio::piped(), name, command)
    }

    /// The same with another standard input.
    pub(crate) fn start_reading(stdin: Stdio, name: &'static str, command: &mut Command) -> Self {
        let piped = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|error| {
            panic!("{name} cannot be started ({error}); run `make test`, which installs it")
        });
        let stdin = child.stdin.take();
        let (stdout, reader) = Lines::of(child.stdout.take().expect("it is piped"));
        let (stderr, _) = Lines::of(child.stderr.take().expect("it is piped"));
        Self { name, child, stdin, stdout, stderr, reader: Some(reader) }
    }

    /// The lines of standard output from the line `from` on.
    pub(crate) fn stdout(&self, from: usize) -> Vec<String> {
        self.stdout.0.lock().unwrap().get(from..).unwrap_or_default().to_vec()
    }

    /// The lines of standard error so far.
    pub(crate) fn stderr(&self) -> Vec<String> {
        self.stderr.0.lock().unwrap().clone()
    }

    /// Writes a line to standard input.
    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{line}").unwrap_or_else(|error| panic!("{} does not listen: {error}", self.name));
    }

    /// SIGKILL, and waits for the end and for all that it had said until then.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is a child of ours");
        self.child.wait().expect("it is a child of ours");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("it only reads");
        }
    }

    /// Sends the signal `TERM`, `STOP` …
    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(sent.success(), "{} is gone", self.name);
    }

    /// The most memory that it ever had, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        peak_memory_kib(&self.child)
    }

    /// The memory that it has, in KiB (proc(5): `VmRSS`).
    pub(crate) fn memory_kib(&self) -> u64 {
        told_of_memory(&self.child, "VmRSS:")
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is a child of ours")
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let awaited = format!("the end of {}", self.name);
        eventually(&awaited, || self.ended())
    }
}

/// The most memory that a process ever had, in KiB (proc(5): `VmHWM`).
pub(crate) fn peak_memory_kib(child: &Child) -> u64 {
    told_of_memory(child, "VmHWM:")
}

fn told_of_memory(child: &Child, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it is running");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> (Self, JoinHandle<()>) {
        let lines = Self::default();
        let collected = lines.clone();
        let reader = thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                collected.0.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        (lines, reader)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let lines = self.stderr();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("--- {} said last:\n{}\n---", self.name, tail.join("\n"));
        }
        // It may have ended by itself: then there is nothing to kill, and wait gives its status again.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
