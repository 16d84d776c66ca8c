//! The replays on disk, a file for each, and all of them in memory.
//!
//! ```text
//! <path>/replay/<number, 10 digits>             a replay, under way or ended
//! <path>/replay/<number, 10 digits>.damaged     one that cannot be read, set aside
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use penstock_events::{DestinationName, Lane, Sequence};

use super::stored::{KIND, decode, encode};
use super::{Replay, ReplayError};
use crate::durable_file::{self, InvalidFile, sync_directory};
use crate::generation::may_be_damage;
use crate::per_lane::PerLane;
use crate::shared::lock;

/// How many replays may be under way: they are carried out one after the other, so more would be a mistake.
pub(super) const MAX_ACTIVE: usize = 32;
/// How many of the last that ended are kept, for whoever looks.
const MAX_ENDED: usize = 16;
/// How long progress may be in memory only: what a crash repeats.
const SAVE_EVERY: Duration = Duration::from_secs(1);
const DAMAGED: &str = "damaged";

/// All replays of a store.
pub(crate) struct Register {
    root: PathBuf,
    /// A mutex and not a message: held while a file is written, so that files follow memory in order.
    known: Mutex<BTreeMap<u32, Known>>,
    /// The highest number of one that was set aside.
    last_damaged: u32,
}

struct Known {
    replay: Replay,
    saved: Instant,
}

/// What a change of a replay asks of the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// To be saved when it is time.
    Progress,
    /// To be saved at once.
    End,
}

impl Register {
    /// The replays below `root`, which need not exist. One that is damaged is set aside.
    pub(crate) fn open(root: PathBuf) -> Result<Self, (PathBuf, InvalidFile)> {
        let mut known = BTreeMap::new();
        let mut last_damaged = 0;
        for path in entries(&root).map_err(|error| (root.clone(), error.into()))? {
            last_damaged = last_damaged.max(damaged_number(&path).unwrap_or_default());
            let Some(id) = number(&path) else { continue };
            match load(id, &path) {
                Ok(replay) => drop(known.insert(id, Known { replay, saved: Instant::now() })),
                Err(InvalidFile::Damaged(detail)) => {
                    set_aside(&path, &detail);
                    last_damaged = last_damaged.max(id);
                }
                Err(InvalidFile::Io(error)) if may_be_damage(&error) => {
                    set_aside(&path, &error.to_string());
                    last_damaged = last_damaged.max(id);
                }
                Err(invalid) => return Err((path, invalid)),
            }
        }
        Ok(Self { root, known: Mutex::new(known), last_damaged })
    }

    /// Adds the replay that `make` makes of a number that no other has had.
    pub(super) fn add(&self, make: impl FnOnce(u32) -> Replay) -> Result<Replay, ReplayError> {
        let mut known = lock(&self.known);
        if known.values().filter(|known| known.replay.is_active()).count() >= MAX_ACTIVE {
            return Err(ReplayError::TooMany);
        }
        let last = known.last_key_value().map_or(0, |(last, _)| *last);
        let id = last.max(self.last_damaged) + 1;
        let replay = make(id);
        self.make_folder()
            .and_then(|()| self.write(&replay))
            .map_err(|error| self.cannot_write(id, error))?;
        known.insert(id, Known { replay: replay.clone(), saved: Instant::now() });
        self.forget_old(&mut known);
        Ok(replay)
    }

    /// Changes the replay `id`, and saves it if the change asks for that; `None` when there is no such replay. The
    /// change holds in memory whether it can be saved or not.
    pub(super) fn change(
        &self,
        id: u32,
        change: impl FnOnce(&mut Replay) -> Change,
    ) -> Result<Option<Replay>, ReplayError> {
        let mut all = lock(&self.known);
        let Some(known) = all.get_mut(&id) else { return Ok(None) };
        let change = change(&mut known.replay);
        let is_due = match change {
            Change::None => false,
            Change::Progress => known.saved.elapsed() >= SAVE_EVERY,
            Change::End => true,
        };
        if is_due {
            known.saved = Instant::now();
            self.write(&known.replay).map_err(|error| self.cannot_write(id, error))?;
        }
        Ok(Some(known.replay.clone()))
    }

