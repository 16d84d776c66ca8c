//! How a server is spoken to, and as whom. What is configured is used or nothing: there is no fallback.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The security of a connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Security {
    /// None: everybody in the network may read and change what is said.
    #[default]
    None,
    /// A policy and what it protects.
    Secured {
        /// The algorithms.
        policy: Policy,
        /// What they protect.
        mode: Mode,
    },
}

/// The algorithms that secure a connection (OPC 10000-7). Those that are broken (Basic128Rsa15, Basic256)
/// are not there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Policy {
    /// `Basic256Sha256`.
    Basic256Sha256,
    /// `Aes128_Sha256_RsaOaep`.
    Aes128Sha256RsaOaep,
    /// `Aes256_Sha256_RsaPss`.
    Aes256Sha256RsaPss,
}

/// What of a message is protected (OPC 10000-4, section 7.20).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Nobody can change it; everybody can read it.
    Sign,
    /// Nobody can change or read it.
    SignAndEncrypt,
}

/// The text names no security that is offered.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidSecurity {
    /// A policy that is broken.
    #[error("{policy} is broken and not offered; every server of this century has Basic256Sha256")]
    Broken {
        /// Its name.
        policy: &'static str,
    },
    /// A policy that is none.
    #[error("{text:?} is no security policy")]
    Policy {
        /// The text as it was given.
        text: String,
    },
    /// A mode is missing or is none.
    #[error("after the policy comes /Sign or /SignAndEncrypt")]
    Mode,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 3] = [Self::Basic256Sha256, Self::Aes128Sha256RsaOaep, Self::Aes256Sha256RsaPss];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic256Sha256 => "Basic256Sha256",
            Self::Aes128Sha256RsaOaep => "Aes128-Sha256-RsaOaep",
            Self::Aes256Sha256RsaPss => "Aes256-Sha256-RsaPss",
        }
    }
}

impl FromStr for Security {
    type Err = InvalidSecurity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "None" {
            return Ok(Self::None);
        }
        let (policy, mode) = text.split_once('/').map_or((text, None), |(policy, mode)| (policy, Some(mode)));
        if let Some(policy) = ["Basic128Rsa15", "Basic256"].into_iter().find(|broken| *broken == policy) {
            return Err(InvalidSecurity::Broken { policy });
        }
        // The URIs of the newer policies have '_' where their names have '-'.
        let named = policy.replace('_', "-");
        let policy = Policy::ALL
            .into_iter()
            .find(|policy| policy.as_str() == named)
            .ok_or_else(|| InvalidSecurity::Policy { text: policy.to_owned() })?;
        let mode = match mode {
            Some("Sign") => Mode::Sign,
            Some("SignAndEncrypt") => Mode::SignAndEncrypt,
            _ => return Err(InvalidSecurity::Mode),
        };
        Ok(Self::Secured { policy, mode })
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Secured { policy, mode } => write!(f, "{}/{mode:?}", policy.as_str()),
        }
    }
}

/// As whom the gateway logs in (OPC 10000-4, section 7.41).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Identity {
    /// As nobody in particular.
    #[default]
    Anonymous,
    /// As a user with a password.
    UserName {
        /// The user.
        name: String,
        /// The password.
        password: Password,
    },
    /// As the holder of a certificate, which is not the gateway's own.
    Certificate {
        /// The certificate, DER or PEM.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
    },
}

impl Identity {
    /// Whether the password is out of reach of whoever asks, so that nobody can log in.
    pub fn lacks_password(&self) -> bool {
        matches!(self, Self::UserName { password, .. } if password.0.is_empty())
    }
}

/// A password. Never shown. An empty one stands for one that is out of reach.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Password(String);

impl Password {
    /// The password that `text` is.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the one place that sends it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("•••")
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidSecurity, Password, Security};

    #[test]
    fn every_policy_and_mode_is_read_and_shown_again() {
        for text in [
            "None",
            "Basic256Sha256/Sign",
            "Basic256Sha256/SignAndEncrypt",
            "Aes128-Sha256-RsaOaep/SignAndEncrypt",
            "Aes256-Sha256-RsaPss/Sign",
        ] {
            assert_eq!(text.parse::<Security>().expect(text).to_string(), text);
        }
        let by_uri = "Aes256_Sha256_RsaPss/Sign".parse::<Security>();
        assert_eq!(by_uri, "Aes256-Sha256-RsaPss/Sign".parse());
    }

    #[test]
    fn broken_policies_and_incomplete_ones_are_refused() {
        for text in ["Basic256/Sign", "Basic128Rsa15/SignAndEncrypt"] {
            let error = text.parse::<Security>().expect_err(text);
            assert!(matches!(error, InvalidSecurity::Broken { .. }), "{error}");
        }
        for text in [
            "",
            "none",
            "None/Sign",
            "Basic256Sha256",
            "Basic256Sha256/",
            "Basic256Sha256/None",
            "Basic/Sign",
        ] {
            assert!(text.parse::<Security>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        assert!(!format!("{:?}", Password::new("hunter2".to_owned())).contains("hunter2"));
    }
}
