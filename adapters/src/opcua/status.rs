//! What the gateway can tell about a server while it runs.

use std::time::Duration;

use penstock_events::{Cause, SourceName, TagPath, Timestamp};
use serde::{Serialize, Serializer};

use super::skew::ClockSkew;

/// A server's condition, for the status page. The observer is its only writer; it outlives an
/// observer that is restarted, and with it the knowledge of what was already reported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServerStatus {
    /// Which server.
    pub name: SourceName,
    /// Whether it answers.
    #[serde(flatten)]
    pub link: ServerLink,
    /// Since when it does or does not.
    #[serde(serialize_with = "as_text")]
    pub since: Timestamp,
    /// When it last said anything, be it that nothing changed.
    #[serde(serialize_with = "as_text_or_null")]
    pub last_message: Option<Timestamp>,
    /// How many tags have no value that can be trusted: refused by the server, or bad.
    pub bad_tags: usize,
    /// Values that were received.
    pub values: u64,
    /// Attempts that did not end in a session with its subscriptions.
    pub failed: u64,
    /// Sessions that were opened; more than one means that the server was connected anew.
    pub connects: u64,
    /// Times that the old session went on after its connection was lost.
    pub resumed: u64,
    /// Subscriptions that a session took over from one that was lost.
    pub taken_over: u64,
    /// Poll slots of the tags that are read cyclically that passed without a poll.
    pub skipped: u64,
    /// Messages of the server that never came.
    pub missing: u64,
    /// Values that were missed and came from the server's history.
    pub recovered: u64,
    /// Times that values of a tag may be missing, since no history had them.
    pub gaps: u64,
    /// Values that the server gave up because a queue was full.
    pub overflows: u64,
    /// What the server made of the wishes of the last session; none before the first.
    pub pace: Option<Pace>,
    /// How far the server's clock is from the gateway's; none before both were compared, or if it tells no time.
    pub clock_skew_ms: Option<ClockSkew>,
    /// Until when the server's certificate is valid; none without security.
    #[serde(serialize_with = "as_text_or_null")]
    pub certificate_ends: Option<Timestamp>,
    /// Until when the gateway's own is.
    #[serde(serialize_with = "as_text_or_null")]
    pub own_certificate_ends: Option<Timestamp>,
    /// Its alarms; none where none are configured.
    pub alarms: Option<AlarmStatus>,
}

/// What is known of a server's alarms.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AlarmStatus {
    /// Conditions that are active, by what the server said last.
    pub active: usize,
    /// How often it told of a condition.
    pub told: u64,
    /// When it last told of all that is active; never while it is none.
    #[serde(serialize_with = "as_text_or_null")]
    pub last_complete: Option<Timestamp>,
    /// Why it does not tell of all that is active when it is asked. What ended while it was out of reach is then
    /// found only when it says so.
    pub incomplete_because: Option<String>,
    /// Events about conditions that do not say about which, or how it is.
    pub unusable: u64,
    /// Times that it gave up events because its queue was full; what is active was asked for then.
    pub overflows: u64,
}

/// How often a server publishes and looks at values, by its own word.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pace {
    /// The longest time between two publications.
    pub publish_ms: u64,
    /// How many tags it looks at less than half as often as asked for.
    pub slowed_tags: usize,
    /// The one of them that it looks at least often.
    pub slowest: Option<SlowedTag>,
}

/// A tag that is sampled less often than asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SlowedTag {
    /// Which.
    pub tag: TagPath,
    /// The time between two looks at it that was asked for.
    pub asked_ms: u64,
    /// The time that there is.
    pub granted_ms: u64,
}

impl Pace {
    /// Takes in how often the server looks at a tag. A wish for "as fast as it can" is fulfilled by whatever it does.
    pub(super) fn sampled(&mut self, tag: &TagPath, asked: Duration, granted_ms: f64) {
        let asked_ms = millis(asked);
        let granted_ms = rounded(granted_ms);
        if asked_ms == 0 || granted_ms <= asked_ms.saturating_mul(2) {
            return;
        }
        self.slowed_tags += 1;
        if self.slowest.as_ref().is_none_or(|slowest| slowest.granted_ms < granted_ms) {
            self.slowest = Some(SlowedTag { tag: tag.clone(), asked_ms, granted_ms });
        }
    }

    /// Takes in how often the server publishes a subscription.
    pub(super) fn published(&mut self, every: Duration) {
        self.publish_ms = self.publish_ms.max(millis(every));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a server says may be anything: no number is 0, and more than fits is the most.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
fn rounded(millis: f64) -> u64 {
    millis.round() as u64
}

/// Whether a server answers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ServerLink {
    /// It was not asked yet.
    Starting,
    /// It answers.
    Up,
    /// It does not.
    Down {
        /// What the gateway saw, as the tags' quality shows it.
        #[serde(serialize_with = "as_text")]
        cause: Cause,
        /// The same with the error's own words and what to do, for people.
        detail: String,
    },
}

impl ServerStatus {
    /// The status of a server that nobody asked yet.
    pub fn starting(name: SourceName, now: Timestamp) -> Self {
        Self {
            name,
            link: ServerLink::Starting,
            since: now,
            last_message: None,
            bad_tags: 0,
            values: 0,
            failed: 0,
            connects: 0,
            resumed: 0,
            taken_over: 0,
            skipped: 0,
            missing: 0,
            recovered: 0,
            gaps: 0,
            overflows: 0,
            pace: None,
            clock_skew_ms: None,
            certificate_ends: None,
            own_certificate_ends: None,
            alarms: None,
        }
    }
}

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn as_text_or_null<T: ToString, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(T::to_string).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pace;

    #[test]
    fn a_tag_is_slowed_when_it_is_looked_at_less_than_half_as_often_as_asked_for() {
        let mut pace = Pace::default();
        let tag = |name: &str| format!("oven.{name}").parse().expect("a path");
        for (name, asked_ms, granted_ms) in [
            ("asked", 100, 100.0),
            ("bit", 100, 200.0),
            ("fastest", 0, 1_000.0),
            ("faster", 100, 10.0),
            ("nonsense", 100, f64::NAN),
            ("below", 100, -5.0),
        ] {
            pace.sampled(&tag(name), Duration::from_millis(asked_ms), granted_ms);
        }
        assert_eq!(pace, Pace::default());
        pace.sampled(&tag("slow"), Duration::from_millis(100), 500.4);
        pace.sampled(&tag("endless"), Duration::from_millis(100), f64::INFINITY);
        pace.sampled(&tag("slower"), Duration::from_millis(100), 1_000.0);
        let slowest = pace.slowest.expect("one is");
        assert_eq!(
            (pace.slowed_tags, slowest.tag.as_str(), slowest.granted_ms),
            (3, "oven.endless", u64::MAX)
        );
    }
}
