//! A disk that loses power: what of a recording is on it after a cut.
//!
//! The model, harsher than ext4 or xfs with their default options and within what POSIX lets a file system do:
//!
//! - What a file held when a `fsync` or `fdatasync` of it began is there once that has returned.
//! - Of what was written later, each 512-byte sector is there or not, by chance, whatever was written before or after it.
//!   So writes are torn and reordered. A sector between others that never got there reads as zeros.
//! - What a sync that failed covered gets there only every second time, whatever is synced later: the system takes such pages for clean.
//! - A file is as long as what got there, or as it was last told to be.
//! - Entries of a directory (made, renamed, removed) are there once a `fsync` of that directory has returned. Of those after
//!   it, a first part is there: of all directories in the order of the calls, as a journal keeps it, or of each directory by
//!   itself. A rename is there as a whole or not at all.
//! - A directory that is not there takes with it what was in it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::recording::Entry;
use crate::fixture::Dice;

const SECTOR: usize = 512;

/// What of the calls that make things durable is believed. The buffer must need all of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Believing {
    Everything,
    /// Not `fdatasync`.
    NoDataSync,
    /// Not `fsync` of a directory.
    NoDirectorySync,
}

type NodeId = usize;

/// A file or a directory, by whatever name.
#[derive(Debug, Default)]
struct Node {
    durable: Vec<u8>,
    /// What was done since, in order.
    pending: Vec<Change>,
    /// How many of `pending` were there when each sync that is under way began.
    syncing: Vec<usize>,
    /// How many syncs of it failed.
    failures: usize,
    is_directory: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

/// A change of a directory's entries.
#[derive(Clone, Debug)]
enum Naming {
    Link { path: PathBuf, node: NodeId },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    believing: Believing,
    nodes: Vec<Node>,
    open: HashMap<i32, NodeId>,
    /// The names as the running process sees them.
    names: BTreeMap<PathBuf, NodeId>,
    /// The names that no cut can take.
    durable_names: BTreeMap<PathBuf, NodeId>,
    namings: Vec<Naming>,
}

impl Disk {
    /// An empty directory at `root`.
    pub(super) fn new(root: &Path, believing: Believing) -> Self {
        let names = BTreeMap::from([(root.to_owned(), 0)]);
        Self {
            root: root.to_owned(),
            believing,
            nodes: vec![Node { is_directory: true, ..Node::default() }],
            open: HashMap::new(),
            durable_names: names.clone(),
            names,
            namings: Vec::new(),
        }
    }

    pub(super) fn apply(&mut self, entry: &Entry) {
        match entry {
            killed if killed.is_kill() => {
                self.open.clear();
                self.nodes.iter_mut().for_each(|node| node.syncing.clear());
            }
            Entry::Mark(_) => {}
            Entry::Open { fd, path, truncate } => {
                let node = match self.names.get(path) {
                    Some(&node) => node,
                    None => self.link(path, false),
                };
                self.open.insert(*fd, node);
                if *truncate {
                    self.node(*fd).pending.push(Change::Truncate { length: 0 });
                }
            }
            Entry::Close { fd } => drop(self.open.remove(fd)),
            Entry::Write { fd, offset, bytes } => {
                self.node(*fd).pending.push(Change::Write { offset: *offset, bytes: bytes.clone() });
            }
            Entry::Truncate { fd, length } => {
                self.node(*fd).pending.push(Change::Truncate { length: *length });
            }
            Entry::SyncBegin { fd } => {
                let node = self.node(*fd);
                node.syncing.push(node.pending.len());
            }
            Entry::SyncEnd { fd, data_only } => self.sync(*fd, *data_only),
            Entry::SyncFailed { fd } => self.node(*fd).fail_to_sync(),
            Entry::Rename { from, to } => self.name(Naming::Rename { from: from.clone(), to: to.clone() }),
            Entry::Unlink { path } | Entry::RemoveDirectory { path } => {
                self.name(Naming::Unlink { path: path.clone() });
            }
            Entry::MakeDirectory { path } => drop(self.link(path, true)),
        }
    }

    /// Writes what a cut leaves now into the empty directory `into`.
    pub(super) fn cut(&self, dice: &mut Dice, into: &Path) {
        let mut names = self.durable_names.clone();
        let survivors = self.surviving_namings(dice);
        survivors.into_iter().for_each(|naming| rename(&mut names, naming));
        for (path, &node) in &names {
            let below = path.strip_prefix(&self.root).expect("all of it is below the root");
            let has_parent = path.parent().is_some_and(|parent| names.contains_key(parent));
            // Names are in order, so a directory comes before what is in it.
            let target = into.join(below);
            if path == &self.root || !has_parent || !target.parent().is_some_and(Path::exists) {
                continue;
            }
            let node = &self.nodes[node];
            if node.is_directory {
                fs::create_dir(&target).expect("an empty directory to write to");
            } else {
                let file = fs::File::create(&target).expect("an empty directory to write to");
                file.write_all_at(&node.after_a_cut(dice), 0).expect("room for a copy");
            }
        }
    }

