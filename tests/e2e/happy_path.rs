//! Nothing goes wrong: every fact of the PLC arrives, once, in order, in the shape of the contract.

use std::io::Write;
use std::process::Stdio;

use crate::harness::{Boot, Event, Mosquitto, Plc, Proof, Site, Subscriber, peer};

/// Just below where 16 bits end, so that scrap rolls over.
const SCRAP_AT_START: u64 = 0xFFFE;

#[test]
fn every_fact_of_a_plc_arrives_once_and_in_order() {
    let boot = Boot { scrap: SCRAP_AT_START, ..Boot::default() };
    let mut plc = Plc::boot("press-1", boot);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().press(&plc).uplink(broker.address()).start();

    subscriber.wait_until("40 states and a rollover of scrap", |events| {
        let states = events.iter().filter(|event| event.is("machine.state_changed", "press-1.state")).count();
        states >= 40 && (0..9).any(|scrap| events.iter().any(|event| event.counts("press-1.scrap", scrap)))
    });
    let facts = plc.hold();

    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.counts("press-1.scrap", 1 << 16, &[&facts.scrap]);
    proof.states("press-1.state", &facts.states);
    proof.every_poll_was_sampled("press-1");
    proof.outages("press-1", 0, 0);
    assert_eq!(proof.repeated(), 0, "nothing had to be sent again");
}

#[test]
fn events_have_the_shape_of_the_contract() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    subscriber.wait_until("all kinds of events", |events| {
        let seen = |kind, tag| events.iter().any(|event| event.is(kind, tag));
        seen("machine.state_changed", "press-1.state") && seen("production.completed", "press-1.good")
    });
    let facts = plc.hold();
    let events = gateway.delivered("press-1", &facts, &subscriber);

    for event in &events {
        let document = &event.document;
        assert_eq!(document["specversion"], "1.0");
        assert_eq!(document["datacontenttype"], "application/json");
        assert_eq!(document["gatewayid"], "edge-01");
        let own = event.kind.starts_with("gateway.");
        let asset = if own { "gateways/edge-01" } else { "stamping/line-1/press-1" };
        assert_eq!(document["source"], format!("urn:penstock:plant-7:{asset}"));
        assert_eq!(document["partitionkey"], asset);
        assert_eq!(document["dataschema"], format!("urn:penstock:schema:{}:1", event.kind));
        assert_eq!(document["sequence"], format!("{:020}", event.sequence));
        assert_eq!(event.topic, format!("penstock/plant-7/{asset}/{}", event.kind));
        let lane = if event.kind == "telemetry.sampled" { "telemetry" } else { "business" };
        assert!(event.stream.starts_with(&format!("edge-01/{lane}/")), "{document}");
        assert!(event.time_us <= event.observed_us, "{document}");
        // A poll's slots lie on the grid of its interval, aligned to the epoch.
        assert!(own || event.time_us % 50_000 == 0, "{document}");
    }
    values_are_decoded(&events);
}

#[test]
fn a_receiver_in_another_language_recomputes_every_id() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    subscriber.wait_until("an event of each counter", |events| {
        ["good", "scrap"].iter().all(|counter| {
            events.iter().any(|event| event.is("production.completed", &format!("press-1.{counter}")))
        })
    });
    plc.power_off();
    subscriber.wait_until("the outage", |events| {
        events.iter().any(|event| event.is("gateway.source_down", "press-1"))
    });
    plc.power_on(Boot::default());
    subscriber
        .wait_until("its end", |events| events.iter().any(|event| event.is("gateway.source_up", "press-1")));
    assert!(gateway.stop().success());
    subscriber.flush();

    let events = subscriber.events();
    let mut receiver = peer("event_id.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let documents: String = events.iter().map(|event| format!("{}\n", event.document)).collect();
    let mut stdin = receiver.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || stdin.write_all(documents.as_bytes()).unwrap());
    let output = receiver.wait_with_output().unwrap();
    writer.join().unwrap();
    let recomputed: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    let ids: Vec<String> = events.iter().map(|event| event.id.clone()).collect();
    assert_eq!(recomputed, ids);
}

/// Types, word orders, bits and scaling: the PLC computes its temperature from how often it was read.
fn values_are_decoded(events: &[Event]) {
    let sampled = |tag: &'static str| events.iter().filter(move |event| event.is("telemetry.sampled", tag));
    for temperature in sampled("press-1.temp") {
        let at_same_time = sampled("press-1.reads").find(|reads| reads.time_us == temperature.time_us);
        let reads = at_same_time.expect("it changes with every poll").number();
        assert_eq!(temperature.number(), 0.5 * (20.0 + (reads % 64.0) / 4.0) + 3.0);
        assert_eq!(temperature.data()["unit"], "Cel");
        assert_eq!(temperature.data()["quality"]["status"], "good");
    }
    assert!(sampled("press-1.temp").count() > 1);
    let names: Vec<_> = sampled("press-1.name").map(|event| event.data()["value"].as_str()).collect();
    assert_eq!(names, [Some("Press A")], "a text that does not change is told once");
    for bit in ["press-1.alarm", "press-1.tripped"] {
        assert!(sampled(bit).all(|event| event.data()["value"].is_boolean()), "{bit}");
        assert!(sampled(bit).count() > 0, "{bit}");
    }
}
