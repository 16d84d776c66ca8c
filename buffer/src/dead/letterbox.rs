//! The dead letters on disk, a file for each, and what is known of them without reading one.
//!
//! ```text
//! <path>/dead/<destination>/<lane>-<sequence, 20 digits>          a dead letter
//! <path>/dead/<destination>/<lane>-<sequence, 20 digits>.retry    one that is to be sent again
//! <path>/dead/<destination>/<…>.damaged                           one that cannot be read, set aside
//! ```
//!
//! They are few, so each has a file of its own: one can be looked at, copied and lost without the others.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use penstock_events::{DestinationName, Lane, Sequence};
use serde::{Deserialize, Serialize};

use super::letter::{DeadLetter, DeadLetterId, KIND, decode, encode};
use crate::durable_file::{self, InvalidFile, sync_directory};
use crate::shared::lock;

const RETRY: &str = "retry";
const DAMAGED: &str = "damaged";
/// What a crash leaves of a file that was being written.
const UNFINISHED: &str = "new";

/// How many dead letters a destination has.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeadLetterCount {
    /// All that can be read.
    pub letters: u64,
    /// Those of them that are to be sent again.
    pub retrying: u64,
    /// Files that could not be read and were set aside.
    pub damaged: u64,
}

/// Whether a letter waits for another attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    Keep,
    Retry,
}

/// All dead letters of a store. Whoever changes something holds [`Letterbox::changing`] from the first
/// look to the last file; the index is locked for a look or an assignment.
pub(crate) struct Letterbox {
    root: PathBuf,
    /// How many letters a destination may have.
    pub(super) limit: usize,
    pub(super) changing: Mutex<()>,
    /// Held by whoever announces that a letter is damaged.
    pub(super) giving_up: Mutex<()>,
    index: Mutex<BTreeMap<DestinationName, Known>>,
}

#[derive(Default)]
struct Known {
    letters: BTreeMap<(Lane, Sequence), Wish>,
    damaged: u64,
}

impl Letterbox {
    /// The letters below `root`, which need not exist. Reads names only. What a crash left unfinished is
    /// deleted; names that are none of ours are left alone.
    pub(crate) fn open(root: PathBuf, limit: usize) -> io::Result<Self> {
        let mut index = BTreeMap::new();
        for entry in entries(&root)? {
            let name = entry.file_name().into_string().ok().and_then(|name| name.parse().ok());
            if let (Some(destination), true) = (name, entry.file_type()?.is_dir()) {
                let known: &mut Known = index.entry(destination).or_default();
                for file in entries(&entry.path())? {
                    known.note(&file.path())?;
                }
            }
        }
        Ok(Self {
            root,
            limit,
            changing: Mutex::default(),
            giving_up: Mutex::default(),
            index: Mutex::new(index),
        })
    }

    /// How many letters each destination has that ever had one.
    pub(crate) fn counts(&self) -> BTreeMap<DestinationName, DeadLetterCount> {
        let count = |known: &Known| DeadLetterCount {
            letters: known.letters.len() as u64,
            retrying: known.letters.values().filter(|wish| **wish == Wish::Retry).count() as u64,
            damaged: known.damaged,
        };
        lock(&self.index).iter().map(|(name, known)| (name.clone(), count(known))).collect()
    }

    /// What is wished of a letter; `None` when there is no such letter.
    pub(super) fn wish(&self, id: &DeadLetterId) -> Option<Wish> {
        lock(&self.index).get(&id.destination)?.letters.get(&(id.lane, id.sequence)).copied()
    }

    /// The letters after `after`, in order, with what is wished of them.
    pub(super) fn ids_after(&self, after: Option<&DeadLetterId>) -> Vec<(DeadLetterId, Wish)> {
        let index = lock(&self.index);
        let all = index.iter().flat_map(|(destination, known)| {
            known.letters.iter().map(|(&(lane, sequence), &wish)| {
                (DeadLetterId { destination: destination.clone(), lane, sequence }, wish)
            })
        });
        all.filter(|(id, _)| after.is_none_or(|after| id > after)).collect()
    }

    /// The letter `id`; `None` when there is none (any more).
    pub(super) fn read(&self, id: &DeadLetterId) -> Result<Option<DeadLetter>, (PathBuf, InvalidFile)> {
        // The file may be renamed between the look at the index and the read: then it is looked for again.
        while let Some(wish) = self.wish(id) {
            let path = self.path(id, wish);
            let payload = match durable_file::read(&path, &KIND) {
                Ok(None) if self.wish(id) == Some(wish) => return Ok(None),
                Ok(None) => continue,
                Ok(Some(payload)) => Ok(payload),
                Err(invalid) => Err(invalid),
            };
            let letter =
                payload.and_then(|payload| decode(&payload, wish == Wish::Retry)).and_then(|letter| {
                    if letter.id == *id {
                        Ok(letter)
                    } else {
                        Err(InvalidFile::Damaged(format!("it is the letter {}", letter.id)))
                    }
                });
            return letter.map(Some).map_err(|invalid| (path, invalid));
        }
        Ok(None)
    }

