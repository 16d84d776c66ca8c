//! The broker goes away and comes back: what was not acknowledged is sent again, and nothing is lost.

use std::thread;
use std::time::Duration;

use crate::harness::{Memory, Mosquitto, Plc, Proof, Relay, Site, Subscriber};

/// The scenario itself; nothing is waited for in it.
const OUTAGE: Duration = Duration::from_secs(5);

#[test]
fn a_broker_that_is_down_for_five_seconds_costs_nothing() {
    let mut plc = Plc::start("press-1");
    let mut broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    subscriber.wait_until("the first events", |events| events.len() > 20);

    broker.stop();
    thread::sleep(OUTAGE);
    gateway.backlog_until("a backlog", |backlog| backlog > 0);
    broker.up();

    let facts = plc.hold();
    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.counts("press-1.scrap", 1 << 16, &[&facts.scrap]);
    proof.states("press-1.state", &facts.states);
    proof.every_poll_was_sampled("press-1");
    // Polling went on all the while.
    proof.outages("press-1", 0, 0);
}

#[test]
fn a_broker_that_restarts_and_forgets_the_session_gets_what_it_had_not_acknowledged() {
    let mut plc = Plc::start("press-1");
    let mut broker = Mosquitto::down(Memory::Forgotten);
    broker.up();
    let subscriber = Subscriber::of(&broker);
    let link = Relay::to(broker.address());
    let gateway = Site::empty().press(&plc).uplink(link.address()).start();
    subscriber.wait_until("the first events", |events| events.len() > 20);

    // What is sent from here on arrives, but the gateway cannot know.
    link.lose_answers();
    let known = subscriber.events().len();
    subscriber.wait_until("events that are not acknowledged", |events| events.len() > known + 20);
    link.cut();
    subscriber.flush();
    broker.kill();
    gateway.backlog_until("a backlog", |backlog| backlog > 50);
    broker.up();
    // The broker would drop events that come before its subscriber is back: that would be no loss of ours.
    subscriber.flush();
    link.open();

    let facts = plc.hold();
    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.counts("press-1.scrap", 1 << 16, &[&facts.scrap]);
    proof.states("press-1.state", &facts.states);
    proof.every_poll_was_sampled("press-1");
    assert!(proof.repeated() >= 20, "unacknowledged events were not sent again");
}

#[test]
fn events_wait_for_a_broker_that_was_never_there() {
    let mut plc = Plc::start("press-1");
    let mut broker = Mosquitto::down(Memory::Forgotten);
    let link = Relay::to(broker.address());
    link.cut();
    let gateway = Site::empty().press(&plc).uplink(link.address()).start();
    gateway.backlog_until("a backlog", |backlog| backlog > 50);

    broker.up();
    let subscriber = Subscriber::of(&broker);
    link.open();

    let facts = plc.hold();
    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.states("press-1.state", &facts.states);
    proof.every_poll_was_sampled("press-1");
    assert_eq!(proof.events().iter().filter(|event| event.kind == "gateway.started").count(), 1);
}
