//! Ids that receivers can recompute: the same for the same fact, different for different facts.

use std::time::Duration;

use penstock_events::identity::{NAMESPACE, canonical, id};
use penstock_events::{
    Alert, Cause, CounterMark, Event, EventType, Fact, GapReason, Lane, Output, PreviousState, Quality,
    Sequence, Severity, StreamId, Timestamp, Value, Wording,
};
use proptest::prelude::*;

use crate::samples::{one_of_each, origin};

/// What this prints, in the order of `EventType::ALL`:
///
/// ```python
/// import uuid
/// namespace = uuid.uuid5(uuid.NAMESPACE_URL, "urn:penstock:event")
/// for name in [ …the second column… ]:
///     print(uuid.uuid5(namespace, name), name)
/// ```
const BY_PYTHON: [(&str, &str); 9] = [
    (
        "a9776e3e-ad25-5542-9a3d-4730ec523f45",
        "v1|telemetry.sampled|plant-7|stamping/line-1/press-1|press-1.zone1.temp|1767225600000000",
    ),
    (
        "408a9f98-e2eb-5bc1-8adc-2c1e06f405c2",
        "v1|machine.state_changed|plant-7|stamping/line-1/press-1|press-1.state|running|1767225600000250",
    ),
    (
        "4af788ff-3c92-522a-8180-5d13d2d21c43",
        "v1|production.completed|plant-7|stamping/line-1/press-1|press-1.good|1767225600000000|18446744073709551615",
    ),
    (
        "55c4af53-f9da-54bd-9737-4b34eca54021",
        "v1|maintenance.alert_raised|plant-7|heat-treatment/oven|oven.alarms|1767225602000000|nsu=urn:plant:oven;s=Hot|2",
    ),
    (
        "68490d99-927a-5578-89c2-d1e6d87a62ce",
        "v1|maintenance.alert_cleared|plant-7|heat-treatment/oven|oven.alarms|1767225602000000|nsu=urn:plant:oven;s=Hot|2",
    ),
    (
        "c50d3e5a-4a12-547f-878c-266fd7f1982c",
        "v1|gateway.source_down|plant-7|gateways/edge-01|press-1|1767225600000000",
    ),
    (
        "05144679-a120-5b97-afd2-75368a3c6082",
        "v1|gateway.source_up|plant-7|gateways/edge-01|press-1|1767225600000000",
    ),
    (
        "ebf0d316-0fc5-509e-a9ff-e1e1eade0d0f",
        "v1|gateway.gap|plant-7|gateways/edge-01|edge-01/telemetry/3f2a9c01|7|1006",
    ),
    ("45046490-d843-579f-bc64-212cc3becc38", "v1|gateway.started|plant-7|gateways/edge-01|-1"),
];

#[test]
fn ids_are_those_that_python_computes() {
    assert_eq!(NAMESPACE.to_string(), "274da131-a54d-5c62-854d-e3b0a5435b24");
    let site = origin().site;
    for (event, (by_python, name)) in one_of_each().iter().zip(BY_PYTHON) {
        assert_eq!(canonical(&site, event), name);
        assert_eq!(id(&site, event).to_string(), by_python);
    }
}

#[test]
fn what_only_the_observer_knows_does_not_enter_the_id() {
    let site = origin().site;
    for event in one_of_each() {
        let later = event.observed.saturating_add(Duration::from_secs(1));
        let elsewhere = Event { observed: later, quality: Quality::Bad(Cause::Timeout), ..event.clone() };
        assert_eq!(id(&site, &elsewhere), id(&site, &event), "{event:?}");
    }
}

/// Everything that may make two facts different, as plain fields.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    kind: EventType,
    site: String,
    asset: String,
    /// Of a tag, a source, or nothing.
    whose: String,
    /// Or the condition.
    state: String,
    numbers: [i64; 2],
}

