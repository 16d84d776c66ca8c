//! Whether a server's certificate is good enough to speak to it: a function of the certificate, of what
//! is expected, of whom the operator trusts, and of the time (OPC 10000-4, section 6.1.3).
//!
//! The library's own check is not asked: it takes only the first alternative name for the application's
//! URI, stops at the first problem, and switches all checks off where one has to be.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use penstock_events::Timestamp;

use super::certificate::{Certificate, Signature};
use super::fingerprint::Fingerprint;

/// What all three security policies ask for (OPC 10000-7): Basic256Sha256, Aes128_Sha256_RsaOaep and
/// Aes256_Sha256_RsaPss.
const KEY_BITS: RangeInclusive<usize> = 2048..=4096;

/// Whom the certificate must be for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The host of the endpoint's URL, as it is configured.
    pub host: &'a str,
    /// The URI that the server says it has, from its endpoint description.
    pub application_uri: &'a str,
    /// What the operator configured about exactly this server's certificate.
    pub pin: Option<&'a Pin>,
}

/// A certificate that the operator knows, with the checks that it is known to fail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pin {
    /// Which certificate. Another one gets no leniency.
    pub fingerprint: Fingerprint,
    /// What it need not hold to. Everything else is checked all the same, trust included.
    pub waives: Vec<Check>,
}

/// A check that can be waived. Trust cannot: `penstock trust accept` gives it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Check {
    /// It names the host that is connected to.
    HostName,
    /// It names the application that the server says it is.
    ApplicationUri,
    /// It is valid at this time.
    Validity,
    /// Its key has the length that the security policies ask for.
    KeyLength,
    /// It is signed with an algorithm that cannot be forged.
    Signature,
}

/// The certificates that the operator accepted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trusted(BTreeSet<Fingerprint>);

/// What is to be held of a certificate.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Why it is refused; empty when it is accepted.
    pub refusals: Vec<Refusal>,
    /// What it failed, too, but was waived.
    pub waived: Vec<Refusal>,
}

/// A reason not to speak to whoever presents a certificate. Its text says how to mend it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Nobody accepted it.
    #[error(
        "nobody has accepted it: compare its fingerprint with the server's, then `penstock trust accept {fingerprint}`"
    )]
    Untrusted {
        /// Which it is.
        fingerprint: Fingerprint,
    },
    /// It was valid.
    #[error("it expired at {at}: renew it at the server, or set this machine's clock")]
    Expired {
        /// Until when.
        at: Timestamp,
    },
    /// It will be valid.
    #[error("it is not valid before {from}: set the clock of the server that made it, or this machine's")]
    NotYetValid {
        /// From when.
        from: Timestamp,
    },
    /// It is for another application than the server says it is.
    #[error(
        "it is for the application {found}, and the server says it is {expected}: let the server make its certificate anew"
    )]
    ApplicationUri {
        /// What the server says.
        expected: String,
        /// What is in the certificate.
        found: Names,
    },
    /// It is for another host than the one that is connected to.
    #[error(
        "it is for the host {found}, and the endpoint says {host}: write one of its hosts into the endpoint, or pin it and waive \"host-name\""
    )]
    HostName {
        /// The host of the endpoint.
        host: String,
        /// What is in the certificate.
        found: Names,
    },
    /// Its key can be broken, or is longer than the policies allow.
    #[error(
        "its key has {bits} bits, and 2048 to 4096 are asked for: let the server make its certificate anew"
    )]
    KeyLength {
        /// Its length.
        bits: usize,
    },
    /// Its key is not RSA.
    #[error(
        "its key is not RSA, which all security policies here ask for: let the server make its certificate anew"
    )]
    KeyKind,
    /// Anybody could have signed it.
    #[error("it is signed with {algorithm}: let the server make its certificate anew, with SHA-256")]
    Signature {
        /// With what.
        algorithm: Signature,
    },
}

/// Names in a certificate, for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names(pub Vec<String>);

