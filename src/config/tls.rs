//! The files of a TLS client: the same keys wherever one is configured.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::table::{Field, Table};

/// Whom a client trusts, and who it says it is.
pub(super) struct ClientFiles {
    /// The authorities.
    pub(super) ca: Option<PathBuf>,
    /// The certificate and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// Reads the files' names; relative ones start at `folder`.
pub(super) fn read(table: &Table<'_>, folder: &Path) -> ClientFiles {
    let file = |field: &Field<'_>| field.optional::<PathBuf>().map(|path| folder.join(path));
    let ca = file(&table.key("ca_file", "/etc/penstock/ca.pem"));
    ClientFiles { ca, identity: identity(table, folder) }
}

/// Reads the files' names of a certificate and its key, which go together.
pub(super) fn identity(table: &Table<'_>, folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let file = |field: &Field<'_>| field.optional::<PathBuf>().map(|path| folder.join(path));
    let certificate_field = table.key("certificate_file", "/etc/penstock/edge-01.pem");
    let key_field = table.key("key_file", "/etc/penstock/edge-01.key");
    match (file(&certificate_field), file(&key_field)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (certificate, _) => {
            let lonely = if certificate.is_some() { &certificate_field } else { &key_field };
            lonely
                .spot()
                .error("a client certificate takes two files")
                .allowed("`certificate_file` and `key_file`, or neither")
                .record();
            None
        }
    }
}

/// Whether the service may have this file, and who checks has not.
pub(super) fn is_out_of_reach(path: &Path) -> bool {
    fs::File::open(path).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// Warns of files that are there for nothing: `plain` is how the address begins, and `secure` how it would.
pub(super) fn warn_of_idle(table: &Table<'_>, plain: &str, secure: &str) {
    for idle in ["ca_file", "certificate_file", "key_file"].map(|name| table.key(name, "")) {
        if idle.is_present() {
            let message = format!("`{}` has no effect with {plain}", idle.name());
            idle.spot().warning(message).allowed(format!("{secure} for TLS")).record();
        }
    }
}
