//! What a server offers, and how it is judged, without a session there: for commissioning.

use std::sync::Arc;

use opcua::types::{EndpointDescription, MessageSecurityMode};
use tokio::time::timeout;

use super::failure::Failure;
use super::link;
use super::offer;
use super::pki::{Certificate, NotAdmitted, Passport, Pki, Refusal};
use super::security::{Mode, Policy, Security};
use super::server::Server;
use crate::Clock;

/// The most endpoints that are shown.
const MOST_OFFERS: usize = 50;

/// What was found out about a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discovery {
    /// Whether it answered.
    pub answers: bool,
    /// What it offers, the best first.
    pub offers: Vec<Offer>,
    /// The certificate that it presents for what is configured, if that is secured.
    pub certificate: Option<Presented>,
    /// The gateway's own certificate, if it is needed.
    pub own: Option<Certificate>,
    /// What keeps the gateway from opening a session, as far as that is known before it tries.
    pub trouble: Option<String>,
}

/// A security that a server offers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// It, as the configuration says it; none where penstock does not speak it.
    pub security: Option<Security>,
    /// The same in the server's words.
    pub name: String,
    /// Who can log in with it.
    pub users: Vec<Login>,
    /// Whether it is what is configured.
    pub is_configured: bool,
}

/// A kind of user.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Login {
    /// Nobody in particular.
    Anonymous,
    /// With a password.
    UserName,
    /// With a certificate.
    Certificate,
}

/// A certificate that a server presents, and what is held of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Presented {
    /// It.
    pub certificate: Certificate,
    /// Whether the operator trusts it.
    pub is_trusted: bool,
    /// Every reason not to speak to the server, in words that say how to mend it.
    pub against: Vec<String>,
}

impl Login {
    /// The words for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::UserName => "user name",
            Self::Certificate => "user certificate",
        }
    }
}

/// Asks a server what it offers, and judges it as if a session were to be opened there. A certificate that nobody
/// accepted is put among the rejected ones, where an operator finds it.
pub async fn discover(server: &Server, passport: &Passport, clock: &Clock) -> Discovery {
    let mut discovery = Discovery::default();
    let looking = look(server, passport, clock, &mut discovery);
    let looked = timeout(server.connect_timeout, looking).await;
    let looked = looked.unwrap_or(Err(Failure::ConnectTimeout(server.connect_timeout)));
    discovery.trouble = looked.err().map(|failure| failure.to_string());
    discovery
}

async fn look(
    server: &Server,
    passport: &Passport,
    clock: &Clock,
    discovery: &mut Discovery,
) -> Result<(), Failure> {
    let pki = link::pki(server, passport, clock).await?;
    discovery.own = pki.as_ref().map(|pki| pki.own().certificate().clone());
    let offered = link::offered(server, passport, pki.as_deref()).await?;
    discovery.answers = true;
    discovery.offers = offers(server, &offered);
    let endpoint = offer::choose(server, &offered)?;
    match pki {
        Some(pki) => judge(pki, server, &endpoint, clock, discovery).await,
        None => Ok(()),
    }
}

async fn judge(
    pki: Arc<Pki>,
    server: &Server,
    endpoint: &EndpointDescription,
    clock: &Clock,
    discovery: &mut Discovery,
) -> Result<(), Failure> {
    let admitted = link::admit(pki, server, endpoint, clock.now()).await?;
    let (against, is_trusted) = match &admitted {
        Ok(_) => (Vec::new(), true),
        Err(NotAdmitted::Refused { refusals, .. }) => (
            refusals.iter().map(Refusal::to_string).collect(),
            !refusals.iter().any(|refusal| matches!(refusal, Refusal::Untrusted { .. })),
        ),
        Err(error) => (vec![error.to_string()], false),
    };
    let certificate = Certificate::from_der(endpoint.server_certificate.as_ref()).ok();
    discovery.certificate = certificate.map(|certificate| Presented { certificate, is_trusted, against });
    admitted.map(drop).map_err(|error| Failure::NotAdmitted(error.to_string()))
}

