//! A certificate as it came from a server or a file, and what it says. Hostile until it was judged.

use core::net::IpAddr;
use std::fmt;

use opcua::crypto::X509;
use penstock_events::Timestamp;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use super::fingerprint::Fingerprint;

/// Real ones have 1 to 2 KB; a hostile server could send megabytes.
pub(super) const MAX_BYTES: usize = 16 * 1024;
/// The most names of a kind that are kept and shown.
const MAX_NAMES: usize = 32;

/// An application instance certificate (OPC 10000-6, section 6.2.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    der: Vec<u8>,
    fingerprint: Fingerprint,
    subject: String,
    issuer: String,
    not_before: Timestamp,
    not_after: Timestamp,
    application_uris: Vec<String>,
    hosts: Vec<String>,
    addresses: Vec<IpAddr>,
    key_bits: Option<usize>,
    signature: Signature,
}

/// How a certificate is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Signature {
    /// With one of the algorithms that the security policies ask for.
    Strong(&'static str),
    /// With an algorithm that can be forged.
    Weak(&'static str),
    /// With something that no security policy knows, by its object identifier.
    Unknown(String),
}

/// The bytes are no certificate that could be judged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCertificate {
    /// No certificate at all: the server is not secured.
    #[error("there is no certificate")]
    Missing,
    /// More bytes than any real one has.
    #[error("{bytes} bytes are too many for a certificate, which has at most {MAX_BYTES}")]
    TooLong {
        /// How many there are.
        bytes: usize,
    },
    /// Not the DER or PEM form of an X.509 certificate.
    #[error("this is no X.509 certificate: {reason}")]
    Malformed {
        /// What the decoder stumbled over.
        reason: String,
    },
    /// Several certificates, one after the other.
    #[error("there is a chain of certificates; the server must be set to send its own certificate alone")]
    Chain,
}

impl Certificate {
    /// Decodes the certificate that a server presents.
    ///
    /// # Errors
    /// When it is none, or cannot be judged.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidCertificate> {
        if der.is_empty() {
            return Err(InvalidCertificate::Missing);
        }
        if der.len() > MAX_BYTES {
            return Err(InvalidCertificate::TooLong { bytes: der.len() });
        }
        let mut reader = SliceReader::new(der).map_err(malformed)?;
        let decoded = x509_cert::Certificate::decode(&mut reader).map_err(malformed)?;
        if !reader.is_finished() {
            return Err(InvalidCertificate::Chain);
        }
        let names = names(&decoded)?;
        let kept = |name: &dyn Fn(&GeneralName) -> Option<String>| -> Vec<String> {
            names.iter().filter_map(name).take(MAX_NAMES).collect()
        };
        let tbs = &decoded.tbs_certificate;
        Ok(Self {
            der: der.to_vec(),
            fingerprint: Fingerprint::of(der),
            subject: tbs.subject.to_string(),
            issuer: tbs.issuer.to_string(),
            not_before: timestamp(tbs.validity.not_before),
            not_after: timestamp(tbs.validity.not_after),
            application_uris: kept(&|name| match name {
                GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
                _ => None,
            }),
            hosts: kept(&|name| match name {
                GeneralName::DnsName(host) => Some(host.to_string()),
                _ => None,
            }),
            addresses: names.iter().filter_map(address).take(MAX_NAMES).collect(),
            key_bits: X509::from_der(der).ok().and_then(|known| known.key_length().ok()),
            signature: Signature::of(&decoded.signature_algorithm.oid),
        })
    }

    /// Decodes a file, in DER or PEM form.
    ///
    /// # Errors
    /// When it holds no certificate, or several.
    pub fn from_file_content(content: &[u8]) -> Result<Self, InvalidCertificate> {
        if !content.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Self::from_der(content);
        }
        if content.len() > 2 * MAX_BYTES {
            return Err(InvalidCertificate::TooLong { bytes: content.len() });
        }
        let (_, der) = x509_cert::der::pem::decode_vec(content.trim_ascii())
            .map_err(|error| InvalidCertificate::Malformed { reason: error.to_string() })?;
        Self::from_der(&der)
    }

    /// Its DER form, as it came.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The SHA-256 of its DER form.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whom it is for (RFC 4514). From the network: escape before showing.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Who signed it. The same as the subject when nobody else did.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// From when it is valid.
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when it is valid.
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The application's URIs in it; there should be exactly one.
    pub fn application_uris(&self) -> &[String] {
        &self.application_uris
    }

    /// The host names and addresses that it is for, as texts.
    pub fn hosts(&self) -> Vec<String> {
        self.hosts.iter().cloned().chain(self.addresses.iter().map(IpAddr::to_string)).collect()
    }

    /// The length of its RSA key in bits; none for another kind of key.
    pub const fn key_bits(&self) -> Option<usize> {
        self.key_bits
    }

    /// How it is signed.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Whether it is for `host`, a name or an address.
    pub(super) fn is_for(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        match host.parse::<IpAddr>() {
            // Some devices write their address where a name belongs.
            Ok(address) => {
                self.addresses.contains(&address) || self.hosts.iter().any(|name| name.parse() == Ok(address))
            }
            Err(_) => self.hosts.iter().any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(host)),
        }
    }
}

impl Signature {
    fn of(algorithm: &ObjectIdentifier) -> Self {
        // RFC 8017, appendix C, and RFC 5758, section 3.2.
        match algorithm.to_string().as_str() {
            "1.2.840.113549.1.1.11" => Self::Strong("RSA with SHA-256"),
            "1.2.840.113549.1.1.12" => Self::Strong("RSA with SHA-384"),
            "1.2.840.113549.1.1.13" => Self::Strong("RSA with SHA-512"),
            "1.2.840.113549.1.1.10" => Self::Strong("RSA-PSS"),
            "1.2.840.113549.1.1.2" => Self::Weak("RSA with MD2"),
            "1.2.840.113549.1.1.4" => Self::Weak("RSA with MD5"),
            "1.2.840.113549.1.1.5" => Self::Weak("RSA with SHA-1"),
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Strong(name) | Self::Weak(name) => f.write_str(name),
            Self::Unknown(identifier) => write!(f, "the unknown algorithm {identifier}"),
        }
    }
}

fn names(certificate: &x509_cert::Certificate) -> Result<Vec<GeneralName>, InvalidCertificate> {
    let found = certificate.tbs_certificate.get::<SubjectAltName>().map_err(malformed)?;
    Ok(found.map_or_else(Vec::new, |(_, names)| names.0))
}

fn address(name: &GeneralName) -> Option<IpAddr> {
    let GeneralName::IpAddress(octets) = name else { return None };
    let octets = octets.as_bytes();
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp::EPOCH.saturating_add(time.to_unix_duration())
}

fn malformed(error: x509_cert::der::Error) -> InvalidCertificate {
    InvalidCertificate::Malformed { reason: error.to_string() }
}
