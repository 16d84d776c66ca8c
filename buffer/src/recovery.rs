//! Opening: from what is on disk to a buffer that runs. Everything that a crash or a damaged disk can leave behind is
//! put right here, before anything is appended or read. Damage never refuses the start.
//!
//! [`lane`] opens the generations that grow by what is [`recorded`] of them, [`rebuild`] makes a manifest from what is there when it is lost, and [`told`] knows
//! what was announced by then.

mod lane;
mod rebuild;
mod recorded;
mod told;

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use penstock_events::{GatewayId, Lane, Sequence, Timestamp};

use crate::cursors::{self, Cursors};
use crate::dead::Letterbox;
use crate::directory::Directory;
use crate::durable_file::InvalidFile;
use crate::error::OpenError;
use crate::generation::{Database, Fault, delete, may_be_damage};
use crate::journal::{Journal, Left};
use crate::manifest::{self, Manifest};
use crate::marks::{self, Marks, RESERVED_PLACES};
use crate::options::{Options, StartAt};
use crate::per_lane::{Heads, PerLane, SequenceRange};
use crate::quarantine::set_aside;
use crate::replay::Register;
use lane::{OpenLane, Opening};
use told::Told;

/// A store that was found or made, and put right.
pub(crate) struct Recovered {
    pub(crate) directory: Directory,
    pub(crate) lock: File,
    pub(crate) manifest: Manifest,
    pub(crate) marks: Marks,
    pub(crate) active: PerLane<Arc<Database>>,
    pub(crate) heads: Heads,
    pub(crate) state: BTreeMap<String, Vec<u8>>,
    /// The order of the latest piece of state.
    pub(crate) order: u64,
    pub(crate) cursors: Cursors,
    pub(crate) dead: Letterbox,
    pub(crate) replays: Register,
    pub(crate) journal: Journal,
}

/// Opens the store that `options` name, or makes it.
pub(crate) fn recover(options: &Options) -> Result<Recovered, OpenError> {
    let directory = Directory::make(&options.path)?;
    let lock = directory.lock(&options.gateway)?;
    let now = (options.clock)();
    let journal_path = directory.journal();
    let left = Left::read(&journal_path).map_err(|invalid| unusable(journal_path.clone(), invalid))?;
    let mut files = Files::load(&directory, &options.gateway, &left, now)?;
    delete_unlisted(&directory, &files.manifest)?;
    let told = Told::new(&options.gateway, files.manifest.store);

    let business = files.open_lane(&directory, &left, (Lane::Business, now), told.clone())?;
    if let Some(told) = &business.told {
        for lane in Lane::ALL {
            let through = told.shed_through[lane];
            finish_shedding(&directory, &mut files.manifest, lane, through)?;
            // What is not announced of these places is told by the gap that gave them up.
            let places = SequenceRange { first: Sequence(1), last: through.unwrap_or_default() };
            files.marks.forget(lane, &[places]);
        }
    }
    let telemetry = files.open_lane(&directory, &left, (Lane::Telemetry, now), told)?;
    let Files { manifest, mut marks, cursors } = files;

    let heads = PerLane { business: business.head, telemetry: telemetry.head };
    let cursors = place_cursors(options, cursors, heads, &manifest);
    cursors::save(&directory.cursors(), &cursors)
        .map_err(|error| OpenError::Io { path: directory.cursors(), error })?;
    marks.durable = heads;
    marks.reserved = PerLane::from_fn(|lane| Sequence(heads[lane].0.saturating_add(RESERVED_PLACES)));
    save_marks(&directory, &marks)?;
    let dead = Letterbox::open(directory.dead(), options.dead_letters)
        .map_err(|error| OpenError::Io { path: directory.dead(), error })?;
    let replays = Register::open(directory.replays()).map_err(|(path, invalid)| unusable(path, invalid))?;
    // All that stands in it is in the lanes by now.
    let journal = Journal::open(&journal_path, options.journal_half_bytes())
        .map_err(|error| OpenError::Io { path: journal_path, error })?;
    Ok(Recovered {
        dead,
        replays,
        journal,
        state: business.state,
        order: business.order.max(telemetry.order).max(left.last_order()),
        active: PerLane { business: business.database, telemetry: telemetry.database },
        directory,
        lock,
        manifest,
        marks,
        heads,
        cursors,
    })
}

