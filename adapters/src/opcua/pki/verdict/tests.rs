//! What is refused, why, and what a pin can do about it.

use opcua::crypto::{PrivateKey, X509, X509Data};
use rcgen::date_time_ymd;

use super::super::samples::{
    ADDRESS, HOST, URI, at, dns, expected, now, rsa_key, sample, sample_of_elliptic_curve, uri,
};
use super::super::{Certificate, InvalidCertificate};
use super::{Check, Expected, Pin, Refusal, Trusted, Verdict, judge};

/// The verdict about a certificate that is trusted.
fn verdict(certificate: &Certificate, expected: &Expected<'_>) -> Verdict {
    judge(certificate, expected, &Trusted::from_iter([certificate.fingerprint()]), now())
}

/// The only reason against a certificate that is trusted.
fn refusal(certificate: &Certificate) -> Refusal {
    let Verdict { mut refusals, waived } = verdict(certificate, &expected());
    assert_eq!((refusals.len(), waived.len()), (1, 0), "{refusals:?}");
    refusals.remove(0)
}

/// The certificate with another signature algorithm written into it; the signature itself is not looked at.
fn with_algorithm(certificate: &Certificate, last_arc: u8) -> Certificate {
    let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    let mut der = certificate.der().to_vec();
    let places: Vec<usize> =
        (0..der.len() - 9).filter(|at| der[*at..].starts_with(&rsa) && der[at + 8] == 11).collect();
    assert_eq!(places.len(), 2, "the algorithm stands in the certificate twice");
    places.into_iter().for_each(|at| der[at + 8] = last_arc);
    Certificate::from_der(&der).expect("only its algorithm is another one")
}

#[test]
fn a_good_certificate_is_accepted_by_name_and_by_address_and_with_its_uri_in_any_place() {
    let certificate = sample(|_| {});
    for host in [HOST, "OVEN-7.Plant", "oven-7.plant.", ADDRESS] {
        let verdict = verdict(&certificate, &Expected { host, ..expected() });
        assert!(verdict.is_accepted() && verdict.waived.is_empty(), "{host}: {verdict:?}");
    }
}

#[test]
fn an_address_that_stands_where_a_name_belongs_counts() {
    let certificate = sample(|params| params.subject_alt_names = vec![uri(URI), dns(ADDRESS)]);
    assert!(verdict(&certificate, &Expected { host: ADDRESS, ..expected() }).is_accepted());
}

#[test]
fn one_that_nobody_accepted_is_refused_and_named() {
    let (certificate, other) =
        (sample(|_| {}), sample(|params| params.not_after = date_time_ymd(2028, 1, 1)));
    let fingerprint = certificate.fingerprint();
    let verdict = judge(&certificate, &expected(), &Trusted::from_iter([other.fingerprint()]), now());
    assert_eq!(verdict.refusals, [Refusal::Untrusted { fingerprint }]);
    assert!(verdict.refusals[0].to_string().contains(&format!("penstock trust accept {fingerprint}")));
}

#[test]
fn time_is_judged_to_the_second() {
    let certificate = sample(|_| {});
    let trusted = Trusted::from_iter([certificate.fingerprint()]);
    let judged = |now| judge(&certificate, &expected(), &trusted, at(now)).refusals;
    let (from, until) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    assert_eq!(judged("2025-12-31T23:59:59Z"), [Refusal::NotYetValid { from }]);
    assert_eq!(judged("2026-01-01T00:00:00Z"), []);
    assert_eq!(judged("2027-01-01T00:00:00Z"), []);
    assert_eq!(judged("2027-01-01T00:00:01Z"), [Refusal::Expired { at: until }]);
}

#[test]
fn another_host_or_application_is_refused_with_what_was_found() {
    let named = |names| sample(|params| params.subject_alt_names = names);
    let elsewhere = refusal(&named(vec![uri(URI), dns("press-1"), dns("press-1.plant")]));
    assert!(
        elsewhere.to_string().contains("press-1, press-1.plant, and the endpoint says oven-7.plant"),
        "{elsewhere}"
    );
    let other = refusal(&named(vec![uri("urn:plant:press"), dns(HOST)]));
    assert!(
        other.to_string().contains("urn:plant:press, and the server says it is urn:plant:oven"),
        "{other}"
    );
    let nameless = verdict(&named(Vec::new()), &expected()).refusals;
    assert_eq!(
        nameless.iter().map(Refusal::check).collect::<Vec<_>>(),
        [Some(Check::ApplicationUri), Some(Check::HostName)]
    );
}

#[test]
fn a_name_in_the_subject_is_no_host_name() {
    let certificate = sample(|params| {
        params.subject_alt_names = vec![uri(URI)];
        params.distinguished_name.push(rcgen::DnType::CommonName, HOST);
    });
    assert_eq!(refusal(&certificate).check(), Some(Check::HostName));
}

