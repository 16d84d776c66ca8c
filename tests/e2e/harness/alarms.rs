//! The alarms of an oven: what it recorded of them, and the comparison of that with what was received.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Event, micros};
use super::oven::Oven;
use super::proof::Proof;

/// An alarm from its beginning to its end, as the oven recorded it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Alarm {
    /// What it is called.
    pub(crate) name: String,
    /// What it is about.
    pub(crate) source: String,
    /// How bad it was when it began.
    pub(crate) severity: u64,
    /// What it said then.
    pub(crate) message: String,
    /// When it began.
    pub(crate) since: i64,
    /// When it ended, and what it said then.
    pub(crate) end: Option<(i64, String)>,
}

/// How an end was learnt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Learnt {
    /// The server told it.
    Told,
    /// It was not among what the server told to be active.
    Found,
    /// It had begun anew by then.
    Inferred,
}

/// Every alarm of the oven's present life, in the order of their beginnings.
pub(crate) fn recorded(oven: &Oven) -> Vec<Alarm> {
    let mut alarms: Vec<Alarm> = Vec::new();
    for fact in oven.recorded() {
        let Some(name) = fact["alarm"].as_str() else { continue };
        let text = |key: &str| fact[key].as_str().expect("a text").to_owned();
        let at = fact["at"].as_i64().expect("a time");
        let open = alarms.iter_mut().find(|alarm| alarm.name == name && alarm.end.is_none());
        match (fact["active"].as_bool().expect("a flag"), open) {
            (true, None) => alarms.push(Alarm {
                name: name.to_owned(),
                source: text("source"),
                severity: fact["severity"].as_u64().expect("a number"),
                message: text("message"),
                since: at,
                end: None,
            }),
            (true, Some(_)) => {}
            (false, open) => open.expect("it had begun").end = Some((at, text("message"))),
        }
    }
    alarms
}

/// Whether an alarm of this name was told to have begun so often, and to have ended so often. What comes again after
/// a kill is one event.
pub(crate) fn told(events: &[Event], name: &str, raised: usize, cleared: usize) -> bool {
    let count = |kind: &str| {
        let told = events.iter().filter(|event| event.kind == kind && event.data()["name"] == name);
        told.map(|event| event.id.as_str()).collect::<BTreeSet<_>>().len()
    };
    (count("maintenance.alert_raised"), count("maintenance.alert_cleared")) == (raised, cleared)
}

/// Checks that of `alarms`, and of no others, beginning and end were told for `asset`: each once, in full, and at the
/// source's time; an end that was found at no time before it was.
#[track_caller]
pub(crate) fn assert_told(proof: &Proof, asset: &str, alarms: &[Alarm], learnt: impl Fn(&Alarm) -> Learnt) {
    let of_asset = |kind: &str| -> Vec<&Event> {
        let about = proof.about(kind, "oven.alarms").into_iter();
        about.filter(|event| event.document["partitionkey"] == asset).collect()
    };
    let raised = of_asset("maintenance.alert_raised");
    let mut expected: BTreeMap<(String, i64), &Alarm> =
        alarms.iter().map(|alarm| ((alarm.name.clone(), alarm.since), alarm)).collect();
    assert_eq!(expected.len(), alarms.len(), "the record has two alarms at one time");
    for event in &raised {
        let data = event.data();
        let name = data["name"].as_str().expect("a name").to_owned();
        let alarm = expected.remove(&(name, event.time_us));
        let alarm = alarm.unwrap_or_else(|| panic!("never recorded, or told twice: {}", event.document));
        assert_eq!(data["condition"], format!("nsu=urn:plant:oven;s={}", alarm.name));
        assert_eq!(data["source_name"], alarm.source);
        assert_eq!(data["severity"], alarm.severity);
        assert_eq!(data["message"], alarm.message);
    }
    assert!(expected.is_empty(), "recorded and not told: {expected:?}");

    let ended: Vec<&Alarm> = alarms.iter().filter(|alarm| alarm.end.is_some()).collect();
    let cleared = of_asset("maintenance.alert_cleared");
    assert_eq!(
        cleared.len(),
        ended.len(),
        "{:?}",
        cleared.iter().map(|event| &event.document).collect::<Vec<_>>()
    );
    for alarm in ended {
        let (at, message) = alarm.end.as_ref().expect("it ended");
        let is_its_end = |event: &&&Event| {
            let data = event.data();
            data["name"] == alarm.name && micros(data["since"].as_str().expect("a time")) == alarm.since
        };
        let event = cleared.iter().find(is_its_end);
        let event = event.unwrap_or_else(|| panic!("the end of {alarm:?} was not told"));
        let data = event.data();
        assert_eq!(
            (&data["source_name"], &data["severity"]),
            (&alarm.source.as_str().into(), &alarm.severity.into())
        );
        assert_eq!(data["duration_ms"], (event.time_us - alarm.since) / 1_000);
        match learnt(alarm) {
            Learnt::Told => {
                assert_eq!((event.time_us, &data["message"]), (*at, &message.as_str().into()), "{alarm:?}");
            }
            Learnt::Inferred => {
                assert!(event.time_us == *at && data["message"].is_null(), "{}", event.document);
            }
            Learnt::Found => {
                assert!(event.time_us > *at && data["message"].is_null(), "{}", event.document);
            }
        }
    }
}
