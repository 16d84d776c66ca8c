//! SIGTERM: the gateway stops in the order of the flow, and says goodbye.

use crate::harness::{Mosquitto, Plc, Proof, Relay, Site, Subscriber, eventually};

#[test]
fn everything_is_delivered_before_a_gateway_that_is_told_to_stop_is_gone() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let link = Relay::to(broker.address());
    let mut gateway = Site::empty().press(&plc).uplink(link.address()).start();
    subscriber.wait_until("the first events", |events| events.len() > 20);
    link.hold();
    gateway.backlog_until("a backlog", |backlog| backlog > 50);

    gateway.tell_to_stop();
    eventually("the stop to begin", || gateway.log().contains("penstock stops").then_some(()));
    link.open();
    assert_eq!(gateway.ended().code(), Some(0), "{}", gateway.log());
    subscriber.flush();
    let before = Proof::of(&subscriber.events());

    // What the first run had left behind would come now, and is known by when it was observed.
    gateway.restart();
    let facts = plc.hold();
    let after = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    assert_eq!(after.repeated(), 0, "it said goodbye: nothing was in doubt");
    let later = &after.events()[before.events().len()..];
    let restart = later.iter().find(|event| event.kind == "gateway.started").expect("it was started again");
    for event in later {
        assert!(event.observed_us >= restart.observed_us, "left behind: {}", event.document);
    }
    after.counts("press-1.good", 1 << 32, &[&facts.good]);
    after.counts("press-1.scrap", 1 << 16, &[&facts.scrap]);
}

#[test]
fn a_gateway_without_its_broker_stops_within_its_grace_and_keeps_what_it_has() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let link = Relay::to(broker.address());
    link.cut();
    let site = Site::empty().gateway("shutdown_grace = \"2s\"").press(&plc).uplink(link.address());
    let mut gateway = site.start();
    gateway.backlog_until("a backlog", |backlog| backlog > 50);

    assert_eq!(gateway.stop().code(), Some(0), "{}", gateway.log());
    assert_eq!(subscriber.events().len(), 0);

    link.open();
    gateway.restart();
    let facts = plc.hold();
    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    let starts = proof.events().iter().filter(|event| event.kind == "gateway.started").count();
    assert_eq!(starts, 2);
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
}