    /// All of them, in the order of their numbers.
    pub(super) fn all(&self) -> Vec<Replay> {
        lock(&self.known).values().map(|known| known.replay.clone()).collect()
    }

    /// The replay `id`.
    pub(super) fn get(&self, id: u32) -> Option<Replay> {
        lock(&self.known).get(&id).map(|known| known.replay.clone())
    }

    /// From where on each lane is needed by replays to any of `destinations`.
    pub(crate) fn needed_from(&self, destinations: &[DestinationName]) -> PerLane<Option<Sequence>> {
        let known = lock(&self.known);
        let active = || {
            known
                .values()
                .map(|known| &known.replay)
                .filter(|replay| replay.is_active() && destinations.contains(&replay.order.destination))
        };
        PerLane::from_fn(|lane: Lane| {
            let open = active().filter_map(|replay| replay.lanes[lane]).filter(|span| span.next <= span.last);
            open.map(|span| span.next).min()
        })
    }

    /// Reads the file of each replay: its name, and what is wrong with it, if anything is. Those that were set aside
    /// are among them.
    pub(crate) fn verify(&self) -> io::Result<Vec<(String, Option<String>)>> {
        // Nothing is written meanwhile.
        let known = lock(&self.known);
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut found: Vec<_> = known
            .keys()
            .map(|&id| {
                let path = self.path(id);
                (name(&path), load(id, &path).err().map(|invalid| invalid.to_string()))
            })
            .collect();
        let is_aside = |path: &PathBuf| damaged_number(path).is_some();
        let aside = || "it was set aside: order the replay again, and delete this file".to_owned();
        let all = entries(&self.root)?;
        found.extend(all.iter().filter(|path| is_aside(path)).map(|path| (name(path), Some(aside()))));
        Ok(found)
    }

    /// Deletes the oldest of those that ended, beyond those that are kept. The last number stays, so none is used twice.
    fn forget_old(&self, known: &mut BTreeMap<u32, Known>) {
        let ended: Vec<u32> =
            known.iter().filter(|(_, known)| !known.replay.is_active()).map(|(&id, _)| id).collect();
        for id in &ended[..ended.len().saturating_sub(MAX_ENDED)] {
            match fs::remove_file(self.path(*id)) {
                Ok(()) => drop(known.remove(id)),
                Err(error) => {
                    tracing::warn!(replay = id, %error, "the file of an old replay cannot be deleted");
                }
            }
        }
    }

    fn write(&self, replay: &Replay) -> io::Result<()> {
        durable_file::replace(&self.path(replay.id), &KIND, &encode(replay))
    }

    fn make_folder(&self) -> io::Result<()> {
        if !self.root.exists() {
            fs::create_dir(&self.root)?;
            sync_directory(self.root.parent().expect("it stands in the store's directory"))?;
        }
        Ok(())
    }

    fn path(&self, id: u32) -> PathBuf {
        self.root.join(format!("{id:010}"))
    }

    fn cannot_write(&self, id: u32, error: io::Error) -> ReplayError {
        ReplayError::Io { path: self.path(id), error }
    }
}

/// Everything in `folder`, by name. One that is missing is empty.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

fn load(id: u32, path: &Path) -> Result<Replay, InvalidFile> {
    let missing = || InvalidFile::Damaged("it is missing".to_owned());
    decode(id, &durable_file::read(path, &KIND)?.ok_or_else(missing)?)
}

/// The number in the name of a replay's file.
fn number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

/// The number in the name of one that was set aside.
fn damaged_number(path: &Path) -> Option<u32> {
    path.extension().filter(|extension| *extension == DAMAGED)?;
    number(&path.with_extension(""))
}

fn set_aside(path: &Path, detail: &str) {
    tracing::error!(file = %path.display(), detail, "a replay cannot be read; it is set aside as .damaged and must be ordered again");
    if let Err(error) = fs::rename(path, path.with_extension(DAMAGED)) {
        tracing::warn!(file = %path.display(), %error, "it could not be set aside");
    }
}
