//! Points in time, and the fixed grid on which devices are polled.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: microseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// Displays as RFC 3339 in UTC with six fractional digits.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 time.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a time such as 2026-01-31T06:00:00Z")]
pub struct InvalidTimestamp {
    text: String,
}

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This time plus `duration`; the far end of time when that is out of range.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// How much later this time is than `earlier`, or `None` when it is before it.
    pub fn checked_since(self, earlier: Self) -> Option<Duration> {
        u64::try_from(self.0.checked_sub(earlier.0)?).ok().map(Duration::from_micros)
    }

    /// The last slot of the grid of `interval` at or before this time. The grid is aligned to the
    /// Unix epoch, so every gateway with the same interval has the same slots.
    ///
    /// An interval under one microsecond has no grid: the time itself is returned.
    #[must_use]
    pub fn slot(self, interval: Duration) -> Self {
        match i64::try_from(interval.as_micros()) {
            Ok(micros) if micros > 0 => Self(self.0.saturating_sub(self.0.rem_euclid(micros))),
            _ => self,
        }
    }
}

impl From<SystemTime> for Timestamp {
    /// The same point in time; the Unix epoch for a clock that shows an earlier one.
    fn from(time: SystemTime) -> Self {
        Self::EPOCH.saturating_add(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => write!(f, "{time:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Self(time.as_microsecond()))
            .map_err(|_| InvalidTimestamp { text: text.to_owned() })
    }
}

/// The text for people and what they read, such as JSON; microseconds where space counts.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_and_parses_rfc3339() {
        let time = Timestamp::from_micros(1_767_225_600_000_250);
        assert_eq!(time.to_string(), "2026-01-01T00:00:00.000250Z");
        assert_eq!(time.to_string().parse::<Timestamp>().expect("own display"), time);
    }

    #[test]
    fn json_has_the_text_and_postcard_the_number() {
        let time = Timestamp::from_micros(1_767_225_600_000_250);
        let json = serde_json::to_string(&time).expect("plain data");
        assert_eq!(json, "\"2026-01-01T00:00:00.000250Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).expect("own text"), time);
        let stored = postcard::to_stdvec(&time).expect("plain data");
        assert_eq!(stored, postcard::to_stdvec(&time.as_micros()).expect("plain data"));
        assert_eq!(postcard::from_bytes::<Timestamp>(&stored).expect("own bytes"), time);
    }

    #[test]
    fn slots_are_aligned_to_the_epoch_on_both_sides_of_it() {
        let interval = Duration::from_secs(1);
        assert_eq!(Timestamp::from_micros(1_999_999).slot(interval).as_micros(), 1_000_000);
        assert_eq!(Timestamp::from_micros(2_000_000).slot(interval).as_micros(), 2_000_000);
        assert_eq!(Timestamp::from_micros(-1).slot(interval).as_micros(), -1_000_000);
    }
}
