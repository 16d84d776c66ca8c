//! What a gateway missed comes from the server's history, with its own times and ids, and in its place: before what
//! follows it.

use serde_json::Value;

use crate::harness::oven::{Recorded, assert_recorded, has, samples, toml};
use crate::harness::{Event, Gateway, Mosquitto, Oven, Proof, Relay, Site, Subscriber};

/// A session that the server forgets as soon as it may.
const SHORT: &str = "security = \"None\"\npoll = \"100ms\"\nsession_timeout = \"1s\"";
/// Values that the counter of the oven has while the network is cut: several pages of its history.
const MISSED: usize = 250;

struct Plant {
    oven: Oven,
    relay: Relay,
    subscriber: Subscriber,
    gateway: Gateway,
    _broker: Mosquitto,
}

impl Plant {
    /// A gateway that has read some values of an oven with these options.
    fn start(options: &[&str]) -> Self {
        let oven = Oven::with(options);
        let relay = Relay::to(oven.address());
        let broker = Mosquitto::start();
        let subscriber = Subscriber::of(&broker);
        let gateway = Site::empty().device(&toml(relay.address(), SHORT)).uplink(broker.address()).start();
        subscriber.wait_until("some values", |events| has_reached(events, 20.0));
        Self { oven, relay, subscriber, gateway, _broker: broker }
    }

    /// Cuts the network for longer than the session lasts, and waits until the gateway is at the present again.
    fn cut(&self, connects: u64) {
        let begin = self.oven.record("count").len();
        self.relay.cut();
        self.subscriber.wait_until("the outage", |_| self.oven.record("count").len() > begin + MISSED);
        self.relay.open();
        self.gateway.status_until("another session", |status| oven(status)["connects"] == connects);
        let present = self.oven.last_count();
        self.subscriber.wait_until("the present", |events| has_reached(events, present));
    }

    /// Holds the oven, and waits until all that it recorded must have come.
    fn finish(&mut self) -> Proof {
        self.oven.hold();
        let last = self.oven.last_count();
        self.subscriber.wait_until("the last value", |events| {
            has(events, "count", last)
                && has(events, "temp", 20.0 + last / 8.0)
                && events.iter().any(|event| event.counts("oven.count", last as u64))
        });
        self.subscriber.flush();
        Proof::of(&self.subscriber.events())
    }
}

fn oven(status: &Value) -> &Value {
    &status["sources"][0]
}

/// Whether the counter was told to be there, or further on.
fn has_reached(events: &[Event], count: f64) -> bool {
    let samples = events.iter().filter(|event| event.is("telemetry.sampled", "oven.count"));
    samples.filter_map(|event| event.data()["value"].as_f64()).any(|value| value >= count)
}

/// How many values of the record never came, between the first and the last that did.
fn missing(received: &[Recorded], record: &[Recorded]) -> usize {
    let (first, last) = (received.first().expect("something came"), received.last().expect("something came"));
    let due = record.iter().filter(|recorded| (first.0..=last.0).contains(&recorded.0));
    due.filter(|recorded| !received.contains(recorded)).count()
}

#[test]
fn what_was_missed_while_the_network_was_cut_comes_once_and_in_order_where_the_server_keeps_it() {
    let mut plant = Plant::start(&["--history", "60"]);
    plant.cut(2);
    let status =
        plant.gateway.status_until("the history", |status| oven(status)["recovered"].as_u64() > Some(0));
    let proof = plant.finish();

    assert_recorded(&samples(&proof, "count"), &plant.oven.record("count"));
    proof.counts("oven.count", 1 << 32, &[&plant.oven.counts()]);
    proof.outages("oven", 1, 1);
    assert!(oven(&status)["recovered"].as_u64() >= Some(MISSED as u64), "{status}");
    let lost = missing(&samples(&proof, "temp"), &plant.oven.record("temp"));
    assert!(lost >= MISSED / 2, "nothing keeps the history of the temperature, and {lost} are missing");
    assert!(oven(&status)["gaps"].as_u64() > Some(0), "{status}");
    assert_eq!(proof.repeated(), 0);
}

#[test]
fn a_server_that_does_not_tell_its_history_holds_nothing_up() {
    let mut plant = Plant::start(&["--history", "60", "--secretive"]);
    plant.cut(2);
    plant.cut(3);
    let status = plant.gateway.status_until("the gaps", |status| oven(status)["gaps"].as_u64() >= Some(4));
    let proof = plant.finish();

    assert_eq!(oven(&status)["recovered"], 0);
    proof.counts("oven.count", 1 << 32, &[&plant.oven.counts()]);
    assert!(missing(&samples(&proof, "count"), &plant.oven.record("count")) >= MISSED);
    let log = plant.gateway.log();
    assert_eq!(log.matches("does not tell its history").count(), 1, "{log}");
    assert_eq!(log.matches("the server refuses a tag").count(), 1, "it is one tag and one reason:\n{log}");
}

#[test]
fn a_message_that_is_lost_for_good_is_made_up_for_by_the_history() {
    let mut plant = Plant::start(&["--history", "60"]);
    plant.oven.tell("lose");
    let status =
        plant.gateway.status_until("the history", |status| oven(status)["recovered"].as_u64() > Some(0));
    let proof = plant.finish();

    assert_recorded(&samples(&proof, "count"), &plant.oven.record("count"));
    proof.counts("oven.count", 1 << 32, &[&plant.oven.counts()]);
    assert_eq!(oven(&status)["missing"], 1);
    assert_eq!(oven(&status)["connects"], 1);
    proof.outages("oven", 0, 0);
}
