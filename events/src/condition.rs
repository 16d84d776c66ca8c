//! Conditions that a source watches by itself, such as the alarms of an OPC UA server: what it says of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use crate::time::Timestamp;

/// The longest [`ConditionId`], in bytes: with three [`Wording`]s beside it an event still fits the buffer.
pub const MAX_CONDITION_BYTES: usize = 1024;
/// The longest [`Wording`], in bytes.
pub const MAX_WORDING_BYTES: usize = 1024;

/// What names a condition of a source: the same after every restart of either side, and unique within the tag.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct ConditionId(Arc<str>);

/// Why a text names no condition.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidCondition {
    /// Nothing was given.
    #[error("the id of a condition must not be empty")]
    Empty,
    /// It is longer than [`MAX_CONDITION_BYTES`]. Cut, two could become one.
    #[error("the id of a condition has {bytes} bytes, and {MAX_CONDITION_BYTES} is the most")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
}

impl ConditionId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConditionId {
    type Err = InvalidCondition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.len() {
            0 => Err(InvalidCondition::Empty),
            bytes if bytes > MAX_CONDITION_BYTES => Err(InvalidCondition::TooLong { bytes }),
            _ => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for ConditionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A source's own words, for people: not blank, and no longer than [`MAX_WORDING_BYTES`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Wording(Arc<str>);

impl Wording {
    /// The words in `text`, cut where they are too long; none when it is blank.
    pub fn of(text: &str) -> Option<Self> {
        const CUT: &str = "…";
        let text = text.trim();
        if text.len() <= MAX_WORDING_BYTES {
            return (!text.is_empty()).then(|| Self(text.into()));
        }
        let end = text.floor_char_boundary(MAX_WORDING_BYTES - CUT.len());
        Some(Self(format!("{}{CUT}", &text[..end]).into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How bad a condition is, from 1 to 1000, where 1000 is a catastrophe (OPC 10000-5, section 6.4.2).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Severity(u16);

impl Severity {
    /// The least.
    pub const LEAST: Self = Self(1);
    /// The greatest.
    pub const GREATEST: Self = Self(1000);

    /// The severity `number`; one beyond the ends of the range is at its end.
    pub fn clamped(number: u16) -> Self {
        Self(number).clamp(Self::LEAST, Self::GREATEST)
    }

    /// From 1 to 1000.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// What a source says of one condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// Which condition.
    pub id: ConditionId,
    /// What it is called.
    pub name: Option<Wording>,
    /// What it is about.
    pub source_name: Option<Wording>,
    /// How bad it is.
    pub severity: Severity,
    /// What it says.
    pub message: Option<Wording>,
    /// Whether it asks for attention.
    pub standing: Standing,
    /// When it came to stand so, where the source says that.
    pub since: Option<Timestamp>,
    /// When the source said so.
    pub time: Timestamp,
}

/// Whether a condition asks for attention.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It does.
    Active,
    /// It does not, or not any more.
    Over,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_between_characters_and_blanks_are_none() {
        assert_eq!(Wording::of(" \n"), None);
        assert_eq!(Wording::of(" zone 2 ").map(|words| words.as_str().to_owned()), Some("zone 2".to_owned()));
        for text in ["ä".repeat(MAX_WORDING_BYTES), format!("a{}", "ä".repeat(MAX_WORDING_BYTES))] {
            let words = Wording::of(&text).expect("not blank");
            let kept = words.as_str().strip_suffix('…').expect("it is cut");
            assert!(words.as_str().len() <= MAX_WORDING_BYTES && text.starts_with(kept));
        }
        let whole = "x".repeat(MAX_WORDING_BYTES);
        assert_eq!(Wording::of(&whole).expect("not blank").as_str(), whole);
    }

    #[test]
    fn an_id_is_whole_or_none() {
        assert_eq!("".parse::<ConditionId>(), Err(InvalidCondition::Empty));
        let longest = "x".repeat(MAX_CONDITION_BYTES);
        assert_eq!(longest.parse::<ConditionId>().expect("just fits").as_str(), longest);
        let longer = format!("{longest}x").parse::<ConditionId>();
        assert_eq!(longer, Err(InvalidCondition::TooLong { bytes: MAX_CONDITION_BYTES + 1 }));
    }

    #[test]
    fn a_severity_is_within_its_range() {
        let numbers = [0, 1, 400, 1000, u16::MAX].map(|number| Severity::clamped(number).get());
        assert_eq!(numbers, [1, 1, 400, 1000, 1000]);
    }
}
