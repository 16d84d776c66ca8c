//! The store's directory: where everything stands, and the lock that keeps a second process out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;

use penstock_events::{GatewayId, Lane};

use crate::durable_file::sync_directory;
use crate::error::OpenError;
use crate::manifest::GenerationId;

/// How much of another owner's note is shown.
const MAX_OWNER_BYTES: u64 = 200;

/// Where everything stands.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The directory at `root`, as it is.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The directory at `root`, made with its lanes' directories where they are missing.
    pub(crate) fn make(root: &Path) -> Result<Self, OpenError> {
        let made = Self::at(root);
        let not_writable = |path: &Path| {
            let path = path.to_owned();
            |error| OpenError::NotWritable { path, error }
        };
        if !root.exists() {
            fs::create_dir_all(root).map_err(not_writable(root))?;
            sync_parent(root).map_err(not_writable(root))?;
        }
        for lane in Lane::ALL {
            let directory = made.lane(lane);
            if !directory.exists() {
                fs::create_dir(&directory).map_err(not_writable(&directory))?;
            }
        }
        sync_directory(root).map_err(not_writable(root))?;
        Ok(made)
    }

    /// Takes the lock. It is released when the file is dropped, and by the system when the process dies.
    pub(crate) fn lock(&self, gateway: &GatewayId) -> Result<File, OpenError> {
        let path = self.root.join("LOCK");
        let not_writable = |error| OpenError::NotWritable { path: path.clone(), error };
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(&path).map_err(not_writable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked { path: self.root.clone(), owner: owner_of(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(not_writable(error)),
        }
        file.set_len(0).map_err(not_writable)?;
        writeln!(file, "process {}, gateway {gateway}", process::id()).map_err(not_writable)?;
        Ok(file)
    }

    /// The store's own path.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("manifest")
    }

    /// The cursors.
    pub(crate) fn cursors(&self) -> PathBuf {
        self.root.join("cursors")
    }

    /// The marks.
    pub(crate) fn marks(&self) -> PathBuf {
        self.root.join("marks")
    }

    /// The journal; it is there while the store is open, and after a crash.
    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The dead letters' directory; made with the first of them.
    pub(crate) fn dead(&self) -> PathBuf {
        self.root.join("dead")
    }

    /// The replays' directory; made with the first of them.
    pub(crate) fn replays(&self) -> PathBuf {
        self.root.join("replay")
    }

    /// The directory of a generation.
    pub(crate) fn generation(&self, lane: Lane, id: GenerationId) -> PathBuf {
        self.lane(lane).join(format!("{id:08}"))
    }

    /// The directories that are there for a lane's generations, listed or not.
    pub(crate) fn generations(&self, lane: Lane) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(self.lane(lane))?.map(|entry| Ok(entry?.path())).collect()
    }

    /// The numbers of the generations of a lane that are there, listed or not.
    pub(crate) fn numbers(&self, lane: Lane) -> io::Result<Vec<GenerationId>> {
        let number = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok();
        Ok(self.generations(lane)?.iter().filter_map(number).collect())
    }

    fn lane(&self, lane: Lane) -> PathBuf {
        self.root.join(lane.as_str())
    }
}

/// Makes the entry of a directory that was just made durable. A relative name of one part stands in
/// the working directory.
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_directory(Path::new(".")),
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

fn owner_of(file: &mut File) -> String {
    let mut note = String::new();
    match file.take(MAX_OWNER_BYTES).read_to_string(&mut note) {
        Ok(_) if !note.trim().is_empty() => note.trim().to_owned(),
        Ok(_) | Err(_) => "another process".to_owned(),
    }
}
