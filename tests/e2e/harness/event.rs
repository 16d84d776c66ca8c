//! What a subscriber receives: messages, and the events in them as CloudEvents JSON says they look.

use serde_json::Value;

/// A message from the broker.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Whether it lay at the broker when the subscription was made.
    pub(crate) is_retained: bool,
    /// The topic.
    pub(crate) topic: String,
    /// The content type (MQTT 5.0, section 3.3.2.3.9); empty without one.
    pub(crate) content_type: String,
    /// The payload.
    pub(crate) payload: String,
}

/// An event as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Where it was published.
    pub(crate) topic: String,
    /// The whole document.
    pub(crate) document: Value,
    /// The deduplication key.
    pub(crate) id: String,
    /// Its type.
    pub(crate) kind: String,
    /// The numbered series.
    pub(crate) stream: String,
    /// Its place there.
    pub(crate) sequence: u64,
    /// `time`, in microseconds since the epoch.
    pub(crate) time_us: i64,
    /// `observedtime`, in microseconds since the epoch.
    pub(crate) observed_us: i64,
}

impl Message {
    /// A line in the subscriber's format.
    pub(crate) fn parse(line: &str) -> Self {
        let mut fields = line.splitn(4, '\t').map(str::to_owned);
        let mut field = || fields.next().unwrap_or_else(|| panic!("{line:?} is not a message"));
        Self { is_retained: field() == "1", topic: field(), content_type: field(), payload: field() }
    }

    /// The event in it; none in a status or a probe.
    pub(crate) fn event(&self) -> Option<Event> {
        if !self.content_type.starts_with("application/cloudevents+json") {
            return None;
        }
        let document: Value = serde_json::from_str(&self.payload)
            .unwrap_or_else(|error| panic!("{error} in an event on {}: {}", self.topic, self.payload));
        let text = |key: &str| {
            let value = document[key].as_str();
            value.unwrap_or_else(|| panic!("no text `{key}` in {document}")).to_owned()
        };
        Some(Event {
            topic: self.topic.clone(),
            id: text("id"),
            kind: text("type"),
            stream: text("stream"),
            sequence: text("sequence").parse().expect("a sequence is decimal"),
            time_us: micros(&text("time")),
            observed_us: micros(&text("observedtime")),
            document,
        })
    }
}

impl Event {
    /// Whether it is of the type `kind` and about `tag` (or the source `tag`, in the gateway's own).
    pub(crate) fn is(&self, kind: &str, tag: &str) -> bool {
        let data = self.data();
        self.kind == kind && (data["tag"] == tag || data["source"] == tag)
    }

    /// Whether it says that the counter `tag` has reached `value`.
    pub(crate) fn counts(&self, tag: &str, value: u64) -> bool {
        self.is("production.completed", tag) && self.data()["counter"]["to"] == value
    }

    /// The type's own part.
    pub(crate) fn data(&self) -> &Value {
        &self.document["data"]
    }

    /// The sampled number.
    pub(crate) fn number(&self) -> f64 {
        self.data()["value"].as_f64().unwrap_or_else(|| panic!("no number in {}", self.document))
    }
}

/// Microseconds since the epoch of an RFC 3339 time.
pub(crate) fn micros(time: &str) -> i64 {
    let parsed: jiff::Timestamp = time.parse().unwrap_or_else(|error| panic!("{time:?}: {error}"));
    parsed.as_microsecond()
}
