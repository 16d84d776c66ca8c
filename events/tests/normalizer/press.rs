//! A press with one source and one tag per rule, read by a normalizer whose commits can be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use penstock_events::cloudevent::Origin;
use penstock_events::normalizer::{Normalized, Normalizer, Plan, Rule, TagPlan};
use penstock_events::{
    AssetPath, Cause, Event, Fact, Observation, Reading, Sample, Site, SourceId, SourceName, StateName,
    TagId, TagName, TagPath, Timestamp, Value,
};

/// The only source.
pub(crate) const SOURCE: SourceId = SourceId(0);

/// How long after its slot a poll is done.
const POLL_TAKES: Duration = Duration::from_millis(7);

/// The press, the normalizer that watches it, and what is on disk.
pub(crate) struct Press {
    plan: Plan,
    disk: BTreeMap<String, Vec<u8>>,
    normalizer: Normalizer,
}

impl Press {
    /// Tag number N of the source `press-1` is named `tN` and has the rule number N.
    pub(crate) fn with(rules: Vec<Rule>) -> Self {
        Self::with_tags(rules.into_iter().map(|rule| vec![rule]).collect())
    }

    /// The only tag `t0` has all of these rules.
    pub(crate) fn with_one_tag(rules: Vec<Rule>) -> Self {
        Self::with_tags(vec![rules])
    }

    fn with_tags(tags: Vec<Vec<Rule>>) -> Self {
        let source: SourceName = "press-1".parse().unwrap();
        let tag = |(index, rules): (usize, Vec<Rule>)| {
            let name: TagName = format!("t{index}").parse().unwrap();
            TagPlan { path: TagPath::new(&source, &name), source: SOURCE, rules }
        };
        let tags = tags.into_iter().enumerate().map(tag).collect();
        let plan = Plan { origin: origin(), sources: vec![source], tags };
        let normalizer = Normalizer::restore(plan.clone(), |_| None).unwrap();
        Self { plan, disk: BTreeMap::new(), normalizer }
    }

    /// The first tag was read; the outcome is not on disk until [`Press::commit`].
    pub(crate) fn read_uncommitted(&mut self, time: Timestamp, sample: Sample) -> Normalized {
        let readings = vec![Reading { tag: TagId(0), sample, time }];
        self.normalizer.observe(&polled(time, readings))
    }

    /// The outcome is on disk.
    pub(crate) fn commit(&mut self, outcome: Normalized) -> Vec<Event> {
        self.disk.extend(outcome.state.into_iter().map(|change| (change.key, change.value)));
        outcome.events
    }

    /// Takes an observation; the outcome is not on disk until [`Press::commit`].
    pub(crate) fn observe_uncommitted(&mut self, observation: &Observation) -> Normalized {
        self.normalizer.observe(observation)
    }

    /// Takes an observation and commits its outcome.
    pub(crate) fn observe(&mut self, observation: &Observation) -> Vec<Event> {
        let outcome = self.observe_uncommitted(observation);
        self.commit(outcome)
    }

    /// How many pieces of state are on disk.
    pub(crate) fn stored(&self) -> usize {
        self.disk.len()
    }

    /// The first tag was read and the outcome is on disk.
    pub(crate) fn read(&mut self, time: Timestamp, sample: Sample) -> Vec<Event> {
        let outcome = self.read_uncommitted(time, sample);
        self.commit(outcome)
    }

    /// The source went away.
    pub(crate) fn lose(&mut self, observed: Timestamp, cause: Cause) -> Vec<Event> {
        self.observe(&Observation::Lost { source: SOURCE, observed, cause })
    }

    /// The process ends in any way and starts again with what is on disk.
    pub(crate) fn restart(&mut self) {
        let stored = |key: &str| self.disk.get(key).map(Vec::as_slice);
        self.normalizer = Normalizer::restore(self.plan.clone(), stored).unwrap();
    }

    /// As [`Press::restart`], with other rules of the only tag.
    pub(crate) fn restart_with_one_tag(&mut self, rules: Vec<Rule>) {
        self.plan.tags[0].rules = rules;
        self.restart();
    }

    /// As [`Press::restart`], with other rules.
    pub(crate) fn restart_with(&mut self, rules: Vec<Rule>) {
        for (tag, rule) in self.plan.tags.iter_mut().zip(rules) {
            tag.rules = vec![rule];
        }
        self.restart();
    }
}

/// A poll of the source in the slot `time`.
pub(crate) fn polled(time: Timestamp, readings: Vec<Reading>) -> Observation {
    Observation::Polled { source: SOURCE, observed: time.saturating_add(POLL_TAKES), readings }
}

/// A time of day on which nothing depends, plus `ms`.
pub(crate) fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000 + ms * 1_000)
}

pub(crate) fn uint(value: u64) -> Sample {
    Sample::Good(Value::UInt(value))
}

pub(crate) fn float(value: f64) -> Sample {
    Sample::Good(Value::Float(value))
}

pub(crate) fn bad(cause: Cause) -> Sample {
    Sample::Bad(cause)
}

pub(crate) fn asset() -> AssetPath {
    "stamping/line-1/press-1".parse().unwrap()
}

pub(crate) fn state_name(name: &str) -> StateName {
    name.parse().unwrap()
}

pub(crate) fn site() -> Site {
    "plant-7".parse().unwrap()
}

fn origin() -> Origin {
    Origin { gateway: "edge-01".parse().unwrap(), site: site() }
}

/// A short text for an event, for tables: what, and how long after [`at_ms`]`(0)`.
pub(crate) fn brief(event: &Event) -> String {
    let ms = (event.time.as_micros() - at_ms(0).as_micros()) / 1_000;
    match &event.fact {
        Fact::MachineStateChanged { state, previous: None, .. } => format!("{ms} {state}"),
        Fact::MachineStateChanged { state, previous: Some(previous), .. } => {
            format!("{ms} {state} after {}ms {}", previous.duration.as_millis(), previous.state)
        }
        Fact::TelemetrySampled { value: Some(Value::Float(value)), .. } => format!("{ms} {value}"),
        Fact::TelemetrySampled { value: Some(value), .. } => format!("{ms} {value:?}"),
        Fact::TelemetrySampled { value: None, .. } => format!("{ms} {:?}", event.quality),
        Fact::ProductionCompleted { quantity, counter, .. } => {
            format!("{ms} +{quantity} {}..{}", counter.from, counter.to)
        }
        Fact::SourceDown { cause, .. } => format!("{ms} down {cause}"),
        Fact::SourceUp { down_since, .. } => {
            format!("{ms} up, down since {}", (down_since.as_micros() - at_ms(0).as_micros()) / 1_000)
        }
        other => format!("{ms} {other:?}"),
    }
}

/// [`brief`] of each.
pub(crate) fn briefs(events: &[Event]) -> Vec<String> {
    events.iter().map(brief).collect()
}
