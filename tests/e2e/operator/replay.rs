//! Replays: everything that was delivered arrives again as it was, beside live events, through restarts and kills.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{acknowledge, stocked};
use crate::harness::{Event, Gateway, Mosquitto, Plc, Proof, Relay, Site, Subscriber, eventually, free_port};

fn replay(gateway: &Gateway, words: &[&str]) -> Value {
    let words = [&["buffer", "replay", "--destination", "enterprise", "--json"], words].concat();
    gateway.json(&words).remove(0)
}

/// The replay of this number, by what the buffer says.
fn found(gateway: &Gateway, id: &Value) -> Option<Value> {
    let status = gateway.command(&["buffer", "status", "--json"]);
    let replays = status.json().first()?["replays"].as_array()?.clone();
    replays.into_iter().find(|replay| replay["id"] == *id)
}

#[track_caller]
fn until(gateway: &Gateway, id: &Value, awaited: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(awaited, || found(gateway, id).filter(|replay| is_wanted(replay)))
}

fn delivered(replay: &Value) -> u64 {
    replay["delivered"].as_u64().expect("a number")
}

fn ids(events: &[Event]) -> BTreeSet<&str> {
    events.iter().map(|event| event.id.as_str()).collect()
}

#[test]
fn what_was_delivered_arrives_again_as_it_was_beside_live_events_that_arrive_once() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    subscriber.wait_until("some events", |events| events.len() > 150);

    let planned = replay(&gateway, &["--dry-run"]);
    assert!(planned["events"].as_u64() > Some(100), "{planned}");
    assert_eq!(gateway.status().unwrap()["destinations"][0]["replays"], Value::Array(Vec::new()));
    let ordered = replay(&gateway, &["--rate", "300/s"]);
    let ended = until(&gateway, &ordered["id"], "the end of the replay", |replay| replay["state"] == "done");
    subscriber.flush();
    let by_then = subscriber.events();
    let pieces = replay(&gateway, &["--type", "production.completed", "--rate", "1000/s"]);
    let pieces = until(&gateway, &pieces["id"], "the end", |replay| replay["state"] == "done");

    let facts = plc.hold();
    let received = gateway.delivered("press-1", &facts, &subscriber);
    // One id has one document, live events come in order and without holes: `Proof` sees to that.
    let proof = Proof::of(&received);
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.every_poll_was_sampled("press-1");
    assert_eq!(proof.repeated() as u64, delivered(&ended) + delivered(&pieces));
    assert_eq!((&ended["refused"], &ended["missed"]), (&Value::from(0), &Value::from(0)));
    let repeated_pieces = received[by_then.len()..].iter().filter(|event| ids(&by_then).contains(&*event.id));
    assert!(repeated_pieces.clone().count() > 20);
    assert!(repeated_pieces.into_iter().all(|event| event.kind == "production.completed"));
    assert!(delivered(&ended) > 100, "{ended}");
    let span = |lane: &str| ended["lanes"][lane]["last"].as_u64().expect("a place");
    assert_eq!(delivered(&ended), span("business") + span("telemetry"), "the whole of both lanes");
}

#[test]
fn a_replay_that_was_ordered_while_the_gateway_was_stopped_survives_kills() {
    let site = Site::empty().press_at("press-1", free_port());
    let mut gateway = stocked(1_500);
    let buffer = gateway.buffer();
    acknowledge(&buffer);
    buffer.close().expect("a disk that works");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    gateway.write("config.toml", &site.uplink(broker.address()).toml());

    let ordered = replay(&gateway, &["--lane", "telemetry", "--rate", "400/s"]);
    let id = &ordered["id"];
    assert_eq!(ordered["state"], "active");
    for least in [300, 600, 900] {
        gateway.restart();
        until(&gateway, id, "progress", |replay| delivered(replay) >= least);
        gateway.kill();
    }
    let stopped = found(&gateway, id).expect("it is on disk");
    assert_eq!(stopped["state"], "active");
    gateway.restart();
    until(&gateway, id, "the end of the replay", |replay| replay["state"] == "done");
    subscriber.flush();

    let received = subscriber.events();
    let samples: Vec<&Event> = received.iter().filter(|event| event.kind == "telemetry.sampled").collect();
    let places: BTreeSet<u64> = samples.iter().map(|event| event.sequence).collect();
    assert!((1..=1_500).all(|place| places.contains(&place)), "some did not arrive again");
    // What a kill repeats is about a second's worth.
    assert!(samples.len() < 1_500 + 3 * 1_000, "{} arrived: it began anew each time", samples.len());
}

#[test]
fn live_events_go_first_and_a_cancelled_replay_stops() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let link = Relay::to(broker.address());
    let gateway = Site::empty().press(&plc).uplink(link.address()).start();
    subscriber.wait_until("some events", |events| events.len() > 150);

    // The broker is away: the replay waits with everything else, and says so.
    link.cut();
    let ordered = replay(&gateway, &["--rate", "5/s"]);
    gateway.backlog_until("a backlog", |backlog| backlog > 50);
    assert_eq!(delivered(&found(&gateway, &ordered["id"]).unwrap()), 0);
    link.open();
    gateway.backlog_until("live events to arrive", |backlog| backlog < 20);
    until(&gateway, &ordered["id"], "the first of the replay", |replay| delivered(replay) > 0);

    let id = ordered["id"].to_string();
    let cancelled = gateway.json(&["buffer", "replay", "--cancel", &id, "--json"]).remove(0);
    assert_eq!(cancelled["state"], "cancelled");
    let again = gateway.command(&["buffer", "replay", "--cancel", &id]);
    assert_eq!(again.code(), 66, "EX_NOINPUT (sysexits.h): {}", again.stderr());
    let facts = plc.hold();
    Proof::of(&gateway.delivered("press-1", &facts, &subscriber)).counts(
        "press-1.good",
        1 << 32,
        &[&facts.good],
    );
    assert_eq!(found(&gateway, &ordered["id"]).unwrap()["delivered"], cancelled["delivered"]);
}