    fn surviving_namings(&self, dice: &mut Dice) -> Vec<&Naming> {
        if dice.chance(50) {
            let kept = dice.below(self.namings.len() + 1);
            return self.namings[..kept].iter().collect();
        }
        // For each directory, how many of its changes are there.
        let mut left: HashMap<&Path, usize> = HashMap::new();
        for directory in self.namings.iter().flat_map(Naming::directories) {
            *left.entry(directory).or_default() += 1;
        }
        let mut directories: Vec<_> = left.iter_mut().collect();
        directories.sort();
        directories.into_iter().for_each(|(_, count)| *count = dice.below(*count + 1));
        let mut kept = Vec::new();
        for naming in &self.namings {
            if naming.directories().all(|directory| left[directory] > 0) {
                naming.directories().for_each(|directory| *left.get_mut(directory).expect("counted") -= 1);
                kept.push(naming);
            } else {
                // What comes after a change that is not there is not there either.
                naming.directories().for_each(|directory| *left.get_mut(directory).expect("counted") = 0);
            }
        }
        kept
    }

    fn sync(&mut self, fd: i32, data_only: bool) {
        let id = self.open[&fd];
        let believing = self.believing;
        let node = &mut self.nodes[id];
        let covered = node.syncing.remove(0);
        if node.is_directory {
            if believing != Believing::NoDirectorySync {
                self.settle_names_in(id);
            }
            return;
        }
        if data_only && believing == Believing::NoDataSync {
            return;
        }
        node.syncing.iter_mut().for_each(|count| *count = count.saturating_sub(covered));
        for change in node.pending.drain(..covered) {
            change.apply(&mut node.durable);
        }
    }

    /// Makes the entries of a directory durable. A rename settles with the directory that it names anew.
    fn settle_names_in(&mut self, directory: NodeId) {
        let (names, root) = (&self.names, &self.root);
        let is_in = |path: &Path| {
            path != root && path.parent().and_then(|parent| names.get(parent)) == Some(&directory)
        };
        let (settled, rest) = std::mem::take(&mut self.namings)
            .into_iter()
            .partition::<Vec<_>, _>(|naming| is_in(naming.path()));
        self.namings = rest;
        settled.iter().for_each(|naming| rename(&mut self.durable_names, naming));
    }

    fn link(&mut self, path: &Path, is_directory: bool) -> NodeId {
        self.nodes.push(Node { is_directory, ..Node::default() });
        let node = self.nodes.len() - 1;
        self.name(Naming::Link { path: path.to_owned(), node });
        node
    }

    fn name(&mut self, naming: Naming) {
        rename(&mut self.names, &naming);
        self.namings.push(naming);
    }

    fn node(&mut self, fd: i32) -> &mut Node {
        let id = *self.open.get(&fd).expect("the recorder tells of every opening");
        &mut self.nodes[id]
    }
}

impl Naming {
    /// The name that it gives or takes.
    fn path(&self) -> &Path {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } | Self::Rename { to: path, .. } => path,
        }
    }

    fn directories(&self) -> impl Iterator<Item = &Path> {
        let from = match self {
            Self::Rename { from, to } if from.parent() != to.parent() => from.parent(),
            _ => None,
        };
        self.path().parent().into_iter().chain(from)
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => put(content, *offset, bytes),
            Self::Truncate { length } => content.resize(*length, 0),
        }
    }
}

impl Node {
    fn fail_to_sync(&mut self) {
        self.failures += 1;
        if !self.failures.is_multiple_of(2) {
            self.pending.clear();
            self.syncing.iter_mut().for_each(|count| *count = 0);
        }
    }

    fn after_a_cut(&self, dice: &mut Dice) -> Vec<u8> {
        let mut content = self.durable.clone();
        // Some cuts leave almost nothing of what was not synced, some almost all.
        let odds = dice.below(101);
        for change in &self.pending {
            match change {
                Change::Truncate { .. } if dice.chance(odds) => change.apply(&mut content),
                Change::Truncate { .. } => {}
                Change::Write { offset, bytes } => {
                    let mut at = *offset;
                    while at < offset + bytes.len() {
                        let end = (at / SECTOR * SECTOR + SECTOR).min(offset + bytes.len());
                        if dice.chance(odds) {
                            put(&mut content, at, &bytes[at - offset..end - offset]);
                        }
                        at = end;
                    }
                }
            }
        }
        content
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    content.resize(content.len().max(offset + bytes.len()), 0);
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

fn rename(names: &mut BTreeMap<PathBuf, NodeId>, naming: &Naming) {
    match naming {
        Naming::Link { path, node } => drop(names.insert(path.clone(), *node)),
        Naming::Unlink { path } => drop(names.remove(path)),
        Naming::Rename { from, to } => {
            let moved: Vec<PathBuf> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
            for path in moved {
                let node = names.remove(&path).expect("it was just listed");
                let below = path.strip_prefix(from).expect("it begins so");
                let target = if below.as_os_str().is_empty() { to.clone() } else { to.join(below) };
                names.insert(target, node);
            }
        }
    }
}
