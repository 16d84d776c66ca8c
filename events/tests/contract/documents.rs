//! The CloudEvents JSON document of each type.

use penstock_events::cloudevent::CloudEvent;
use penstock_events::{Cause, Event, Fact, GapReason, Quality, Sequence, Timestamp, Value, identity};
use serde_json::{Value as Json, json};

use crate::samples::{one_of_each, origin, stream};

fn document(event: &Event) -> Json {
    let bytes = bytes(event, Sequence(42));
    serde_json::from_slice(&bytes).unwrap()
}

fn bytes(event: &Event, sequence: Sequence) -> Vec<u8> {
    let stream = stream(event.lane());
    CloudEvent { origin: &origin(), stream: &stream, sequence, event }.to_json()
}

/// The data of each type's sample, in the order of `EventType::ALL`.
fn golden_data() -> [Json; 9] {
    [
        json!({ "tag": "press-1.zone1.temp", "value": 71.25, "unit": "Cel", "quality": { "status": "good" } }),
        json!({
            "tag": "press-1.state",
            "state": "running",
            "previous": { "state": "stopped", "duration_ms": 90_000 },
        }),
        json!({
            "tag": "press-1.good",
            "output": "good",
            "quantity": 3,
            "counter": {
                "epoch": "2026-01-01T00:00:00.000000Z",
                "from": 18_446_744_073_709_551_612_u64,
                "to": 18_446_744_073_709_551_615_u64,
            },
        }),
        json!({
            "tag": "oven.alarms",
            "condition": "nsu=urn:plant:oven;s=Hot|2",
            "name": "Overheated",
            "source_name": "Zone 2",
            "severity": 700,
            "message": "Zone 2 is above 250 °C",
        }),
        json!({
            "tag": "oven.alarms",
            "condition": "nsu=urn:plant:oven;s=Hot|2",
            "name": "Overheated",
            "source_name": "Zone 2",
            "severity": 700,
            "message": null,
            "since": "2026-01-01T00:00:02.000000Z",
            "duration_ms": 60_000,
        }),
        json!({ "source": "press-1", "cause": "modbus-exception-4" }),
        json!({ "source": "press-1", "down_since": "1970-01-01T00:00:00.000000Z" }),
        json!({
            "stream": "edge-01/telemetry/3f2a9c01",
            "first": "00000000000000000007",
            "last": "00000000000000001006",
            "reason": "buffer_full",
            "lost": { "telemetry.sampled": 1_000 },
        }),
        json!({ "version": "0.1.0 \"quoted\"\n" }),
    ]
}

#[test]
fn every_type_has_its_golden_document() {
    // type, id, asset, lane, time, observed time
    let golden = "\
        telemetry.sampled a9776e3e-ad25-5542-9a3d-4730ec523f45 stamping/line-1/press-1 telemetry \
            2026-01-01T00:00:00.000000Z 2026-01-01T00:00:00.012345Z
        machine.state_changed 408a9f98-e2eb-5bc1-8adc-2c1e06f405c2 stamping/line-1/press-1 business \
            2026-01-01T00:00:00.000250Z 2026-01-01T00:00:00.012595Z
        production.completed 4af788ff-3c92-522a-8180-5d13d2d21c43 stamping/line-1/press-1 business \
            2026-01-01T00:00:01.000000Z 2026-01-01T00:00:01.012345Z
        maintenance.alert_raised 55c4af53-f9da-54bd-9737-4b34eca54021 heat-treatment/oven business \
            2026-01-01T00:00:02.000000Z 2026-01-01T00:00:02.012345Z
        maintenance.alert_cleared 68490d99-927a-5578-89c2-d1e6d87a62ce heat-treatment/oven business \
            2026-01-01T00:01:02.000999Z 2026-01-01T00:01:02.013344Z
        gateway.source_down c50d3e5a-4a12-547f-878c-266fd7f1982c gateways/edge-01 business \
            2026-01-01T00:00:00.000000Z 2026-01-01T00:00:00.012345Z
        gateway.source_up 05144679-a120-5b97-afd2-75368a3c6082 gateways/edge-01 business \
            2026-01-01T00:00:00.000000Z 2026-01-01T00:00:00.012345Z
        gateway.gap ebf0d316-0fc5-509e-a9ff-e1e1eade0d0f gateways/edge-01 business \
            2026-01-01T00:00:00.000000Z 2026-01-01T00:00:00.012345Z
        gateway.started 45046490-d843-579f-bc64-212cc3becc38 gateways/edge-01 business \
            1969-12-31T23:59:59.999999Z 2026-01-01T00:00:00.012345Z";
    let mut seen = 0;
    for ((event, data), line) in one_of_each().iter().zip(golden_data()).zip(golden.lines()) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [kind, id, asset, lane, time, observed] = fields[..] else { panic!("{line}") };
        let expected = json!({
            "specversion": "1.0",
            "id": id,
            "source": format!("urn:penstock:plant-7:{asset}"),
            "type": kind,
            "time": time,
            "datacontenttype": "application/json",
            "dataschema": format!("urn:penstock:schema:{kind}:1"),
            "gatewayid": "edge-01",
            "stream": format!("edge-01/{lane}/3f2a9c01"),
            "sequence": "00000000000000000042",
            "partitionkey": asset,
            "observedtime": observed,
            "data": data,
        });
        assert_eq!(document(event), expected);
        seen += 1;
    }
    assert_eq!(seen, 9);
}

