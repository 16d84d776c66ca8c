//! The broker as MQTT clients see it, alone and behind a link that goes down.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use penstock_plant::broker::Broker;
use penstock_plant::link::Link;
use penstock_plant::witness::Witness;
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::{LastWill, Packet, Publish};
use rumqttc::{AsyncClient, Event, MqttOptions, NetworkOptions, PublishOptions};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long anything here may take, on a machine that is busy building something.
const PATIENCE: Duration = Duration::from_secs(20);
const FREE_PORT: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A client whose messages can be waited for. Dropping it breaks its connection without a DISCONNECT.
struct Client {
    client: AsyncClient,
    messages: mpsc::Receiver<Publish>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    fn connect(id: &str, broker: SocketAddr) -> Self {
        Self::with(MqttOptions::new(id, (broker.ip().to_string(), broker.port())))
    }

    fn with(mut options: MqttOptions) -> Self {
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, mut events) = AsyncClient::builder(options).capacity(10).build();
        let (arrives, messages) = mpsc::channel(1_000);
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::Publish(publish))) => arrives.send(publish).await.unwrap(),
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        });
        Self { client, messages, task }
    }

    async fn subscribe(&self, filter: &str) {
        let notice = self.client.subscribe_tracked(filter, QoS::AtLeastOnce).await.unwrap();
        timeout(PATIENCE, notice.wait_async()).await.unwrap().unwrap();
    }

    /// Publishes with QoS 1 and waits for the PUBACK.
    async fn publish(&self, topic: &str, payload: &str, retain: bool) {
        let options = PublishOptions::new(QoS::AtLeastOnce).retain(retain);
        let notice =
            self.client.publish_tracked(topic.to_owned(), payload.to_owned(), options).await.unwrap();
        timeout(PATIENCE, notice.wait_async()).await.unwrap().unwrap();
    }

    async fn next(&mut self) -> (String, String) {
        let publish = timeout(PATIENCE, self.messages.recv()).await.unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&publish.topic), text(&publish.payload))
    }
}

