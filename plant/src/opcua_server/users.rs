//! Who is let in.

use async_trait::async_trait;
use opcua::crypto::Thumbprint;
use opcua::server::ServerEndpoint;
use opcua::server::authenticator::{AuthManager, Password, UserToken, user_pass_security_policy_id};
use opcua::types::{Error, StatusCode, UAString, UserTokenPolicy, UserTokenType};

/// What the library calls the tokens of these two kinds; it refuses any other name.
const ANONYMOUS: &str = "anonymous";
const CERTIFICATE: &str = "x509";

/// Who is let in.
#[derive(Debug, Default)]
pub(super) struct Users {
    /// Nobody in particular.
    pub(super) takes_anonymous: bool,
    /// A name and a password.
    pub(super) named: Option<(String, String)>,
    /// The holder of the key of a certificate.
    pub(super) holder: Option<Thumbprint>,
}

#[async_trait]
impl AuthManager for Users {
    async fn authenticate_anonymous_token(&self, _endpoint: &ServerEndpoint) -> Result<(), Error> {
        if self.takes_anonymous { Ok(()) } else { Err(refused("nobody is let in without a name")) }
    }

    async fn authenticate_username_identity_token(
        &self,
        _endpoint: &ServerEndpoint,
        name: &str,
        password: &Password,
    ) -> Result<UserToken, Error> {
        match &self.named {
            Some((known, right)) if known == name && right == password.get() => {
                Ok(UserToken(name.to_owned()))
            }
            _ => Err(refused("unknown user or wrong password")),
        }
    }

    async fn authenticate_x509_identity_token(
        &self,
        _endpoint: &ServerEndpoint,
        thumbprint: &Thumbprint,
    ) -> Result<UserToken, Error> {
        match &self.holder {
            Some(known) if known == thumbprint => Ok(UserToken("holder".to_owned())),
            _ => Err(refused("unknown certificate")),
        }
    }

    fn user_token_policies(&self, endpoint: &ServerEndpoint) -> Vec<UserTokenPolicy> {
        let offer = |policy_id: UAString, token_type| UserTokenPolicy {
            policy_id,
            token_type,
            issued_token_type: UAString::null(),
            issuer_endpoint_url: UAString::null(),
            // The endpoint's own.
            security_policy_uri: UAString::null(),
        };
        let mut policies = Vec::new();
        if self.takes_anonymous {
            policies.push(offer(ANONYMOUS.into(), UserTokenType::Anonymous));
        }
        if self.named.is_some() {
            policies.push(offer(user_pass_security_policy_id(endpoint), UserTokenType::UserName));
        }
        if self.holder.is_some() {
            let mut policy = offer(CERTIFICATE.into(), UserTokenType::Certificate);
            // The library takes the lack of one for none here, and no signature is right then.
            policy.security_policy_uri = endpoint.security_policy().to_uri().into();
            policies.push(policy);
        }
        policies
    }
}

fn refused(why: &str) -> Error {
    Error::new(StatusCode::BadUserAccessDenied, why.to_owned())
}
