//! The folder: what is made once and never replaced, what is kept, and what an operator's decisions do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use opcua::client::ClientBuilder;
use rcgen::{DnType, date_time_ymd};
use tempfile::TempDir;

use super::samples::{application, at, expected, now, rsa_key, sample};
use super::{
    Certificate, Expiry, Fingerprint, Kept, NotAdmitted, OwnError, Passport, Pki, Refusal, Rejection,
    Standing, TrustList,
};

const KEY: &str = "own/private/penstock.pem";
const CERTIFICATE: &str = "own/certs/penstock.der";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A folder with a key that need not be made.
fn folder_with_a_key() -> TempDir {
    with_a_key(folder())
}

fn with_a_key(folder: TempDir) -> TempDir {
    let pem = rsa_key().to_der().unwrap().to_pem("PRIVATE KEY", x509_cert::der::pem::LineEnding::LF).unwrap();
    fs::create_dir_all(folder.path().join("own/private")).unwrap();
    fs::write(folder.path().join(KEY), pem.as_bytes()).unwrap();
    folder
}

fn open(folder: &TempDir) -> Result<Pki, OwnError> {
    Pki::open(folder.path(), &application(), now())
}

fn admit(pki: &Pki, certificate: &Certificate) -> Result<Certificate, NotAdmitted> {
    pki.admit(certificate.der(), &expected(), "oven at opc.tcp://oven-7.plant:4840", now())
}

fn standings(list: &TrustList) -> Vec<(Standing, Fingerprint)> {
    let kept = list.list().expect("it is readable").kept;
    let of_servers = kept.iter().filter(|kept| kept.standing != Standing::Own);
    of_servers.map(|Kept { standing, certificate, .. }| (*standing, certificate.fingerprint())).collect()
}

