//! Many tags of one OPC UA server: spread over subscriptions, asked for in calls that the server takes, and every
//! value told.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::oven::{Kind, Recorded, assert_recorded};
use crate::harness::{Event, Mosquitto, Oven, Proof, Site, Subscriber};

#[test]
fn every_value_of_ten_thousand_items_is_told() {
    every_value_is_told(Kind::NodeOpcua, 10_000);
}

/// asyncua needs a minute on a loaded machine to make ten thousand.
#[test]
fn every_value_of_more_items_than_a_subscription_takes_is_told() {
    every_value_is_told(Kind::Asyncua, 2_500);
}

fn every_value_is_told(kind: Kind, many: usize) {
    // All of them change every five periods.
    let mut oven = Oven::of(kind, &["--many", &many.to_string(), "--period", "0.6"]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().device(&toml(oven.address(), many, &[])).uplink(broker.address()).start();
    // Looking at so many events takes time, so that the gateway is asked first.
    gateway.status_until("some rounds", |status| values(status) >= 3 * many as u64);
    oven.hold();
    let records = oven.records();
    gateway.backlog_until("the delivery", |backlog| backlog == 0);
    let last = last_of(&records["t0"]);
    subscriber.wait_until("the last values", |events| {
        events.iter().filter(|event| event.kind == "telemetry.sampled" && event.number() == last).count()
            >= many
    });
    let status = gateway.status().expect("it runs");
    assert_eq!(status["sources"][0]["bad_tags"], 0);
    assert_eq!(status["sources"][0]["connects"], 1);
    assert_eq!(status["sources"][0]["overflows"], 0);
    subscriber.flush();

    let proof = Proof::of(&subscriber.events());
    let received = by_tag(proof.events());
    for tag in 0..many {
        let (received, record) = (&received[&format!("oven.t{tag}")], &records[&format!("t{tag}")]);
        assert_recorded(received, record);
        assert_eq!(received.last(), record.last(), "the last value of {tag}");
    }
    proof.outages("oven", 0, 0);
}

#[test]
fn a_server_that_tells_how_much_a_call_may_ask_never_has_to_refuse_one() {
    assert_eq!(refusals(&[]), 0);
}

#[test]
fn a_server_that_refuses_calls_for_a_size_that_it_does_not_tell_is_asked_for_less() {
    let refused = refusals(&["--untold"]);
    assert!((1..=10).contains(&refused), "{refused} calls were refused");
}

/// Reads everything of a server that takes 10 items and 7 reads in a call, and gives how many calls it refused.
fn refusals(options: &[&str]) -> usize {
    let limits = ["--many", "55", "--items-per-call", "10", "--reads-per-call", "7"];
    let mut oven = Oven::of(Kind::NodeOpcua, &[&limits, options].concat());
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let cyclic: Vec<usize> = (0..55).collect();
    let gateway = Site::empty().device(&toml(oven.address(), 55, &cyclic)).uplink(broker.address()).start();
    gateway.status_until("some rounds", |status| values(status) > 500);
    oven.hold();
    let records = oven.records();
    let last = last_of(&records["t0"]);
    let events = subscriber.wait_until("the last values", |events| {
        let last = events.iter().filter(|event| event.kind == "telemetry.sampled" && event.number() == last);
        last.count() >= 2 * 55
    });
    assert_eq!(gateway.status().expect("it runs")["sources"][0]["bad_tags"], 0);

    let received = by_tag(&events);
    for tag in 0..55 {
        assert_recorded(&received[&format!("oven.t{tag}")], &records[&format!("t{tag}")]);
        assert_eq!(last_of(&received[&format!("oven.r{tag}")]), last, "what is read of {tag}");
    }
    oven.refusals()
}

/// A server with the tags `t0`, `t1` …, and with `r0`, `r1` … for those that are read `cyclic` too.
fn toml(address: SocketAddr, many: usize, cyclic: &[usize]) -> String {
    let mut tags = String::new();
    for tag in 0..many {
        writeln!(tags, "  {{ name = \"t{tag}\", node = \"nsu=urn:plant:oven;s=T{tag}\" }},").unwrap();
    }
    for tag in cyclic {
        let node = format!("nsu=urn:plant:oven;s=T{tag}");
        writeln!(tags, "  {{ name = \"r{tag}\", node = \"{node}\", mode = \"read\" }},").unwrap();
    }
    format!(
        r#"
[[opcua]]
name = "oven"
endpoint = "opc.tcp://{address}/oven"
security = "None"
publish = "50ms"
sample = "0s"
poll = "100ms"
queue = 10
tags = [
{tags}]

[[asset]]
path = "heat-treatment/oven"
telemetry = [{{ tag = "oven.*" }}]
"#
    )
}

fn values(status: &Value) -> u64 {
    status["sources"][0]["values"].as_u64().unwrap_or_default()
}

fn last_of(record: &[Recorded]) -> f64 {
    record.last().expect("there is one").1
}

/// The samples of each tag.
fn by_tag(events: &[Event]) -> HashMap<String, Vec<Recorded>> {
    let mut tags: HashMap<String, Vec<Recorded>> = HashMap::new();
    for event in events.iter().filter(|event| event.kind == "telemetry.sampled") {
        let tag = event.data()["tag"].as_str().expect("a tag").to_owned();
        tags.entry(tag).or_default().push((event.time_us, event.number()));
    }
    tags
}
