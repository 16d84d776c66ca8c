//! The name of a certificate: the SHA-256 of its DER form.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

const BYTES: usize = 32;

/// What `openssl x509 -fingerprint -sha256` shows. Displays as 64 hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fingerprint([u8; BYTES]);

/// The text is no fingerprint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not the SHA-256 of a certificate: 64 hexadecimal digits, with or without colons")]
pub struct InvalidFingerprint {
    /// The text as it was given.
    text: String,
}

impl Fingerprint {
    /// The fingerprint of the certificate whose DER form is `der`.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidFingerprint { text: text.to_owned() };
        let mut digits = text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16));
        let mut bytes = [0; BYTES];
        for byte in &mut bytes {
            let pair = digits.next().flatten().zip(digits.next().flatten());
            let (high, low) = pair.ok_or_else(invalid)?;
            *byte = u8::try_from(16 * high + low).expect("two digits are a byte");
        }
        if digits.next().is_some() { Err(invalid()) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    #[test]
    fn it_is_read_with_and_without_colons_and_in_both_cases() {
        let fingerprint = Fingerprint::of(b"a certificate");
        let text = fingerprint.to_string();
        let with_colons: Vec<String> =
            text.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
        assert_eq!(text.parse(), Ok(fingerprint));
        assert_eq!(with_colons.join(":").to_uppercase().parse(), Ok(fingerprint));
    }

    #[test]
    fn what_is_too_short_too_long_or_no_number_is_refused() {
        let text = Fingerprint::of(b"").to_string();
        for wrong in ["", "e3", &text[1..], &format!("{text}0"), &text.replace('e', "g"), "ää"] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong:?} was taken");
        }
    }
}
