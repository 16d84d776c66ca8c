//! What the system says of a process and its files.

use std::fs;
use std::io;
use std::path::Path;

/// The bytes that the files below `path` take on the disk.
pub(crate) fn kept_bytes(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::read_dir(path)?.try_fold(0, |sum, entry| {
        let entry = entry?;
        let found = entry.metadata()?;
        Ok(sum + if found.is_dir() { kept_bytes(&entry.path())? } else { found.blocks() * 512 })
    })
}

/// The bytes that this process has had written to disks so far (proc(5), `/proc/self/io`).
pub(crate) fn written_bytes() -> u64 {
    number_after(&fs::read_to_string("/proc/self/io").unwrap_or_default(), "write_bytes:")
}

/// The most that was ever in memory of this process (proc(5), `/proc/self/status`).
pub(crate) fn most_resident_bytes() -> u64 {
    number_after(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmHWM:") * 1024
}

fn number_after(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
