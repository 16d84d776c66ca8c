//! The witness's verdicts on event sets made by hand: it must find what is wrong and nothing else.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use penstock_plant::truth::{Count, Entered, Gauge, Shown, Truth};
use penstock_plant::witness::{Tally, Testimony, Verdict};
use serde_json::{Value, json};

const FIRST_RUN: &str = "2031-04-01T06:00:00.000000Z";
const SECOND_RUN: &str = "2031-04-01T06:00:10.000000Z";

/// 12 pieces from 65,530 on, over a rollover, and three states.
fn truth() -> Truth {
    let entered = |state, seconds| Entered { state, at: Duration::from_secs(seconds) };
    Truth {
        counters: BTreeMap::from([("p.good".to_owned(), Count { first: 65_530, modulus: 65_536, made: 12 })]),
        states: BTreeMap::from([(
            "p.state".to_owned(),
            vec![entered("stopped", 0), entered("running", 2), entered("stopped", 9)],
        )]),
        ..Truth::default()
    }
}

/// The complete story of that truth, numbered 1 to 6.
fn complete() -> Vec<Value> {
    vec![
        state(1, "stopped"),
        state(2, "running"),
        production(3, FIRST_RUN, 65_533, 3),
        production(4, FIRST_RUN, 65_535, 2),
        production(5, SECOND_RUN, 6, 7),
        state(6, "stopped"),
    ]
}

fn event(sequence: u64, kind: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": format!("id-{sequence}"),
        "source": "urn:penstock:demo:p",
        "type": kind,
        "time": format!("2031-04-01T06:01:{sequence:02}.000000Z"),
        "stream": "edge-01/business/3f2a9c01",
        "sequence": format!("{sequence:020}"),
        "data": data,
    })
}

fn state(sequence: u64, state: &str) -> Value {
    event(sequence, "machine.state_changed", &json!({"tag": "p.state", "state": state, "previous": null}))
}

fn production(sequence: u64, epoch: &str, to: u64, quantity: u64) -> Value {
    let counter = json!({"epoch": epoch, "from": to.saturating_sub(quantity), "to": to});
    let data = json!({"tag": "p.good", "output": "good", "quantity": quantity, "counter": counter});
    event(sequence, "production.completed", &data)
}

fn judged(events: &[Value]) -> Verdict {
    let mut testimony = Testimony::default();
    for event in events {
        testimony.hear(event.to_string().as_bytes());
    }
    testimony.judge(&truth())
}

#[test]
fn a_complete_story_is_clean() {
    let verdict = judged(&complete());
    let whole = |count| Tally { produced: count, received: count, lost: 0, doubled: 0 };
    assert_eq!(verdict.counters["p.good"], whole(12));
    assert_eq!(verdict.states["p.state"], whole(3));
    assert_eq!(verdict.places(), whole(6));
    assert_eq!((verdict.repeats(), verdict.out_of_sequence()), (0, 0));
    assert!(verdict.is_clean());
}

#[test]
fn redelivery_of_known_ids_is_clean_in_any_place() {
    let mut events = complete();
    events.extend(complete());
    events.insert(4, complete()[1].clone());
    let verdict = judged(&events);
    assert_eq!((verdict.deliveries, verdict.events, verdict.repeats()), (13, 6, 7));
    assert_eq!(verdict.out_of_sequence(), 0);
    assert!(verdict.is_clean());
}

#[test]
fn silence_is_not_clean() {
    let verdict = judged(&[]);
    assert!(!verdict.is_clean());
    assert_eq!((verdict.lost(), verdict.doubled()), (15, 0));
    assert!(!Testimony::default().judge(&Truth::default()).is_clean());
}

#[test]
fn each_missing_event_is_a_loss() {
    for missing in 0..complete().len() {
        let mut events = complete();
        events.remove(missing);
        let verdict = judged(&events);
        assert!(verdict.facts().lost > 0, "without event {}", missing + 1);
        assert_eq!(verdict.doubled(), 0, "without event {}", missing + 1);
        assert!(!verdict.is_clean());
    }
}

#[test]
fn a_hole_in_the_numbers_is_a_loss_although_every_fact_is_there() {
    let mut events = complete();
    events.push(event(8, "telemetry.sampled", &json!({"tag": "p.temp", "value": 1.0})));
    let verdict = judged(&events);
    assert_eq!((verdict.facts().lost, verdict.places().lost, verdict.lost()), (0, 1, 1));
}

#[test]
fn pieces_that_two_ids_claim_are_doubled() {
    let mut events = complete();
    events.push(production(7, FIRST_RUN, 65_534, 2));
    let verdict = judged(&events);
    assert_eq!((verdict.lost(), verdict.counters["p.good"].doubled), (0, 2));
}

#[test]
fn pieces_that_were_never_made_are_doubled() {
    let mut events = complete();
    events.push(production(7, SECOND_RUN, 9, 3));
    let verdict = judged(&events);
    assert_eq!((verdict.lost(), verdict.counters["p.good"].doubled), (0, 3));
}

#[test]
fn a_loss_and_a_double_do_not_cancel_out() {
    let mut events = complete();
    events[3] = production(4, FIRST_RUN, 65_533, 2);
    let good = judged(&events).counters["p.good"];
    assert_eq!(good, Tally { produced: 12, received: 12, lost: 2, doubled: 2 });
}

#[test]
fn a_state_that_comes_again_under_another_id_is_doubled() {
    let mut events = complete();
    events.push(state(7, "stopped"));
    let states = judged(&events).states["p.state"];
    assert_eq!(states, Tally { produced: 3, received: 4, lost: 0, doubled: 1 });
}