#[test]
fn attributes_are_as_cloudevents_demands() {
    for event in one_of_each() {
        let document = document(&event);
        for required in ["specversion", "id", "source", "type"] {
            assert!(document[required].as_str().is_some_and(|text| !text.is_empty()), "{required}");
        }
        let names = document.as_object().unwrap().keys();
        for name in names {
            // CloudEvents 1.0.2, section 3: lower-case letters and digits, and no more than 20 of them.
            let allowed = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            assert!(allowed && name.len() <= 20, "{name}");
        }
    }
}

#[test]
fn a_document_is_one_line() {
    let mut events = one_of_each();
    events.push(sampled(Some(Value::Text("two\nlines\r\u{2028}\u{0}".into()))));
    for event in events {
        let bytes = bytes(&event, Sequence(1));
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(!text.contains(['\n', '\r', '\0']), "{text}");
    }
}

#[test]
fn sequences_sort_as_texts_as_they_do_as_numbers() {
    let event = sampled(Some(Value::Bool(true)));
    let texts = [0, 1, 9, 10, 99, 100, u64::MAX - 1, u64::MAX].map(|sequence| {
        let document: Json = serde_json::from_slice(&bytes(&event, Sequence(sequence))).unwrap();
        document["sequence"].as_str().unwrap().to_owned()
    });
    assert!(texts.is_sorted(), "{texts:?}");
    assert_eq!(texts[7], "18446744073709551615");
}

#[test]
fn numbers_that_json_cannot_hold_become_null() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(document(&sampled(Some(Value::Float(value))))["data"]["value"], Json::Null);
    }
}

#[test]
fn values_keep_their_kind() {
    let values = [
        (Value::Bool(true), json!(true)),
        (Value::Int(i64::MIN), json!(i64::MIN)),
        (Value::UInt(u64::MAX), json!(u64::MAX)),
        (Value::Float(5.0), json!(5.0)),
        (Value::Float(0.1), json!(0.1)),
        (Value::Text("Ä \"7\"".into()), json!("Ä \"7\"")),
    ];
    for (value, expected) in values {
        assert_eq!(document(&sampled(Some(value)))["data"]["value"], expected);
    }
}

#[test]
fn a_bad_sample_has_no_value_and_says_why() {
    let event = Event { quality: Quality::Bad(Cause::ModbusException(2)), ..sampled(None) };
    let data = &document(&event)["data"];
    assert_eq!(data["value"], Json::Null);
    assert_eq!(data["quality"], json!({ "status": "bad", "cause": "modbus-exception-2" }));
}

#[test]
fn a_first_state_has_no_previous_one() {
    let (tag, state) = ("press-1.state".parse().unwrap(), "running".parse().unwrap());
    let fact = Fact::MachineStateChanged { tag, state, previous: None };
    assert_eq!(document(&Event { fact, ..sampled(None) })["data"]["previous"], Json::Null);
}

/// A receiver needs nothing but the document: the table of the module `identity`, written again.
#[test]
fn a_receiver_can_recompute_the_id_from_the_document() {
    for event in one_of_each() {
        let document = document(&event);
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        let micros = |value: &Json| text(value).parse::<Timestamp>().unwrap().as_micros().to_string();
        let place = |value: &Json| text(value).parse::<u64>().unwrap().to_string();
        let kind = text(&document["type"]);
        let source = text(&document["source"]);
        let (site, asset) = source.strip_prefix("urn:penstock:").unwrap().split_once(':').unwrap();
        let (data, time) = (&document["data"], micros(&document["time"]));
        let natural = match kind.as_str() {
            "telemetry.sampled" => vec![text(&data["tag"]), time],
            "machine.state_changed" => vec![text(&data["tag"]), text(&data["state"]), time],
            "production.completed" => {
                let counter = &data["counter"];
                vec![text(&data["tag"]), micros(&counter["epoch"]), counter["to"].to_string()]
            }
            "maintenance.alert_raised" => vec![text(&data["tag"]), time, text(&data["condition"])],
            "maintenance.alert_cleared" => {
                vec![text(&data["tag"]), micros(&data["since"]), text(&data["condition"])]
            }
            "gateway.source_down" | "gateway.source_up" => vec![text(&data["source"]), time],
            "gateway.gap" => vec![text(&data["stream"]), place(&data["first"]), place(&data["last"])],
            "gateway.started" => vec![time],
            other => panic!("{other}"),
        };
        let name = format!("v1|{kind}|{site}|{asset}|{}", natural.join("|"));
        assert_eq!(name, identity::canonical(&origin().site, &event));
        assert_eq!(text(&document["id"]), identity::id(&origin().site, &event).to_string());
    }
}

fn sampled(value: Option<Value>) -> Event {
    let event = one_of_each().swap_remove(0);
    Event {
        fact: Fact::TelemetrySampled { tag: "press-1.temp".parse().unwrap(), value, unit: None },
        ..event
    }
}

#[test]
fn every_reason_for_a_gap_is_in_the_written_contract() {
    let contract = include_str!("../../../docs/events.md");
    for reason in GapReason::ALL {
        assert!(contract.contains(&format!("`{}`", reason.as_str())), "{reason:?}");
    }
}
