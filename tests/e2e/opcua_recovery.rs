//! Whatever happens to a session, the values come back, and each ends by comparing what the server recorded with
//! what was received.

use crate::harness::oven::{Kind, Recorded, against_every_server, assert_recorded, has, samples, toml};
use crate::harness::{Event, Gateway, Mosquitto, Oven, Proof, Relay, Site, Subscriber};

const NONE: &str = "security = \"None\"\npoll = \"100ms\"";
/// Kills of the server in a row, each with its namespaces elsewhere. node-opcua takes seconds to start.
const fn kills(kind: Kind) -> usize {
    match kind {
        Kind::Asyncua | Kind::PenstockPlant => 20,
        Kind::NodeOpcua => 3,
    }
}

against_every_server!(
    a_server_that_is_killed_again_and_again_is_read_again_wherever_its_namespaces_are,
    nothing_is_lost_while_the_network_is_cut_for_less_than_the_session_lasts,
    after_a_partition_that_outlasts_the_session_a_new_one_goes_on_with_what_is_there;
    not ours:
    subscriptions_that_the_server_deletes_are_made_again,
    a_server_that_stops_publishing_but_keeps_the_session_is_found_out,
    a_node_that_vanishes_is_bad_alone_and_is_read_again_when_it_is_back,
);

struct Plant {
    oven: Oven,
    subscriber: Subscriber,
    gateway: Gateway,
    _broker: Mosquitto,
}

impl Plant {
    /// A gateway that has read some values of an oven, through `relay` if there is one.
    fn start(kind: Kind, relay: impl FnOnce(&Oven) -> Option<Relay>) -> (Self, Option<Relay>) {
        Self::keyed(kind, "", relay)
    }

    /// The same with `keys` of the server.
    fn keyed(kind: Kind, keys: &str, relay: impl FnOnce(&Oven) -> Option<Relay>) -> (Self, Option<Relay>) {
        let oven = Oven::of(kind, &[]);
        let relay = relay(&oven);
        let address = relay.as_ref().map_or(oven.address(), Relay::address);
        let broker = Mosquitto::start();
        let subscriber = Subscriber::of(&broker);
        let gateway =
            Site::empty().device(&toml(address, &format!("{NONE}\n{keys}"))).uplink(broker.address()).start();
        let plant = Self { oven, subscriber, gateway, _broker: broker };
        plant.counted_to(20.0);
        (plant, relay)
    }

    fn counted_to(&self, value: f64) {
        self.subscriber.wait_until("some values", |events| counts(events).any(|count| count >= value));
    }

    /// Holds the oven, and waits until all that it recorded must have come.
    fn finish(&mut self) -> Proof {
        self.oven.hold();
        let last = self.oven.last_count();
        self.subscriber.wait_until("the last value", |events| {
            counts(events).last() == Some(last)
                && events.iter().any(|event| event.counts("oven.count", last as u64))
        });
        self.subscriber.flush();
        Proof::of(&self.subscriber.events())
    }
}

/// The good samples of the counter.
fn counts(events: &[Event]) -> impl Iterator<Item = f64> {
    let samples = events.iter().filter(|event| event.is("telemetry.sampled", "oven.count"));
    samples.filter_map(|event| event.data()["value"].as_f64())
}

/// What was received of one life of the oven: what it recorded, at the times at which it did.
fn of_life(received: &[Recorded], record: &[Recorded]) -> Vec<Recorded> {
    received.iter().filter(|sample| record.contains(sample)).copied().collect()
}

fn a_server_that_is_killed_again_and_again_is_read_again_wherever_its_namespaces_are(kind: Kind) {
    let (mut plant, _) = Plant::start(kind, |_| None);
    let mut records = Vec::new();
    let kills = kills(kind);
    for kill in 1..=kills {
        plant.oven.kill();
        records.push(plant.oven.record("count"));
        plant.subscriber.wait_until("the outage", |events| {
            events.iter().filter(|event| event.is("gateway.source_down", "oven")).count() == kill
        });
        plant.oven.restart(&["--shift", &(kill % 3).to_string()]);
        plant.subscriber.wait_until("values of the next life", |events| {
            let up = events.iter().filter(|event| event.is("gateway.source_up", "oven")).count();
            let counted = events.iter().filter(|event| event.is("telemetry.sampled", "oven.count"));
            let counted = counted.filter_map(|event| Some((event.time_us, event.data()["value"].as_f64()?)));
            let counted: Vec<Recorded> = counted.collect();
            up == kill && of_life(&counted, &plant.oven.record("count")).len() >= 10
        });
    }
    let proof = plant.finish();
    records.push(plant.oven.record("count"));
    let received = samples(&proof, "count");
    let lives: Vec<_> = records.iter().map(|record| of_life(&received, record)).collect();
    assert_eq!(lives.iter().map(Vec::len).sum::<usize>(), received.len(), "all of it was recorded");
    for (received, record) in lives.iter().zip(&records) {
        assert_recorded(received, record);
    }
    proof.outages("oven", kills, kills);
}

