//! The comparison that every delivery scenario ends with must itself be able to fail.

use serde_json::{Value, json};

use crate::harness::{Event, Message, Proof};

const TAG: &str = "press-1.good";
/// Values of the counter, each from the millisecond of its place on.
const RECORD: [(i64, u64); 4] = [(0, 0), (1_000, 2), (2_000, 3), (3_000, 7)];

fn event(sequence: u64, kind: &str, data: &Value) -> Event {
    let time = format!("1970-01-01T00:00:00.{sequence:03}Z");
    let document = json!({
        "id": format!("id-{sequence}"), "type": kind, "stream": "edge-01/business/1",
        "sequence": format!("{sequence:020}"), "time": time, "observedtime": time, "data": data,
    });
    let line = format!("0\ttopic\tapplication/cloudevents+json\t{document}");
    Message::parse(&line).event().expect("it is one")
}

fn counted(sequence: u64, from: u64, to: u64) -> Event {
    let counter = json!({ "epoch": "1970-01-01T00:00:00Z", "from": from, "to": to });
    event(sequence, "production.completed", &json!({ "tag": TAG, "quantity": to - from, "counter": counter }))
}

/// Everything that the record says, told once.
fn truth() -> Vec<Event> {
    vec![counted(1, 0, 2), counted(2, 2, 3), counted(3, 3, 7)]
}

fn check(events: &[Event]) {
    Proof::of(events).counts(TAG, 1 << 32, &[&RECORD]);
}

#[test]
fn the_truth_passes_and_so_does_what_is_sent_again() {
    check(&truth());
    let mut again = truth();
    again.extend(truth());
    assert_eq!(Proof::of(&again).repeated(), 3);
    check(&again);
}

#[test]
#[should_panic(expected = "holes that nothing announces: [2]")]
fn a_lost_event_is_found() {
    check(&[counted(1, 0, 2), counted(3, 3, 7)]);
}

#[test]
#[should_panic(expected = "holes that nothing announces: [1]")]
fn a_lost_first_event_is_found() {
    check(&[counted(2, 2, 3), counted(3, 3, 7)]);
}

#[test]
fn a_gap_excuses_what_it_announces() {
    let places = json!({ "stream": "edge-01/business/1", "first": "00000000000000000002", "last": "2" });
    Proof::of(&[counted(1, 0, 2), counted(3, 3, 7), event(4, "gateway.gap", &places)]);
}

#[test]
#[should_panic(expected = "received and made")]
fn lost_pieces_at_the_end_are_found() {
    check(&truth()[..2]);
}

#[test]
#[should_panic(expected = "goes on elsewhere")]
fn pieces_that_no_event_tells_are_found() {
    check(&[counted(1, 0, 2), counted(2, 3, 7)]);
}

#[test]
#[should_panic(expected = "one id, two documents")]
fn an_id_that_means_two_things_is_found() {
    let mut other = counted(1, 0, 3);
    other.document["data"]["quantity"] = json!(3);
    check(&[counted(1, 0, 2), other]);
}

#[test]
#[should_panic(expected = "out of order or doubled")]
fn a_fact_that_is_told_twice_under_two_ids_is_found() {
    let mut twin = counted(1, 0, 2);
    twin.id = "twin".to_owned();
    check(&[counted(1, 0, 2), twin]);
}

#[test]
#[should_panic(expected = "out of order or doubled")]
fn disorder_is_found() {
    check(&[counted(2, 2, 3), counted(1, 0, 2)]);
}

#[test]
#[should_panic(expected = "was not there")]
fn a_value_that_the_plc_never_had_is_found() {
    check(&[counted(1, 0, 1), counted(2, 1, 3), counted(3, 3, 7)]);
}

#[test]
#[should_panic(expected = "was not there")]
fn a_value_before_its_time_is_found() {
    check(&[counted(1, 0, 7)]);
}
