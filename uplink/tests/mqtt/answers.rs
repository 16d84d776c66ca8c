//! What a broker's answers, and its silence, make of an event.

use std::collections::VecDeque;
use std::time::Duration;

use penstock_uplink::Outcome;

use crate::rig::{Rig, assert_failed, assert_refused, settings, soon};
use crate::scripted::{PINGREQ, PINGRESP, ScriptedBroker};

fn settings_for(broker: &ScriptedBroker) -> penstock_uplink::mqtt::Settings {
    settings(&format!("mqtt://127.0.0.1:{}", broker.port()))
}

#[tokio::test]
async fn every_reason_code_of_a_puback_has_its_outcome_and_the_connection_lives_on() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    let mut peer = broker.welcome().await;
    rig.online().await;
    // The standard's nine codes, what mosquitto sends for its message_size_limit, and one unheard of.
    for code in [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99, 0x95, 0xC1] {
        let publishing = rig.publish("{}").await;
        let packet_id = peer.publish().await.packet_id();
        peer.puback(packet_id, code).await;
        let outcome = soon("an outcome", publishing).await;
        let shown = format!("0x{code:02X}");
        match code {
            0x00 | 0x10 => assert_eq!(outcome, Outcome::Delivered),
            0x87 | 0x90 | 0x95 | 0x99 => assert_refused(&outcome, &shown),
            0x80 | 0x83 | 0xC1 => assert!(
                matches!(&outcome, Outcome::Unclear { reason, code: Some(told) }
                    if reason.contains(&shown) && *told == u16::from(code)),
                "{outcome:?}"
            ),
            _ => assert_failed(&outcome, &shown),
        }
    }
}

#[tokio::test]
async fn events_are_sent_in_order_with_content_type_and_without_expiry() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    let mut peer = broker.welcome().await;
    rig.online().await;
    let first = rig.publish("first").await;
    let second = rig.publish("second").await;
    for payload in ["first", "second"] {
        let packet = peer.publish().await;
        assert!(packet.body.ends_with(payload.as_bytes()));
        assert!(packet.contains(b"test/plant-7/stamping/press-1/gateway.started"));
        // The whole of the properties: their length, 3 for content type, the text.
        let mut properties = vec![50, 3, 0, 47];
        properties.extend_from_slice(b"application/cloudevents+json; charset=utf-8");
        properties[0] = u8::try_from(properties.len() - 1).unwrap();
        properties[3] = properties[0] - 3;
        assert!(packet.contains(&properties));
        peer.puback(packet.packet_id(), 0).await;
    }
    assert_eq!(soon("the first", first).await, Outcome::Delivered);
    assert_eq!(soon("the second", second).await, Outcome::Delivered);
}

#[tokio::test]
async fn an_acknowledgement_of_nothing_ends_the_connection_and_fails_what_is_in_flight() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    let mut peer = broker.welcome().await;
    rig.online().await;
    let publishing = rig.publish("{}").await;
    let sent = peer.publish().await.packet_id();
    peer.puback(sent + 100, 0).await;
    assert_failed(&soon("an outcome", publishing).await, "which was not sent");
    broker.welcome().await;
    rig.online().await;
}