#[test]
fn first_arrivals_behind_a_later_place_are_out_of_sequence_and_no_loss() {
    let mut events = complete();
    events.swap(0, 2);
    let verdict = judged(&events);
    assert_eq!(verdict.out_of_sequence(), 2);
    assert!(verdict.is_clean());
}

#[test]
fn a_place_that_two_ids_hold_is_doubled() {
    let mut events = complete();
    let mut impostor = complete()[5].clone();
    impostor["id"] = json!("another");
    impostor["type"] = json!("gateway.started");
    events.push(impostor);
    let verdict = judged(&events);
    assert_eq!((verdict.places().doubled, verdict.facts().doubled), (1, 0));
    assert!(!verdict.is_clean());
}

#[test]
fn an_id_that_comes_back_with_another_content_is_a_contradiction() {
    let mut events = complete();
    let mut forged = complete()[2].clone();
    forged["data"]["quantity"] = json!(4);
    events.push(forged);
    let verdict = judged(&events);
    assert_eq!((verdict.contradicted, verdict.facts().doubled), (1, 0));
    assert!(!verdict.is_clean());
}

#[test]
fn an_event_without_a_usable_number_is_malformed_and_other_messages_are_not() {
    let mut events = complete();
    let mut unnumbered = complete()[0].clone();
    unnumbered["sequence"] = json!("0");
    events.push(unnumbered);
    events.push(json!("online"));
    events.push(json!({"status": "online"}));
    let verdict = judged(&events);
    assert_eq!(verdict.malformed, 1);
    assert!(!verdict.is_clean());
}

#[test]
fn a_counter_may_lap_more_than_once() {
    let counters = BTreeMap::from([("p.good".to_owned(), Count { first: 8, modulus: 10, made: 25 })]);
    let truth = Truth { counters, ..Truth::default() };
    let mut testimony = Testimony::default();
    for (sequence, epoch, to, quantity) in
        [(1, "a", 9, 1), (2, "b", 5, 6), (3, "b", 9, 4), (4, "c", 4, 5), (5, "d", 3, 9)]
    {
        testimony.hear(production(sequence, epoch, to, quantity).to_string().as_bytes());
    }
    let verdict = testimony.judge(&truth);
    assert_eq!(verdict.counters["p.good"], Tally { produced: 25, received: 25, lost: 0, doubled: 0 });
}

/// A gauge that showed 1.0 to 5.0, a second each, and that nobody listened to from the third to the fourth.
fn judged_gauge(samples: &[(u64, &str, f64, &str)]) -> Tally {
    const T_US: i64 = 1_932_789_660_000_000; // 2031-04-01T06:01:00Z
    let values = (1..=5).map(|second| Shown { at_us: T_US + second * 1_000_000, value: second as f64 });
    let unheard = vec![T_US + 2_500_000..=T_US + 4_000_000];
    let gauges = BTreeMap::from([("p.temp".to_owned(), Gauge { values: values.collect(), unheard })]);
    let truth = Truth { gauges, ..Truth::default() };
    let mut testimony = Testimony::default();
    for (id, second, value, quality) in samples {
        let data = json!({"tag": "p.temp", "value": value, "quality": {"status": quality}});
        let mut sample = event(*id, "telemetry.sampled", &data);
        sample["time"] = json!(format!("2031-04-01T06:01:0{second}.000000Z"));
        testimony.hear(sample.to_string().as_bytes());
    }
    testimony.judge(&truth).gauges["p.temp"]
}

#[test]
fn what_a_gauge_showed_while_nobody_listened_need_not_arrive_and_may() {
    let owed = [(1, "1", 1.0, "good"), (2, "2", 2.0, "good"), (3, "5", 5.0, "good")];
    assert_eq!(judged_gauge(&owed), Tally { produced: 3, received: 3, lost: 0, doubled: 0 });
    let more = [owed[0], owed[1], owed[2], (4, "4", 4.0, "good"), (5, "4", 4.0, "bad")];
    assert_eq!(judged_gauge(&more), Tally { produced: 3, received: 3, lost: 0, doubled: 0 });
}

#[test]
fn what_a_gauge_showed_before_and_shows_still_need_not_arrive_and_may() {
    let values = [(1, 1.0), (2, 2.0), (3, 2.0), (4, 1.0)].map(|(at_us, value)| Shown { at_us, value });
    let gauge = Gauge { values: values.to_vec(), unheard: vec![] };
    assert!(gauge.owed().map(|shown| shown.at_us).eq([1, 2, 4]));
}

#[test]
fn a_sample_that_is_owed_and_missing_is_lost_even_if_another_is_there() {
    let one_short = [(1, "1", 1.0, "good"), (3, "5", 5.0, "good"), (4, "4", 4.0, "good")];
    assert_eq!(judged_gauge(&one_short), Tally { produced: 3, received: 2, lost: 1, doubled: 0 });
}

#[test]
fn a_sample_at_another_time_or_of_another_value_or_under_another_id_is_doubled() {
    let owed = [(1, "1", 1.0, "good"), (2, "2", 2.0, "good"), (3, "5", 5.0, "good")];
    for wrong in [(4, "6", 5.0, "good"), (4, "5", 5.5, "good"), (4, "5", 5.0, "good")] {
        let tally = judged_gauge(&[owed[0], owed[1], owed[2], wrong]);
        assert_eq!((tally.lost, tally.doubled), (0, 1), "{wrong:?}");
    }
}
