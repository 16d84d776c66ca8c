//! One run of the workload in a process of its own, with everything that it did to its files, in order.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::Promise;
use super::run::Life;
use super::sigkill::SIGKILL;
use super::workload;

/// Something that happened, in the order in which it did.
#[derive(Debug)]
pub(super) enum Entry {
    Open {
        fd: i32,
        path: PathBuf,
        truncate: bool,
    },
    Close {
        fd: i32,
    },
    Write {
        fd: i32,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        fd: i32,
        length: usize,
    },
    SyncBegin {
        fd: i32,
    },
    /// What the file held when this sync began is durable.
    SyncEnd {
        fd: i32,
        data_only: bool,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink {
        path: PathBuf,
    },
    MakeDirectory {
        path: PathBuf,
    },
    RemoveDirectory {
        path: PathBuf,
    },
    /// A sync failed: what was written since the last one may never get there, whatever is synced later.
    SyncFailed {
        fd: i32,
    },
    /// What the workload says of itself.
    Mark(String),
}

impl Entry {
    /// Whether the process ended here, as the recorder says.
    pub(super) fn is_kill(&self) -> bool {
        matches!(self, Self::Mark(mark) if mark.trim_end() == Promise::Killed.to_string())
    }
}

/// What a run did, and where.
pub(super) struct Recording {
    pub(super) root: PathBuf,
    pub(super) entries: Vec<Entry>,
}

/// The recorder, compiled.
pub(super) struct Recorder {
    directory: TempDir,
}

impl Recorder {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let recorder = Self { directory };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/record.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-pthread", "-o"])
            .args([&recorder.library(), &source])
            .status()
            .expect("a C compiler, `cc`, which the buffer's compression needs too");
        assert!(compiled.success(), "record.c does not compile");
        recorder
    }

    /// Runs the workload that `seed` gives: to its end, or until it is killed, and then another on what that left.
    pub(super) fn run(&self, seed: u64) -> Recording {
        let place = tempfile::tempdir_in(self.directory.path()).expect("a temporary directory");
        let (root, log) = (place.path().join("disk"), place.path().join("log"));
        fs::create_dir(&root).expect("a new directory");
        for &life in Life::of(seed) {
            let output = workload::program(&root, &place.path().join("marks"), seed, life)
                .env("LD_PRELOAD", self.library())
                .env("POWERCUT_ROOT", &root)
                .env("POWERCUT_LOG", &log)
                .output()
                .expect("this program runs");
            let ended = match life {
                Life::Killed => output.status.signal() == Some(SIGKILL),
                Life::Only | Life::Second => output.status.success(),
            };
            assert!(
                ended,
                "seed {seed}: the workload failed: {}\n{}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let entries = parse(&fs::read(&log).expect("the recorder's log"));
        assert!(matches!(entries.last(), Some(Entry::Mark(_) | Entry::Close { .. })), "a log to its end");
        Recording { root, entries }
    }

    fn library(&self) -> PathBuf {
        self.directory.path().join("record.so")
    }
}

fn parse(mut log: &[u8]) -> Vec<Entry> {
    let mut entries = Vec::new();
    while !log.is_empty() {
        let (head, rest) = log.split_at(24);
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let kind = u32::from_le_bytes(head[..4].try_into().expect("four bytes"));
        let fd = i32::from_le_bytes(head[4..8].try_into().expect("four bytes"));
        let at = usize::try_from(number(8)).expect("a 64-bit machine");
        let (payload, rest) = rest.split_at(usize::try_from(number(16)).expect("a 64-bit machine"));
        log = rest;
        let text = || String::from_utf8(payload.to_vec()).expect("paths and marks that are text");
        entries.push(match kind {
            1 => Entry::Open { fd, path: text().into(), truncate: at & 0o1000 != 0 },
            2 => Entry::Close { fd },
            3 => Entry::Write { fd, offset: at, bytes: payload.to_vec() },
            4 => Entry::Truncate { fd, length: at },
            5 => Entry::SyncBegin { fd },
            6 => Entry::SyncEnd { fd, data_only: at != 0 },
            7 => {
                let both = text();
                let (from, to) = both.split_once('\0').expect("two paths");
                Entry::Rename { from: from.into(), to: to.into() }
            }
            8 => Entry::Unlink { path: text().into() },
            9 => Entry::MakeDirectory { path: text().into() },
            10 => Entry::RemoveDirectory { path: text().into() },
            11 => Entry::Mark(text()),
            12 => Entry::SyncFailed { fd },
            other => panic!("an entry of kind {other}"),
        });
    }
    entries
}
