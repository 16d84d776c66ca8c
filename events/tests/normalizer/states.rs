//! `machine.state_changed`: mapped, debounced, with the time at which it began.

use std::time::Duration;

use penstock_events::normalizer::{Rule, StateRule};
use penstock_events::{Cause, Event, Fact, Sample, Timestamp, Value};
use proptest::prelude::*;

use crate::press::{Press, asset, at_ms, bad, brief, briefs, state_name, uint};

fn rule(debounce_ms: u64) -> Rule {
    let map = [(0, state_name("stopped")), (1, state_name("running")), (2, state_name("faulted"))];
    Rule::State(StateRule {
        asset: asset(),
        map: map.into(),
        otherwise: state_name("unknown"),
        debounce: Duration::from_millis(debounce_ms),
    })
}

/// The events of a press that shows `shown`: (milliseconds, raw value).
fn told(debounce_ms: u64, shown: &[(i64, u64)]) -> Vec<String> {
    let mut press = Press::with(vec![rule(debounce_ms)]);
    shown.iter().flat_map(|&(ms, raw)| briefs(&press.read(at_ms(ms), uint(raw)))).collect()
}

#[test]
fn without_a_debounce_every_change_is_told_at_once() {
    assert_eq!(
        told(0, &[(0, 0), (1_000, 0), (2_000, 1), (2_500, 2)]),
        ["0 stopped", "2000 running after 2000ms stopped", "2500 faulted after 500ms running"]
    );
}

#[test]
fn a_state_is_told_when_it_has_lasted_with_the_time_at_which_it_began() {
    let mut press = Press::with(vec![rule(2_000)]);
    let mut told_at = Vec::new();
    for (ms, raw) in [(0, 0), (1_000, 0), (2_000, 0), (3_000, 1), (4_000, 1), (5_000, 1), (6_000, 1)] {
        told_at.extend(press.read(at_ms(ms), uint(raw)).iter().map(|event| (ms, brief(event))));
    }
    let expected = [(2_000, "0 stopped"), (5_000, "3000 running after 3000ms stopped")];
    assert_eq!(told_at, expected.map(|(ms, text)| (ms, text.to_owned())));
}

#[test]
fn a_blip_shorter_than_the_debounce_never_was() {
    let blip = [(0, 1), (2_000, 1), (3_000, 2), (4_900, 2), (5_000, 1), (6_000, 2), (7_900, 2), (8_000, 1)];
    assert_eq!(told(2_000, &blip), ["0 running"]);
}

#[test]
fn states_that_chase_each_other_are_told_when_one_stays() {
    let chase = [(0, 1), (2_000, 1), (3_000, 2), (4_000, 0), (5_000, 2), (6_000, 2), (7_000, 2)];
    assert_eq!(told(2_000, &chase), ["0 running", "5000 faulted after 5000ms running"]);
}

#[test]
fn a_value_outside_the_map_is_the_state_otherwise() {
    let mut press = Press::with(vec![rule(0)]);
    let values = [
        (Value::UInt(77), Some("0 unknown")),
        (Value::UInt(u64::MAX), None),
        (Value::Text("running".into()), None),
        (Value::Float(1.0), None),
        (Value::Int(-1), None),
        (Value::Bool(true), Some("0 running after 0ms unknown")),
        (Value::Int(1), None),
        (Value::UInt(1), None),
    ];
    for (value, expected) in values {
        let events = briefs(&press.read(at_ms(0), Sample::Good(value.clone())));
        assert_eq!(events.first().map(String::as_str), expected, "{value:?}");
    }
}

#[test]
fn a_value_that_cannot_be_trusted_neither_makes_nor_breaks_a_state() {
    let mut press = Press::with(vec![rule(2_000)]);
    let mut events = press.read(at_ms(0), uint(1));
    events.extend(press.read(at_ms(1_000), bad(Cause::Timeout)));
    events.extend(press.lose(at_ms(1_500), Cause::Timeout).into_iter().filter(is_state));
    events.extend(press.read(at_ms(2_000), uint(1)).into_iter().filter(is_state));
    assert_eq!(briefs(&events), ["0 running"]);
}

fn is_state(event: &Event) -> bool {
    matches!(event.fact, Fact::MachineStateChanged { .. })
}

