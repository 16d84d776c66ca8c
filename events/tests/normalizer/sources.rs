//! `gateway.source_down` and `gateway.source_up`, and what they mean for the tags of the source.

use std::time::Duration;

use penstock_events::normalizer::{CounterRule, Deadband, Normalizer, Plan, Rule, TelemetryRule};
use penstock_events::{AssetPath, Cause, Fact, Observation, Output, Reading, SourceId, TagId, Timestamp};

use crate::press::{Press, asset, at_ms, briefs, float, polled, uint};

fn press() -> Press {
    let temp = || {
        Rule::Telemetry(TelemetryRule {
            asset: asset(),
            unit: None,
            deadband: Deadband::Absolute(1.0),
            min_interval: Duration::ZERO,
            heartbeat: None,
        })
    };
    let good = CounterRule { asset: asset(), output: Output::Good, highest: 65_535, max_step: 100 };
    Press::with(vec![temp(), temp(), Rule::Counter(good)])
}

fn poll(time: Timestamp, temp: f64, good: u64) -> Observation {
    let samples = [float(temp), float(temp), uint(good)];
    let reading = |(tag, sample)| Reading { tag: TagId(tag), sample, time };
    polled(time, (0..).zip(samples).map(reading).collect())
}

#[test]
fn a_source_goes_down_and_comes_up_once_each_with_its_tags() {
    let mut press = press();
    assert_eq!(briefs(&press.observe(&poll(at_ms(0), 7.0, 5))), ["0 7", "0 7"]);
    assert_eq!(
        briefs(&press.lose(at_ms(1_500), Cause::Timeout)),
        ["1500 down timeout", "1500 Bad(Timeout)", "1500 Bad(Timeout)"]
    );
    assert_eq!(briefs(&press.lose(at_ms(2_500), Cause::Disconnected)), Vec::<String>::new());
    assert_eq!(
        briefs(&press.observe(&poll(at_ms(9_000), 7.0, 6))),
        ["9007 up, down since 1500", "9000 7", "9000 7", "9000 +1 5..6"]
    );
    assert_eq!(briefs(&press.observe(&poll(at_ms(10_000), 7.0, 6))), Vec::<String>::new());
}

#[test]
fn the_events_are_about_the_gateway_itself() {
    let mut press = press();
    let down = press.lose(at_ms(0), Cause::Timeout).remove(0);
    assert_eq!(down.asset, AssetPath::of_gateway(&"edge-01".parse().unwrap()));
    assert_eq!((down.time, down.observed), (at_ms(0), at_ms(0)));
    let Fact::SourceDown { source, .. } = down.fact else { panic!("{down:?}") };
    assert_eq!(source.as_str(), "press-1");
}

#[test]
fn an_outage_survives_a_restart() {
    let mut press = press();
    press.observe(&poll(at_ms(0), 7.0, 5));
    press.lose(at_ms(1_000), Cause::Timeout);
    press.restart();
    let again = press.lose(at_ms(2_000), Cause::Disconnected);
    assert!(!again.iter().any(|event| matches!(event.fact, Fact::SourceDown { .. })), "{again:?}");
    press.restart();
    assert_eq!(briefs(&press.observe(&poll(at_ms(9_000), 7.0, 5)))[0], "9007 up, down since 1000");
    press.restart();
    assert_eq!(briefs(&press.observe(&poll(at_ms(10_000), 7.0, 5))), ["10000 7", "10000 7"]);
}

#[test]
fn a_source_that_is_dead_when_the_gateway_starts_marks_its_tags_bad_once() {
    let mut press = press();
    press.observe(&poll(at_ms(0), 7.0, 5));
    press.restart();
    assert_eq!(
        briefs(&press.lose(at_ms(2_000), Cause::Disconnected)),
        ["2000 down disconnected", "2000 Bad(Disconnected)", "2000 Bad(Disconnected)"]
    );
    assert_eq!(briefs(&press.lose(at_ms(3_000), Cause::Disconnected)), Vec::<String>::new());
}

#[test]
fn a_source_that_answers_is_not_announced() {
    let mut press = press();
    let events = press.observe(&poll(at_ms(0), 7.0, 5));
    assert!(!events.iter().any(|event| matches!(event.fact, Fact::SourceUp { .. })), "{events:?}");
}

#[test]
fn what_the_plan_does_not_know_is_ignored() {
    let mut press = press();
    let readings = vec![Reading { tag: TagId(99), sample: float(1.0), time: at_ms(0) }];
    assert_eq!(briefs(&press.observe(&polled(at_ms(0), readings))), Vec::<String>::new());
    let lost = Observation::Lost { source: SourceId(9), observed: at_ms(0), cause: Cause::Timeout };
    assert_eq!(briefs(&press.observe(&lost)), Vec::<String>::new());
}

#[test]
fn damaged_state_is_an_error_that_names_its_key() {
    let origin = penstock_events::cloudevent::Origin {
        gateway: "edge-01".parse().unwrap(),
        site: "plant-7".parse().unwrap(),
    };
    let plan = Plan { origin, sources: vec!["press-1".parse().unwrap()], tags: Vec::new() };
    let other_kind: &[u8] = &[1, 2, 7];
    for damaged in [&[0xff, 0xff][..], &[], other_kind] {
        let error = Normalizer::restore(plan.clone(), |_| Some(damaged)).unwrap_err();
        assert_eq!(error.key, "source|press-1");
    }
}
