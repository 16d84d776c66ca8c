//! Modbus/TCP Security: Modbus TCP within TLS, in which both sides show a certificate (MB-TCP-Security V36,
//! sections 8 and 9). What a role may do is for the server to say: it reads the role from our certificate.
//!
//! rustls with the ring provider, and nothing else. The files are read anew for each connection, so a
//! certificate that was renewed is in force without a restart.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::transport::Host;

/// The port that Modbus/TCP Security is registered for (section 6.1).
pub const DEFAULT_TLS_PORT: u16 = 802;

/// A server of Modbus/TCP Security, and the files that say who may be there and who we are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecureHost {
    /// Where it is. Its certificate must have this name.
    pub host: Host,
    /// The authorities that its certificate may come from, as PEM.
    pub ca: PathBuf,
    /// Our certificate with its intermediates, as PEM.
    pub certificate: PathBuf,
    /// Our key, as PEM.
    pub key: PathBuf,
}

/// Why a server cannot be spoken to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidTls {
    /// No certificate can have this name.
    #[error("{host:?} is no name that a certificate could have")]
    ServerName {
        /// The host.
        host: String,
    },
    /// A file that is not there, or not what it should be.
    #[error("{what} in {} cannot be used: {reason}", path.display())]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Certificate and key do not belong together, or the key is of a kind that cannot be used.
    #[error("the certificate {} and its key cannot be used: {reason}", path.display())]
    Identity {
        /// The certificate's file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

impl InvalidTls {
    /// The file that it is about.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::ServerName { .. } => None,
            Self::Pem { path, .. } | Self::Identity { path, .. } => Some(path),
        }
    }
}

impl SecureHost {
    /// Whether it can be tried to connect.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why. Nothing is connected.
    pub fn check(&self) -> Result<(), InvalidTls> {
        self.server_name()?;
        self.client().map(drop)
    }

    pub(super) async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let ready =
            || Ok::<_, InvalidTls>((self.server_name()?, TlsConnector::from(Arc::new(self.client()?))));
        let (name, connector) = ready().map_err(io::Error::other)?;
        connector.connect(name, self.host.connect().await?).await
    }

    fn server_name(&self) -> Result<ServerName<'static>, InvalidTls> {
        let host = self.host.host.clone();
        ServerName::try_from(host.clone()).map_err(|_| InvalidTls::ServerName { host })
    }

    fn client(&self) -> Result<ClientConfig, InvalidTls> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate).map_err(|error| unusable("the CA certificates", &self.ca, &error))?;
        }
        let chain = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unusable("the private key", &self.key, &error))?;
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring supports the default protocol versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|error| InvalidTls::Identity {
                path: self.certificate.clone(),
                reason: error.to_string(),
            })
    }
}

impl fmt::Display for SecureHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidTls> {
    let what = "the certificates";
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(what, path, &error))?;
    if found.is_empty() {
        return Err(unusable(what, path, &"it holds none in PEM"));
    }
    Ok(found)
}

fn unusable(what: &'static str, path: &Path, reason: &dyn fmt::Display) -> InvalidTls {
    InvalidTls::Pem { what, path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests;
