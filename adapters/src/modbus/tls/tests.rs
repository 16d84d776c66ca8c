//! Modbus/TCP Security to a server that asks for a certificate, of an authority made for the test.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_util::task::AbortOnDropHandle;

use super::{InvalidTls, SecureHost, certificates, ring};
use crate::modbus::bench::{Bench, plc};
use crate::modbus::{Host, Transport};

/// Writes `ca.pem`, and a certificate and key for the server (`localhost`) and for a client.
fn authority() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut params = CertificateParams::new([]).expect("no names");
    params.distinguished_name.push(DnType::CommonName, "the test's authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let write = |name: &str, pem: String| fs::write(folder.path().join(name), pem).expect("it is written");
    write("ca.pem", params.self_signed(&key).expect("a certificate").pem());
    let issuer = Issuer::new(params, key);
    for name in ["localhost", "client"] {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        write(&format!("{name}.pem"), params.signed_by(&key, &issuer).expect("a certificate").pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    folder
}

/// A device behind a server that trusts clients of this authority, and its port.
async fn serve(folder: &Path) -> (u16, AbortOnDropHandle<()>) {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&folder.join("ca.pem")).expect("certificates") {
        roots.add(certificate).expect("a certificate");
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports them")
        .with_client_cert_verifier(clients.build().expect("an authority"))
        .with_single_cert(
            certificates(&folder.join("localhost.pem")).expect("certificates"),
            PrivateKeyDer::from_pem_file(folder.join("localhost.key")).expect("a key"),
        )
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let server = tokio::spawn(async move {
        while let Ok((stream, _peer)) = listener.accept().await {
            // A client that is refused is no business of the device.
            if let Ok(stream) = acceptor.accept(stream).await {
                plc().serve(stream).await;
            }
        }
    });
    (port, AbortOnDropHandle::new(server))
}

fn secure(folder: &Path, name: &str, port: u16) -> SecureHost {
    let host = Host { host: "localhost".to_owned(), port };
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    SecureHost { host, ca: folder.join("ca.pem"), certificate, key }
}

#[tokio::test]
async fn a_device_is_polled_by_a_client_that_shows_its_certificate() {
    let folder = authority();
    let (port, _server) = serve(folder.path()).await;
    let mut bench = Bench::over(Transport::Tls(secure(folder.path(), "client", port)));
    for _ in 0..3 {
        bench.polled().await;
    }
    assert_eq!(bench.status.borrow().connects, 1);
}

#[tokio::test]
async fn a_server_or_a_client_of_another_authority_is_refused() {
    let (ours, other) = (authority(), authority());
    let (port, _server) = serve(ours.path()).await;
    let wrong_server = SecureHost { ca: other.path().join("ca.pem"), ..secure(ours.path(), "client", port) };
    let detail = Bench::over(Transport::Tls(wrong_server)).lost().await;
    assert!(detail.starts_with("cannot connect: invalid peer certificate"), "{detail}");
    let wrong_client = SecureHost { ca: ours.path().join("ca.pem"), ..secure(other.path(), "client", port) };
    let detail = Bench::over(Transport::Tls(wrong_client)).lost().await;
    assert!(detail.starts_with("connection lost: "), "{detail}");
    let wrong_name = SecureHost {
        host: Host { host: "127.0.0.1".to_owned(), port },
        ..secure(ours.path(), "client", port)
    };
    let detail = Bench::over(Transport::Tls(wrong_name)).lost().await;
    assert!(detail.contains("not valid for name"), "{detail}");
}

#[tokio::test]
async fn a_renewed_certificate_is_in_force_without_a_restart() {
    let (ours, other) = (authority(), authority());
    let (port, _server) = serve(ours.path()).await;
    let files = tempfile::tempdir().expect("a folder");
    for (from, name) in [(&ours, "ca.pem"), (&other, "client.pem"), (&other, "client.key")] {
        fs::copy(from.path().join(name), files.path().join(name)).expect("it is copied");
    }
    let mut bench = Bench::over(Transport::Tls(secure(files.path(), "client", port)));
    bench.lost().await;
    for name in ["client.pem", "client.key"] {
        fs::copy(ours.path().join(name), files.path().join(name)).expect("it is copied");
    }
    bench.polled().await;
}

#[test]
fn files_that_cannot_be_used_are_told_before_any_connection() {
    let folder = authority();
    let right = secure(folder.path(), "client", 802);
    assert_eq!(right.check(), Ok(()));
    let missing = SecureHost { ca: folder.path().join("none.pem"), ..right.clone() };
    assert!(
        matches!(missing.check(), Err(InvalidTls::Pem { what: "the certificates", path, .. }) if path == missing.ca)
    );
    let no_key = SecureHost { key: right.ca.clone(), ..right.clone() };
    assert!(matches!(no_key.check(), Err(InvalidTls::Pem { what: "the private key", .. })));
    let others = SecureHost { key: folder.path().join("localhost.key"), ..right.clone() };
    assert!(matches!(others.check(), Err(InvalidTls::Identity { .. })));
    let host = Host { host: "no name".to_owned(), port: 802 };
    assert!(matches!(SecureHost { host, ..right }.check(), Err(InvalidTls::ServerName { .. })));
}
