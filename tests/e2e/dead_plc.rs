//! One of five PLCs is dead: it is told once, and the other four do not notice.

use std::collections::BTreeSet;

use crate::harness::{Event, Gateway, Mosquitto, Plc, Proof, Site, Subscriber, free_port};

const LIVING: [&str; 4] = ["press-1", "press-2", "press-3", "press-4"];
const DEAD: &str = "press-5";
const POLL_US: i64 = 100_000;
/// Far below what noise takes, far above what is left when a poll waits for a dead device: with a timeout of
/// ten polls that is a tenth.
const LEAST_PART_OF_SLOTS: f64 = 0.5;
/// Polls of each living PLC in which the dead one could be in the way.
const POLLS: usize = 40;

struct Plant {
    living: Vec<Plc>,
    dead: Plc,
    subscriber: Subscriber,
    gateway: Gateway,
    _broker: Mosquitto,
}

impl Plant {
    fn start() -> Self {
        let living: Vec<Plc> = LIVING.iter().map(|name| Plc::start(name)).collect();
        let dead = Plc::start(DEAD);
        let broker = Mosquitto::start();
        let subscriber = Subscriber::of(&broker);
        let site = Site::empty().polled("100ms", "1s");
        let site = living.iter().fold(site, Site::press).press(&dead).uplink(broker.address());
        let gateway = site.start();
        let plant = Self { living, dead, subscriber, gateway, _broker: broker };
        plant.subscriber.wait_until("samples of all five", |events| {
            LIVING.iter().chain([&DEAD]).all(|name| !slots(events, name).is_empty())
        });
        plant
    }

    /// Waits until it is told that the fifth is down, and for polls of the others after that.
    fn watch_the_others(&self) {
        let events = self.subscriber.wait_until("the outage", |events| down_since(events).is_some());
        let since = down_since(&events).expect("it was waited for");
        let events = self.subscriber.wait_until("polls of the others", |events| {
            LIVING.iter().all(|name| slots(events, name).range(since..).count() >= POLLS)
        });
        for name in LIVING {
            let slots: Vec<i64> = slots(&events, name).range(since..).copied().collect();
            let (first, last) = (slots[0], slots[slots.len() - 1]);
            let due = (last - first) / POLL_US + 1;
            let part = slots.len() as f64 / due as f64;
            assert!(part >= LEAST_PART_OF_SLOTS, "{name} was polled in {} of {due} slots", slots.len());
        }
    }

    fn assert_nothing_of_the_others_is_lost(mut self, up: usize) {
        let facts: Vec<_> = self.living.iter_mut().map(|plc| plc.hold()).collect();
        for (name, facts) in LIVING.iter().zip(&facts) {
            self.gateway.delivered(name, facts, &self.subscriber);
        }
        let proof = Proof::of(&self.subscriber.events());
        for (name, facts) in LIVING.iter().zip(&facts) {
            proof.counts(&format!("{name}.good"), 1 << 32, &[&facts.good]);
            proof.states(&format!("{name}.state"), &facts.states);
            proof.outages(name, 0, 0);
        }
        proof.outages(DEAD, 1, up);
        tags_went_bad_once(&proof);
    }
}

/// The slots in which `name` was polled: one of its tags changes with every poll.
fn slots(events: &[Event], name: &str) -> BTreeSet<i64> {
    let reads = format!("{name}.reads");
    events.iter().filter(|event| event.is("telemetry.sampled", &reads)).map(|event| event.time_us).collect()
}

fn down_since(events: &[Event]) -> Option<i64> {
    events.iter().find(|event| event.is("gateway.source_down", DEAD)).map(|event| event.time_us)
}

fn tags_went_bad_once(proof: &Proof) {
    for tag in ["temp", "reads", "name", "alarm", "tripped"] {
        let samples = proof.about("telemetry.sampled", &format!("{DEAD}.{tag}"));
        let bad = samples.iter().filter(|event| event.data()["quality"]["status"] == "bad");
        assert!(bad.clone().all(|event| event.data()["value"].is_null()), "a bad sample has no value");
        assert_eq!(bad.count(), 1, "{DEAD}.{tag} went bad once");
    }
}

#[test]
fn a_plc_without_power_does_not_slow_the_other_four() {
    let mut plant = Plant::start();
    plant.dead.power_off();
    plant.watch_the_others();
    plant.assert_nothing_of_the_others_is_lost(0);
}

#[test]
fn a_plc_that_hangs_does_not_slow_the_other_four_and_is_taken_back() {
    let plant = Plant::start();
    plant.dead.hang();
    plant.watch_the_others();
    plant.dead.go_on();
    plant
        .subscriber
        .wait_until("its return", |events| events.iter().any(|event| event.is("gateway.source_up", DEAD)));
    let status = plant.gateway.status_until("all five up", |status| {
        let sources = status["sources"].as_array().expect("a list of sources");
        sources.iter().all(|source| source["state"] == "up")
    });
    assert_eq!(status["sources"].as_array().map(Vec::len), Some(5));
    plant.assert_nothing_of_the_others_is_lost(1);
}

#[test]
fn a_port_that_refuses_is_told_once_and_tried_again() {
    let plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().press(&plc).press_at(DEAD, free_port()).uplink(broker.address()).start();

    let events = subscriber.wait_until("the outage", |events| down_since(events).is_some());
    let down = events.iter().find(|event| event.is("gateway.source_down", DEAD)).expect("it was waited for");
    assert_eq!(down.data()["cause"], "disconnected");
    // Further attempts are not told again.
    let tried = |status: &serde_json::Value| -> Option<u64> {
        let source = status["sources"].as_array()?.iter().find(|source| source["name"] == DEAD)?;
        source["failed"].as_u64()
    };
    gateway.status_until("further attempts", |status| tried(status) >= Some(3));

    subscriber.flush();
    Proof::of(&subscriber.events()).outages(DEAD, 1, 0);
}