fn key() -> impl Strategy<Value = Key> {
    // Few and alike, so that equal keys and near misses are frequent.
    let name = || prop::sample::select(vec!["a", "a-1", "1", "11", "v1"]).prop_map(str::to_owned);
    let tag = prop::sample::select(vec!["a.a", "a.a.a", "a-1.a", "a.a-1", "1.1", "1.11", "11.1"]);
    let asset = prop::sample::select(vec!["a", "a/a", "a/a/a", "a-1/a", "a/a-1", "1", "1/1"]);
    let number = || prop_oneof![0_i64..3, 10_i64..12, Just(111)];
    let kind = prop::sample::select(EventType::ALL.to_vec());
    (kind, name(), asset, (name(), tag), name(), [number(), number()]).prop_map(
        |(kind, site, asset, (source, tag), state, [one, two])| {
            let (whose, state, numbers) = match kind {
                EventType::TelemetrySampled => (tag.to_owned(), String::new(), [one, 0]),
                EventType::MachineStateChanged => (tag.to_owned(), state, [one, 0]),
                EventType::ProductionCompleted => (tag.to_owned(), String::new(), [one, two]),
                EventType::MaintenanceAlertRaised | EventType::MaintenanceAlertCleared => {
                    (tag.to_owned(), state, [one, 0])
                }
                EventType::GatewaySourceDown | EventType::GatewaySourceUp => {
                    (source, String::new(), [one, 0])
                }
                EventType::GatewayGap => (source, String::new(), [one, two]),
                EventType::GatewayStarted => (String::new(), String::new(), [one, 0]),
            };
            Key { kind, site, asset: asset.to_owned(), whose, state, numbers }
        },
    )
}

/// An event of the key; `noise` fills what is no part of it.
fn event_of(key: &Key, noise: u64) -> Event {
    let [one, two] = key.numbers.map(i64::unsigned_abs);
    let time = Timestamp::from_micros(key.numbers[0]);
    let noisy = Timestamp::EPOCH.saturating_add(Duration::from_micros(noise));
    let whose = key.whose.as_str();
    let (time, fact) = match key.kind {
        EventType::TelemetrySampled => {
            let (tag, value) = (whose.parse().unwrap(), Some(Value::UInt(noise)));
            (time, Fact::TelemetrySampled { tag, value, unit: None })
        }
        EventType::MachineStateChanged => {
            let (tag, state) = (whose.parse().unwrap(), key.state.parse().unwrap());
            let duration = Duration::from_micros(noise);
            let previous = Some(PreviousState { state: "a".parse().unwrap(), duration });
            (time, Fact::MachineStateChanged { tag, state, previous })
        }
        EventType::ProductionCompleted => {
            let counter = CounterMark { epoch: time, from: noise, to: two };
            let (tag, output) = (whose.parse().unwrap(), Output::Good);
            (noisy, Fact::ProductionCompleted { tag, output, quantity: noise, counter })
        }
        EventType::MaintenanceAlertRaised => (time, Fact::AlertRaised(alert_of(key, noise))),
        EventType::MaintenanceAlertCleared => {
            (noisy, Fact::AlertCleared { alert: alert_of(key, noise), since: time })
        }
        EventType::GatewaySourceDown => {
            (time, Fact::SourceDown { source: whose.parse().unwrap(), cause: Cause::Timeout })
        }
        EventType::GatewaySourceUp => {
            (time, Fact::SourceUp { source: whose.parse().unwrap(), down_since: noisy })
        }
        EventType::GatewayGap => {
            let stream = StreamId::new(&whose.parse().unwrap(), Lane::Business, 1);
            let (first, last, reason) = (Sequence(one), Sequence(two), GapReason::BufferFull);
            let lost = vec![(EventType::GatewayGap, noise)];
            (noisy, Fact::Gap { stream, first, last, reason, lost })
        }
        EventType::GatewayStarted => (time, Fact::GatewayStarted { version: noise.to_string().into() }),
    };
    Event { asset: key.asset.parse().unwrap(), time, observed: noisy, quality: Quality::Good, fact }
}

fn alert_of(key: &Key, noise: u64) -> Box<Alert> {
    Box::new(Alert {
        tag: key.whose.parse().unwrap(),
        condition: key.state.parse().unwrap(),
        name: Wording::of(&noise.to_string()),
        source_name: None,
        severity: Severity::clamped(noise as u16),
        message: None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn names_are_equal_when_the_keys_are_and_only_then(
        (one, other) in (key(), key()).prop_flat_map(|(one, other)| {
            let near = Key { numbers: [other.numbers[0], one.numbers[1]], ..one.clone() };
            (Just(one.clone()), prop_oneof![Just(other), Just(near), Just(one)])
        }),
        noise in any::<[u32; 2]>(),
    ) {
        let name = |key: &Key, noise: u32| {
            canonical(&key.site.parse().unwrap(), &event_of(key, u64::from(noise)))
        };
        prop_assert_eq!(name(&one, noise[0]) == name(&other, noise[1]), one == other);
    }
}
