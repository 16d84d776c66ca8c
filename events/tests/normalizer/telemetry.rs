//! `telemetry.sampled`: report by exception.

use std::time::Duration;

use penstock_events::normalizer::{Deadband, Rule, TelemetryRule};
use penstock_events::{Cause, Event, Fact, Quality, Sample, Value};
use proptest::prelude::*;

use crate::press::{Press, asset, at_ms, bad, briefs, float, uint};

fn telemetry(deadband: Deadband) -> TelemetryRule {
    let unit = Some("Cel".into());
    TelemetryRule { asset: asset(), unit, deadband, min_interval: Duration::ZERO, heartbeat: None }
}

/// Which of the values, one a second, are reported.
fn reported(rule: TelemetryRule, values: &[f64]) -> Vec<f64> {
    let mut press = Press::with(vec![Rule::Telemetry(rule)]);
    let mut read = |(second, value): (i64, &f64)| press.read(at_ms(second * 1_000), float(*value));
    (0..).zip(values).flat_map(&mut read).filter_map(|event| good_value(&event)).collect()
}

fn good_value(event: &Event) -> Option<f64> {
    match &event.fact {
        Fact::TelemetrySampled { value: Some(Value::Float(value)), .. } => Some(*value),
        _ => None,
    }
}

#[test]
fn an_absolute_deadband_counts_from_the_last_report_so_a_slow_drift_is_seen() {
    let drift = [20.0, 20.5, 21.0, 21.25, 20.5, 20.25, 20.0];
    assert_eq!(reported(telemetry(Deadband::Absolute(1.0)), &drift), [20.0, 21.25, 20.0]);
}

#[test]
fn a_percent_deadband_is_of_the_last_report_whatever_its_sign() {
    assert_eq!(reported(telemetry(Deadband::Percent(10.0)), &[100.0, 110.0, 110.5, 100.0]), [100.0, 110.5]);
    assert_eq!(reported(telemetry(Deadband::Percent(10.0)), &[-100.0, -91.0, -89.0]), [-100.0, -89.0]);
    assert_eq!(reported(telemetry(Deadband::Percent(10.0)), &[0.0, 0.0, 0.001]), [0.0, 0.001]);
}

#[test]
fn without_a_deadband_any_change_is_reported() {
    assert_eq!(reported(telemetry(Deadband::None), &[1.0, 1.0, 1.5, 1.0]), [1.0, 1.5, 1.0]);
}

#[test]
fn the_ends_of_the_number_range_do_not_stop_reports() {
    let ends = [f64::MAX, f64::MIN, f64::MAX];
    assert_eq!(reported(telemetry(Deadband::Absolute(1.0)), &ends), ends);
    assert_eq!(reported(telemetry(Deadband::Percent(10.0)), &ends), ends);
}

#[test]
fn a_value_that_is_no_number_does_not_stop_reports() {
    for deadband in [Deadband::None, Deadband::Absolute(1.0), Deadband::Percent(10.0)] {
        let values = reported(telemetry(deadband), &[1.0, f64::NAN, 1.0]);
        assert_eq!(values.len(), 3, "{deadband:?}");
        assert_eq!(values.last(), Some(&1.0), "{deadband:?}");
    }
}

#[test]
fn integers_obey_a_deadband_and_texts_and_bools_any_change() {
    let mut press = Press::with(vec![Rule::Telemetry(telemetry(Deadband::Absolute(5.0)))]);
    let values = [
        (Value::UInt(10), true),
        (Value::UInt(15), false),
        (Value::Int(16), true),
        (Value::Int(-1), true),
        (Value::Text("A".into()), true),
        (Value::Text("A".into()), false),
        (Value::Bool(true), true),
        (Value::Bool(true), false),
        (Value::Bool(false), true),
    ];
    for (value, expected) in values {
        let events = press.read(at_ms(0), Sample::Good(value.clone()));
        assert_eq!(!events.is_empty(), expected, "{value:?}");
    }
}

#[test]
fn reports_of_a_moving_value_keep_the_minimum_interval() {
    let rule = TelemetryRule { min_interval: Duration::from_secs(3), ..telemetry(Deadband::None) };
    assert_eq!(reported(rule, &[0.0, 1.0, 2.0, 3.0, 3.5, 3.0, 3.0, 7.0]), [0.0, 3.0, 7.0]);
}

