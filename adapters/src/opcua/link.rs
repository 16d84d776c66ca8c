//! Opening a session: asks what the server offers, takes what is configured or nothing, and logs in.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use opcua::client::{Client, ClientBuilder, IdentityToken, Session, SessionPollResult};
use opcua::types::{EndpointDescription, Error, StatusCode};
use penstock_events::Timestamp;
use tokio::time::timeout;

use super::failure::{Failure, is_of_connection};
use super::offer;
use super::pki::{Certificate, Expected, NotAdmitted, Passport, Pki};
use super::security::{Identity, Security};
use super::server::Server;
use super::transport::Transport;
use crate::Clock;

/// What the server is told of who asks.
const APPLICATION_NAME: &str = "penstock";
const PRODUCT_URI: &str = "urn:penstock";
/// How often a session is used when nothing else is asked for; three that fail in a row end the connection.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const FAILED_KEEP_ALIVES: u64 = 3;
/// The first and the longest rest between two attempts to take up a session whose connection was lost.
const RESUME_FIRST: Duration = Duration::from_millis(250);
const RESUME_LONGEST: Duration = Duration::from_secs(5);
/// A publish request waits for the next publication; the keep-alives of all subscriptions answer it sooner.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(60);
/// Ten thousand values of text fit, and a hostile server cannot make the gateway hold more.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const MAX_ARRAY_LENGTH: usize = 100_000;

/// What happens to a session. Nothing happens unless it is polled.
pub(super) type Happenings = Pin<Box<dyn Stream<Item = Result<SessionPollResult, StatusCode>> + Send>>;

/// An open session.
pub(super) struct Link {
    /// For requests.
    pub(super) session: Arc<Session>,
    /// What happens to it.
    pub(super) happenings: Happenings,
    /// Until when the certificates are valid, if it is secured.
    pub(super) ends: Option<Ends>,
}

/// Until when certificates are valid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ends {
    /// The gateway's own.
    pub(super) own: Timestamp,
    /// The server's.
    pub(super) server: Timestamp,
}

/// Opens a session at `server`, which is judged by its certificate first.
pub(super) async fn open(server: &Server, passport: &Passport, clock: &Clock) -> Result<Link, Failure> {
    let opening = async {
        let pki = pki(server, passport, clock).await?;
        let client = client(server, passport, pki.as_deref())?;
        let offered = offered(server, passport, pki.as_deref()).await?;
        let endpoint = offer::choose(server, &offered)?;
        let store = passport.store(pki.as_deref());
        let ends = match pki {
            Some(pki) => {
                let own = pki.own().certificate().not_after();
                let admitted = admit(pki, server, &endpoint, clock.now()).await?;
                let admitted = admitted.map_err(|error| Failure::NotAdmitted(error.to_string()))?;
                Some(Ends { own, server: admitted.not_after() })
            }
            None => None,
        };
        let token = token(&server.identity)?;
        let transport = Transport::to(&server.endpoint);
        let (session, event_loop) = client
            .session_builder()
            .with_connector(transport.clone())
            .connect_to_endpoint_directly(endpoint)
            .and_then(|session| session.user_identity_token(token).build(store))
            .map_err(connect)?;
        let mut happenings: Happenings = Box::pin(event_loop.enter());
        loop {
            match happenings.next().await {
                Some(Ok(SessionPollResult::Reconnected(_))) => return Ok(Link { session, happenings, ends }),
                Some(Ok(SessionPollResult::ReconnectFailed(status)) | Err(status)) => {
                    return Err(transport.explain(refusal(status)));
                }
                Some(Ok(_)) => {}
                None => return Err(Failure::Connect(StatusCode::BadConnectionClosed)),
            }
        }
    };
    timeout(server.connect_timeout, opening)
        .await
        .unwrap_or(Err(Failure::ConnectTimeout(server.connect_timeout)))
}

impl Link {
    /// Says goodbye, so that the server need not keep the session until it times out.
    pub(super) async fn close(mut self, within: Duration) {
        let session = Arc::clone(&self.session);
        let goodbye = async {
            tokio::select! {
                closed = session.disconnect() => closed.is_ok(),
                () = async { while self.happenings.next().await.is_some() {} } => true,
            }
        };
        if timeout(within, goodbye).await.is_err() {
            tracing::debug!("the server did not take leave of the session in time");
        }
    }
}

