//! Secrets, which never stand in the configuration: only where they are does.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Purpose;
use super::source::Spot;
use super::table::Table;

/// How to say where a password is.
pub(super) const EXAMPLE: &str = "password = { file = \"/etc/penstock/mqtt.password\" }";
/// The ways to say it.
pub(super) const ALLOWED: &str =
    "{ credential = NAME } for systemd's LoadCredential=, { file = PATH } or { env = VARIABLE }";

/// Set by systemd for a service with credentials (systemd.exec(5), `LoadCredential=`).
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Reads where a secret is, and fetches it. Relative paths start at `folder`.
///
/// One that is out of reach is an error for [`Purpose::Run`] and a warning for [`Purpose::Check`]:
/// who checks need not be allowed to know the secret.
pub(super) fn read(table: &Table<'_>, folder: &Path, purpose: Purpose) -> Option<String> {
    let credential = table.key("credential", "mqtt-enterprise");
    let file = table.key("file", "/etc/penstock/mqtt.password");
    let variable = table.key("env", "MQTT_PASSWORD");
    let named: Vec<_> =
        [&credential, &file, &variable].into_iter().filter(|field| field.is_present()).collect();
    let [place] = named[..] else {
        table.spot().error("a secret has one place").allowed(ALLOWED).example(EXAMPLE).record();
        return None;
    };
    let secret = match place.name() {
        "credential" => from_credential(&credential.optional::<String>()?),
        "file" => from_file(&folder.join(file.optional::<PathBuf>()?)),
        _ => from_environment(&variable.optional::<String>()?),
    };
    secret.map_err(|fault| complain(place.spot(), purpose, fault)).ok()
}

/// Why there is no secret.
enum Fault {
    /// It is not where it is said to be.
    Mistake(String),
    /// It may be there for the service, but not for who asks.
    OutOfReach(String),
}

fn from_credential(name: &str) -> Result<String, Fault> {
    if name.contains('/') {
        return Err(Fault::Mistake("a credential is named, without a path".to_owned()));
    }
    let folder = env::var_os(CREDENTIALS_DIRECTORY).ok_or_else(|| {
        Fault::OutOfReach(format!("systemd gave no credentials ({CREDENTIALS_DIRECTORY} is not set)"))
    })?;
    from_file(&Path::new(&folder).join(name))
}

fn from_file(path: &Path) -> Result<String, Fault> {
    let text = fs::read_to_string(path).map_err(|error| {
        let problem = format!("{} cannot be read: {error}", path.display());
        match error.kind() {
            ErrorKind::PermissionDenied => Fault::OutOfReach(problem),
            _ => Fault::Mistake(problem),
        }
    })?;
    not_empty(text.trim_end_matches(['\r', '\n']).to_owned(), &path.display().to_string())
}

fn from_environment(variable: &str) -> Result<String, Fault> {
    let text = env::var(variable)
        .map_err(|error| Fault::OutOfReach(format!("the environment has no usable {variable}: {error}")))?;
    not_empty(text, variable)
}

fn not_empty(secret: String, place: &str) -> Result<String, Fault> {
    if secret.is_empty() { Err(Fault::Mistake(format!("{place} is empty"))) } else { Ok(secret) }
}

fn complain(spot: &Spot, purpose: Purpose, fault: Fault) {
    let draft = match (fault, purpose) {
        (Fault::OutOfReach(problem), Purpose::Check) => {
            spot.warning(format!("the secret is out of reach: {problem}"))
        }
        (Fault::OutOfReach(problem) | Fault::Mistake(problem), _) => {
            spot.error(format!("no secret: {problem}"))
        }
    };
    draft.allowed("a place that the service can read").record();
}