/// What is offered, each security once, the best first.
fn offers(server: &Server, offered: &[EndpointDescription]) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    for endpoint in offered.iter().take(MOST_OFFERS) {
        let security = offer::security_of(endpoint);
        let name = security.map_or_else(|| in_its_words(endpoint), |security| security.to_string());
        let users = offer::users(endpoint);
        match offers.iter_mut().find(|offer| offer.name == name) {
            Some(known) => {
                known.users.extend(users);
                known.users.sort_unstable();
                known.users.dedup();
            }
            None => {
                let is_configured = security == Some(server.security);
                offers.push(Offer { security, name, users, is_configured });
            }
        }
    }
    offers.sort_by_key(|offer| (rank(offer.security), offer.name.clone()));
    offers
}

/// The best has the lowest: encryption before signatures, those before nothing, and last what is not spoken. Of two
/// policies the one with the longer keys for its messages.
const fn rank(security: Option<Security>) -> (u8, u8) {
    let Some(security) = security else { return (3, 0) };
    let Security::Secured { policy, mode } = security else { return (2, 0) };
    let of_mode = match mode {
        Mode::SignAndEncrypt => 0,
        Mode::Sign => 1,
    };
    let of_policy = match policy {
        Policy::Aes256Sha256RsaPss => 0,
        Policy::Basic256Sha256 => 1,
        Policy::Aes128Sha256RsaOaep => 2,
    };
    (of_mode, of_policy)
}

/// What penstock does not speak: the end of the policy's URI, and the mode.
fn in_its_words(endpoint: &EndpointDescription) -> String {
    let uri = endpoint.security_policy_uri.as_ref();
    let policy: String = uri.rsplit(['#', '/']).next().unwrap_or(uri).chars().take(60).collect();
    match endpoint.security_mode {
        MessageSecurityMode::Sign => format!("{policy}/Sign"),
        MessageSecurityMode::SignAndEncrypt => format!("{policy}/SignAndEncrypt"),
        _ => policy,
    }
}

#[cfg(test)]
mod tests {
    use opcua::crypto::SecurityPolicy;
    use opcua::types::{EndpointDescription, MessageSecurityMode, UserTokenPolicy, UserTokenType};

    use super::{Login, offers};
    use crate::opcua::Server;

    fn endpoint(policy: &str, mode: MessageSecurityMode, users: &[UserTokenType]) -> EndpointDescription {
        let token = |kind: &UserTokenType| UserTokenPolicy {
            token_type: *kind,
            security_policy_uri: SecurityPolicy::Basic256Sha256.to_uri().into(),
            ..UserTokenPolicy::default()
        };
        EndpointDescription {
            security_policy_uri: policy.into(),
            security_mode: mode,
            user_identity_tokens: Some(users.iter().map(token).collect()),
            ..EndpointDescription::default()
        }
    }

    #[test]
    fn each_security_is_offered_once_the_best_first_with_those_who_can_log_in_with_it() {
        let (none, sha256) = (SecurityPolicy::None.to_uri(), SecurityPolicy::Basic256Sha256.to_uri());
        let every = [UserTokenType::Anonymous, UserTokenType::UserName, UserTokenType::IssuedToken];
        let offered = [
            endpoint(none, MessageSecurityMode::None, &every),
            endpoint(SecurityPolicy::Basic256.to_uri(), MessageSecurityMode::Sign, &every),
            endpoint(sha256, MessageSecurityMode::Sign, &[UserTokenType::Certificate]),
            endpoint(sha256, MessageSecurityMode::SignAndEncrypt, &[UserTokenType::UserName]),
            endpoint(sha256, MessageSecurityMode::SignAndEncrypt, &every),
        ];
        let security = "Basic256Sha256/Sign".parse().expect("a security");
        let offers = offers(&Server { security, ..Server::sample() }, &offered);
        let told: Vec<_> = offers.iter().map(|one| (one.name.as_str(), one.users.as_slice())).collect();
        let expected: [(&str, &[Login]); 4] = [
            ("Basic256Sha256/SignAndEncrypt", &[Login::Anonymous, Login::UserName]),
            ("Basic256Sha256/Sign", &[Login::Certificate]),
            ("None", &[Login::Anonymous]),
            ("Basic256/Sign", &[]),
        ];
        assert_eq!(told, expected);
        assert_eq!(
            offers.iter().map(|one| one.is_configured).collect::<Vec<_>>(),
            [false, true, false, false]
        );
        assert_eq!(offers[3].security, None, "it is broken");
    }
}