/// Judges a certificate: every reason against it at once.
pub fn judge(
    certificate: &Certificate,
    expected: &Expected<'_>,
    trusted: &Trusted,
    now: Timestamp,
) -> Verdict {
    let pin = expected.pin.filter(|pin| pin.fingerprint == certificate.fingerprint());
    let is_waived =
        |refusal: &Refusal| pin.zip(refusal.check()).is_some_and(|(pin, check)| pin.waives.contains(&check));
    let (waived, refusals) = problems(certificate, expected, trusted, now).into_iter().partition(is_waived);
    Verdict { refusals, waived }
}

fn problems(
    certificate: &Certificate,
    expected: &Expected<'_>,
    trusted: &Trusted,
    now: Timestamp,
) -> Vec<Refusal> {
    let mut problems = Vec::new();
    let fingerprint = certificate.fingerprint();
    if !trusted.0.contains(&fingerprint) {
        problems.push(Refusal::Untrusted { fingerprint });
    }
    if now < certificate.not_before() {
        problems.push(Refusal::NotYetValid { from: certificate.not_before() });
    }
    if now > certificate.not_after() {
        problems.push(Refusal::Expired { at: certificate.not_after() });
    }
    let uris = certificate.application_uris();
    if !uris.iter().any(|uri| uri == expected.application_uri) {
        let expected = expected.application_uri.to_owned();
        problems.push(Refusal::ApplicationUri { expected, found: Names(uris.to_vec()) });
    }
    if !certificate.is_for(expected.host) {
        let host = expected.host.to_owned();
        problems.push(Refusal::HostName { host, found: Names(certificate.hosts()) });
    }
    match certificate.key_bits() {
        None => problems.push(Refusal::KeyKind),
        Some(bits) if !KEY_BITS.contains(&bits) => problems.push(Refusal::KeyLength { bits }),
        Some(_) => {}
    }
    if let algorithm @ (Signature::Weak(_) | Signature::Unknown(_)) = certificate.signature() {
        problems.push(Refusal::Signature { algorithm: algorithm.clone() });
    }
    problems
}

impl Verdict {
    /// Whether the server may be spoken to.
    pub const fn is_accepted(&self) -> bool {
        self.refusals.is_empty()
    }
}

impl Refusal {
    /// The check that it failed; none when nothing waives it.
    pub const fn check(&self) -> Option<Check> {
        match self {
            Self::Untrusted { .. } | Self::KeyKind => None,
            Self::Expired { .. } | Self::NotYetValid { .. } => Some(Check::Validity),
            Self::ApplicationUri { .. } => Some(Check::ApplicationUri),
            Self::HostName { .. } => Some(Check::HostName),
            Self::KeyLength { .. } => Some(Check::KeyLength),
            Self::Signature { .. } => Some(Check::Signature),
        }
    }
}

impl FromIterator<Fingerprint> for Trusted {
    fn from_iter<I: IntoIterator<Item = Fingerprint>>(fingerprints: I) -> Self {
        Self(fingerprints.into_iter().collect())
    }
}

impl Check {
    /// Every check that can be waived, with its word in the configuration.
    pub const ALL: [(&'static str, Self); 5] = [
        ("host-name", Self::HostName),
        ("application-uri", Self::ApplicationUri),
        ("validity", Self::Validity),
        ("key-length", Self::KeyLength),
        ("signature", Self::Signature),
    ];
}

/// The word is no check.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is no check that can be waived")]
pub struct InvalidCheck {
    /// The text as it was given.
    text: String,
}

impl FromStr for Check {
    type Err = InvalidCheck;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|(word, _)| *word == text);
        found.map(|(_, check)| check).ok_or_else(|| InvalidCheck { text: text.to_owned() })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.into_iter().find(|(_, check)| check == self).map(|(word, _)| word);
        f.write_str(word.expect("every check is in ALL"))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("that it does not name") } else { f.write_str(&self.0.join(", ")) }
    }
}

#[cfg(test)]
mod tests;
