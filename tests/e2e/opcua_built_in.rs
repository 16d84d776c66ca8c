//! A value of each built-in type, of each quality and of each time arrives as the server has it, alone and in an array.

use serde_json::Value;

use crate::harness::oven::{samples, toml_of};
use crate::harness::{Event, Mosquitto, Oven, Proof, Site, Subscriber, micros};

/// Every built-in type that is one value (OPC 10000-6, section 5.1.2), as the oven calls its variables.
const BUILT_IN: [&str; 21] = [
    "Boolean",
    "SByte",
    "Byte",
    "Int16",
    "UInt16",
    "Int32",
    "UInt32",
    "Int64",
    "UInt64",
    "Float",
    "Double",
    "String",
    "DateTime",
    "Guid",
    "ByteString",
    "XmlElement",
    "NodeId",
    "ExpandedNodeId",
    "StatusCode",
    "QualifiedName",
    "LocalizedText",
];

fn tag(name: &str, node: &str, more: &str) -> String {
    format!("{{ name = \"{name}\", node = \"nsu=urn:plant:oven;s={node}\"{more} }}")
}

/// Runs a gateway on these tags until each has said something and what else is awaited is there.
fn observed(
    oven: &mut Oven,
    tags: &[String],
    then: impl Fn(&mut Oven),
    last: impl Fn(&[Event]) -> bool,
) -> Proof {
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let _gateway = Site::empty().device(&toml_of(oven.address(), tags)).uplink(broker.address()).start();
    subscriber.wait_until("a sample of each tag", |events| {
        let mut told: Vec<_> = events.iter().filter_map(|event| event.data()["tag"].as_str()).collect();
        told.sort_unstable();
        told.dedup();
        told.len() == tags.len()
    });
    then(oven);
    subscriber.wait_until("the last sample", |events| last(events));
    subscriber.flush();
    Proof::of(&subscriber.events())
}

fn said(proof: &Proof, tag: &str) -> Vec<Value> {
    let samples = proof.about("telemetry.sampled", &format!("oven.{tag}"));
    samples.into_iter().map(|event| event.data().clone()).collect()
}

#[test]
fn a_value_of_each_built_in_type_is_what_the_server_says() {
    let mut oven = Oven::with(&["--types"]);
    let alone = BUILT_IN.map(|name| tag(&name.to_lowercase(), name, ""));
    let second =
        BUILT_IN.map(|name| tag(&format!("{}s", name.to_lowercase()), &format!("{name}s"), ", element = 1"));
    let read = tag("read", "Int64s", ", element = 0, mode = \"read\"");
    let grid = tag("grid", "Grid", ", field = \"[1,0]\"");
    let tags: Vec<_> = alone.into_iter().chain(second).chain([read, grid]).collect();
    let proof = observed(&mut oven, &tags, |_| (), |_| true);
    for name in BUILT_IN.map(str::to_lowercase).iter().flat_map(|name| [name.clone(), format!("{name}s")]) {
        let said = said(&proof, &name);
        assert_eq!(said.len(), 1, "{name}: {said:?}");
        assert_eq!(said[0]["value"], oven.facts(&name)[0]["value"], "{name}");
        assert_eq!(said[0]["quality"]["status"], "good", "{name}");
    }
    assert_eq!(said(&proof, "read")[0]["value"], i64::MIN);
    assert_eq!(said(&proof, "grid")[0]["value"], 4);
}

#[test]
fn a_quality_travels_with_its_code_and_a_time_with_its_microseconds() {
    let mut oven = Oven::with(&["--types"]);
    let tags = [tag("judged", "Judged", ""), tag("timed", "Timed", ""), tag("served", "Served", "")];
    let last = |events: &[Event]| {
        let mut judged = events.iter().filter(|event| event.is("telemetry.sampled", "oven.judged"));
        judged.next_back().is_some_and(|event| event.data()["value"] == 12.0)
    };
    let proof = observed(&mut oven, &tags, |oven| oven.tell("judge"), last);
    let facts = oven.facts("judged");
    let judged = proof.about("telemetry.sampled", "oven.judged");
    // Before them came the value of the start.
    assert_eq!(judged.len(), facts.len() + 1);
    for (event, fact) in judged[1..].iter().zip(&facts) {
        let code = fact["value"]["code"].as_u64().expect("a code");
        let (value, quality) = (&event.data()["value"], &event.data()["quality"]);
        let (status, shown) = match code >> 30 {
            0 => ("good", &fact["value"]["value"]),
            1 => ("uncertain", &fact["value"]["value"]),
            _ => ("bad", &Value::Null),
        };
        assert_eq!((quality["status"].as_str(), value), (Some(status), shown), "{code:#x}");
        let cause = format!("opcua-0x{:08X}", code & 0xFFFF_0000);
        let cause = if status == "good" { Value::Null } else { cause.into() };
        assert_eq!(quality["cause"], cause, "{code:#x}");
        assert_eq!(event.time_us, fact["at"].as_i64().expect("a time"), "{code:#x}");
    }
    assert_eq!(samples(&proof, "timed"), [(micros("2026-01-02T03:04:05.678901Z"), 1.0)]);
    assert_eq!(samples(&proof, "served"), [(micros("2026-02-03T04:05:06.789012Z"), 2.0)]);
}
