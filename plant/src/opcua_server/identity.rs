//! Certificates and keys, in files: the server's own, and one for a user to log in with.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use opcua::crypto::{CertificateStore, Thumbprint, X509Data};

use super::APPLICATION;

const CERTIFICATE: &str = "cert.der";
const KEY: &str = "key.pem";
/// What every policy takes (OPC 10000-7).
const KEY_BITS: u32 = 2048;
const USER_VALID_DAYS: u32 = 365;

/// Where the server's certificate and key are.
#[derive(Clone, Debug)]
pub struct Identity {
    folder: PathBuf,
}

/// There is no certificate, and none could be made.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct NoIdentity {
    path: PathBuf,
    why: String,
}

impl Identity {
    /// The certificate in `folder`, for a server at `host`. If there is none it is made, to be valid for so many days;
    /// one that is for none has ended when it is there.
    ///
    /// # Errors
    ///
    /// [`NoIdentity`].
    pub fn open(folder: &Path, host: IpAddr, valid_days: u32) -> Result<Self, NoIdentity> {
        let identity = Self { folder: folder.to_owned() };
        if !identity.certificate().exists() {
            fs::create_dir_all(folder)
                .map_err(|error| NoIdentity { path: folder.to_owned(), why: error.to_string() })?;
            let names = (APPLICATION, vec![host.to_string()]);
            make((&identity.certificate(), &identity.key()), "oven", names, valid_days)?;
        }
        Ok(identity)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    pub(super) fn key(&self) -> PathBuf {
        self.folder.join(KEY)
    }
}

/// Makes a certificate for a user, and its key beside it with the ending `pem`.
///
/// # Errors
///
/// [`NoIdentity`].
pub fn make_user_certificate(file: &Path) -> Result<(), NoIdentity> {
    make((file, &file.with_extension("pem")), "edge", ("urn:plant:edge", Vec::new()), USER_VALID_DAYS)
}

/// By what the library knows the certificate in `file`.
pub(super) fn thumbprint(file: &Path) -> Result<Thumbprint, NoIdentity> {
    let read = CertificateStore::read_cert(file);
    read.map(|certificate| certificate.thumbprint()).map_err(|why| NoIdentity { path: file.to_owned(), why })
}

fn make(
    (certificate, key): (&Path, &Path),
    name: &str,
    (uri, hosts): (&str, Vec<String>),
    valid_days: u32,
) -> Result<(), NoIdentity> {
    let wrong = |why| NoIdentity { path: certificate.to_owned(), why };
    let data = X509Data {
        key_size: KEY_BITS,
        common_name: name.to_owned(),
        organization: "plant".to_owned(),
        organizational_unit: String::new(),
        country: String::new(),
        state: String::new(),
        alt_host_names: X509Data::alt_host_names(uri, Some(hosts), false, false, false),
        certificate_duration_days: valid_days,
    };
    CertificateStore::create_certificate_and_key(&data, true, certificate, key).map_err(wrong)?;
    // The library ends its lines with a carriage return alone, which others take for no end at all.
    let pem = fs::read_to_string(key).map_err(|error| wrong(error.to_string()))?;
    fs::write(key, pem.replace("\r\n", "\n").replace('\r', "\n")).map_err(|error| wrong(error.to_string()))
}