#[test]
fn a_heartbeat_repeats_what_does_not_move_good_or_bad() {
    let rule =
        TelemetryRule { heartbeat: Some(Duration::from_secs(2)), ..telemetry(Deadband::Absolute(1.0)) };
    let mut press = Press::with(vec![Rule::Telemetry(rule)]);
    let mut events: Vec<_> =
        (0..5).flat_map(|second| press.read(at_ms(second * 1_000), float(7.0))).collect();
    events.extend((5..9).flat_map(|second| press.read(at_ms(second * 1_000), bad(Cause::Timeout))));
    assert_eq!(briefs(&events), ["0 7", "2000 7", "4000 7", "5000 Bad(Timeout)", "7000 Bad(Timeout)"]);
}

#[test]
fn a_change_of_quality_is_reported_whatever_the_minimum_interval() {
    let rule = TelemetryRule { min_interval: Duration::from_secs(60), ..telemetry(Deadband::Absolute(5.0)) };
    let mut press = Press::with(vec![Rule::Telemetry(rule)]);
    let samples = [
        float(7.0),
        bad(Cause::NotFinite),
        bad(Cause::NotFinite),
        bad(Cause::ModbusException(4)),
        float(7.0),
        float(90.0),
    ];
    let events: Vec<_> =
        (0..).zip(samples).flat_map(|(second, sample)| press.read(at_ms(second * 1_000), sample)).collect();
    assert_eq!(briefs(&events), ["0 7", "1000 Bad(NotFinite)", "3000 Bad(ModbusException(4))", "4000 7"]);
}

#[test]
fn a_clock_that_steps_back_does_not_silence_a_tag() {
    let rule = TelemetryRule { min_interval: Duration::from_secs(10), ..telemetry(Deadband::Absolute(1.0)) };
    let mut press = Press::with(vec![Rule::Telemetry(rule)]);
    press.read(at_ms(1_000_000), float(1.0));
    assert_eq!(briefs(&press.read(at_ms(5_000), float(9.0))), ["5000 9"]);
    assert_eq!(briefs(&press.read(at_ms(15_000), float(5.0))), ["15000 5"]);
}

#[test]
fn the_first_sample_after_a_start_is_reported() {
    let mut press = Press::with(vec![Rule::Telemetry(telemetry(Deadband::Absolute(1.0)))]);
    press.read(at_ms(0), uint(3));
    press.restart();
    assert_eq!(press.read(at_ms(1_000), uint(3)).len(), 1);
}

proptest! {
    #[test]
    fn the_last_report_is_never_staler_than_the_deadband_and_the_interval_allow(
        limit in prop_oneof![Just(0.0), 0.0_f64..50.0],
        kind in prop_oneof![Just(Deadband::None), Just(Deadband::Absolute(0.0)), Just(Deadband::Percent(0.0))],
        min_interval_ms in 0_u64..3_000,
        heartbeat_ms in prop::option::of(1_u64..5_000),
        samples in prop::collection::vec((-2_000_i64..4_000, prop::option::weighted(0.9, -100.0_f64..100.0)), 1..80),
    ) {
        let deadband = match kind {
            Deadband::None => Deadband::None,
            Deadband::Absolute(_) => Deadband::Absolute(limit),
            Deadband::Percent(_) => Deadband::Percent(limit),
        };
        let rule = TelemetryRule {
            min_interval: Duration::from_millis(min_interval_ms),
            heartbeat: heartbeat_ms.map(Duration::from_millis),
            ..telemetry(deadband)
        };
        let mut press = Press::with(vec![Rule::Telemetry(rule.clone())]);
        let mut last: Option<Event> = None;
        let mut ms = 0;
        for (step, value) in samples {
            ms += step;
            let events = press.read(at_ms(ms), value.map_or(bad(Cause::Timeout), float));
            prop_assert!(events.len() <= 1);
            let since = last.as_ref().and_then(|last| at_ms(ms).checked_since(last.time));
            let moved_within_interval = matches!((&last, since, value), (Some(last), Some(since), Some(_))
                if since < rule.min_interval && last.quality == Quality::Good);
            if let Some(event) = events.into_iter().next() {
                let beats = rule.heartbeat.zip(since).is_some_and(|(heartbeat, since)| since >= heartbeat);
                prop_assert!(beats || !moved_within_interval, "too early");
                last = Some(event);
            }
            let last = last.as_ref().unwrap();
            prop_assert_eq!(last.quality == Quality::Good, value.is_some());
            if let (Some(value), Some(last), false) = (value, good_value(last), moved_within_interval) {
                let allowed = match deadband {
                    Deadband::None => 0.0,
                    Deadband::Absolute(limit) => limit,
                    Deadband::Percent(percent) => last.abs() * (percent / 100.0),
                };
                prop_assert!((value - last).abs() <= allowed, "{value} is too far from {last}");
            }
        }
    }
}
