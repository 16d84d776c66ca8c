//! The retained status of a gateway at its broker: who subscribes knows at once whether it is there.

use penstock_events::Timestamp;
use penstock_events::cloudevent::Origin;
use serde_json::json;

/// What the status is.
pub(super) const CONTENT_TYPE: &str = "application/json";

/// Published after every connect.
pub(super) fn online(origin: &Origin, since: Timestamp) -> String {
    json!({ "status": "online", "gateway": origin.gateway, "since": since.to_string() }).to_string()
}

/// Published before an orderly disconnect.
pub(super) fn stopped(origin: &Origin, since: Timestamp) -> String {
    json!({ "status": "offline", "gateway": origin.gateway, "since": since.to_string(), "reason": "stopped" })
        .to_string()
}

/// The will: what the broker publishes when the connection breaks. It is handed over at the
/// connect, so it cannot say since when.
pub(super) fn will(origin: &Origin) -> String {
    json!({ "status": "offline", "gateway": origin.gateway, "reason": "connection lost" }).to_string()
}
