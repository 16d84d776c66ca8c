//! SIGKILL at random moments: what was durable is delivered, and counting goes on where it stopped.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use crate::harness::{Boot, Mosquitto, Plc, Proof, Relay, Site, Subscriber};

const KILLS: usize = 20;
/// From before the data directory is open to well after the first delivery.
const LIFE_MS: std::ops::Range<u64> = 5..900;
const SEED: u64 = 20;

#[test]
fn a_counter_ends_at_its_value_although_the_gateway_is_killed_twenty_times() {
    let mut plc = Plc::boot("press-1", Boot { last_good: Some(100_000), ..Boot::default() });
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    subscriber.wait_until("the first piece", |events| {
        events.iter().any(|event| event.is("production.completed", "press-1.good"))
    });

    let mut random = fastrand::Rng::with_seed(SEED);
    for _ in 0..KILLS {
        // The moment is the scenario; nothing is waited for.
        thread::sleep(Duration::from_millis(random.u64(LIFE_MS)));
        gateway.kill();
        gateway.restart();
    }
    let facts = plc.hold();

    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.counts("press-1.scrap", 1 << 16, &[&facts.scrap]);
    let last = proof
        .about("production.completed", "press-1.good")
        .last()
        .map(|event| event.data()["counter"]["to"].as_u64());
    assert_eq!(last, Some(Some(facts.last_good())));
    let streams: BTreeSet<&str> = proof.events().iter().map(|event| event.stream.as_str()).collect();
    assert_eq!(streams.len(), 2, "the streams go on, one a lane: {streams:?}");
    let starts = proof.events().iter().filter(|event| event.kind == "gateway.started").count();
    assert!((2..=KILLS + 1).contains(&starts), "{starts} starts were told");
}

#[test]
fn a_backlog_survives_kills_and_is_delivered_when_the_broker_returns() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let link = Relay::to(broker.address());
    let mut gateway = Site::empty().press(&plc).uplink(link.address()).start();
    subscriber.wait_until("the first events", |events| events.len() > 20);

    // What is sent from here on arrives, but is not acknowledged: it must come again.
    link.lose_answers();
    let known = subscriber.events().len();
    subscriber.wait_until("events that are not acknowledged", |events| events.len() > known + 20);
    link.cut();
    for least in [50, 100, 150] {
        gateway.backlog_until("a growing backlog", |backlog| backlog > least);
        gateway.kill();
        gateway.restart();
    }
    link.open();

    let facts = plc.hold();
    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.counts("press-1.scrap", 1 << 16, &[&facts.scrap]);
    assert!(proof.repeated() >= 20, "unacknowledged events were not sent again");
}