#[test]
fn forgeable_and_unknown_signatures_are_refused() {
    let certificate = sample(|_| {});
    for (last_arc, name) in
        [(2, "RSA with MD2"), (4, "RSA with MD5"), (5, "RSA with SHA-1"), (99, "1.2.840.113549.1.1.99")]
    {
        let refusal = refusal(&with_algorithm(&certificate, last_arc));
        assert!(refusal.check() == Some(Check::Signature) && refusal.to_string().contains(name), "{refusal}");
    }
    for strong in [10, 12, 13] {
        assert!(verdict(&with_algorithm(&certificate, strong), &expected()).is_accepted());
    }
}

#[test]
fn short_keys_and_keys_of_another_kind_are_refused() {
    let key = PrivateKey::new(1024).expect("a key");
    let mut names = X509Data::alt_host_names(URI, None, false, false, false);
    names.add_dns(HOST);
    let data = X509Data { alt_host_names: names, certificate_duration_days: 365, ..X509Data::sample_cert() };
    let short = X509::from_pkey(&key, &data).and_then(|made| made.to_der().map_err(|e| e.to_string()));
    let short = Certificate::from_der(&short.expect("a certificate")).expect("it is read");
    let now = short.not_before();
    let judged = judge(&short, &expected(), &Trusted::from_iter([short.fingerprint()]), now);
    assert_eq!(judged.refusals, [Refusal::KeyLength { bits: 1024 }]);

    let other = verdict(&sample_of_elliptic_curve(), &expected()).refusals;
    assert!(other.contains(&Refusal::KeyKind), "{other:?}");
}

#[test]
fn a_pin_waives_what_it_says_and_nothing_else() {
    let bad = sample(|params| {
        params.subject_alt_names = vec![uri("urn:other"), dns("elsewhere")];
        params.not_after = date_time_ymd(2026, 2, 1);
    });
    let bad = with_algorithm(&bad, 5);
    let all = [Check::Validity, Check::ApplicationUri, Check::HostName, Check::Signature];
    let checks = |refusals: &[Refusal]| refusals.iter().filter_map(Refusal::check).collect::<Vec<_>>();
    assert_eq!(checks(&verdict(&bad, &expected()).refusals), all);
    for waived in all {
        let pin = Pin { fingerprint: bad.fingerprint(), waives: vec![waived] };
        let verdict = verdict(&bad, &Expected { pin: Some(&pin), ..expected() });
        assert_eq!(checks(&verdict.waived), [waived]);
        assert_eq!(
            checks(&verdict.refusals),
            all.into_iter().filter(|check| *check != waived).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_pin_neither_gives_trust_nor_helps_another_certificate() {
    let bad = sample(|params| params.subject_alt_names = vec![uri(URI), dns("elsewhere")]);
    let everything = |fingerprint| Pin { fingerprint, waives: Check::ALL.map(|(_, check)| check).to_vec() };
    let pin = everything(bad.fingerprint());
    let untrusted = judge(&bad, &Expected { pin: Some(&pin), ..expected() }, &Trusted::default(), now());
    assert_eq!(untrusted.refusals, [Refusal::Untrusted { fingerprint: bad.fingerprint() }]);
    let pin = everything(sample(|_| {}).fingerprint());
    let other = verdict(&bad, &Expected { pin: Some(&pin), ..expected() });
    assert_eq!((other.refusals.len(), other.waived.len()), (1, 0));
}

#[test]
fn what_is_no_single_certificate_is_not_judged() {
    let der = sample(|_| {}).der().to_vec();
    let twice = [der.clone(), der.clone()].concat();
    assert_eq!(Certificate::from_der(b""), Err(InvalidCertificate::Missing));
    assert_eq!(Certificate::from_der(&twice), Err(InvalidCertificate::Chain));
    assert_eq!(
        Certificate::from_der(&vec![0x30; 20_000]),
        Err(InvalidCertificate::TooLong { bytes: 20_000 })
    );
    for wrong in [
        &der[..der.len() - 1],
        &der[1..],
        b"-----BEGIN CERTIFICATE-----",
        rsa_key().to_der().unwrap().as_bytes(),
    ] {
        assert!(matches!(Certificate::from_file_content(wrong), Err(InvalidCertificate::Malformed { .. })));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(at in 0..700_usize, flips: [u8; 3]) {
        let mut der = sample(|_| {}).der().to_vec();
        for (offset, flip) in flips.into_iter().enumerate() {
            if let Some(byte) = der.get_mut(at + offset) {
                *byte ^= flip;
            }
        }
        if let Ok(certificate) = Certificate::from_der(&der) {
            drop(verdict(&certificate, &expected()));
        }
    }
}
