//! Whom the operator trusts: a folder of certificates, as OPC 10000-12 (section 7.8.2) names its parts.
//!
//! ```text
//! trusted/certs/     certificates that were accepted, under any name
//! rejected/certs/    certificates that servers presented and nobody accepted, newest 100, by fingerprint
//! rejected/reasons/  who presented a certificate, and what speaks against it
//! ```
//!
//! Every certificate is trusted for itself; there is no trust in whoever signed it. The folder is read anew
//! for every connection, so what an operator decides is in force with the next attempt.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use penstock_events::Timestamp;

use super::certificate::{Certificate, InvalidCertificate, MAX_BYTES};
use super::file::{self, PUBLIC};
use super::fingerprint::Fingerprint;
use super::verdict::Trusted;

/// More servers than one gateway can read.
const MAX_CERTIFICATES: usize = 1_000;
/// Who presents ever other certificates must not fill the disk.
const MAX_REJECTED: usize = 100;
const MAX_REASONS_BYTES: usize = 16 * 1024;

/// The folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustList {
    root: PathBuf,
}

/// What became of a certificate.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Standing {
    /// It is the gateway's own.
    Own,
    /// It was accepted.
    Trusted,
    /// It was not.
    Rejected,
}

/// A certificate in the folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// What became of it.
    pub standing: Standing,
    /// The certificate.
    pub certificate: Certificate,
    /// Its file.
    pub path: PathBuf,
    /// Since when it is there.
    pub since: Timestamp,
    /// What spoke against it the last time that it was presented; a trusted one may be refused, too.
    pub rejection: Option<Rejection>,
}

/// Why a certificate was refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rejection {
    /// Who presented it: a source and its endpoint.
    pub presented_by: String,
    /// What spoke against it, a sentence each.
    pub reasons: Vec<String>,
}

/// What is in the folder.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listing {
    /// The certificates: the gateway's own, those that are trusted, the others; each group with the newest first.
    pub kept: Vec<Kept>,
    /// Files that hold no certificate, and why.
    pub unreadable: Vec<(PathBuf, InvalidCertificate)>,
}

/// The folder cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct TrustListError {
    /// Which of its folders or files.
    pub path: PathBuf,
    /// What the disk said.
    #[source]
    pub error: io::Error,
}

impl TrustList {
    /// The trust list in the folder `root`, which need not exist.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The certificates that are trusted.
    ///
    /// # Errors
    /// When the folder cannot be read. Files in it that hold no certificate are trusted by nobody.
    pub fn trusted(&self) -> Result<Trusted, TrustListError> {
        let mut listing = Listing::default();
        self.read(Standing::Trusted, &mut listing)?;
        Ok(listing.kept.iter().map(|kept| kept.certificate.fingerprint()).collect())
    }