#[test]
fn a_restart_tells_nothing_twice_and_keeps_the_beginning_of_the_state() {
    let mut press = Press::with(vec![rule(1_000)]);
    press.read(at_ms(0), uint(1));
    assert_eq!(briefs(&press.read(at_ms(1_000), uint(1))), ["0 running"]);
    press.restart();
    assert_eq!(briefs(&press.read(at_ms(2_000), uint(1))), Vec::<String>::new());
    assert_eq!(briefs(&press.read(at_ms(3_000), uint(0))), Vec::<String>::new());
    press.restart();
    assert_eq!(briefs(&press.read(at_ms(4_000), uint(0))), Vec::<String>::new());
    assert_eq!(briefs(&press.read(at_ms(5_000), uint(0))), ["4000 stopped after 4000ms running"]);
}

#[test]
fn a_crash_before_the_commit_tells_the_change_again() {
    let mut press = Press::with(vec![rule(0)]);
    press.read(at_ms(0), uint(1));
    let lost = press.read_uncommitted(at_ms(1_000), uint(0));
    assert_eq!(briefs(&lost.events), ["1000 stopped after 1000ms running"]);
    press.restart();
    assert_eq!(briefs(&press.read(at_ms(2_000), uint(0))), ["2000 stopped after 2000ms running"]);
}

#[test]
fn a_clock_that_steps_back_neither_tells_a_blip_nor_holds_a_state_back() {
    let mut press = Press::with(vec![rule(2_000)]);
    press.read(at_ms(0), uint(1));
    press.read(at_ms(2_000), uint(1));
    assert_eq!(briefs(&press.read(at_ms(100_000), uint(2))), Vec::<String>::new());
    assert_eq!(briefs(&press.read(at_ms(50_000), uint(2))), Vec::<String>::new(), "a blip so far");
    assert_eq!(briefs(&press.read(at_ms(51_000), uint(2))), Vec::<String>::new());
    assert_eq!(briefs(&press.read(at_ms(52_000), uint(2))), ["50000 faulted after 50000ms running"]);
    press.read(at_ms(10_000), uint(0));
    assert_eq!(briefs(&press.read(at_ms(12_000), uint(0))), ["10000 stopped after 0ms faulted"]);
}

/// What is told of `shown` by the definition: of each stretch of one state, its begin, if it lasts.
fn by_definition(debounce_ms: i64, shown: &[(i64, u64)]) -> Vec<String> {
    let name = |raw: u64| ["stopped", "running", "faulted"].get(raw as usize).copied().unwrap_or("unknown");
    let mut told: Vec<(i64, &str)> = Vec::new();
    for stretch in shown.chunk_by(|a, b| name(a.1) == name(b.1)) {
        let ((from, raw), (to, _)) = (stretch[0], stretch[stretch.len() - 1]);
        if to - from >= debounce_ms && told.last().is_none_or(|(_, state)| *state != name(raw)) {
            told.push((from, name(raw)));
        }
    }
    let previous = std::iter::once(None).chain(told.iter().map(Some));
    let text = |((from, state), previous): (&(i64, &str), Option<&(i64, &str)>)| match previous {
        None => format!("{from} {state}"),
        Some((since, before)) => format!("{from} {state} after {}ms {before}", from - since),
    };
    told.iter().zip(previous).map(text).collect()
}

proptest! {
    #[test]
    fn what_is_told_is_what_lasted(
        debounce_ms in 0_i64..4_000,
        shown in prop::collection::vec((1_i64..1_500, 0_u64..5), 1..80),
    ) {
        let mut ms = 0;
        let shown: Vec<_> = shown.into_iter().map(|(step, raw)| { ms += step; (ms, raw) }).collect();
        prop_assert_eq!(told(debounce_ms.unsigned_abs(), &shown), by_definition(debounce_ms, &shown));
    }

    #[test]
    fn no_clock_wedges_it(
        debounce_ms in 0_u64..4_000,
        shown in prop::collection::vec((any::<i64>(), 0_u64..4), 0..40),
        stays_from in -1_000_000_i64..1_000_000,
    ) {
        let mut press = Press::with(vec![rule(debounce_ms)]);
        let mut last = None;
        let readings = shown.into_iter().map(|(micros, raw)| (Timestamp::from_micros(micros), raw));
        let stays = (0..=4).map(|second| (at_ms(stays_from + second * 1_000), 1));
        for (time, raw) in readings.chain(stays) {
            for event in press.read(time, uint(raw)) {
                if let Fact::MachineStateChanged { state, .. } = event.fact {
                    last = Some(state);
                }
            }
        }
        prop_assert_eq!(last, Some(state_name("running")));
    }
}
