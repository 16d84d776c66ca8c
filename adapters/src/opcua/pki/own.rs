//! The gateway's own certificate: made once, kept for good. Servers accept it by hand, so it is never replaced.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use opcua::client::ClientBuilder;
use opcua::crypto::{CertificateStore, PrivateKey, X509, X509Data};
use penstock_events::Timestamp;
use x509_cert::der::pem::LineEnding;
use x509_cert::der::{Decode, Encode};

use super::certificate::{Certificate, InvalidCertificate};
use super::file::{self, PRIVATE, PUBLIC};

const CERTIFICATE: &str = "own/certs/penstock.der";
const KEY: &str = "own/private/penstock.pem";
const KEY_BITS: u32 = 2048;
/// A gateway outlives its commissioning engineer; every renewal is a walk to every server.
const VALID_DAYS: u32 = 20 * 365;
/// How long ahead the end is announced.
const WARNED_AHEAD: Duration = Duration::from_secs(30 * 86_400);
/// 2025-01-01. A clock before it was not set yet, and a certificate made by it would be over when it is.
const EARLIEST: Timestamp = Timestamp::from_micros(1_735_689_600_000_000);
/// A key of 4096 bits has 3 KB.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// What the gateway is to servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Application {
    /// Its name, for people.
    pub name: String,
    /// Its URI, unique in the world: it is in the certificate, and servers compare the two.
    pub uri: String,
}

/// The gateway's own application instance certificate, with its key (OPC 10000-6, section 6.2.2).
#[derive(Clone, Debug)]
pub struct OwnCertificate {
    root: PathBuf,
    certificate: Certificate,
    is_new: bool,
}

/// How long a certificate is valid yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expiry {
    /// For more than 30 days.
    Far,
    /// For 30 days or less.
    Soon(Timestamp),
    /// No longer.
    Over(Timestamp),
}

/// The gateway has no certificate that it could use.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the disk said.
        error: io::Error,
    },
    /// The certificate's file holds something else.
    #[error(
        "{path} is not the gateway's certificate: {error}; restore it, or move it away to have one made, which every server must then accept"
    )]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: InvalidCertificate,
    },
    /// The key's file holds something else.
    #[error(
        "{path} is not the RSA key of the gateway in PEM form; restore it, or move it and the certificate away to have both made, which every server must then accept"
    )]
    Key {
        /// Which file.
        path: PathBuf,
    },
    /// The certificate is there, its key is not.
    #[error(
        "{path} is gone, and the gateway's certificate is of no use without it; restore it, or move the certificate away to have both made, which every server must then accept"
    )]
    KeyIsGone {
        /// Which file.
        path: PathBuf,
    },
    /// They do not belong together.
    #[error("{certificate} does not belong to the key {key}; restore the one that is wrong")]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The clock has not been set yet.
    #[error(
        "the clock stands at {now}, and a certificate that is made by it would have ended when it is right; set the clock"
    )]
    Clock {
        /// What it shows.
        now: Timestamp,
    },
    /// The library could not make one.
    #[error("no certificate could be made: {0}")]
    Make(String),
}

impl OwnCertificate {
    /// The certificate in `root`; it is made when there is none.
    ///
    /// # Errors
    /// [`OwnError`]. What is there is never replaced, whatever is wrong with it.
    pub(super) fn open(root: &Path, application: &Application, now: Timestamp) -> Result<Self, OwnError> {
        let (certificate_path, key_path) = (root.join(CERTIFICATE), root.join(KEY));
        let certificate = read_certificate(&certificate_path)?;
        let is_new = certificate.is_none();
        let key = match read_key(&key_path)? {
            Some(key) => key,
            None if !is_new => return Err(OwnError::KeyIsGone { path: key_path }),
            None => make_key(&key_path, now)?,
        };
        let certificate = match certificate {
            Some(certificate) => certificate,
            // Also when the power went between the key and the certificate.
            None => make_certificate(&certificate_path, &key, application, now)?,
        };
        if !belongs(&certificate, &key) {
            return Err(OwnError::Mismatch { certificate: certificate_path, key: key_path });
        }
        Ok(Self { root: root.to_owned(), certificate, is_new })
    }

    /// The certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Its file, to be brought to servers.
    pub fn path(&self) -> PathBuf {
        self.root.join(CERTIFICATE)
    }

