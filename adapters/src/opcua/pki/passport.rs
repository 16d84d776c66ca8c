//! The gateway's certificates, opened when the first server needs them, and tried again until they can be.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use opcua::client::ClientBuilder;
use opcua::crypto::CertificateStore;
use opcua::sync::RwLock;
use penstock_events::Timestamp;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::own::{Application, Expiry, OwnError};
use super::{Pki, Reminder};

/// Where the library keeps what it was told to believe.
const LIBRARY: &str = "session";
/// Where it keeps nothing: without certificates there is nothing to note, and no folder is to be made for it.
const NOWHERE: &str = "/dev/null";

/// What the gateway shows to servers.
#[derive(Debug)]
pub struct Passport {
    root: PathBuf,
    application: Application,
    pki: OnceCell<Arc<Pki>>,
    /// Shared by the observers of all servers, of whom whoever comes first says it: a message would need a task.
    reminder: Mutex<Reminder>,
}

impl Passport {
    /// The certificates in the folder `root`. Nothing is opened yet.
    pub fn new(root: PathBuf, application: Application) -> Self {
        // The library takes the certificate's file for one below its own folder unless its path is absolute.
        let root = std::path::absolute(&root).unwrap_or(root);
        Self { root, application, pki: OnceCell::new(), reminder: Mutex::default() }
    }

    /// The certificates, which are made when they are missing. What cannot be opened is tried again the next
    /// time: a clock is set, a disk is mended.
    pub(in crate::opcua) async fn open(&self, now: Timestamp) -> Result<Arc<Pki>, OwnError> {
        let opening = || async {
            let (root, application) = (self.root.clone(), self.application.clone());
            let opened = spawn_blocking(move || Pki::open(&root, &application, now)).await;
            let pki = opened.unwrap_or_else(|ended| Err(OwnError::Make(ended.to_string())))?;
            let own = pki.own();
            if own.is_new() {
                let (certificate, fingerprint) = (own.path(), own.certificate().fingerprint());
                info!(
                    certificate = %certificate.display(), %fingerprint,
                    "the gateway has made its certificate: accept it at each OPC UA server"
                );
            }
            Ok(Arc::new(pki))
        };
        let pki = self.pki.get_or_try_init(opening).await?;
        self.remind(now);
        Ok(Arc::clone(pki))
    }

    /// Says that the gateway's certificate ends, when it is time to.
    pub(in crate::opcua) fn remind(&self, now: Timestamp) {
        let Some(pki) = self.pki.get() else { return };
        let end = pki.own().certificate().not_after();
        let due = self.reminder.lock().unwrap_or_else(PoisonError::into_inner).due(end, now);
        match due {
            None | Some(Expiry::Far) => {}
            Some(Expiry::Soon(until)) => {
                warn!(%until, "the gateway's certificate expires soon: every server must accept another one by then");
            }
            Some(Expiry::Over(since)) => {
                warn!(%since, "the gateway's certificate has expired: servers may refuse it");
            }
        }
    }

    /// Tells a client who it is.
    ///
    /// The library's own check of servers is switched off: [`judge`](super::judge) stands in front of it, and the
    /// library sees to it that the server holds the key of the certificate that was judged. What it believes it
    /// notes in a folder of its own, which nobody else reads.
    pub(in crate::opcua) fn equip(&self, client: ClientBuilder, pki: Option<&Pki>) -> ClientBuilder {
        let client = client
            .application_uri(&self.application.uri)
            .pki_dir(self.notes(pki))
            .trust_server_certs(true)
            .verify_server_certs(false);
        match pki {
            Some(pki) => pki.own().equip(client),
            None => client,
        }
    }

    /// The same for a session over a [transport](crate::opcua::transport) of ours, which the library does not give a client's
    /// certificates by itself.
    pub(in crate::opcua) fn store(&self, pki: Option<&Pki>) -> Arc<RwLock<CertificateStore>> {
        let notes = self.notes(pki);
        let mut store = match pki {
            Some(pki) => pki.own().store(&notes),
            None => CertificateStore::new(&notes),
        };
        store.set_skip_verify_certs(true);
        store.set_trust_unknown_certs(true);
        Arc::new(RwLock::new(store))
    }

    fn notes(&self, pki: Option<&Pki>) -> PathBuf {
        if pki.is_some() { self.root.join(LIBRARY) } else { PathBuf::from(NOWHERE) }
    }
}
