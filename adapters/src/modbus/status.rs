//! What the gateway can tell about a device while it runs.

use penstock_events::{Cause, SourceName, Timestamp};
use serde::{Serialize, Serializer};

/// A device's condition, for the status page. The poller is its only writer; it outlives a
/// poller that is restarted, and with it the knowledge of what was already reported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceStatus {
    /// Which device.
    pub name: SourceName,
    /// Whether it answers.
    #[serde(flatten)]
    pub link: Link,
    /// Since when it does or does not.
    #[serde(serialize_with = "as_text")]
    pub since: Timestamp,
    /// The slot of the last complete poll.
    #[serde(serialize_with = "as_text_or_null")]
    pub last_poll: Option<Timestamp>,
    /// How many tags of the last complete poll were not good.
    pub bad_tags: usize,
    /// Polls that were answered completely.
    pub polls: u64,
    /// Polls that were not.
    pub failed: u64,
    /// Slots that passed without a poll, because a poll overran or the way onwards was full.
    pub skipped: u64,
    /// Connections that were opened; more than one means that the device was reconnected.
    pub connects: u64,
}

/// Whether a device answers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Link {
    /// It was not asked yet.
    Starting,
    /// It answers.
    Up,
    /// It does not.
    Down {
        /// What the gateway saw, as the tags' quality shows it.
        #[serde(serialize_with = "as_text")]
        cause: Cause,
        /// The same with the error's own words, for people.
        detail: String,
    },
}

impl DeviceStatus {
    /// The status of a device that nobody asked yet.
    pub fn starting(name: SourceName, now: Timestamp) -> Self {
        Self {
            name,
            link: Link::Starting,
            since: now,
            last_poll: None,
            bad_tags: 0,
            polls: 0,
            failed: 0,
            skipped: 0,
            connects: 0,
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
    use penstock_events::{Cause, Timestamp};
    use serde_json::json;

    use super::{DeviceStatus, Link};

    #[test]
    fn the_status_page_gets_text_for_times_and_codes_for_causes() {
        let name = "press-1".parse().expect("a source name");
        let mut status = DeviceStatus::starting(name, Timestamp::EPOCH);
        status.link = Link::Down { cause: Cause::Timeout, detail: "no reply within 1s".to_owned() };
        let expected = json!({
            "name": "press-1", "state": "down", "cause": "timeout", "detail": "no reply within 1s",
            "since": "1970-01-01T00:00:00.000000Z", "last_poll": null, "bad_tags": 0,
            "polls": 0, "failed": 0, "skipped": 0, "connects": 0,
        });
        assert_eq!(serde_json::to_value(&status).expect("serializes"), expected);
    }
}