    /// All that is there.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Listing, TrustListError> {
        let mut listing = Listing::default();
        for standing in [Standing::Own, Standing::Trusted, Standing::Rejected] {
            self.read(standing, &mut listing)?;
        }
        Ok(listing)
    }

    /// Trusts a certificate, which was rejected or is new to the folder.
    ///
    /// # Errors
    /// When the folder cannot be changed.
    pub fn accept(&self, certificate: &Certificate) -> Result<(), TrustListError> {
        self.place(certificate, Standing::Trusted)?;
        let path = self.file(Standing::Rejected, certificate.fingerprint());
        file::remove(&path).map_err(at(&path))?;
        self.forget_reasons(certificate.fingerprint())
    }

    /// Puts a certificate among the rejected ones, with the reasons. When there are too many, the oldest goes.
    ///
    /// # Errors
    /// When the folder cannot be changed.
    pub fn reject(&self, certificate: &Certificate, rejection: &Rejection) -> Result<(), TrustListError> {
        self.note_reasons(certificate.fingerprint(), rejection)?;
        self.place(certificate, Standing::Rejected)?;
        self.forget_the_oldest()
    }

    /// Notes why a certificate is refused, wherever it stands.
    pub(super) fn note_reasons(
        &self,
        fingerprint: Fingerprint,
        rejection: &Rejection,
    ) -> Result<(), TrustListError> {
        self.make_folders()?;
        self.forget_reasons(fingerprint)?;
        let path = self.reasons(fingerprint);
        let Rejection { presented_by, reasons } = rejection;
        let text = format!("{presented_by}\n{}", reasons.join("\n"));
        file::write_new(&path, text.as_bytes(), PUBLIC).map_err(at(&path))
    }

    /// Nothing speaks against a certificate any more.
    pub(super) fn forget_reasons(&self, fingerprint: Fingerprint) -> Result<(), TrustListError> {
        let path = self.reasons(fingerprint);
        file::remove(&path).map_err(at(&path))
    }

    /// Takes trust away from a certificate.
    ///
    /// # Errors
    /// When the folder cannot be changed.
    pub fn withdraw(&self, kept: &Kept, rejection: &Rejection) -> Result<(), TrustListError> {
        self.reject(&kept.certificate, rejection)?;
        file::remove(&kept.path).map_err(at(&kept.path))
    }

    fn place(&self, certificate: &Certificate, standing: Standing) -> Result<(), TrustListError> {
        self.make_folders()?;
        let path = self.file(standing, certificate.fingerprint());
        match file::write_new(&path, certificate.der(), PUBLIC) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(&path)(error)),
            _ => Ok(()),
        }
    }

    fn read(&self, standing: Standing, listing: &mut Listing) -> Result<(), TrustListError> {
        let folder = self.folder(standing);
        let mut kept = Vec::new();
        for path in entries(&folder)? {
            let Some(content) = file::read(&path, 2 * MAX_BYTES + 1).map_err(at(&path))? else { continue };
            match Certificate::from_file_content(&content) {
                Ok(certificate) => kept.push(Kept {
                    standing,
                    since: modified(&path).into(),
                    rejection: self.rejection(certificate.fingerprint())?,
                    certificate,
                    path,
                }),
                Err(error) => listing.unreadable.push((path, error)),
            }
        }
        kept.sort_by(|a, b| b.since.cmp(&a.since).then_with(|| a.path.cmp(&b.path)));
        listing.kept.append(&mut kept);
        Ok(())
    }

    fn rejection(&self, fingerprint: Fingerprint) -> Result<Option<Rejection>, TrustListError> {
        let path = self.reasons(fingerprint);
        let content = file::read(&path, MAX_REASONS_BYTES).map_err(at(&path))?;
        Ok(content.map(|content| {
            let text = String::from_utf8_lossy(&content);
            let mut lines = text.lines().map(str::to_owned);
            Rejection { presented_by: lines.next().unwrap_or_default(), reasons: lines.collect() }
        }))
    }

    fn forget_the_oldest(&self) -> Result<(), TrustListError> {
        let mut rejected = entries(&self.folder(Standing::Rejected))?;
        if rejected.len() <= MAX_REJECTED {
            return Ok(());
        }
        rejected.sort_by_key(|path| modified(path));
        for path in &rejected[..rejected.len() - MAX_REJECTED] {
            let name = path.file_name().unwrap_or_default();
            let reasons = self.root.join("rejected/reasons").join(name).with_extension("txt");
            for path in [path, &reasons] {
                file::remove(path).map_err(at(path))?;
            }
        }
        Ok(())
    }

    fn make_folders(&self) -> Result<(), TrustListError> {
        let reasons = self.root.join("rejected/reasons");
        [self.folder(Standing::Trusted), self.folder(Standing::Rejected), reasons]
            .iter()
            .try_for_each(|folder| file::make_folder(folder, PUBLIC).map_err(at(folder)))
    }

    fn folder(&self, standing: Standing) -> PathBuf {
        self.root.join(match standing {
            Standing::Own => "own/certs",
            Standing::Trusted => "trusted/certs",
            Standing::Rejected => "rejected/certs",
        })
    }

    fn file(&self, standing: Standing, fingerprint: Fingerprint) -> PathBuf {
        self.folder(standing).join(format!("{fingerprint}.der"))
    }

    fn reasons(&self, fingerprint: Fingerprint) -> PathBuf {
        self.root.join(format!("rejected/reasons/{fingerprint}.txt"))
    }
}

/// The files of a folder, which need not exist; unfinished ones and hidden ones left out.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, TrustListError> {
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(folder)(error)),
    };
    let mut paths = Vec::new();
    for entry in listed {
        let entry = entry.map_err(at(folder))?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let path = entry.path();
        if !is_hidden && path.is_file() && path.extension().is_none_or(|extension| extension != "new") {
            paths.push(path);
        }
        if paths.len() == MAX_CERTIFICATES {
            break;
        }
    }
    Ok(paths)
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> TrustListError + '_ {
    move |error| TrustListError { path: path.to_owned(), error }
}
