//! Texts in which a `*` stands for any characters.

use std::sync::Arc;

/// A text with any number of `*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// What every text matches.
    pub fn any() -> Self {
        Self::new("*")
    }

    /// The pattern `text`.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_any_characters() {
        for pattern in ["press-1.temp", "press-1.*", "*", "press-*.temp", "p*1*mp", "*temp", "press-1.temp*"]
        {
            assert!(Pattern::new(pattern).matches("press-1.temp"), "{pattern}");
        }
        for pattern in ["press-1", "press-2.*", "*.tem", "press-1.temp.*", "temp*", "p*2*mp"] {
            assert!(!Pattern::new(pattern).matches("press-1.temp"), "{pattern}");
        }
        assert!(Pattern::any().matches(""));
    }
}
