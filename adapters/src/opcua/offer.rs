//! Which of a server's endpoints is used: exactly what is configured, or none. Pure.

use std::collections::BTreeSet;

use opcua::crypto::SecurityPolicy;
use opcua::types::{EndpointDescription, MessageSecurityMode, UserTokenPolicy, UserTokenType};

use super::discovery::Login;
use super::failure::Failure;
use super::security::{Identity, Mode, Policy, Security};
use super::server::Server;

/// The endpoint to use, at the configured address: a server behind a router knows itself by another one.
pub(super) fn choose(
    server: &Server,
    offered: &[EndpointDescription],
) -> Result<EndpointDescription, Failure> {
    let matching = offered.iter().filter(|endpoint| security_of(endpoint) == Some(server.security));
    let candidates: Vec<&EndpointDescription> = matching.collect();
    if candidates.is_empty() {
        return Err(Failure::NotOffered(format!(
            "the server does not offer security {}; it offers {}",
            server.security,
            listed(offered)
        )));
    }
    let usable =
        candidates.into_iter().find_map(|endpoint| Some((endpoint, token_policy(server, endpoint)?)));
    let (endpoint, token) = usable.ok_or_else(|| {
        Failure::NotOffered(format!(
            "the server takes no {} with security {}",
            name_of(&server.identity),
            server.security
        ))
    })?;
    Ok(EndpointDescription {
        endpoint_url: server.endpoint.to_string().into(),
        user_identity_tokens: Some(vec![token]),
        ..endpoint.clone()
    })
}

/// The way to log in that is wanted, if `endpoint` has it.
fn token_policy(server: &Server, endpoint: &EndpointDescription) -> Option<UserTokenPolicy> {
    let kind = match server.identity {
        Identity::Anonymous => UserTokenType::Anonymous,
        Identity::UserName { .. } => UserTokenType::UserName,
        Identity::Certificate { .. } => UserTokenType::Certificate,
    };
    let tokens = endpoint.user_identity_tokens.as_deref().unwrap_or_default();
    let is_wanted = |policy: &&UserTokenPolicy| policy.token_type == kind && is_safe(policy, server.security);
    tokens.iter().find(is_wanted).map(|policy| spelled_out(policy, endpoint))
}

/// A token without a policy of its own has the endpoint's (OPC 10000-4, section 7.41). The library takes it for None
/// and would not sign for a user's certificate, so it is told.
fn spelled_out(policy: &UserTokenPolicy, endpoint: &EndpointDescription) -> UserTokenPolicy {
    let mut policy = policy.clone();
    if policy.security_policy_uri.is_empty() {
        policy.security_policy_uri = endpoint.security_policy_uri.clone();
    }
    policy
}