/// The small files of a store.
struct Files {
    manifest: Manifest,
    marks: Marks,
    cursors: Option<Cursors>,
}

impl Files {
    /// Reads them. What is damaged is set aside, and the manifest is made again from the generations that are there.
    fn load(
        directory: &Directory,
        gateway: &GatewayId,
        left: &Left,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        // All are read before anything is changed: one that is newer is refused.
        let manifest = Small::of(directory.manifest(), manifest::load)?;
        let marks = Small::of(directory.marks(), marks::load)?;
        let cursors = Small::of(directory.cursors(), cursors::load)?;
        let can_be_read = [manifest.has_bytes(), marks.has_bytes(), cursors.has_bytes()].contains(&true);
        let manifest_path = directory.manifest();
        let is_new = matches!(manifest, Small::Missing) && !has_generations(directory, &manifest_path)?;
        let (manifest, marks, cursors) = (
            manifest.kept(directory, can_be_read)?,
            marks.kept(directory, can_be_read)?,
            cursors.kept(directory, can_be_read)?,
        );
        let mut marks = marks.unwrap_or_default();
        if let Some(manifest) = manifest {
            marks.store = manifest.store;
            manifest::claim(&manifest_path, &manifest)
                .map_err(|invalid| unusable(manifest_path.clone(), invalid))?;
            return Ok(Self { manifest, marks, cursors });
        }
        if marks.store == 0 {
            marks.store = random();
        }
        let io = |error| OpenError::Io { path: manifest_path.clone(), error };
        let manifest = if is_new {
            Manifest { store: marks.store, lanes: PerLane::default() }
        } else {
            tracing::error!(
                path = %manifest_path.display(),
                "the manifest of the buffer is damaged or missing; it is made again from all that is there: check the disk"
            );
            let floor =
                PerLane::from_fn(|lane| floor(&marks, cursors.as_ref(), lane).max(left.durable(lane, None)));
            let told = Told::new(gateway, marks.store);
            rebuild::rebuild(directory, left, &mut marks, told, (floor, now)).map_err(io)?
        };
        save_marks(directory, &marks)?;
        manifest::save(&manifest_path, &manifest).map_err(io)?;
        Ok(Self { manifest, marks, cursors })
    }

    /// Opens a lane as it is, or what is left of it.
    fn open_lane(
        &mut self,
        directory: &Directory,
        left: &Left,
        (lane, now): (Lane, Timestamp),
        told: Told,
    ) -> Result<OpenLane, OpenError> {
        let Self { manifest, marks, cursors } = self;
        let active = manifest.lanes[lane].last().map(|active| active.id);
        let floor = floor(marks, cursors.as_ref(), lane).max(left.durable(lane, active));
        Opening { directory, manifest, marks, left, lane, floor, now, told }.open()
    }
}

/// Up to where a lane was there for certain.
fn floor(marks: &Marks, cursors: Option<&Cursors>, lane: Lane) -> Sequence {
    marks.durable[lane].max(cursors.map_or(Sequence::ZERO, |cursors| cursors.furthest(lane)))
}

/// What became of a small file.
enum Small<T> {
    Whole(T),
    Missing,
    Damaged {
        path: PathBuf,
        detail: String,
    },
    /// That may be the file, or the disk.
    Unreadable {
        path: PathBuf,
        error: io::Error,
    },
}

impl<T> Small<T> {
    fn of(path: PathBuf, load: fn(&Path) -> Result<Option<T>, InvalidFile>) -> Result<Self, OpenError> {
        match load(&path) {
            Ok(Some(whole)) => Ok(Self::Whole(whole)),
            Ok(None) => Ok(Self::Missing),
            Err(InvalidFile::Damaged(detail)) => Ok(Self::Damaged { path, detail }),
            Err(InvalidFile::Io(error)) if may_be_damage(&error) => Ok(Self::Unreadable { path, error }),
            Err(invalid) => Err(unusable(path, invalid)),
        }
    }

    /// Whether something could be read.
    fn has_bytes(&self) -> bool {
        matches!(self, Self::Whole(_) | Self::Damaged { .. })
    }

