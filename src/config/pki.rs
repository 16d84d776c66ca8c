//! The schema of `[pki]`, where certificates are kept, and of what is known of a single one.

use std::path::{Path, PathBuf};

use penstock_adapters::opcua::pki::{Application, Check, Fingerprint, Passport, Pin};
use penstock_events::cloudevent::Origin;

use super::setting::Text;
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

/// What the gateway shows to OPC UA servers, with its certificates in the folder `pki`.
pub(crate) fn passport(pki: PathBuf, origin: &Origin) -> Passport {
    let Origin { gateway, site } = origin;
    let application =
        Application { name: format!("penstock {gateway}"), uri: format!("urn:penstock:{site}:{gateway}") };
    Passport::new(pki, application)
}

impl Text for Fingerprint {
    const ALLOWED: &'static str = "a SHA-256 of 64 hexadecimal digits, as `penstock trust list` shows it";
}

impl Text for Check {
    const ALLOWED: &'static str = "host-name, application-uri, validity, key-length, signature";
}

/// Reads `pin` of a server.
pub(super) fn pin(server: &Table<'_>) -> Option<Pin> {
    let example = "pin = { sha256 = \"3fa9…\", waive = [\"host-name\"] }";
    let pin = server.table("pin", example, |table| {
        let fingerprint = table.key("sha256", "3fa9…").required::<Fingerprint>();
        let waives = table.list("waive", "host-name");
        Some(Pin { fingerprint: fingerprint?, waives })
    });
    pin.flatten()
}
