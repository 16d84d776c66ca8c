//! What a broker does not take: clients, and events that are too large.

use penstock_uplink::Outcome;
use penstock_uplink::mqtt::{Credentials, Link};
use tempfile::TempDir;

use crate::mosquitto::{Mosquitto, program};
use crate::rig::{Rig, assert_refused, settings};
use crate::scripted::{PUBLISH, ScriptedBroker};

fn credentials(password: &str) -> Option<Credentials> {
    Some(Credentials { username: "edge-01".into(), password: password.into() })
}

#[tokio::test]
async fn a_wrong_password_is_told_with_its_code_and_the_right_one_is_let_in() {
    let folder = TempDir::new().unwrap();
    let made = std::process::Command::new(program("mosquitto_passwd"))
        .args(["-c", "-b"])
        .arg(folder.path().join("passwords"))
        .args(["edge-01", "right"])
        .status()
        .unwrap();
    assert!(made.success());
    let broker =
        Mosquitto::in_folder(folder, "allow_anonymous false\npassword_file {folder}/passwords").await;
    let mut settings = settings(&format!("mqtt://127.0.0.1:{}", broker.port));
    settings.credentials = credentials("wrong");
    let rig = Rig::start(settings.clone());
    rig.offline_because("not authorized; check user name and password (0x87)").await;
    rig.stop().await;
    settings.credentials = credentials("right");
    let rig = Rig::start(settings);
    rig.online().await;
    assert_eq!(rig.outcome("{}").await, Outcome::Delivered);
}

#[tokio::test]
async fn an_event_over_the_brokers_maximum_packet_size_is_refused_with_both_sizes() {
    let broker = Mosquitto::with("allow_anonymous true\nmax_packet_size 2000").await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    // 45 bytes of topic, 43 of content type, 12 of everything else.
    let overhead = 3 + 2 + 45 + 2 + 1 + 3 + 43;
    let refused = rig.outcome(vec![b'x'; 2001 - overhead]).await;
    assert_refused(&refused, "a packet of 2001 bytes; the broker takes at most 2000");
    assert_eq!(rig.outcome(vec![b'x'; 2000 - overhead]).await, Outcome::Delivered);
}

#[tokio::test]
async fn an_event_over_mosquittos_message_size_limit_is_refused_and_stops_nothing() {
    let broker = Mosquitto::with("allow_anonymous true\nmessage_size_limit 1000").await;
    let rig = Rig::at(broker.port);
    rig.online().await;
    let Link::Online { since } = *rig.uplink.link().borrow() else { panic!("online") };
    let (before, large, after) =
        (rig.publish("before").await, rig.publish(vec![b'x'; 1001]).await, rig.publish("after").await);
    assert_eq!(before.await, Outcome::Delivered);
    assert_refused(&large.await, "packet too large (0x95)");
    assert_eq!(after.await, Outcome::Delivered);
    assert_eq!(*rig.uplink.link().borrow(), Link::Online { since }, "the same connection");
}

#[tokio::test]
async fn a_broker_without_qos_1_is_told_so() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    let (peer, _) = broker.accept_with(0, &[0x24, 0]).await;
    rig.offline_because("maximum QoS 0").await;
    peer.gone().await;
}

#[tokio::test]
async fn an_outage_lasts_from_its_first_failure_whatever_its_reasons() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    broker.accept_with(0x88, &[]).await;
    rig.offline_because("server unavailable (0x88)").await;
    let Link::Offline { since: first, .. } = *rig.uplink.link().borrow() else { panic!("offline") };
    broker.accept_with(0x8A, &[]).await;
    rig.offline_because("banned (0x8A)").await;
    let Link::Offline { since, .. } = *rig.uplink.link().borrow() else { panic!("offline") };
    assert_eq!(since, first);
}

#[tokio::test]
async fn a_broker_without_retained_messages_is_served_without_them() {
    let broker = ScriptedBroker::start().await;
    let rig = Rig::at(broker.port());
    let (_, connect) = broker.accept_with(0x9A, &[]).await;
    assert_ne!(connect.body[7] & 0b0010_0000, 0, "the will is to be retained");
    let (mut peer, connect) = broker.accept_with(0, &[0x25, 0]).await;
    assert_eq!(connect.body[7] & 0b0010_0100, 0b0100, "a will, not to be retained");
    let status = peer.packet().await;
    assert_eq!((status.kind, status.flags & 1), (PUBLISH, 0), "a status, not to be retained");
    rig.online().await;
}
