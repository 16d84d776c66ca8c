//! Certificates: the gateway's own, those of the servers that it trusts, and the judgement about them.
//!
//! ```text
//! own/certs/penstock.der      the gateway's certificate: bring it to the servers
//! own/private/penstock.pem    its key, which only the gateway reads
//! trusted/, rejected/         the trust list
//! session/                    what the library notes of servers that were judged good
//! ```
//!
//! A server is judged before a secure channel to it is opened: [`Pki::admit`].

mod certificate;
mod file;
mod fingerprint;
mod own;
mod passport;
mod reminder;
mod trust_list;
mod verdict;

use std::path::Path;

use penstock_events::Timestamp;

pub use certificate::{Certificate, InvalidCertificate, Signature};
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use own::{Application, Expiry, OwnCertificate, OwnError};
pub use passport::Passport;
pub(super) use reminder::Reminder;
pub use trust_list::{Kept, Listing, Rejection, Standing, TrustList, TrustListError};
pub use verdict::{Check, Expected, InvalidCheck, Names, Pin, Refusal, Trusted, Verdict, judge};

/// The certificates of one gateway.
#[derive(Clone, Debug)]
pub struct Pki {
    own: OwnCertificate,
    trust: TrustList,
}

/// A server is not spoken to.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    /// It presents no certificate that could be judged.
    #[error("the server's certificate cannot be judged: {0}")]
    Invalid(#[from] InvalidCertificate),
    /// It was judged, and is refused.
    #[error("the server's certificate {fingerprint} is refused: {}", sentence(.refusals))]
    Refused {
        /// Which certificate.
        fingerprint: Fingerprint,
        /// Every reason.
        refusals: Vec<Refusal>,
    },
    /// Nobody can say whether it is trusted.
    #[error("the trust list cannot be used: {0}")]
    TrustList(#[from] TrustListError),
}

impl Pki {
    /// The certificates in the folder `root`; it and the gateway's own certificate are made when missing.
    /// Blocks for the disk and, when a key is made, for a second of computing.
    ///
    /// # Errors
    /// [`OwnError`].
    pub fn open(root: &Path, application: &Application, now: Timestamp) -> Result<Self, OwnError> {
        for (folder, mode) in [("own/certs", file::PUBLIC), ("own/private", file::PRIVATE)] {
            let path = root.join(folder);
            file::make_folder(&path, mode).map_err(|error| OwnError::Io { path, error })?;
        }
        Ok(Self { own: OwnCertificate::open(root, application, now)?, trust: TrustList::at(root) })
    }

    /// The gateway's own certificate.
    pub const fn own(&self) -> &OwnCertificate {
        &self.own
    }

    /// Whether a server that presents `der` may be spoken to. One whose certificate nobody accepted is
    /// put among the rejected ones, where an operator finds it.
    ///
    /// `presented_by` names the source and its endpoint for people. Blocks for the disk.
    ///
    /// # Errors
    /// [`NotAdmitted`], with every reason.
    pub fn admit(
        &self,
        der: &[u8],
        expected: &Expected<'_>,
        presented_by: &str,
        now: Timestamp,
    ) -> Result<Certificate, NotAdmitted> {
        let certificate = Certificate::from_der(der)?;
        let fingerprint = certificate.fingerprint();
        let Verdict { refusals, .. } = judge(&certificate, expected, &self.trust.trusted()?, now);
        if refusals.is_empty() {
            self.trust.forget_reasons(fingerprint)?;
            return Ok(certificate);
        }
        let reasons = refusals.iter().map(Refusal::to_string).collect();
        let rejection = Rejection { presented_by: presented_by.to_owned(), reasons };
        if refusals.contains(&Refusal::Untrusted { fingerprint }) {
            self.trust.reject(&certificate, &rejection)?;
        } else {
            self.trust.note_reasons(fingerprint, &rejection)?;
        }
        Err(NotAdmitted::Refused { fingerprint, refusals })
    }
}

fn sentence(refusals: &[Refusal]) -> String {
    refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
