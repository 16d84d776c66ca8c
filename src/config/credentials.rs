//! As which user the gateway logs in.

use std::path::Path;

use super::Purpose;
use super::secret;
use super::table::Table;

/// A user and the password.
pub(super) struct Login {
    /// The user.
    pub(super) username: String,
    /// The password; empty when it is out of reach, which is tolerable only for a check.
    pub(super) password: String,
}

/// Reads `username` and `password`; none without a user name.
pub(super) fn login(table: &Table<'_>, folder: &Path, purpose: Purpose) -> Option<Login> {
    let username_field = table.key("username", "edge-01");
    let username = username_field.optional::<String>();
    let password_field = table.key("password", "");
    if password_field.is_text() {
        password_field
            .spot()
            .error("a password must not stand in the configuration")
            .allowed(secret::ALLOWED)
            .example(secret::EXAMPLE)
            .record();
        return None;
    }
    let password = table.table("password", secret::EXAMPLE, |place| secret::read(place, folder, purpose));
    if password.is_some() && !username_field.is_present() {
        password_field
            .spot()
            .error("a `password` without a `username`")
            .allowed("both, or neither")
            .example("username = \"edge-01\"")
            .record();
    }
    Some(Login { username: username?, password: password.flatten().unwrap_or_default() })
}
