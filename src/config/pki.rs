//! The schema of `[pki]`: where certificates are kept.

use std::path::{Path, PathBuf};

use super::table::Table;

/// Below the buffer's folder, unless configured.
const FOLDER: &str = "pki";

/// Reads `[pki]` of `root`; relative paths start at `folder`.
pub(super) fn read(root: &Table<'_>, folder: &Path, buffer: &Path) -> PathBuf {
    let example = "pki = { path = \"/var/lib/penstock/pki\" }";
    let path =
        root.table("pki", example, |table| table.key("path", "/var/lib/penstock/pki").optional::<PathBuf>());
    path.flatten().map_or_else(|| buffer.join(FOLDER), |path| folder.join(path))
}
