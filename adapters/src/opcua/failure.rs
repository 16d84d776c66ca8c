//! Why a server is not read, in words that say what to do.

use std::time::Duration;

use opcua::types::StatusCode;
use penstock_events::Cause;

use super::decode;

/// Why a session could not be opened, or ended.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server cannot be reached, or speaks something else.
    #[error("cannot connect: {0}; is it on, and are address and port right?")]
    Connect(StatusCode),
    /// The server sends what cannot be taken, whoever it is.
    #[error("the server sends {0}; is it an OPC UA server, and the right one?")]
    Unacceptable(String),
    /// The server takes too long.
    #[error("no session within {0:?}")]
    ConnectTimeout(Duration),
    /// The server does not offer what is configured.
    #[error("{0}")]
    NotOffered(String),
    /// The gateway's or the user's certificate or key cannot be used.
    #[error("{0}")]
    Credentials(String),
    /// The server's certificate was refused.
    #[error("{0}")]
    NotAdmitted(String),
    /// The server refused to open a session.
    #[error("the server refuses a session: {status}{advice}", advice = advice(*.status))]
    Refused {
        /// What it said.
        status: StatusCode,
    },
    /// The connection broke, and the session with it.
    #[error("connection lost: {0}")]
    Lost(StatusCode),
    /// The server did not answer a request, or refused it as a whole.
    #[error("{request}: {status}")]
    Request {
        /// What was asked for.
        request: &'static str,
        /// What it said.
        status: StatusCode,
    },
    /// A subscription that should at least say that nothing changed says nothing.
    #[error("a subscription is silent for more than {0:?}")]
    Silent(Duration),
    /// The server ended a subscription.
    #[error("the server ended a subscription: {0}")]
    SubscriptionLost(StatusCode),
    /// The gateway could not keep up, and values were dropped.
    #[error("{0} messages came faster than they could be stored")]
    Overrun(u64),
}

impl Failure {
    /// The cause that the tags' quality shows.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Connect(_)
            | Self::Unacceptable(_)
            | Self::Lost(_)
            | Self::NotOffered(_)
            | Self::Credentials(_)
            | Self::NotAdmitted(_) => Cause::Disconnected,
            Self::ConnectTimeout(_) | Self::Silent(_) | Self::Overrun(_) => Cause::Timeout,
            Self::Refused { status } | Self::SubscriptionLost(status) => decode::cause(*status),
            Self::Request { status: StatusCode::BadTimeout, .. } => Cause::Timeout,
            Self::Request { status, .. } => decode::cause(*status),
        }
    }

    /// Whether the server was well until then, so that it is asked again at once and quietly.
    pub(super) const fn is_worth_another_try(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::SubscriptionLost(_) | Self::Overrun(_) | Self::Request { .. })
    }
}

/// Whether a request failed because there is no connection, and not for what it asked.
pub(super) fn is_of_connection(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BadConnectionClosed
            | StatusCode::BadConnectionRejected
            | StatusCode::BadCommunicationError
            | StatusCode::BadNotConnected
            | StatusCode::BadServerNotConnected
            | StatusCode::BadSecureChannelClosed
    )
}

/// What an operator can do about a refusal (OPC 10000-4, section 7.39.2).
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BadUserAccessDenied
        | StatusCode::BadIdentityTokenRejected
        | StatusCode::BadIdentityTokenInvalid => {
            "; it does not take this user: mend username and password, or the user's certificate"
        }
        StatusCode::BadSecurityChecksFailed
        | StatusCode::BadCertificateUntrusted
        | StatusCode::BadCertificateUseNotAllowed
        | StatusCode::BadCertificateInvalid => {
            "; it does not trust the gateway's certificate: accept that at the server"
        }
        StatusCode::BadCertificateTimeInvalid => {
            "; check both clocks, and when the gateway's certificate ends"
        }
        StatusCode::BadCertificateUriInvalid => {
            "; the gateway's certificate has another application URI than the gateway"
        }
        StatusCode::BadTooManySessions => "; close sessions of other clients, or allow more at the server",
        _ => "",
    }
}
