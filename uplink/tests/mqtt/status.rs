//! The retained status of the gateway, as a subscriber sees it.

use crate::mosquitto::{Mosquitto, Subscriber};
use crate::rig::Rig;

const STATUS: &str = "test/plant-7/gateways/edge-01/status";

#[tokio::test]
async fn the_status_is_online_while_connected_and_offline_after_a_stop() {
    let broker = Mosquitto::start().await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    let mut subscriber = Subscriber::to(STATUS, broker.port).await;
    let online = subscriber.next().await;
    let text = String::from_utf8(online.payload.to_vec()).unwrap();
    assert!(text.starts_with(r#"{"gateway":"edge-01","since":"20"#), "{text}");
    assert!(text.ends_with(r#"Z","status":"online"}"#), "{text}");

    rig.stop().await;
    let stopped = subscriber.next_text().await;
    assert!(stopped.contains(r#""reason":"stopped""#), "{stopped}");
    // The status is retained: who comes later sees the last, and no will followed it.
    let mut late = Subscriber::to(STATUS, broker.port).await;
    let retained = late.next().await;
    assert!(retained.retain);
    assert_eq!(String::from_utf8(retained.payload.to_vec()).unwrap(), stopped);
}

#[tokio::test]
async fn a_gateway_that_dies_is_offline_by_its_will() {
    let broker = Mosquitto::start().await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    let mut subscriber = Subscriber::to(STATUS, broker.port).await;
    assert!(subscriber.next_text().await.contains("online"));
    rig.kill().await;
    let will = subscriber.next_text().await;
    assert_eq!(will, r#"{"gateway":"edge-01","reason":"connection lost","status":"offline"}"#);
    let mut late = Subscriber::to(STATUS, broker.port).await;
    assert!(late.next().await.retain, "the will is retained");
}

#[tokio::test]
async fn the_status_is_published_again_to_a_broker_that_forgot_it() {
    let mut broker = Mosquitto::start().await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    broker.kill().await;
    rig.offline_because("").await;
    broker.start_again().await;
    rig.online().await;
    let mut subscriber = Subscriber::to(STATUS, broker.port).await;
    assert!(subscriber.next_text().await.contains("online"));
}

#[tokio::test]
async fn what_was_published_before_a_stop_is_delivered() {
    let broker = Mosquitto::start().await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    let mut publishing = Vec::new();
    for n in 0..200 {
        publishing.push(rig.publish(format!("{n}")).await);
    }
    rig.stop().await;
    for publishing in publishing {
        assert_eq!(publishing.await, penstock_uplink::Outcome::Delivered);
    }
}