#[tokio::test]
async fn garbage_ends_the_connection_and_fails_what_is_in_flight() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    let mut peer = broker.welcome().await;
    rig.online().await;
    let publishing = rig.publish("{}").await;
    peer.publish().await;
    peer.send(&[0xFF; 16]).await;
    assert_failed(&soon("an outcome", publishing).await, "not MQTT 5");
    peer.gone().await;
    broker.welcome().await;
    rig.online().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_with_its_connection_is_not_sent_again_on_the_next() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    let mut peer = broker.welcome().await;
    rig.online().await;
    let in_flight = rig.publish("in flight").await;
    peer.publish().await;
    drop(peer);
    // Whoever learns that an event failed finds the reason and the link as they are.
    assert_failed(&soon("an outcome", in_flight).await, "the broker closed the connection");
    assert!(!rig.uplink.link().borrow().is_online());
    let mut peer = broker.welcome().await;
    rig.online().await;
    let next = rig.publish("after").await;
    let packet = peer.publish().await;
    assert!(packet.body.ends_with(b"after") && packet.flags & 0b1000 == 0, "neither the old event nor DUP");
    peer.puback(packet.packet_id(), 0).await;
    assert_eq!(soon("an outcome", next).await, Outcome::Delivered);
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_loses_the_connection() {
    let broker = ScriptedBroker::start().await;
    let mut settings = settings_for(&broker);
    settings.ack_timeout = Duration::from_millis(300);
    let rig = Rig::start(settings);
    let mut peer = broker.welcome().await;
    rig.online().await;
    let publishing = rig.publish("{}").await;
    peer.publish().await;
    assert_failed(&soon("an outcome", publishing).await, "did not acknowledge a message within 300ms");
    peer.gone().await;
}

#[tokio::test]
async fn a_broker_that_stops_reading_does_not_hold_events_for_ever() {
    let broker = ScriptedBroker::start().await;
    let mut settings = settings_for(&broker);
    settings.keep_alive = Duration::from_secs(1);
    let rig = Rig::start(settings);
    let peer = broker.welcome().await;
    rig.online().await;
    // More than any socket buffer takes.
    let mut publishing = Vec::new();
    for _ in 0..64 {
        publishing.push(rig.publish(vec![b' '; 1 << 20]).await);
    }
    for publishing in publishing {
        assert_failed(&soon("an outcome", publishing).await, "not acknowledged");
    }
    drop(peer);
}

#[tokio::test]
async fn no_more_is_in_flight_than_the_brokers_receive_maximum() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    // Receive maximum 5, keep alive 1 s.
    let mut peer = broker.welcome_with(&[0x21, 0, 5, 0x13, 0, 1]).await;
    rig.online().await;
    let mut publishing = Vec::new();
    for _ in 0..20 {
        publishing.push(rig.publish("{}").await);
    }
    let mut in_flight = VecDeque::new();
    for _ in 0..5 {
        in_flight.push_back(peer.publish().await.packet_id());
    }
    // The window is full: what comes next is the ping of a client that has nothing to send.
    assert_eq!(peer.packet().await.kind, PINGREQ);
    peer.send(&PINGRESP).await;
    for _ in 5..20 {
        peer.puback(in_flight.pop_front().unwrap(), 0).await;
        in_flight.push_back(peer.publish().await.packet_id());
    }
    for packet_id in in_flight {
        peer.puback(packet_id, 0).await;
    }
    for publishing in publishing {
        assert_eq!(soon("an outcome", publishing).await, Outcome::Delivered);
    }
}

#[tokio::test]
async fn the_brokers_keep_alive_holds_for_its_connection() {
    let broker = ScriptedBroker::start().await;
    let mut settings = settings_for(&broker);
    settings.keep_alive = Duration::from_secs(600);
    let rig = Rig::start(settings);
    let mut peer = broker.welcome_with(&[0x13, 0, 1]).await;
    rig.online().await;
    assert_eq!(peer.packet().await.kind, PINGREQ);
    // Nobody answers the ping.
    rig.offline_because("did not answer a ping").await;
    drop(peer);
    let (_peer, connect) = broker.accept_with(0, &[]).await;
    assert_eq!(connect.body[8..10], 600_u16.to_be_bytes(), "its own keep alive is asked for again");
}

#[tokio::test]
async fn dropping_the_driver_settles_everything() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    let _peer = broker.welcome_with(&[0x21, 0, 5]).await;
    rig.online().await;
    let mut publishing = Vec::new();
    for _ in 0..100 {
        publishing.push(rig.publish("{}").await);
    }
    let uplink = rig.kill().await;
    for publishing in publishing {
        assert_failed(&soon("an outcome", publishing).await, "not acknowledged");
    }
    let late = uplink.publish(crate::rig::topic(), "{}").await;
    assert_failed(&soon("an outcome", late).await, "not connected");
}
