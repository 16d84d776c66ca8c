//! TLS to a real broker, with a certificate authority made for the test.

use std::path::Path;

use penstock_uplink::Outcome;
use penstock_uplink::mqtt::{IdentityFiles, Settings, SettingsError, uplink};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::mosquitto::Mosquitto;
use crate::rig::{Rig, settings};

/// Writes `ca.pem`, and a certificate and key for the broker (`localhost`) and for a client.
fn authority(folder: &Path) {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "the test's authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for name in ["localhost", "client"] {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

async fn broker(more: &str) -> Mosquitto {
    let folder = TempDir::new().unwrap();
    authority(folder.path());
    let lines = "allow_anonymous true\ncafile {folder}/ca.pem\ncertfile {folder}/localhost.pem\nkeyfile {folder}/localhost.key\n";
    Mosquitto::in_folder(folder, &format!("{lines}{more}")).await
}

fn settings_for(broker: &Mosquitto, host: &str) -> Settings {
    let mut settings = settings(&format!("mqtts://{host}:{}", broker.port));
    settings.tls.ca = Some(broker.file("ca.pem"));
    settings
}

#[tokio::test]
async fn a_broker_of_the_given_authority_is_trusted() {
    let broker = broker("").await;
    let rig = Rig::start(settings_for(&broker, "localhost"));
    rig.online().await;
    assert_eq!(rig.outcome("{}").await, Outcome::Delivered);
    rig.stop().await;
}

#[tokio::test]
async fn a_broker_of_another_authority_or_name_is_not() {
    let broker = broker("").await;
    let other = TempDir::new().unwrap();
    authority(other.path());
    let mut settings = settings_for(&broker, "localhost");
    settings.tls.ca = Some(other.path().join("ca.pem"));
    Rig::start(settings).offline_because("invalid peer certificate").await;
    Rig::start(settings_for(&broker, "127.0.0.1")).offline_because("not valid for name").await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_broker_that_asks() {
    let broker = broker("require_certificate true").await;
    let without = settings_for(&broker, "localhost");
    let mut with = without.clone();
    with.tls.identity =
        Some(IdentityFiles { certificate: broker.file("client.pem"), key: broker.file("client.key") });
    Rig::start(without).offline_because("CertificateRequired").await;
    let rig = Rig::start(with);
    rig.online().await;
    assert_eq!(rig.outcome("{}").await, Outcome::Delivered);
}

#[test]
fn files_that_cannot_be_used_are_told_before_any_connection() {
    let folder = TempDir::new().unwrap();
    authority(folder.path());
    let with_ca = |name: &str| {
        let mut settings = settings("mqtts://localhost");
        settings.tls.ca = Some(folder.path().join(name));
        settings
    };
    for name in ["missing.pem", "client.key"] {
        let error = uplink(with_ca(name)).expect_err("no certificates in it");
        assert!(matches!(&error, SettingsError::Pem { path, .. } if path.ends_with(name)), "{error}");
    }
    let mut settings = with_ca("ca.pem");
    settings.tls.identity = Some(IdentityFiles {
        certificate: folder.path().join("client.pem"),
        key: folder.path().join("localhost.key"),
    });
    assert!(matches!(uplink(settings), Err(SettingsError::Identity { .. })));
}