    /// Writes `letters`, replacing those that are there. They are durable when this returns.
    pub(super) fn write(&self, letters: &[DeadLetter]) -> io::Result<()> {
        let mut folders = Vec::new();
        for letter in letters {
            let folder = self.folder(&letter.id.destination);
            if !folders.contains(&folder) {
                make_folder(&self.root, &folder)?;
                folders.push(folder);
            }
            durable_file::put(&self.path(&letter.id, Wish::Keep), &KIND, &encode(letter))?;
        }
        folders.iter().try_for_each(|folder| sync_directory(folder))?;
        for letter in letters {
            let place = (letter.id.lane, letter.id.sequence);
            let before = {
                let mut index = lock(&self.index);
                index.entry(letter.id.destination.clone()).or_default().letters.insert(place, Wish::Keep)
            };
            if before == Some(Wish::Retry) {
                remove(&self.path(&letter.id, Wish::Retry))?;
            }
        }
        Ok(())
    }

    /// Marks letters to be sent again; how many were not marked before.
    pub(super) fn mark(&self, ids: &[DeadLetterId]) -> io::Result<usize> {
        let mut marked = Vec::new();
        for id in ids {
            if self.wish(id) == Some(Wish::Keep) {
                fs::rename(self.path(id, Wish::Keep), self.path(id, Wish::Retry))?;
                let mut index = lock(&self.index);
                let known = index.get_mut(&id.destination).expect("it is in the index");
                known.letters.insert((id.lane, id.sequence), Wish::Retry);
                marked.push(id);
            }
        }
        self.sync(marked.iter().map(|id| &id.destination))?;
        Ok(marked.len())
    }

    /// Deletes letters; how many there were. A crash may bring one back: it is then delivered or discarded twice.
    pub(super) fn delete<'a>(&self, ids: impl IntoIterator<Item = &'a DeadLetterId>) -> io::Result<usize> {
        let mut deleted = Vec::new();
        for id in ids {
            if let Some(wish) = self.wish(id) {
                remove(&self.path(id, wish))?;
                self.forget(id);
                deleted.push(&id.destination);
            }
        }
        self.sync(deleted.iter().copied())?;
        Ok(deleted.len())
    }

    /// Where the letters of a destination are.
    pub(super) fn folder(&self, destination: &DestinationName) -> PathBuf {
        self.root.join(destination.as_str())
    }

    fn path(&self, id: &DeadLetterId, wish: Wish) -> PathBuf {
        let mut path = self.folder(&id.destination).join(format!("{}-{:020}", id.lane, id.sequence.0));
        if wish == Wish::Retry {
            path.set_extension(RETRY);
        }
        path
    }

    /// Sets a damaged letter aside. Its loss is announced before.
    pub(super) fn set_aside(&self, id: &DeadLetterId, path: &Path, detail: &str) {
        let aside = self.path(id, Wish::Keep).with_extension(DAMAGED);
        tracing::error!(
            file = %path.display(), detail,
            "a dead letter is damaged and lost, which is announced; it is set aside as .damaged and not listed any more: check the disk"
        );
        self.forget(id);
        match fs::rename(path, &aside) {
            Ok(()) => lock(&self.index).entry(id.destination.clone()).or_default().damaged += 1,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "it could not be set aside");
            }
        }
    }

    fn forget(&self, id: &DeadLetterId) {
        if let Some(known) = lock(&self.index).get_mut(&id.destination) {
            known.letters.remove(&(id.lane, id.sequence));
        }
    }

    fn sync<'a>(&self, destinations: impl Iterator<Item = &'a DestinationName>) -> io::Result<()> {
        let mut folders: Vec<PathBuf> = destinations.map(|destination| self.folder(destination)).collect();
        folders.sort_unstable();
        folders.dedup();
        folders.iter().try_for_each(|folder| sync_directory(folder))
    }
}

impl Known {
    fn note(&mut self, path: &Path) -> io::Result<()> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match (extension, path.file_stem().and_then(|stem| place_of(stem.to_str()?))) {
            (Some(UNFINISHED), Some(_)) => remove(path)?,
            (Some(DAMAGED), Some(_)) => self.damaged += 1,
            // A crash after a refused retry leaves both: the one without the mark is the later.
            (Some(RETRY), Some(_)) if path.with_extension("").exists() => remove(path)?,
            (Some(RETRY), Some(place)) => drop(self.letters.insert(place, Wish::Retry)),
            (None, Some(place)) => drop(self.letters.insert(place, Wish::Keep)),
            _ => tracing::warn!(file = %path.display(), "this is no dead letter; it is left alone"),
        }
        Ok(())
    }
}

fn place_of(stem: &str) -> Option<(Lane, Sequence)> {
    let (lane, sequence) = stem.split_once('-')?;
    Some((lane.parse().ok()?, Sequence(sequence.parse().ok()?)))
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Makes `folder` below `root`, which stands in the store's directory, durable with its entries.
fn make_folder(root: &Path, folder: &Path) -> io::Result<()> {
    for made in [root, folder] {
        if !made.exists() {
            fs::create_dir(made)?;
            sync_directory(made.parent().expect("both stand in the store's directory"))?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
