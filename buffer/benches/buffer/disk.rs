//! What the system says of a process and its files.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// The bytes that the files below `path` take on the disk, but for what is only kept for one that is full.
pub(crate) fn kept_bytes(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::read_dir(path)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let found = entry.metadata()?;
        if entry.file_name().as_encoded_bytes().starts_with(b"spare") {
            return Ok(sum);
        }
        Ok(sum + if found.is_dir() { kept_bytes(&entry.path())? } else { found.blocks() * 512 })
    })
}

/// The bytes that were written so far to the disk on which `path` is, when all that waits is written (Linux,
/// `Documentation/block/stat.rst`: the seventh number, in sectors of 512 bytes). By whomever: nobody else is to write much meanwhile.
/// What a process is said to have written (`/proc/self/io`) is no measure: it counts a folio of many pages as often as one is touched.
pub(crate) fn written_bytes(path: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt;
    Command::new("sync").arg("-f").arg(path).status()?;
    let device = fs::metadata(path)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat"))?;
    let sectors: u64 = stat.split_whitespace().nth(6).ok_or("no seventh number")?.parse()?;
    Ok(sectors * 512)
}

/// The most that was ever in memory of this process (proc(5), `/proc/self/status`).
pub(crate) fn most_resident_bytes() -> u64 {
    number_after(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmHWM:") * 1024
}

fn number_after(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
