//! The quarantine: what was found damaged is moved here, so that it can still be looked at, and not for ever.
//!
//! ```text
//! <path>/quarantine/<number>-<name>     a file or a generation's directory, the highest number the latest
//! ```
//!
//! It keeps the latest, within bounds; what gives way to them is told in the log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::durable_file::sync_directory;

/// How much is kept: a few damaged generations of the default size.
const MAX_BYTES: u64 = 256 * 1024 * 1024;
/// How many files and directories are kept.
const MAX_THINGS: usize = 64;

/// Moves `path` into the quarantine of the store at `root`, and says so in the log. That it cannot be moved hinders nothing.
pub(crate) fn set_aside(root: &Path, path: &Path) {
    match quarantined(root, path) {
        Ok(Some(aside)) => {
            tracing::error!(path = %path.display(), aside = %aside.display(), "moved to quarantine");
        }
        Ok(None) => {}
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "it could not be moved to quarantine");
        }
    }
}

/// Where it is then. Nothing happens to what is not there.
fn quarantined(root: &Path, path: &Path) -> io::Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    let quarantine = root.join("quarantine");
    if !quarantine.exists() {
        fs::create_dir(&quarantine)?;
        sync_directory(root)?;
    }
    let kept = things(&quarantine)?;
    let number = kept.last().map_or(1, |thing| thing.number + 1);
    let target = quarantine.join(format!("{number:06}-{}", name_of(root, path)));
    fs::rename(path, &target)?;
    sync_directory(&quarantine)?;
    sync_directory(path.parent().expect("what a store consists of stands in its directory"))?;
    tidy(&quarantine)?;
    Ok(Some(target))
}

struct Thing {
    number: u64,
    path: PathBuf,
}

/// What is in quarantine, the oldest first. What is not ours is left alone.
fn things(quarantine: &Path) -> io::Result<Vec<Thing>> {
    let mut things = Vec::new();
    for entry in fs::read_dir(quarantine)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(number) = name.and_then(|name| name.split_once('-')?.0.parse().ok()) {
            things.push(Thing { number, path });
        }
    }
    things.sort_unstable_by_key(|thing| thing.number);
    Ok(things)
}

/// Deletes the oldest until the rest is within bounds. The latest stays, however large.
fn tidy(quarantine: &Path) -> io::Result<()> {
    let mut kept_bytes = 0;
    for (kept, thing) in things(quarantine)?.into_iter().rev().enumerate() {
        kept_bytes += bytes_of(&thing.path)?;
        if kept > 0 && (kept_bytes > MAX_BYTES || kept >= MAX_THINGS) {
            tracing::warn!(path = %thing.path.display(), "deleted from quarantine, which is full of what came later");
            if thing.path.is_dir() {
                fs::remove_dir_all(&thing.path)?;
            } else {
                fs::remove_file(&thing.path)?;
            }
        }
    }
    Ok(())
}

fn bytes_of(path: &Path) -> io::Result<u64> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Ok(found.len());
    }
    fs::read_dir(path)?.map(|entry| bytes_of(&entry?.path())).sum()
}

/// `telemetry-00000007` for a generation, `manifest` for the manifest.
fn name_of(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_latest_and_no_more_than_it_has_room_for() {
        let store = tempfile::tempdir().expect("a temporary directory");
        let root = store.path();
        for n in 0..MAX_THINGS as u64 + 3 {
            fs::write(root.join("manifest"), n.to_string()).expect("a writable directory");
            let aside = quarantined(root, &root.join("manifest"))
                .expect("a writable directory")
                .expect("it is there");
            assert_eq!(fs::read_to_string(aside).expect("it was moved"), n.to_string());
        }
        let kept = things(&root.join("quarantine")).expect("a directory");
        assert_eq!((kept.len(), kept[0].number), (MAX_THINGS, 4));
        assert!(!root.join("manifest").exists());
    }

    #[test]
    fn a_generation_is_moved_whole_and_what_is_missing_is_no_error() {
        let store = tempfile::tempdir().expect("a temporary directory");
        let generation = store.path().join("telemetry/00000007");
        fs::create_dir_all(&generation).expect("a writable directory");
        fs::write(generation.join("db"), "damaged").expect("a writable directory");
        let aside = quarantined(store.path(), &generation).expect("a writable directory");
        assert_eq!(aside, Some(store.path().join("quarantine/000001-telemetry-00000007")));
        assert!(aside.is_some_and(|aside| aside.join("db").exists()));
        assert_eq!(quarantined(store.path(), &generation).expect("nothing to do"), None);
    }
}