fn nothing_is_lost_while_the_network_is_cut_for_less_than_the_session_lasts(kind: Kind) {
    let (mut plant, relay) = Plant::start(kind, |oven| Some(Relay::to(oven.address())));
    let relay = relay.expect("it was asked for");
    relay.cut();
    plant.subscriber.wait_until("the outage", |events| {
        events.iter().any(|event| event.is("gateway.source_down", "oven"))
    });
    relay.open();
    plant.gateway.status_until("the same session", |status| status["sources"][0]["resumed"] == 1);
    let proof = plant.finish();

    assert_recorded(&samples(&proof, "count"), &plant.oven.record("count"));
    proof.counts("oven.count", 1 << 32, &[&plant.oven.counts()]);
    proof.outages("oven", 1, 1);
    let still = proof.about("telemetry.sampled", "oven.still");
    let said: Vec<&serde_json::Value> =
        still.iter().map(|event| &event.data()["quality"]["status"]).collect();
    assert_eq!(said, ["good", "bad", "good"], "what did not change is good again");
    assert_eq!(plant.gateway.status().expect("it runs")["sources"][0]["connects"], 1);
}

fn subscriptions_that_the_server_deletes_are_made_again(kind: Kind) {
    let (mut plant, _) = Plant::start(kind, |_| None);
    plant.oven.tell("unsubscribe");
    plant.gateway.status_until("another session", |status| status["sources"][0]["connects"] == 2);
    let proof = plant.finish();
    proof.counts("oven.count", 1 << 32, &[&plant.oven.counts()]);
}

fn a_server_that_stops_publishing_but_keeps_the_session_is_found_out(kind: Kind) {
    let (mut plant, _) = Plant::start(kind, |_| None);
    plant.oven.tell("mute");
    plant.subscriber.wait_until("the outage", |events| {
        events.iter().any(|event| event.is("gateway.source_down", "oven"))
    });
    let proof = plant.finish();
    proof.counts("oven.count", 1 << 32, &[&plant.oven.counts()]);
    proof.outages("oven", 1, 1);
}

/// Nobody hears anything of the other, and nobody is told. The session may last for 5 s, which is what asyncua grants
/// at least; that a subscription is silent is noticed later.
fn after_a_partition_that_outlasts_the_session_a_new_one_goes_on_with_what_is_there(kind: Kind) {
    let keys = "session_timeout = \"5s\"\nconnect_timeout = \"2s\"";
    let (mut plant, relay) = Plant::keyed(kind, keys, |oven| Some(Relay::to(oven.address())));
    let relay = relay.expect("it was asked for");
    relay.hold();
    let down = |status: &serde_json::Value| status["sources"][0]["state"] == "down";
    plant.gateway.status_until("the outage, and an attempt in vain", |status| {
        down(status) && status["sources"][0]["failed"].as_u64() >= Some(2)
    });
    relay.open();
    let status = plant.gateway.status_until("another session", |status| !down(status));
    assert_eq!(status["sources"][0]["connects"], 2);
    assert_eq!(status["sources"][0]["resumed"], 0);
    let proof = plant.finish();

    let (received, record) = (samples(&proof, "count"), plant.oven.record("count"));
    let hole = received.windows(2).position(|pair| pair[1].1 != pair[0].1 + 1.0);
    // Where the server kept the subscriptions or the history there is none.
    let (before, after) = received.split_at(hole.map_or(received.len(), |last| last + 1));
    assert_recorded(before, &record);
    if !after.is_empty() {
        assert_recorded(after, &record);
    }
    proof.counts("oven.count", 1 << 32, &[&plant.oven.counts()]);
    proof.outages("oven", 1, 1);
}

fn a_node_that_vanishes_is_bad_alone_and_is_read_again_when_it_is_back(kind: Kind) {
    let (mut plant, _) = Plant::start(kind, |_| None);
    plant.gateway.status_until("one bad tag", |status| status["sources"][0]["bad_tags"] == 1);
    plant.oven.tell("remove");
    plant.gateway.status_until("another bad tag", |status| status["sources"][0]["bad_tags"] == 2);
    plant.oven.tell("add");
    plant.subscriber.wait_until("its value", |events| has(events, "late", 2.0));
    let proof = plant.finish();

    let late = proof.about("telemetry.sampled", "oven.late");
    let said: Vec<&serde_json::Value> = late.iter().map(|event| &event.data()["quality"]["status"]).collect();
    assert_eq!(said, ["good", "bad", "good"]);
    let values: Vec<f64> = samples(&proof, "late").into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, [1.0, 2.0]);
    assert_recorded(&samples(&proof, "count"), &plant.oven.record("count"));
    proof.counts("oven.count", 1 << 32, &[&plant.oven.counts()]);
    proof.outages("oven", 0, 0);
}