/// The gateway's certificates, if they are needed.
pub(super) async fn pki(
    server: &Server,
    passport: &Passport,
    clock: &Clock,
) -> Result<Option<Arc<Pki>>, Failure> {
    match server.security {
        Security::None => Ok(None),
        Security::Secured { .. } => Ok(Some(passport.open(clock.now()).await.map_err(credentials)?)),
    }
}

/// What the server offers.
pub(super) async fn offered(
    server: &Server,
    passport: &Passport,
    pki: Option<&Pki>,
) -> Result<Vec<EndpointDescription>, Failure> {
    let discoverer = discoverer(server, passport, pki)?;
    let transport = Transport::to(&server.endpoint);
    let offered = discoverer.get_server_endpoints_from_url(transport.clone()).await;
    offered.map_err(|error| transport.explain(connect(error)))
}

/// Whether the certificate that the endpoint names is good and trusted. The library then encrypts for the holder of
/// its key, and ends the session when the server shows another one.
pub(super) async fn admit(
    pki: Arc<Pki>,
    server: &Server,
    endpoint: &EndpointDescription,
    now: Timestamp,
) -> Result<Result<Certificate, NotAdmitted>, Failure> {
    let der = endpoint.server_certificate.as_ref().to_vec();
    let application_uri = endpoint.server.application_uri.as_ref().to_owned();
    let presented_by = format!("{} at {}", server.name, server.endpoint);
    let (host, pin) = (server.endpoint.host().to_owned(), server.pin.clone());
    let judging = move || {
        let expected = Expected { host: &host, application_uri: &application_uri, pin: pin.as_ref() };
        pki.admit(&der, &expected, &presented_by, now)
    };
    tokio::task::spawn_blocking(judging).await.map_err(credentials)
}

/// A client that keeps a session alive over many connections.
fn client(server: &Server, passport: &Passport, pki: Option<&Pki>) -> Result<Client, Failure> {
    built(identified(server, passport, pki).session_retry_limit(-1))
}

/// A client that asks once what a server offers, and does not try for ever.
fn discoverer(server: &Server, passport: &Passport, pki: Option<&Pki>) -> Result<Client, Failure> {
    built(identified(server, passport, pki).session_retry_limit(0))
}

fn built(builder: ClientBuilder) -> Result<Client, Failure> {
    builder.client().map_err(|problems| Failure::Credentials(problems.join("; ")))
}

fn identified(server: &Server, passport: &Passport, pki: Option<&Pki>) -> ClientBuilder {
    passport
        .equip(ClientBuilder::new(), pki)
        .application_name(APPLICATION_NAME)
        .product_uri(PRODUCT_URI)
        .session_name(format!("penstock {}", server.name))
        .session_timeout(u32::try_from(server.session_timeout.as_millis()).unwrap_or(u32::MAX))
        .session_retry_initial(RESUME_FIRST)
        .session_retry_max(RESUME_LONGEST)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .max_failed_keep_alive_count(FAILED_KEEP_ALIVES)
        .request_timeout(server.request_timeout)
        .publish_timeout(PUBLISH_TIMEOUT)
        .min_publish_interval(server.publish)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_array_length(MAX_ARRAY_LENGTH)
        .recreate_subscriptions(false)
}

fn token(identity: &Identity) -> Result<IdentityToken, Failure> {
    match identity {
        Identity::Anonymous => Ok(IdentityToken::Anonymous),
        Identity::UserName { name, password } => Ok(IdentityToken::new_user_name(name, password.reveal())),
        Identity::Certificate { certificate, key } => IdentityToken::new_x509_path(certificate, key)
            .map_err(|error| Failure::Credentials(format!("the user's certificate or key: {error}"))),
    }
}

fn credentials(error: impl std::error::Error) -> Failure {
    Failure::Credentials(error.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
fn connect(error: Error) -> Failure {
    Failure::Connect(error.status())
}

/// What a failed attempt says: that there is no connection, or that the server does not want one.
fn refusal(status: StatusCode) -> Failure {
    if status == StatusCode::BadTimeout || is_of_connection(status) {
        Failure::Connect(status)
    } else {
        Failure::Refused { status }
    }
}
