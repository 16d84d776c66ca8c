//! Certificates for the tests, made by rcgen: another library than the one that reads them.

use std::sync::OnceLock;

use opcua::crypto::PrivateKey;
use penstock_events::Timestamp;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

use super::{Application, Certificate, Expected};

pub(super) const URI: &str = "urn:plant:oven";
pub(super) const HOST: &str = "oven-7.plant";
pub(super) const ADDRESS: &str = "192.168.10.40";

/// Within the validity of [`sample`].
pub(super) fn now() -> Timestamp {
    at("2026-06-01T00:00:00Z")
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub(super) fn application() -> Application {
    Application { name: "penstock edge-01".to_owned(), uri: "urn:penstock:plant-7:edge-01".to_owned() }
}

pub(super) fn expected() -> Expected<'static> {
    Expected { host: HOST, application_uri: URI, pin: None }
}

/// A key that takes long to make.
pub(super) fn rsa_key() -> &'static PrivateKey {
    static KEY: OnceLock<PrivateKey> = OnceLock::new();
    KEY.get_or_init(|| PrivateKey::new(2048).expect("a key"))
}

/// A good certificate of 2026 for [`URI`], [`HOST`] and [`ADDRESS`], after `change`.
pub(super) fn sample(change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let der = rsa_key().to_der().expect("PKCS #8");
    let key = KeyPair::try_from(der.as_bytes()).expect("a key that ring takes");
    signed_by(&key, change)
}

/// The same with a key of another kind.
pub(super) fn sample_of_elliptic_curve() -> Certificate {
    signed_by(&KeyPair::generate().expect("a key"), |_| {})
}

fn signed_by(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.subject_alt_names =
        vec![dns(HOST), uri(URI), SanType::IpAddress(ADDRESS.parse().expect("an address"))];
    change(&mut params);
    let made = params.self_signed(key).expect("a certificate");
    Certificate::from_der(made.der()).expect("what rcgen makes is read")
}

pub(super) fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).expect("ASCII"))
}

pub(super) fn uri(uri: &str) -> SanType {
    SanType::URI(Ia5String::try_from(uri).expect("ASCII"))
}