    /// What is gone on with. A disk of which nothing `can_be_read` may come back whole.
    fn kept(self, directory: &Directory, can_be_read: bool) -> Result<Option<T>, OpenError> {
        let (path, detail) = match self {
            Self::Whole(whole) => return Ok(Some(whole)),
            Self::Missing => return Ok(None),
            Self::Unreadable { path, error } if !can_be_read => return Err(OpenError::Io { path, error }),
            Self::Unreadable { path, error } => (path, error.to_string()),
            Self::Damaged { path, detail } => (path, detail),
        };
        tracing::error!(
            path = %path.display(), detail,
            "a file of the buffer is damaged; the buffer starts without it: check the disk"
        );
        set_aside(directory.root(), &path);
        Ok(None)
    }
}

fn has_generations(directory: &Directory, path: &Path) -> Result<bool, OpenError> {
    for lane in Lane::ALL {
        let found =
            directory.generations(lane).map_err(|error| OpenError::Io { path: path.to_owned(), error })?;
        if !found.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes what a crash left behind: a generation that was made and never listed, or no longer listed and not yet deleted.
fn delete_unlisted(directory: &Directory, manifest: &Manifest) -> Result<(), OpenError> {
    for lane in Lane::ALL {
        let listed: Vec<PathBuf> =
            manifest.lanes[lane].iter().map(|generation| directory.generation(lane, generation.id)).collect();
        let found = directory
            .generations(lane)
            .map_err(|error| OpenError::Io { path: directory.root().to_owned(), error })?;
        for unlisted in found.iter().filter(|path| !listed.contains(path)) {
            tracing::info!(directory = %unlisted.display(), "deleting what a crash left behind");
            delete(unlisted);
        }
    }
    Ok(())
}

/// Deletes what was announced as lost before a crash.
fn finish_shedding(
    directory: &Directory,
    manifest: &mut Manifest,
    lane: Lane,
    through: Option<Sequence>,
) -> Result<(), OpenError> {
    let dropped = manifest.drop_through(lane, through.unwrap_or_default());
    if dropped.is_empty() {
        return Ok(());
    }
    let path = directory.manifest();
    manifest::save(&path, manifest).map_err(|error| OpenError::Io { path, error })?;
    for generation in dropped {
        let path = directory.generation(lane, generation.id);
        if generation.extent.holes.is_empty() {
            delete(&path);
        } else {
            set_aside(directory.root(), &path);
        }
    }
    Ok(())
}

/// A destination that is new starts where it is told to. If the file is gone, who had what is not
/// known: then all start at the beginning, for twice is better than never.
fn place_cursors(options: &Options, stored: Option<Cursors>, heads: Heads, manifest: &Manifest) -> Cursors {
    let is_lost = stored.is_none() && heads != Heads::default();
    if is_lost {
        tracing::error!("the file of cursors is missing; everything that is retained is delivered again");
    }
    let oldest = PerLane::from_fn(|lane| {
        manifest.lanes[lane].first().map_or(heads[lane], |generation| generation.first.before())
    });
    let mut cursors = stored.unwrap_or_default();
    for destination in &options.destinations {
        if cursors.get(destination).is_none() {
            let begin = match options.start.get(destination).copied().unwrap_or_default() {
                StartAt::Newest if !is_lost => heads,
                StartAt::Newest | StartAt::Oldest => oldest,
            };
            cursors.set(destination, begin);
        }
    }
    cursors
}

fn save_marks(directory: &Directory, marks: &Marks) -> Result<(), OpenError> {
    let path = directory.marks();
    marks::save(&path, marks).map_err(|error| OpenError::Io { path, error })
}

/// Why a file that is not set aside keeps the store from being opened.
fn unusable(path: PathBuf, invalid: InvalidFile) -> OpenError {
    match invalid {
        InvalidFile::NewerFormat { found, supported } => OpenError::NewerFormat { path, found, supported },
        InvalidFile::Io(error) => OpenError::Io { path, error },
        damaged @ InvalidFile::Damaged(_) => OpenError::Io { path, error: io::Error::other(damaged) },
    }
}

fn fault_at(path: &Path, fault: Fault) -> OpenError {
    let path = path.to_owned();
    match fault {
        Fault::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            OpenError::NotWritable { path, error }
        }
        Fault::Io(error) => OpenError::Io { path, error },
        other => OpenError::Io { path, error: io::Error::other(other.to_string()) },
    }
}

/// A number that no other store has, most likely. The standard library seeds its hashers from the system.
fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
