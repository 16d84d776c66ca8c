//! An OPC UA server is read: every value with its source's time, by subscription and by polls, and one bad node
//! is nobody else's trouble.

use crate::harness::oven::{Kind, against_every_server, assert_recorded, has, samples, toml};
use crate::harness::{Mosquitto, Oven, Proof, Site, Subscriber};

const NONE: &str = "security = \"None\"\npoll = \"100ms\"";

against_every_server!(
    every_value_of_a_server_is_told_once_with_its_sources_time,
    a_node_that_comes_later_is_read_then_and_the_others_do_not_notice,
);

fn every_value_of_a_server_is_told_once_with_its_sources_time(kind: Kind) {
    let mut oven = Oven::of(kind, &[]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let site = Site::empty().device(&toml(oven.address(), NONE)).uplink(broker.address());
    let gateway = site.start();

    subscriber.wait_until("some values", |events| has(events, "count", 100.0));
    oven.hold();
    let last = oven.last_count();
    subscriber.wait_until("the last value", |events| {
        has(events, "count", last)
            && has(events, "read", last)
            && events.iter().any(|event| event.counts("oven.count", last as u64))
    });
    let status = gateway.status_until("one bad tag", |status| status["sources"][0]["bad_tags"] == 1);
    assert_eq!(status["sources"][0]["state"], "up");
    assert_eq!(status["sources"][0]["connects"], 1);
    subscriber.flush();

    let proof = Proof::of(&subscriber.events());
    assert_recorded(&samples(&proof, "count"), &oven.record("count"));
    assert_recorded(&samples(&proof, "temp"), &oven.record("temp"));
    assert_recorded(&samples(&proof, "still"), &oven.record("still"));
    assert_recorded(&samples(&proof, "zone"), &oven.zone(1));
    let name = proof.about("telemetry.sampled", "oven.name");
    assert_eq!(name[0].data()["value"], "oven");
    let refused = proof.about("telemetry.sampled", "oven.never");
    assert_eq!(refused.len(), 1, "what is refused is told once");
    assert_eq!(refused[0].data()["quality"]["cause"], "opcua-0x80340000");
    proof.counts("oven.count", 1 << 32, &[&oven.counts()]);
    proof.outages("oven", 0, 0);
    let read: Vec<f64> = samples(&proof, "read").into_iter().map(|(_, value)| value).collect();
    assert!(read.len() > 1 && read.is_sorted(), "{read:?}");
}

fn a_node_that_comes_later_is_read_then_and_the_others_do_not_notice(kind: Kind) {
    let mut oven = Oven::of(kind, &["--without-late"]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().device(&toml(oven.address(), NONE)).uplink(broker.address()).start();

    gateway.status_until("two bad tags", |status| status["sources"][0]["bad_tags"] == 2);
    oven.tell("add");
    subscriber.wait_until("its value", |events| has(events, "late", 2.0));
    oven.hold();
    let last = oven.last_count();
    subscriber.wait_until("the last value", |events| {
        has(events, "count", last) && events.iter().any(|event| event.counts("oven.count", last as u64))
    });
    subscriber.flush();

    let proof = Proof::of(&subscriber.events());
    assert_recorded(&samples(&proof, "count"), &oven.record("count"));
    proof.outages("oven", 0, 0);
}