#[test]
fn the_own_certificate_is_made_once_and_says_who_the_gateway_is() {
    let folder = folder();
    let made = open(&folder).expect("it is made");
    let own = made.own();
    assert!(own.is_new());
    assert_eq!(own.application_uri(), "urn:penstock:plant-7:edge-01");
    assert_eq!(own.certificate().key_bits(), Some(2048));
    assert_eq!(own.certificate().signature().to_string(), "RSA with SHA-256");
    assert!(!own.certificate().hosts().is_empty(), "no name of this machine");
    let mode = fs::metadata(folder.path().join(KEY)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let again = open(&folder).expect("it is there");
    assert!(!again.own().is_new());
    assert_eq!(again.own().certificate(), own.certificate());
}

#[test]
fn a_key_whose_certificate_was_lost_in_a_power_cut_gets_one() {
    let folder = folder_with_a_key();
    let key = fs::read(folder.path().join(KEY)).unwrap();
    assert!(open(&folder).expect("it is completed").own().is_new());
    assert_eq!(fs::read(folder.path().join(KEY)).unwrap(), key);
}

#[test]
fn what_is_wrong_with_the_own_certificate_is_said_and_nothing_is_replaced() {
    let damage = |path: &str, content: Option<&[u8]>| {
        let folder = folder_with_a_key();
        open(&folder).expect("it is made");
        match content {
            Some(content) => fs::write(folder.path().join(path), content).unwrap(),
            None => fs::remove_file(folder.path().join(path)).unwrap(),
        }
        let before = files(folder.path());
        let error = open(&folder).expect_err("it cannot be used");
        assert_eq!(files(folder.path()), before);
        error
    };
    assert!(matches!(damage(KEY, None), OwnError::KeyIsGone { .. }));
    assert!(matches!(damage(KEY, Some(b"no key")), OwnError::Key { .. }));
    assert!(matches!(damage(CERTIFICATE, Some(b"no certificate")), OwnError::Certificate { .. }));
    let other_key = opcua::crypto::PrivateKey::new(1024).unwrap().to_der().unwrap();
    let other_key = other_key.to_pem("PRIVATE KEY", x509_cert::der::pem::LineEnding::LF).unwrap();
    assert!(matches!(damage(KEY, Some(other_key.as_bytes())), OwnError::Mismatch { .. }));
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let read = |path: &str| fs::read(folder.join(path)).map(|content| (path.to_owned(), content)).ok();
    [KEY, CERTIFICATE].into_iter().filter_map(read).collect()
}

#[test]
fn no_certificate_is_made_by_a_clock_that_was_not_set() {
    let folder = folder_with_a_key();
    let error = Pki::open(folder.path(), &application(), at("1970-01-01T00:10:00Z"))
        .expect_err("it would have ended");
    assert!(matches!(error, OwnError::Clock { .. }));
    assert!(open(&folder).expect("the clock is right").own().is_new());
}

#[test]
fn the_end_is_announced_thirty_days_ahead() {
    let certificate = sample(|_| {});
    let end = at("2027-01-01T00:00:00Z");
    for (now, expiry) in [
        ("2026-12-01T23:59:59Z", Expiry::Far),
        ("2026-12-02T00:00:00Z", Expiry::Soon(end)),
        ("2027-01-01T00:00:00Z", Expiry::Soon(end)),
        ("2027-01-01T00:00:01Z", Expiry::Over(end)),
    ] {
        assert_eq!(Expiry::of(&certificate, at(now)), expiry);
    }
}

#[test]
fn a_server_is_admitted_once_an_operator_accepted_it_and_no_longer_when_that_is_withdrawn() {
    let folder = folder_with_a_key();
    let pki = open(&folder).expect("it is made");
    let list = TrustList::at(folder.path());
    let certificate = sample(|_| {});
    let fingerprint = certificate.fingerprint();

    let error = admit(&pki, &certificate).expect_err("nobody accepted it");
    assert!(matches!(&error, NotAdmitted::Refused { refusals, .. } if refusals.len() == 1), "{error}");
    let kept = |standing| -> Vec<Kept> {
        list.list().unwrap().kept.into_iter().filter(|kept| kept.standing == standing).collect()
    };
    assert_eq!(&kept(Standing::Own)[0].certificate, pki.own().certificate());
    let rejected = kept(Standing::Rejected);
    let Rejection { presented_by, reasons } = rejected[0].rejection.clone().expect("the reason is kept");
    assert_eq!(presented_by, "oven at opc.tcp://oven-7.plant:4840");
    assert_eq!(reasons, [Refusal::Untrusted { fingerprint }.to_string()]);

    list.accept(&rejected[0].certificate).expect("it is accepted");
    assert_eq!(standings(&list), [(Standing::Trusted, fingerprint)]);
    assert_eq!(admit(&pki, &certificate).expect("it is trusted"), certificate);

    list.withdraw(&kept(Standing::Trusted)[0], &Rejection::default()).expect("it is withdrawn");
    assert_eq!(standings(&list), [(Standing::Rejected, fingerprint)]);
    assert!(admit(&pki, &certificate).is_err());
}

#[test]
fn a_trusted_certificate_that_is_refused_stays_trusted_and_shows_why_until_that_is_over() {
    let folder = folder_with_a_key();
    let pki = open(&folder).expect("it is made");
    let list = TrustList::at(folder.path());
    let certificate = sample(|params| params.not_after = date_time_ymd(2026, 2, 1));
    list.accept(&certificate).expect("it is accepted");
    let reasons = || list.list().unwrap().kept.remove(1).rejection.map(|rejection| rejection.reasons.len());

    assert!(admit(&pki, &certificate).is_err());
    assert_eq!(standings(&list), [(Standing::Trusted, certificate.fingerprint())]);
    assert_eq!(reasons(), Some(1));
    pki.admit(certificate.der(), &expected(), "oven", at("2026-01-15T00:00:00Z"))
        .expect("the clock was wrong");
    assert_eq!(reasons(), None);
}

#[test]
fn rejected_certificates_are_bounded_and_the_newest_are_kept() {
    let folder = folder();
    let list = TrustList::at(folder.path());
    let mut last = None;
    for number in 0..103 {
        let certificate =
            sample(|params| params.distinguished_name.push(DnType::CommonName, format!("{number}")));
        list.reject(&certificate, &Rejection::default()).expect("it is kept");
        last = Some((Standing::Rejected, certificate.fingerprint()));
    }
    let kept = standings(&list);
    assert_eq!(kept.len(), 100);
    assert!(kept.contains(&last.unwrap()));
    assert_eq!(fs::read_dir(folder.path().join("rejected/reasons")).unwrap().count(), 100);
}

#[test]
fn certificates_that_were_put_there_by_hand_are_trusted_in_either_form_and_others_are_told() {
    let folder = folder();
    let list = TrustList::at(folder.path());
    let trusted = folder.path().join("trusted/certs");
    fs::create_dir_all(&trusted).unwrap();
    let (der, pem) = (sample(|_| {}), sample(|params| params.not_after = date_time_ymd(2028, 1, 1)));
    let text =
        x509_cert::der::pem::encode_string("CERTIFICATE", x509_cert::der::pem::LineEnding::CRLF, pem.der());
    fs::write(trusted.join("Oven 7 [ABCD].der"), der.der()).unwrap();
    fs::write(trusted.join("press.pem"), text.unwrap()).unwrap();
    fs::write(trusted.join("readme.txt"), "certificates of the plant").unwrap();
    fs::write(trusted.join("half.new"), &der.der()[..100]).unwrap();

    let listing = list.list().unwrap();
    assert_eq!(listing.kept.len(), 2);
    assert_eq!(listing.unreadable.len(), 1);
    let expected = [der.fingerprint(), pem.fingerprint()].into_iter().collect();
    assert_eq!(list.trusted().unwrap(), expected);
}

#[tokio::test]
async fn the_library_finds_the_own_certificate_in_a_folder_that_is_named_from_here() {
    let folder = with_a_key(tempfile::tempdir_in(".").expect("a folder"));
    let relative = PathBuf::from(folder.path().file_name().expect("its name"));
    let passport = Passport::new(relative, application());
    let pki = passport.open(now()).await.expect("it is made");
    let builder = ClientBuilder::new().application_name("penstock").product_uri("urn:penstock");
    let client = passport.equip(builder, Some(&pki)).client().expect("settings");
    let shown = client.certificate_store().read().read_own_cert().expect("the certificate");
    assert_eq!(shown.to_der().expect("DER"), pki.own().certificate().der());
}