/// The ways to log in at an endpoint of this security in which nothing can be read or replayed.
pub(super) fn users(endpoint: &EndpointDescription) -> Vec<Login> {
    let Some(security) = security_of(endpoint) else { return Vec::new() };
    let tokens = endpoint.user_identity_tokens.as_deref().unwrap_or_default();
    let is_usable = |policy: &&UserTokenPolicy| is_safe(policy, security);
    let kinds = tokens.iter().filter(is_usable).filter_map(|policy| match policy.token_type {
        UserTokenType::Anonymous => Some(Login::Anonymous),
        UserTokenType::UserName => Some(Login::UserName),
        UserTokenType::Certificate => Some(Login::Certificate),
        UserTokenType::IssuedToken => None,
    });
    // What is offered may still be refused here: no user logs in over a connection that everybody can change.
    let is_spoken = |user: &Login| security != Security::None || *user == Login::Anonymous;
    kinds.filter(is_spoken).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether nobody can read or replay what is sent to log in this way (OPC 10000-4, section 7.41).
fn is_safe(policy: &UserTokenPolicy, security: Security) -> bool {
    let uri = policy.security_policy_uri.as_ref();
    // Without a policy of its own a token has the endpoint's, and with None its protection is the channel's.
    let is_in_secret = matches!(security, Security::Secured { mode: Mode::SignAndEncrypt, .. });
    match (policy.token_type, SecurityPolicy::from_uri(uri)) {
        (UserTokenType::Anonymous, _) => true,
        (UserTokenType::UserName, SecurityPolicy::None) if is_in_secret => true,
        (_, own) => uri.is_empty() || is_sound(own),
    }
}

fn is_sound(policy: SecurityPolicy) -> bool {
    matches!(
        policy,
        SecurityPolicy::Basic256Sha256
            | SecurityPolicy::Aes128Sha256RsaOaep
            | SecurityPolicy::Aes256Sha256RsaPss
    )
}

/// The security of an endpoint; none when it is one that is not spoken.
pub(super) fn security_of(endpoint: &EndpointDescription) -> Option<Security> {
    let policy = match SecurityPolicy::from_uri(endpoint.security_policy_uri.as_ref()) {
        SecurityPolicy::None if endpoint.security_mode == MessageSecurityMode::None => {
            return Some(Security::None);
        }
        SecurityPolicy::Basic256Sha256 => Policy::Basic256Sha256,
        SecurityPolicy::Aes128Sha256RsaOaep => Policy::Aes128Sha256RsaOaep,
        SecurityPolicy::Aes256Sha256RsaPss => Policy::Aes256Sha256RsaPss,
        _ => return None,
    };
    let mode = match endpoint.security_mode {
        MessageSecurityMode::Sign => Mode::Sign,
        MessageSecurityMode::SignAndEncrypt => Mode::SignAndEncrypt,
        _ => return None,
    };
    Some(Security::Secured { policy, mode })
}

fn listed(offered: &[EndpointDescription]) -> String {
    let mut names: Vec<String> =
        offered.iter().filter_map(security_of).map(|security| security.to_string()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { "none that penstock speaks".to_owned() } else { names.join(", ") }
}

const fn name_of(identity: &Identity) -> &'static str {
    match identity {
        Identity::Anonymous => "anonymous user",
        Identity::UserName { .. } => "user name with an encrypted password",
        Identity::Certificate { .. } => "user certificate",
    }
}

#[cfg(test)]
mod tests {
    use opcua::crypto::SecurityPolicy;
    use opcua::types::{EndpointDescription, UserTokenPolicy, UserTokenType};

    use super::{is_safe, spelled_out};

    #[test]
    fn a_token_without_a_policy_of_its_own_has_the_endpoints() {
        let security_policy_uri = SecurityPolicy::Basic256Sha256.to_uri().into();
        let endpoint = EndpointDescription { security_policy_uri, ..EndpointDescription::default() };
        let of = |uri: &str| {
            let policy = UserTokenPolicy { security_policy_uri: uri.into(), ..UserTokenPolicy::default() };
            spelled_out(&policy, &endpoint).security_policy_uri.to_string()
        };
        assert_eq!(of(""), SecurityPolicy::Basic256Sha256.to_uri());
        let own = SecurityPolicy::Aes256Sha256RsaPss.to_uri();
        assert_eq!(of(own), own);
    }

    #[test]
    fn a_password_is_only_sent_encrypted_by_itself_or_with_everything_else() {
        let by = |policy: SecurityPolicy, token_type, security: &str| {
            let security_policy_uri = policy.to_uri().into();
            let policy = UserTokenPolicy { token_type, security_policy_uri, ..UserTokenPolicy::default() };
            is_safe(&policy, security.parse().expect(security))
        };
        let (user, holder) = (UserTokenType::UserName, UserTokenType::Certificate);
        assert!(by(SecurityPolicy::Basic256Sha256, user, "Basic256Sha256/Sign"));
        assert!(by(SecurityPolicy::None, user, "Basic256Sha256/SignAndEncrypt"));
        assert!(!by(SecurityPolicy::None, user, "Basic256Sha256/Sign"), "everybody could read it");
        assert!(!by(SecurityPolicy::Basic256, user, "Basic256Sha256/SignAndEncrypt"), "it is broken");
        assert!(!by(SecurityPolicy::None, holder, "Basic256Sha256/SignAndEncrypt"), "nothing would prove it");
    }
}