    /// Whether it was made just now, so that no server can know it.
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// The URI that the gateway must give itself: the one in its certificate.
    pub fn application_uri(&self) -> &str {
        self.certificate.application_uris().first().map_or("", String::as_str)
    }

    /// How long it is valid yet.
    pub fn expiry(&self, now: Timestamp) -> Expiry {
        Expiry::of(&self.certificate, now)
    }

    /// Gives a client this certificate and its URI.
    pub(super) fn equip(&self, client: ClientBuilder) -> ClientBuilder {
        client
            .application_uri(self.application_uri())
            .certificate_path(self.root.join(CERTIFICATE))
            .private_key_path(self.root.join(KEY))
    }

    /// The library's store with this certificate, which has its notes in a folder.
    pub(super) fn store(&self, notes: &Path) -> CertificateStore {
        let (certificate, key) = (self.root.join(CERTIFICATE), self.root.join(KEY));
        CertificateStore::new_with_x509_data(notes, false, Some(&certificate), Some(&key), None::<X509Data>).0
    }
}

impl Expiry {
    /// How long `certificate` is valid yet.
    pub fn of(certificate: &Certificate, now: Timestamp) -> Self {
        Self::until(certificate.not_after(), now)
    }

    /// How long one that is valid until `end` still is.
    pub fn until(end: Timestamp, now: Timestamp) -> Self {
        if now > end {
            Self::Over(end)
        } else if now.saturating_add(WARNED_AHEAD) >= end {
            Self::Soon(end)
        } else {
            Self::Far
        }
    }
}

fn read_certificate(path: &Path) -> Result<Option<Certificate>, OwnError> {
    let content = file::read(path, super::certificate::MAX_BYTES + 1).map_err(at(path))?;
    let certificate = content.map(|content| Certificate::from_file_content(&content)).transpose();
    certificate.map_err(|error| OwnError::Certificate { path: path.to_owned(), error })
}

fn read_key(path: &Path) -> Result<Option<PrivateKey>, OwnError> {
    let content = file::read(path, MAX_KEY_BYTES).map_err(at(path))?;
    let key = content.map(|content| PrivateKey::from_pem(&content)).transpose();
    key.map_err(|_| OwnError::Key { path: path.to_owned() })
}

fn make_key(path: &Path, now: Timestamp) -> Result<PrivateKey, OwnError> {
    if now < EARLIEST {
        return Err(OwnError::Clock { now });
    }
    let key = PrivateKey::new(KEY_BITS).map_err(|error| OwnError::Make(error.to_string()))?;
    let der = key.to_der().map_err(|error| OwnError::Make(error.to_string()))?;
    let pem = der.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|error| OwnError::Make(error.to_string()))?;
    file::write_new(path, pem.as_bytes(), PRIVATE).map_err(at(path))?;
    Ok(key)
}

fn make_certificate(
    path: &Path,
    key: &PrivateKey,
    application: &Application,
    now: Timestamp,
) -> Result<Certificate, OwnError> {
    if now < EARLIEST {
        return Err(OwnError::Clock { now });
    }
    let data = X509Data {
        key_size: KEY_BITS,
        common_name: application.name.clone(),
        organization: String::new(),
        organizational_unit: String::new(),
        country: String::new(),
        state: String::new(),
        // The URI first, then the names and addresses that this machine has.
        alt_host_names: X509Data::alt_host_names(&application.uri, None, false, true, true),
        certificate_duration_days: VALID_DAYS,
    };
    let made = X509::from_pkey(key, &data).map_err(OwnError::Make)?;
    let der = made.to_der().map_err(|error| OwnError::Make(error.to_string()))?;
    let certificate = Certificate::from_der(&der).map_err(|error| OwnError::Make(error.to_string()))?;
    file::write_new(path, certificate.der(), PUBLIC).map_err(at(path))?;
    Ok(certificate)
}

fn belongs(certificate: &Certificate, key: &PrivateKey) -> bool {
    let in_certificate = x509_cert::Certificate::from_der(certificate.der())
        .and_then(|decoded| decoded.tbs_certificate.subject_public_key_info.to_der());
    let of_key = key.public_key_to_info().ok().and_then(|info| info.to_der().ok());
    in_certificate.ok().zip(of_key).is_some_and(|(a, b)| a == b)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> OwnError + '_ {
    move |error| OwnError::Io { path: path.to_owned(), error }
}
