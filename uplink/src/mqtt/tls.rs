//! TLS for the connection to the broker: rustls with the ring provider, and nothing else.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::address::{BrokerAddress, Security};
use super::settings::{IdentityFiles, SettingsError, TlsFiles};

/// Who connects to `broker` with TLS and whom it expects there; none for a plain address, whose files
/// are not looked at.
pub(super) fn client(
    broker: &BrokerAddress,
    files: &TlsFiles,
) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, SettingsError> {
    match broker.security {
        Security::Plain => Ok(None),
        Security::Tls => {
            let name = ServerName::try_from(broker.host.clone())
                .map_err(|_| SettingsError::ServerName { host: broker.host.clone() })?;
            Ok(Some((Arc::new(client_config(files)?), name)))
        }
    }
}

fn client_config(files: &TlsFiles) -> Result<ClientConfig, SettingsError> {
    let roots = match &files.ca {
        Some(path) => roots_of_file(path)?,
        None => roots_of_system()?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the default protocol versions")
        .with_root_certificates(roots);
    match &files.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(IdentityFiles { certificate, key }) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable("the private key", key, &error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| SettingsError::Identity {
                path: certificate.clone(),
                reason: error.to_string(),
            })
        }
    }
}

fn roots_of_file(path: &Path) -> Result<RootCertStore, SettingsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unusable("the CA certificates", path, &error))?;
    }
    Ok(roots)
}

/// The authorities that the system trusts. A broken certificate among them is the system's affair:
/// it is left out, and a broker that needs it is then refused with its name.
fn roots_of_system() -> Result<RootCertStore, SettingsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        let reason = if errors.is_empty() { "none found".to_owned() } else { errors.join("; ") };
        return Err(SettingsError::NoSystemRoots { reason });
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let what = "the certificates";
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(what, path, &error))?;
    if found.is_empty() {
        return Err(unusable(what, path, &"it holds none in PEM"));
    }
    Ok(found)
}

fn unusable(what: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> SettingsError {
    SettingsError::Pem { what, path: path.to_owned(), reason: reason.to_string() }
}
