//! How far a server's clock is from the gateway's. Pure.

use std::cmp::Ordering;
use std::fmt;

use penstock_events::Timestamp;
use serde::Serialize;

/// Clocks that are set by NTP agree within a second, and some servers tell a time that they refresh once a second.
const TOLERATED_MS: u64 = 5_000;

/// How many milliseconds a server's clock is ahead of the gateway's; behind it, when negative.
///
/// Displays as `3h 0m ahead`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ClockSkew(i64);

impl ClockSkew {
    /// The skew of a server that told its time between two times of the gateway. Whatever the server may have read
    /// in between is no skew. Unknown when the gateway's clock was set back meanwhile.
    pub(super) fn between(asked: Timestamp, told: Timestamp, answered: Timestamp) -> Option<Self> {
        let (asked, told, answered) = (asked.as_micros(), told.as_micros(), answered.as_micros());
        (asked <= answered).then(|| Self(told.saturating_sub(told.clamp(asked, answered)) / 1_000))
    }

    /// Whether it is on another side than what was known before. What is not known is taken to agree.
    pub(super) fn is_news(self, known: Option<Self>) -> bool {
        self.side() != known.map_or(Ordering::Equal, Self::side)
    }

    /// In milliseconds.
    pub(super) const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whether the server's clock is ahead, which is `Greater`, or behind by more than 5 s. Less than that is `Equal`.
    pub fn side(self) -> Ordering {
        if self.0.unsigned_abs() <= TOLERATED_MS { Ordering::Equal } else { self.0.cmp(&0) }
    }
}

impl fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nearest = |count: u64, unit: u64| count.saturating_add(unit / 2) / unit;
        let seconds = nearest(self.0.unsigned_abs(), 1_000);
        let (minutes, hours) = (nearest(seconds, 60), nearest(seconds, 3_600));
        match seconds {
            0..60 => write!(f, "{seconds}s")?,
            60..3_600 => write!(f, "{}m {}s", seconds / 60, seconds % 60)?,
            3_600..86_400 => write!(f, "{}h {}m", minutes / 60, minutes % 60)?,
            86_400.. => write!(f, "{}d {}h", hours / 24, hours % 24)?,
        }
        f.write_str(if self.0 < 0 { " behind" } else { " ahead" })
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use penstock_events::Timestamp;

    use super::ClockSkew;

    const HOUR_MS: i64 = 3_600_000;

    fn between(asked: i64, told: i64, answered: i64) -> Option<i64> {
        let at = Timestamp::from_micros;
        ClockSkew::between(at(asked), at(told), at(answered)).map(ClockSkew::as_millis)
    }

    #[test]
    fn the_round_trip_is_no_skew() {
        let (asked, answered) = (50_000_000, 70_000_000);
        for (told, skew) in [
            (50_000_000, 0),
            (60_000_000, 0),
            (70_000_000, 0),
            (71_500_000, 1_500),
            (48_500_000, -1_500),
            (49_999_999, 0),
        ] {
            assert_eq!(between(asked, told, answered), Some(skew), "{told}");
        }
    }

    #[test]
    fn nothing_is_known_when_the_gateways_clock_was_set_back_meanwhile() {
        assert_eq!(between(70_000_000, 60_000_000, 50_000_000), None);
    }

    #[test]
    fn any_time_that_a_server_tells_is_taken() {
        assert_eq!(between(0, i64::MAX, 1), Some((i64::MAX - 1) / 1_000));
        assert_eq!(between(0, i64::MIN, 1), Some(i64::MIN / 1_000));
        assert_eq!(between(1, i64::MIN, 1), Some(i64::MIN / 1_000));
    }

    #[test]
    fn more_than_five_seconds_are_a_side() {
        for (ms, side) in [
            (0, Ordering::Equal),
            (5_000, Ordering::Equal),
            (-5_000, Ordering::Equal),
            (5_001, Ordering::Greater),
            (-5_001, Ordering::Less),
            (i64::MAX, Ordering::Greater),
            (i64::MIN, Ordering::Less),
        ] {
            assert_eq!(ClockSkew(ms).side(), side, "{ms}");
        }
    }

    #[test]
    fn it_is_news_when_it_leaves_or_changes_its_side() {
        let (agrees, ahead, further, behind) =
            (ClockSkew(900), ClockSkew(6_000), ClockSkew(HOUR_MS), ClockSkew(-HOUR_MS));
        assert!(!agrees.is_news(None));
        assert!(ahead.is_news(None));
        assert!(ahead.is_news(Some(agrees)));
        assert!(!further.is_news(Some(ahead)));
        assert!(behind.is_news(Some(further)));
        assert!(agrees.is_news(Some(behind)));
        assert!(!agrees.is_news(Some(agrees)));
    }

    #[test]
    fn it_is_told_in_two_units() {
        for (ms, words) in [
            (0, "0s ahead"),
            (-5_001, "5s behind"),
            (59_600, "1m 0s ahead"),
            (-754_000, "12m 34s behind"),
            (3 * HOUR_MS - 900, "3h 0m ahead"),
            (-3 * HOUR_MS - 900, "3h 0m behind"),
            (49 * HOUR_MS, "2d 1h ahead"),
        ] {
            assert_eq!(ClockSkew(ms).to_string(), words);
        }
        assert!(ClockSkew(i64::MIN).to_string().ends_with("h behind"));
    }
}