fn pair(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

#[tokio::test]
async fn messages_reach_the_filters_that_match_and_no_others() {
    let broker = Broker::start(FREE_PORT.into()).await.unwrap();
    let (mut one, mut other) =
        (Client::connect("one", broker.address()), Client::connect("other", broker.address()));
    one.subscribe("plant/+/press").await;
    other.subscribe("plant/line-2/#").await;
    let publisher = Client::connect("publisher", broker.address());
    publisher.publish("plant/line-1/press", "a", false).await;
    publisher.publish("plant/line-2/press", "b", false).await;
    publisher.publish("plant/line-2/oven/door", "c", false).await;
    publisher.publish("plant/line-3/press", "d", false).await;

    assert_eq!(one.next().await, pair("plant/line-1/press", "a"));
    assert_eq!(one.next().await, pair("plant/line-2/press", "b"));
    assert_eq!(one.next().await, pair("plant/line-3/press", "d"));
    assert_eq!(other.next().await, pair("plant/line-2/press", "b"));
    assert_eq!(other.next().await, pair("plant/line-2/oven/door", "c"));
}

#[tokio::test]
async fn a_retained_message_waits_for_later_subscribers_until_an_empty_one_clears_it() {
    let broker = Broker::start(FREE_PORT.into()).await.unwrap();
    let publisher = Client::connect("publisher", broker.address());
    publisher.publish("status", "first", true).await;
    publisher.publish("status", "second", true).await;

    let mut late = Client::connect("late", broker.address());
    late.subscribe("#").await;
    let publish = timeout(PATIENCE, late.messages.recv()).await.unwrap().unwrap();
    assert_eq!((&publish.payload[..], publish.retain), (&b"second"[..], true));

    publisher.publish("status", "", true).await;
    let mut later = Client::connect("later", broker.address());
    later.subscribe("#").await;
    publisher.publish("other", "now", false).await;
    assert_eq!(later.next().await, pair("other", "now"));
}

#[tokio::test]
async fn a_will_is_published_when_the_connection_breaks_and_not_after_a_disconnect() {
    let broker = Broker::start(FREE_PORT.into()).await.unwrap();
    let mut watcher = Client::connect("watcher", broker.address());
    watcher.subscribe("#").await;
    let mortal = |id: &str| {
        let mut options = MqttOptions::new(id, (broker.address().ip().to_string(), broker.address().port()));
        let will = LastWill::new(format!("{id}/status"), "gone", QoS::AtLeastOnce, false, None);
        options.set_last_will(will);
        Client::with(options)
    };

    let polite = mortal("polite");
    polite.publish("polite/status", "here", false).await;
    assert_eq!(watcher.next().await, pair("polite/status", "here"));
    polite.client.disconnect().await.unwrap();

    let abrupt = mortal("abrupt");
    abrupt.publish("abrupt/status", "here", false).await;
    assert_eq!(watcher.next().await, pair("abrupt/status", "here"));
    drop(abrupt);
    assert_eq!(watcher.next().await, pair("abrupt/status", "gone"));
    drop(polite);
}

#[tokio::test]
async fn a_client_that_comes_again_takes_over_after_the_will_of_the_former() {
    let broker = Broker::start(FREE_PORT.into()).await.unwrap();
    let mut watcher = Client::connect("watcher", broker.address());
    watcher.subscribe("status").await;
    let mut options = MqttOptions::new("edge", (broker.address().ip().to_string(), broker.address().port()));
    options.set_last_will(LastWill::new("status", "offline", QoS::AtLeastOnce, true, None));

    let former = Client::with(options.clone());
    former.publish("status", "online 1", true).await;
    assert_eq!(watcher.next().await, pair("status", "online 1"));
    // A stopped event loop is a client that hangs: its connection stays open.
    former.task.abort();
    let successor = Client::with(options);
    successor.publish("status", "online 2", true).await;
    assert_eq!(watcher.next().await, pair("status", "offline"));
    assert_eq!(watcher.next().await, pair("status", "online 2"));
}

#[tokio::test]
async fn a_burst_far_larger_than_any_queue_reaches_a_subscriber_whole_and_in_order() {
    const BURST: u32 = 20_000;
    let broker = Broker::start(FREE_PORT.into()).await.unwrap();
    let mut options =
        MqttOptions::new("narrow", (broker.address().ip().to_string(), broker.address().port()));
    options.set_receive_maximum(Some(5));
    let mut subscriber = Client::with(options);
    subscriber.subscribe("burst").await;
    let publisher = Client::connect("publisher", broker.address());
    let publishing = async {
        for number in 0..BURST {
            let options = PublishOptions::new(QoS::AtLeastOnce);
            publisher.client.publish("burst".to_owned(), number.to_string(), options).await.unwrap();
        }
    };
    let receiving = async {
        for number in 0..BURST {
            assert_eq!(subscriber.next().await.1, number.to_string());
        }
    };
    tokio::join!(publishing, receiving);
}

#[tokio::test]
async fn a_client_that_hears_its_own_flood_does_not_come_to_a_standstill() {
    const FLOOD: u32 = 5_000;
    let broker = Broker::start(FREE_PORT.into()).await.unwrap();
    let mut options = MqttOptions::new("echo", (broker.address().ip().to_string(), broker.address().port()));
    options.set_receive_maximum(Some(1));
    let mut client = Client::with(options);
    client.subscribe("#").await;
    let talker = client.client.clone();
    let publishing = async {
        for number in 0..FLOOD {
            let options = PublishOptions::new(QoS::AtLeastOnce);
            talker.publish("echo".to_owned(), number.to_string(), options).await.unwrap();
        }
    };
    let receiving = async {
        for number in 0..FLOOD {
            assert_eq!(client.next().await.1, number.to_string());
        }
    };
    tokio::join!(publishing, receiving);
}

#[tokio::test]
async fn while_the_link_is_down_publishers_are_away_and_the_witness_stays() {
    let broker = Broker::start(FREE_PORT.into()).await.unwrap();
    let mut link = Link::to(broker.address()).await.unwrap();
    let mut witness = Witness::subscribe(broker.address(), "#").await.unwrap();
    let gateway = Client::connect("edge", link.address());
    let event = |sequence: u64| {
        json!({
            "specversion": "1.0", "id": format!("id-{sequence}"), "type": "gateway.started",
            "time": "2031-04-01T06:00:00.000000Z", "stream": "s", "sequence": sequence.to_string(), "data": {},
        })
        .to_string()
    };
    gateway.publish("events", &event(1), false).await;

    link.down().await.unwrap();
    let options = PublishOptions::new(QoS::AtLeastOnce);
    let pending = gateway.client.publish_tracked("events".to_owned(), event(2), options).await.unwrap();
    let local = Client::connect("local", broker.address());
    local.publish("events", &event(3), false).await;
    assert!(witness.wait_until(PATIENCE, |testimony| testimony.received().len() == 2).await);

    link.up().unwrap();
    drop(pending);
    gateway.publish("events", &event(4), false).await;
    assert!(
        witness.wait_until(PATIENCE, |testimony| testimony.received().iter().any(|e| e.sequence == 4)).await
    );
    witness.look(|testimony| assert_eq!(testimony.subscriptions(), 1));
}
