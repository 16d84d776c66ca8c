//! An uplink with its driver running, and deadlines for everything that is waited for.

use std::time::Duration;

use penstock_events::cloudevent::Origin;
use penstock_events::{Event, Fact, Quality, Timestamp};
use penstock_uplink::Outcome;
use penstock_uplink::mqtt::{
    Backoff, Driver, Link, MqttUplink, Publishing, Settings, Topic, TopicTemplate, uplink,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a test gives up. No test passes by waiting this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {DEADLINE:?} in vain: {what}"),
    }
}

pub(crate) fn origin() -> Origin {
    Origin { gateway: "edge-01".parse().unwrap(), site: "plant-7".parse().unwrap() }
}

/// Settings for a broker at `address`, with delays fit for a test.
pub(crate) fn settings(address: &str) -> Settings {
    let mut settings =
        Settings::new(address.parse().unwrap(), "penstock-test", "test".parse().unwrap(), origin());
    settings.reconnect = Backoff { first: Duration::from_millis(20), cap: Duration::from_millis(100) };
    settings
}

/// The topic of some event.
pub(crate) fn topic() -> Topic {
    let event = Event {
        asset: "stamping/press-1".parse().unwrap(),
        time: Timestamp::EPOCH,
        observed: Timestamp::EPOCH,
        quality: Quality::Good,
        fact: Fact::GatewayStarted { version: "1".into() },
    };
    TopicTemplate::default().expand(&"test".parse().unwrap(), &origin(), &event)
}

/// A running uplink.
pub(crate) struct Rig {
    pub(crate) uplink: MqttUplink,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Rig {
    pub(crate) fn start(settings: Settings) -> Self {
        let (uplink, driver): (MqttUplink, Driver) = uplink(settings).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(driver.run(stop.clone()));
        Self { uplink, stop, task }
    }

    pub(crate) fn at(port: u16) -> Self {
        Self::start(settings(&format!("mqtt://127.0.0.1:{port}")))
    }

    pub(crate) async fn online(&self) {
        let mut link = self.uplink.link();
        let waited = tokio::time::timeout(DEADLINE, link.wait_for(Link::is_online)).await.is_ok();
        assert!(waited, "not online but {:?}", self.uplink.link().borrow());
    }

    /// Waits until the link is offline for a reason with `words` in it.
    pub(crate) async fn offline_because(&self, words: &str) {
        let mut link = self.uplink.link();
        let because = |link: &Link| matches!(link, Link::Offline { reason, .. } if reason.contains(words));
        let waited = tokio::time::timeout(DEADLINE, link.wait_for(because)).await.is_ok();
        assert!(waited, "not offline because of {words:?} but {:?}", self.uplink.link().borrow());
    }

    pub(crate) async fn publish(&self, payload: impl Into<Vec<u8>>) -> Publishing {
        soon("room in the queue", self.uplink.publish(topic(), payload.into())).await
    }

    pub(crate) async fn outcome(&self, payload: impl Into<Vec<u8>>) -> Outcome {
        let publishing = self.publish(payload).await;
        soon("an outcome", publishing).await
    }

    /// Stops in an orderly way.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon("the driver to stop", self.task).await.unwrap();
    }

    /// Cuts the connection as a killed process would.
    pub(crate) async fn kill(self) -> MqttUplink {
        self.task.abort();
        assert!(soon("the driver to end", self.task).await.unwrap_err().is_cancelled());
        self.uplink
    }
}

#[track_caller]
pub(crate) fn assert_failed(outcome: &Outcome, words: &str) {
    assert!(
        matches!(outcome, Outcome::Failed { reason } if reason.contains(words)),
        "{outcome:?} lacks {words:?}"
    );
}

#[track_caller]
pub(crate) fn assert_refused(outcome: &Outcome, words: &str) {
    assert!(
        matches!(outcome, Outcome::Refused { reason, .. } if reason.contains(words)),
        "{outcome:?} lacks {words:?}"
    );
}
