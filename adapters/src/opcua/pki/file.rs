//! Files of the store: whole or not there, and never written over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// For what everybody may read.
pub(super) const PUBLIC: u32 = 0o644;
/// For what only the gateway may read.
pub(super) const PRIVATE: u32 = 0o600;
const FOLDER: u32 = 0o755;
const PRIVATE_FOLDER: u32 = 0o700;

/// Makes a folder and those above it.
pub(super) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    let mode = if mode == PRIVATE { PRIVATE_FOLDER } else { FOLDER };
    fs::DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Writes a file that is not there yet, and returns once that is durable.
///
/// # Errors
/// `AlreadyExists` when it is there, and whatever the disk says.
pub(super) fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    remove(&beside)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    // A link, unlike a rename, fails when something is there.
    let linked = fs::hard_link(&beside, path);
    remove(&beside)?;
    linked?;
    sync_folder_of(path)
}

/// Deletes a file, which need not be there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// The first `limit` bytes of a file; none when it is not there.
pub(super) fn read(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(limit as u64).read_to_end(&mut content)?;
    Ok(Some(content))
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().expect("the files of a store stand in its folders"))?.sync_all()
}
