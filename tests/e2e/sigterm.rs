//! SIGTERM: the gateway stops in the order of the flow, and says goodbye.

use crate::harness::{Mosquitto, Plc, Proof, Relay, Site, Subscriber};

#[test]
fn everything_is_delivered_before_a_gateway_that_is_told_to_stop_is_gone() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    subscriber.wait_until("some events", |events| events.len() > 50);

    assert_eq!(gateway.stop().code(), Some(0), "{}", gateway.log());
    subscriber.flush();
    let before = Proof::of(&subscriber.events());

    // Were anything left behind, it would come first now; were anything told that was not kept, it would be
    // told again in its place.
    gateway.restart();
    let facts = plc.hold();
    let after = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    assert_eq!(after.repeated(), 0);
    let first_after = &after.events()[before.events().len()..];
    let first_of_business = first_after.iter().find(|event| event.stream.contains("/business/"));
    assert_eq!(first_of_business.map(|event| event.kind.as_str()), Some("gateway.started"));
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
    proof.counts("press-1.scrap", 1 << 16, &[&facts.scrap]);
}
