//! Opening: from what is on disk to a buffer that runs. Everything that a crash can leave behind is
//! put right here, before anything is appended or read.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use penstock_events::{Lane, Sequence};

use crate::cursors::{self, Cursors};
use crate::dead::Letterbox;
use crate::directory::Directory;
use crate::durable_file::InvalidFile;
use crate::error::OpenError;
use crate::generation::{Database, Fault, delete};
use crate::manifest::{self, Manifest};
use crate::options::{MIN_MAX_BYTES, Options};
use crate::per_lane::{Heads, PerLane};
use crate::replay::Register;
use crate::writer::{Start, add_generation};

/// A store that was found or made, and put right.
pub(crate) struct Recovered {
    pub(crate) directory: Directory,
    pub(crate) lock: File,
    pub(crate) manifest: Manifest,
    pub(crate) active: PerLane<Arc<Database>>,
    pub(crate) heads: Heads,
    pub(crate) state: BTreeMap<String, Vec<u8>>,
    pub(crate) cursors: Cursors,
    pub(crate) dead: Letterbox,
    pub(crate) replays: Register,
}

/// Opens the store that `options` name, or makes it.
pub(crate) fn recover(options: &Options) -> Result<Recovered, OpenError> {
    if options.max_bytes < MIN_MAX_BYTES {
        return Err(OpenError::TooSmall { max_bytes: options.max_bytes });
    }
    let directory = Directory::make(&options.path)?;
    let lock = directory.lock(&options.gateway)?;
    let mut manifest = load_manifest(&directory)?;
    let stored_cursors = load_cursors(&directory)?;
    delete_unlisted(&directory, &manifest)?;

    let now = (options.clock)();
    let behind_delivered = |lane| {
        let furthest = stored_cursors.as_ref().map_or(Sequence::ZERO, |cursors| cursors.furthest(lane));
        Start { lane, first: furthest.next(), at: now }
    };
    let business = open_lane(&directory, &mut manifest, behind_delivered(Lane::Business))?;
    let at_business = |fault| fault_at(directory.root(), fault);
    for lane in Lane::ALL {
        let through = business.database.shed_through(lane).map_err(at_business)?;
        finish_shedding(&directory, &mut manifest, lane, through)?;
    }
    let telemetry = open_lane(&directory, &mut manifest, behind_delivered(Lane::Telemetry))?;

    let heads = PerLane { business: business.head, telemetry: telemetry.head };
    let cursors = place_cursors(options, stored_cursors, heads);
    cursors::save(&directory.cursors(), &cursors)
        .map_err(|error| OpenError::Io { path: directory.cursors(), error })?;
    let dead = Letterbox::open(directory.dead(), options.dead_letters)
        .map_err(|error| OpenError::Io { path: directory.dead(), error })?;
    let replays = Register::open(directory.replays())
        .map_err(|error| OpenError::Io { path: directory.replays(), error })?;
    Ok(Recovered {
        dead,
        replays,
        state: business.state,
        active: PerLane { business: business.database, telemetry: telemetry.database },
        directory,
        lock,
        manifest,
        heads,
        cursors,
    })
}

/// The manifest, made when the store is. It is there before the first generation is: a store with
/// generations and without a manifest has lost it, and is not taken for an empty one.
fn load_manifest(directory: &Directory) -> Result<Manifest, OpenError> {
    let path = directory.manifest();
    if let Some(found) = manifest::load(&path).map_err(|error| invalid_file(&path, error))? {
        return Ok(found);
    }
    for lane in Lane::ALL {
        let found =
            directory.generations(lane).map_err(|error| OpenError::Io { path: path.clone(), error })?;
        if !found.is_empty() {
            let detail =
                format!("it is missing, and there are {} generations in the {lane} lane", found.len());
            return Err(OpenError::Damaged { path, detail });
        }
    }
    let made = Manifest { store: random(), lanes: PerLane::default() };
    manifest::save(&path, &made).map_err(|error| OpenError::Io { path, error })?;
    Ok(made)
}

fn load_cursors(directory: &Directory) -> Result<Option<Cursors>, OpenError> {
    let path = directory.cursors();
    cursors::load(&path).map_err(|error| invalid_file(&path, error))
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

struct OpenLane {
    database: Arc<Database>,
    head: Sequence,
    state: BTreeMap<String, Vec<u8>>,
}

/// Opens a lane's active generation, or makes its first, and finds where the lane ends.
///
/// The lane goes on at `start` at the earliest, behind what any destination acknowledged. One that ends before
/// that has lost its end, and no place is used for two events.
fn open_lane(directory: &Directory, manifest: &mut Manifest, start: Start) -> Result<OpenLane, OpenError> {
    let Start { lane, .. } = start;
    let mut state = BTreeMap::new();
    let mut head = Sequence::ZERO;
    let mut opened = None;
    if let Some(active) = manifest.lanes[lane].last_mut() {
        let path = directory.generation(lane, active.id);
        if !path.join("db").exists() {
            return Err(OpenError::Damaged {
                path,
                detail: "it is listed in the manifest and missing".to_owned(),
            });
        }
        let at_path = |fault| fault_at(&path, fault);
        let database = Database::open(&path).map_err(at_path)?;
        active.extent = database.extent(active.first).map_err(at_path)?;
        state = database.state().map_err(at_path)?;
        head = active.extent.last;
        opened = Some(Arc::new(database));
    }
    let database = match opened {
        Some(database) if head.next() >= start.first => database,
        found => {
            let start = Start { first: start.first.max(head.next()), ..start };
            let end = Sequence(start.first.0 - 1);
            if found.is_some() {
                tracing::error!(%lane, %head, acknowledged = %end, "the lane lost its end after it was delivered");
            }
            head = end;
            let begun = add_generation(directory, manifest, start, &state)
                .map_err(|fault| fault_at(directory.root(), fault))?;
            tracing::debug!(%lane, generation = begun.id, "started a generation");
            begun.database
        }
    };
    Ok(OpenLane { database, head, state })
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
        delete(&directory.generation(lane, generation.id));
    }
    Ok(())
}

/// A destination that is new starts behind the last event. If the file is gone, who had what is not
/// known: then all start at the beginning, for twice is better than never.
fn place_cursors(options: &Options, stored: Option<Cursors>, heads: Heads) -> Cursors {
    let begin = match &stored {
        None if heads != Heads::default() => {
            tracing::warn!("the file of cursors is missing; everything that is retained is delivered again");
            Heads::default()
        }
        _ => heads,
    };
    let mut cursors = stored.unwrap_or_default();
    for destination in &options.destinations {
        if cursors.get(destination).is_none() {
            cursors.set(destination, begin);
        }
    }
    cursors
}

fn invalid_file(path: &Path, error: InvalidFile) -> OpenError {
    let path = path.to_owned();
    match error {
        InvalidFile::Io(error) => OpenError::Io { path, error },
        InvalidFile::NewerFormat { found, supported } => OpenError::NewerFormat { path, found, supported },
        InvalidFile::Damaged(detail) => OpenError::Damaged { path, detail },
    }
}

fn fault_at(path: &Path, fault: Fault) -> OpenError {
    let path = path.to_owned();
    match fault {
        Fault::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            OpenError::NotWritable { path, error }
        }
        Fault::Io(error) => OpenError::Io { path, error },
        other => OpenError::Damaged { path, detail: other.to_string() },
    }
}

/// A number that no other store has, most likely. The standard library seeds its hashers from the system.
fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
