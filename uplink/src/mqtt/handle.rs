//! The handle that events are published with.

use std::fmt;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use rumqttc::{
    AsyncClient, ClientError, PubAck, PublishNotice, PublishOptions, PublishProperties, PublishResult,
};
use tokio::sync::watch;

use super::acks::ForeignCodes;
use super::granted::publish_packet_bytes;
use super::link::Link;
use super::puback;
use super::topic::Topic;
use crate::Outcome;

/// What the payload is (CloudEvents MQTT binding 1.0.2, section 3.2.1).
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// Publishes events to one broker. Clones share the connection.
#[derive(Clone, Debug)]
pub struct MqttUplink {
    pub(super) link: watch::Receiver<Link>,
    pub(super) current: watch::Receiver<Option<Arc<Current>>>,
}

/// The connection that there is.
pub(super) struct Current {
    pub(super) client: AsyncClient,
    /// The largest packet that the broker takes.
    pub(super) max_packet_bytes: u32,
    pub(super) answers: Arc<Answers>,
}

/// What is known about the messages of one connection beside their PUBACKs.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Why the connection ended, once it has.
    pub(super) end: OnceLock<String>,
    /// The reason codes that PUBACKs could not carry to us.
    pub(super) foreign: ForeignCodes,
}

impl Answers {
    fn by(&self, puback: &PubAck) -> Outcome {
        puback::outcome(puback, self.foreign.take_for(puback))
    }

    /// For a message that was queued or in flight when the connection ended.
    fn none(&self) -> Outcome {
        let end = self.end.get().map_or("the uplink was dropped", String::as_str);
        Outcome::Failed { reason: format!("not acknowledged before the connection ended: {end}") }
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").field("max_packet_bytes", &self.max_packet_bytes).finish_non_exhaustive()
    }
}

impl MqttUplink {
    /// Hands `payload` to the connection to be published on `topic` with QoS 1.
    ///
    /// Waits only for room in the connection's queue, so that a caller cannot run ahead of the
    /// broker. What one caller hands over is sent in that order. Without a connection, and with a
    /// packet over the broker's maximum packet size, nothing is sent and the outcome is there at once.
    pub async fn publish(&self, topic: Topic, payload: impl Into<Bytes>) -> Publishing {
        let payload = payload.into();
        let current = self.current.borrow().clone();
        let Some(current) = current else {
            return Publishing::settled(Outcome::Failed { reason: "not connected".to_owned() });
        };
        let packet_bytes = publish_packet_bytes(topic.as_str().len(), payload.len());
        if packet_bytes > u64::from(current.max_packet_bytes) {
            let max = current.max_packet_bytes;
            let reason = format!("it makes a packet of {packet_bytes} bytes; the broker takes at most {max}");
            return Publishing::settled(Outcome::Refused { reason, code: None });
        }
        let properties =
            PublishProperties { content_type: Some(CONTENT_TYPE.to_owned()), ..PublishProperties::default() };
        let options = PublishOptions::at_least_once().properties(properties);
        match current.client.publish_tracked(topic.into_string(), payload, options).await {
            Ok(notice) => Publishing::awaiting(notice, Arc::clone(&current.answers)),
            Err(ClientError::InvalidRequest(_)) => Publishing::settled(Outcome::Refused {
                reason: "the topic cannot be published to".to_owned(),
                code: None,
            }),
            Err(_) => Publishing::settled(current.answers.none()),
        }
    }

    /// The state of the connection, to look at or to wait for.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.link.clone()
    }
}

/// One event under way. Resolves once the broker has answered or cannot any more; dropping it does
/// not call the event back.
#[must_use = "only the outcome tells whether the event was delivered"]
pub struct Publishing(Pin<Box<dyn Future<Output = Outcome> + Send>>);

impl Publishing {
    fn settled(outcome: Outcome) -> Self {
        Self(Box::pin(ready(outcome)))
    }

    fn awaiting(notice: PublishNotice, answers: Arc<Answers>) -> Self {
        Self(Box::pin(async move {
            match notice.wait_async().await {
                Ok(PublishResult::Qos1(puback)) => answers.by(&puback),
                Ok(_) | Err(_) => answers.none(),
            }
        }))
    }
}

impl Future for Publishing {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Publishing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publishing").finish_non_exhaustive()
    }
}
