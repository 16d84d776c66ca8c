//! What the gateway can tell about a server while it runs.

use penstock_events::{Cause, SourceName, Timestamp};
use serde::{Serialize, Serializer};

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
    /// Until when the server's certificate is valid; none without security.
    #[serde(serialize_with = "as_text_or_null")]
    pub certificate_ends: Option<Timestamp>,
    /// Until when the gateway's own is.
    #[serde(serialize_with = "as_text_or_null")]
    pub own_certificate_ends: Option<Timestamp>,
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
            skipped: 0,
            missing: 0,
            recovered: 0,
            gaps: 0,
            overflows: 0,
            certificate_ends: None,
            own_certificate_ends: None,
        }
    }
}

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn as_text_or_null<T: ToString, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(T::to_string).serialize(serializer)
}
