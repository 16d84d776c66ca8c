//! A session that the server forgot leaves its subscriptions behind, and the next one goes on with them: what they kept
//! comes, and nothing is set up anew.

use crate::harness::oven::{Kind, assert_recorded, has, samples, toml};
use crate::harness::{Mosquitto, Oven, Proof, Relay, Site, Subscriber};

/// The server forgets the session after a second. The subscriptions live for nine, which are three keep-alives.
const SHORT: &str = "security = \"None\"\npoll = \"100ms\"\nsession_timeout = \"1s\"\nhistory = \"0s\"";
/// Values that the counter of the oven has while the network is cut: those of some three seconds.
const MISSED: usize = 150;

#[test]
fn subscriptions_outlive_their_session_and_go_on_in_another_one() {
    let mut oven = Oven::of(Kind::NodeOpcua, &[]);
    let relay = Relay::to(oven.address());
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().device(&toml(relay.address(), SHORT)).uplink(broker.address()).start();
    subscriber.wait_until("some values", |events| {
        let counts = events.iter().filter(|event| event.is("telemetry.sampled", "oven.count"));
        counts.filter_map(|event| event.data()["value"].as_f64()).any(|count| count >= 20.0)
    });

    let begin = oven.record("count").len();
    relay.cut();
    subscriber.wait_until("the outage", |_| oven.record("count").len() > begin + MISSED);
    relay.open();
    let status = gateway.status_until("the takeover", |status| status["sources"][0]["taken_over"] == 1);
    assert_eq!(status["sources"][0]["connects"], 2);

    oven.hold();
    let last = oven.last_count();
    subscriber.wait_until("the last value", |events| {
        has(events, "count", last) && events.iter().any(|event| event.counts("oven.count", last as u64))
    });
    let status = gateway.status_until("the status", |_| true);
    subscriber.flush();
    let proof = Proof::of(&subscriber.events());
    assert_recorded(&samples(&proof, "count"), &oven.record("count"));
    assert_recorded(&samples(&proof, "temp"), &oven.record("temp"));
    proof.counts("oven.count", 1 << 32, &[&oven.counts()]);
    proof.outages("oven", 1, 1);
    let still = proof.about("telemetry.sampled", "oven.still");
    let said: Vec<&serde_json::Value> =
        still.iter().map(|event| &event.data()["quality"]["status"]).collect();
    assert_eq!(said, ["good", "bad", "good"], "what did not change is good again");
    assert_eq!(status["sources"][0]["gaps"], 0);
    assert_eq!(status["sources"][0]["bad_tags"], 1, "the one that the server refuses: {status}");
}
