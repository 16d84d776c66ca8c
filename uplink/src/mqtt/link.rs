//! Whether the broker can be reached, for those who wait for it and for those who look.

use std::time::SystemTime;

use penstock_events::Timestamp;
use serde::{Serialize, Serializer};

/// The state of the connection to the broker.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Link {
    /// The first attempt since the start is under way.
    Connecting,
    /// Events can be published.
    Online {
        /// Since when; RFC 3339 when serialized.
        #[serde(serialize_with = "rfc3339")]
        since: Timestamp,
    },
    /// There is no connection. Attempts go on until the uplink is stopped.
    Offline {
        /// Since when, over all attempts; RFC 3339 when serialized.
        #[serde(serialize_with = "rfc3339")]
        since: Timestamp,
        /// What stood in the way at the last attempt.
        reason: String,
    },
}

impl Link {
    /// Whether events can be published.
    pub const fn is_online(&self) -> bool {
        matches!(self, Self::Online { .. })
    }
}

fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// The system's time.
pub(super) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serializes_for_a_status_page() {
        let link = Link::Offline { since: Timestamp::EPOCH, reason: "refused".into() };
        assert_eq!(
            serde_json::to_string(&link).expect("plain data"),
            r#"{"state":"offline","since":"1970-01-01T00:00:00.000000Z","reason":"refused"}"#
        );
    }
}
