//! What the witness heard, in the order in which it heard it. It judges nothing.

use serde_json::Value;

/// One delivery of an event, as it says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The deduplication key.
    pub id: String,
    /// The event's type.
    pub kind: String,
    /// The numbered series that it belongs to.
    pub stream: String,
    /// Its place in the series, from 1.
    pub sequence: u64,
    /// When it happened, as RFC 3339 in UTC.
    pub time: String,
    /// What happened.
    pub data: Value,
}

impl Received {
    fn parse(event: &Value) -> Option<Self> {
        let text = |key: &str| Some(event.get(key)?.as_str()?.to_owned());
        Some(Self {
            id: text("id")?,
            kind: text("type")?,
            stream: text("stream")?,
            sequence: text("sequence")?.parse().ok().filter(|&place| place > 0)?,
            time: text("time")?,
            data: event.get("data")?.clone(),
        })
    }
}

/// Everything that was heard.
#[derive(Clone, Debug, Default)]
pub struct Testimony {
    received: Vec<Received>,
    malformed: Vec<String>,
    others: u64,
    subscriptions: u64,
}

impl Testimony {
    /// Takes in one message. JSON with a `specversion` claims to be a CloudEvent; anything else, such
    /// as a gateway's online status, is none of the witness's business.
    pub fn hear(&mut self, payload: &[u8]) {
        let event =
            serde_json::from_slice::<Value>(payload).ok().filter(|json| json.get("specversion").is_some());
        match event.as_ref().map(Received::parse) {
            None => self.others += 1,
            Some(None) => self.malformed.push(String::from_utf8_lossy(payload).into_owned()),
            Some(Some(received)) => self.received.push(received),
        }
    }

    /// Notes that the broker granted the subscription, once for each connection.
    pub(super) fn subscribed(&mut self) {
        self.subscriptions += 1;
    }

    /// Every delivery of an event, repeats included.
    pub fn received(&self) -> &[Received] {
        &self.received
    }

    /// Messages that claim to be CloudEvents and lack what an event of ours has.
    pub fn malformed(&self) -> &[String] {
        &self.malformed
    }

    /// How many messages were not events.
    pub const fn others(&self) -> u64 {
        self.others
    }

    /// How often the broker granted the subscription: once for each connection.
    pub const fn subscriptions(&self) -> u64 {
        self.subscriptions
    }
}
