//! One event of each type, with what receivers must see of it.

use std::time::Duration;

use penstock_events::cloudevent::Origin;
use penstock_events::{
    Alert, Cause, CounterMark, Event, EventType, Fact, GapReason, Lane, Output, PreviousState, Quality,
    Sequence, Severity, StreamId, Timestamp, Value, Wording,
};

/// 2026-01-01T00:00:00Z
const NEW_YEAR: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

pub(crate) fn origin() -> Origin {
    Origin { gateway: "edge-01".parse().unwrap(), site: "plant-7".parse().unwrap() }
}

pub(crate) fn stream(lane: Lane) -> StreamId {
    StreamId::new(&origin().gateway, lane, 0x3f2a_9c01)
}

/// One of each type, in the order of `EventType::ALL`.
pub(crate) fn one_of_each() -> Vec<Event> {
    let press = |micros: u64, fact| event("stamping/line-1/press-1", micros, fact);
    let oven = |micros: u64, fact| event("heat-treatment/oven", micros, fact);
    let own = |fact| event("gateways/edge-01", 0, fact);
    let events = vec![
        press(
            0,
            Fact::TelemetrySampled {
                tag: "press-1.zone1.temp".parse().unwrap(),
                value: Some(Value::Float(71.25)),
                unit: Some("Cel".into()),
            },
        ),
        press(
            250,
            Fact::MachineStateChanged {
                tag: "press-1.state".parse().unwrap(),
                state: "running".parse().unwrap(),
                previous: Some(PreviousState {
                    state: "stopped".parse().unwrap(),
                    duration: Duration::from_micros(90_000_999),
                }),
            },
        ),
        press(
            1_000_000,
            Fact::ProductionCompleted {
                tag: "press-1.good".parse().unwrap(),
                output: Output::Good,
                quantity: 3,
                counter: CounterMark { epoch: NEW_YEAR, from: u64::MAX - 3, to: u64::MAX },
            },
        ),
        oven(2_000_000, Fact::AlertRaised(alert("Zone 2 is above 250 °C"))),
        oven(
            62_000_999,
            Fact::AlertCleared { alert: alert(""), since: NEW_YEAR.saturating_add(Duration::from_secs(2)) },
        ),
        own(Fact::SourceDown { source: "press-1".parse().unwrap(), cause: Cause::ModbusException(4) }),
        own(Fact::SourceUp { source: "press-1".parse().unwrap(), down_since: Timestamp::EPOCH }),
        own(Fact::Gap {
            stream: stream(Lane::Telemetry),
            first: Sequence(7),
            last: Sequence(1_006),
            reason: GapReason::BufferFull,
            lost: vec![(EventType::TelemetrySampled, 1_000)],
        }),
        Event {
            time: Timestamp::from_micros(-1),
            ..own(Fact::GatewayStarted { version: "0.1.0 \"quoted\"\n".into() })
        },
    ];
    assert!(events.iter().map(Event::kind).eq(EventType::ALL), "one event of each type");
    events
}

fn alert(message: &str) -> Box<Alert> {
    Box::new(Alert {
        tag: "oven.alarms".parse().unwrap(),
        condition: "nsu=urn:plant:oven;s=Hot|2".parse().unwrap(),
        name: Wording::of("Overheated"),
        source_name: Wording::of("Zone 2"),
        severity: Severity::clamped(700),
        message: Wording::of(message),
    })
}

fn event(asset: &str, micros: u64, fact: Fact) -> Event {
    let time = NEW_YEAR.saturating_add(Duration::from_micros(micros));
    let observed = time.saturating_add(Duration::from_micros(12_345));
    Event { asset: asset.parse().unwrap(), time, observed, quality: Quality::Good, fact }
}
