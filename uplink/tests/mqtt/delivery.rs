//! Events reach a real broker, and outages settle everything.

use std::collections::HashSet;

use penstock_uplink::Outcome;

use crate::mosquitto::{Mosquitto, Subscriber};
use crate::rig::{Rig, assert_failed, soon};

#[tokio::test]
async fn delivered_events_are_at_the_subscriber_in_order() {
    let broker = Mosquitto::start().await;
    let mut subscriber = Subscriber::to("test/#", broker.port).await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    assert!(subscriber.next_text().await.contains("online"));
    let mut publishing = Vec::new();
    for n in 0..1000 {
        publishing.push(rig.publish(format!("{n}")).await);
    }
    for publishing in publishing {
        assert_eq!(soon("an outcome", publishing).await, Outcome::Delivered);
    }
    for n in 0..1000 {
        let message = subscriber.next().await;
        assert_eq!(message.payload, format!("{n}"));
        assert_eq!(message.topic, "test/plant-7/stamping/press-1/gateway.started");
        let content_type = message.properties.unwrap().content_type;
        assert_eq!(content_type.as_deref(), Some("application/cloudevents+json; charset=utf-8"));
    }
}

#[tokio::test]
async fn a_killed_broker_settles_every_event_and_its_return_brings_the_link_back() {
    let mut broker = Mosquitto::start().await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    let uplink = rig.uplink.clone();
    let publisher = tokio::spawn(async move {
        let (mut delivered, mut failed) = (0_u32, 0_u32);
        let mut flight = std::collections::VecDeque::new();
        // Publishes on until the outage has failed a window's worth of events.
        while failed < 500 {
            flight.push_back(uplink.publish(crate::rig::topic(), vec![b'x'; 500]).await);
            if flight.len() == 250 {
                match flight.pop_front().unwrap().await {
                    Outcome::Delivered => delivered += 1,
                    Outcome::Failed { .. } => failed += 1,
                    Outcome::Refused { reason, .. } | Outcome::Unclear { reason, .. } => {
                        panic!("refused: {reason}")
                    }
                }
                tokio::task::yield_now().await;
            }
        }
        for publishing in flight {
            assert_failed(&publishing.await, "not ");
        }
        delivered
    });
    let mut subscriber = Subscriber::to("test/#", broker.port).await;
    for _ in 0..100 {
        subscriber.next().await;
    }
    broker.kill().await;
    let delivered = soon("every event to settle", publisher).await.unwrap();
    assert!(delivered > 0, "events flowed before the kill");
    rig.offline_because("cannot connect").await;
    broker.start_again().await;
    rig.online().await;
    assert_eq!(rig.outcome("{}").await, Outcome::Delivered);
}

#[tokio::test]
async fn without_a_broker_an_event_fails_at_once_and_the_link_says_why() {
    let mut broker = Mosquitto::start().await;
    broker.kill().await;
    let rig = Rig::at(broker.port);
    rig.offline_because("Connection refused").await;
    assert_failed(&rig.outcome("{}").await, "not connected");
}

#[tokio::test]
async fn two_lanes_can_share_an_uplink() {
    let broker = Mosquitto::start().await;
    let mut subscriber = Subscriber::to("test/#", broker.port).await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    let lanes = ["business", "telemetry"].map(|lane| {
        let uplink = rig.uplink.clone();
        tokio::spawn(async move {
            for n in 0..500 {
                let publishing = uplink.publish(crate::rig::topic(), format!("{lane} {n}")).await;
                assert_eq!(publishing.await, Outcome::Delivered);
            }
        })
    });
    for lane in lanes {
        soon("a lane", lane).await.unwrap();
    }
    assert!(subscriber.next_text().await.contains("online"));
    let mut seen = HashSet::new();
    for _ in 0..1000 {
        seen.insert(subscriber.next_text().await);
    }
    assert_eq!(seen.len(), 1000);
}
