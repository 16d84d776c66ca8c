//! Our own server beside those of others: it keeps the history of everything, so nothing at all is missing after an
//! outage that outlasted the session.

use crate::harness::oven::{Kind, assert_recorded, has, samples, toml};
use crate::harness::{Mosquitto, Oven, Proof, Relay, Site, Subscriber};

/// A session that the server forgets as soon as it may.
const SHORT: &str = "security = \"None\"\npoll = \"100ms\"\nsession_timeout = \"1s\"";
/// Values that the counter has while the network is cut: more than the session lasts.
const MISSED: usize = 150;

#[test]
fn after_an_outage_every_value_of_a_server_that_keeps_all_of_them_is_there_once_and_in_order() {
    let mut oven = Oven::of(Kind::PenstockPlant, &[]);
    let relay = Relay::to(oven.address());
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().device(&toml(relay.address(), SHORT)).uplink(broker.address()).start();
    subscriber.wait_until("some values", |events| has(events, "count", 20.0));

    let begin = oven.record("count").len();
    relay.cut();
    subscriber.wait_until("the outage", |_| oven.record("count").len() > begin + MISSED);
    relay.open();
    let status = gateway.status_until("the history", |status| {
        let source = &status["sources"][0];
        source["connects"] == 2 && source["recovered"].as_u64() >= Some(MISSED as u64)
    });
    oven.hold();
    let last = oven.last_count();
    subscriber.wait_until("the last value", |events| {
        has(events, "count", last) && events.iter().any(|event| event.counts("oven.count", last as u64))
    });
    subscriber.flush();

    let proof = Proof::of(&subscriber.events());
    assert_recorded(&samples(&proof, "count"), &oven.record("count"));
    assert_recorded(&samples(&proof, "temp"), &oven.record("temp"));
    proof.counts("oven.count", 1 << 32, &[&oven.counts()]);
    proof.outages("oven", 1, 1);
    assert_eq!(proof.repeated(), 0);
    assert_eq!(status["sources"][0]["gaps"], 0, "{status}");
}
