//! From what devices say to what the enterprise acts on: pure state machines.
//!
//! A [`Normalizer`] takes one [`Observation`] after the other and gives the events that follow from
//! it, with the pieces of its own state that changed. Both are to be stored in one commit: after a
//! crash, the normalizer that is restored from the stored state neither repeats nor skips a fact.
//! Only the memory of report by exception is not kept; the first sample after a start is a fact of
//! its own.

mod counter;
mod plan;
mod state;
mod telemetry;

use serde::{Deserialize, Serialize};

pub use plan::{CounterRule, Deadband, Plan, Rule, StateRule, TagPlan, TelemetryRule};

use crate::event::{Event, Fact, Quality};
use crate::name::{AssetPath, SourceName, TagPath};
use crate::reading::{Cause, Observation, Reading, Sample, SourceId, Value};
use crate::time::Timestamp;
use counter::{Counter, Movement};
use state::MachineState;
use telemetry::LastReport;

/// Turns observations into events.
#[derive(Debug)]
pub struct Normalizer {
    gateway: AssetPath,
    sources: Vec<Source>,
    tags: Vec<Tag>,
}

/// What follows from an observation.
#[derive(Debug, Default)]
pub struct Normalized {
    /// The events, in the order in which they happened.
    pub events: Vec<Event>,
    /// What changed of the normalizer's state, to be stored in the same commit.
    pub state: Vec<StateChange>,
}

/// A piece of the normalizer's state that changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateChange {
    /// Whose state: stable over restarts and changes of configuration.
    pub key: String,
    /// The state, in a versioned encoding of the normalizer's own.
    pub value: Vec<u8>,
}

/// The stored state cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the stored state of {key:?} cannot be read; it was written by a newer version of penstock or is damaged"
)]
pub struct RestoreError {
    /// Whose state.
    pub key: String,
}

#[derive(Debug)]
struct Source {
    name: SourceName,
    key: String,
    tags: Vec<usize>,
    down_since: Option<Timestamp>,
}

#[derive(Debug)]
struct Tag {
    path: TagPath,
    rules: Vec<Live>,
}

/// A rule with what it remembers.
#[derive(Debug)]
enum Live {
    Telemetry { rule: TelemetryRule, last: LastReport },
    State { rule: StateRule, key: String, machine: MachineState },
    Counter { rule: CounterRule, key: String, counter: Counter },
}

/// The stored form of the state. Only ever append variants: the position is the version.
#[derive(Debug, Deserialize, Serialize)]
enum Stored {
    StateV1(state::StoredState),
    CounterV1(counter::Run),
    SourceV1 { down_since_us: Option<i64> },
}

impl Normalizer {
    /// A normalizer for `plan` that goes on where the one that stored `state` stopped.
    ///
    /// # Errors
    /// When a piece of state that the plan needs cannot be decoded.
    pub fn restore<'a>(plan: Plan, state: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, RestoreError> {
        let stored = |key: &str| state(key).map(|bytes| Stored::decode(key, bytes)).transpose();
        let mut sources = Vec::with_capacity(plan.sources.len());
        for (index, name) in plan.sources.into_iter().enumerate() {
            let tags = plan.tags.iter().enumerate();
            let tags = tags.filter(|(_, tag)| tag.source.0 as usize == index).map(|(at, _)| at).collect();
            let key = format!("source|{name}");
            let down_since = match stored(&key)? {
                None => None,
                Some(Stored::SourceV1 { down_since_us }) => down_since_us.map(Timestamp::from_micros),
                Some(_) => return Err(RestoreError { key }),
            };
            sources.push(Source { name, key, tags, down_since });
        }
        let mut tags = Vec::with_capacity(plan.tags.len());
        for TagPlan { path, rules, .. } in plan.tags {
            let rules = rules
                .into_iter()
                .map(|rule| Live::restore(rule, &path, &stored))
                .collect::<Result<_, _>>()?;
            tags.push(Tag { path, rules });
        }
        Ok(Self { gateway: AssetPath::of_gateway(&plan.origin.gateway), sources, tags })
    }

    /// What follows from `observation`.
    pub fn observe(&mut self, observation: &Observation) -> Normalized {
        let mut out = Normalized::default();
        match observation {
            Observation::Polled { source, observed, readings } => {
                self.source_answers(*source, *observed, &mut out);
                for Reading { tag, sample, time } in readings {
                    if let Some(tag) = self.tags.get_mut(tag.0 as usize) {
                        tag.observe(sample, *time, *observed, &mut out);
                    }
                }
            }
            Observation::Lost { source, observed, cause } => {
                self.source_is_lost(*source, *observed, *cause, &mut out);
            }
        }
        out
    }

    fn source_answers(&mut self, id: SourceId, at: Timestamp, out: &mut Normalized) {
        let Some(source) = self.sources.get_mut(id.0 as usize) else { return };
        if let Some(down_since) = source.down_since.take() {
            let fact = Fact::SourceUp { source: source.name.clone(), down_since };
            out.push_own(&self.gateway, at, fact);
            out.store(&source.key, &Stored::SourceV1 { down_since_us: None });
        }
    }

    fn source_is_lost(&mut self, id: SourceId, at: Timestamp, cause: Cause, out: &mut Normalized) {
        let Some(source) = self.sources.get_mut(id.0 as usize) else { return };
        if source.down_since.is_none() {
            source.down_since = Some(at);
            let fact = Fact::SourceDown { source: source.name.clone(), cause };
            out.push_own(&self.gateway, at, fact);
            out.store(&source.key, &Stored::SourceV1 { down_since_us: Some(at.as_micros()) });
        }
        for &tag in &source.tags {
            self.tags[tag].lose(cause, at, out);
        }
    }
}

impl Tag {
    fn observe(&mut self, sample: &Sample, time: Timestamp, observed: Timestamp, out: &mut Normalized) {
        for rule in &mut self.rules {
            match (rule, sample) {
                (Live::Telemetry { rule, last }, _) => {
                    if last.admit(rule, time, sample) {
                        out.events.push(sampled(rule, &self.path, sample, time, observed));
                    }
                }
                (Live::State { rule, key, machine }, Sample::Good(value)) => {
                    if let Some(event) = changed(rule, machine, &self.path, value, time, observed) {
                        out.events.push(event);
                        if let Some(stored) = machine.stored() {
                            out.store(key, &Stored::StateV1(stored));
                        }
                    }
                }
                (Live::Counter { rule, key, counter }, Sample::Good(value)) => {
                    let Some(movement) = counter.observe(rule, time, value) else { continue };
                    if let Movement::Counted { quantity, mark } = movement {
                        let tag = self.path.clone();
                        let fact =
                            Fact::ProductionCompleted { tag, output: rule.output, quantity, counter: mark };
                        out.push(&rule.asset, time, observed, fact);
                    }
                    if let (false, Some(run)) = (matches!(movement, Movement::None), counter.stored()) {
                        out.store(key, &Stored::CounterV1(run));
                    }
                }
                // Nothing can be concluded of a machine from a value that cannot be trusted.
                (Live::State { .. } | Live::Counter { .. }, Sample::Bad(_)) => {}
            }
        }
    }

    /// The source is gone: what was good is bad now, and that is said once.
    fn lose(&mut self, cause: Cause, at: Timestamp, out: &mut Normalized) {
        for rule in &mut self.rules {
            if let Live::Telemetry { rule, last } = rule {
                let sample = Sample::Bad(cause);
                if last.is_good() && last.admit(rule, at, &sample) {
                    out.events.push(sampled(rule, &self.path, &sample, at, at));
                }
            }
        }
    }
}

impl Live {
    fn restore(
        rule: Rule,
        tag: &TagPath,
        stored: &impl Fn(&str) -> Result<Option<Stored>, RestoreError>,
    ) -> Result<Self, RestoreError> {
        Ok(match rule {
            Rule::Telemetry(rule) => Self::Telemetry { rule, last: LastReport::default() },
            Rule::State(rule) => {
                let key = format!("state|{}|{tag}", rule.asset);
                let machine = match stored(&key)? {
                    None => MachineState::default(),
                    Some(Stored::StateV1(state)) => MachineState::restore(&state),
                    Some(_) => return Err(RestoreError { key }),
                };
                Self::State { rule, key, machine }
            }
            Rule::Counter(rule) => {
                let key = format!("counter|{}|{tag}|{}", rule.asset, rule.output.as_str());
                let counter = match stored(&key)? {
                    None => Counter::default(),
                    Some(Stored::CounterV1(run)) => Counter::restore(run),
                    Some(_) => return Err(RestoreError { key }),
                };
                Self::Counter { rule, key, counter }
            }
        })
    }
}

impl Stored {
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, RestoreError> {
        postcard::from_bytes(bytes).map_err(|_| RestoreError { key: key.to_owned() })
    }
}

impl Normalized {
    fn push(&mut self, asset: &AssetPath, time: Timestamp, observed: Timestamp, fact: Fact) {
        self.events.push(Event { asset: asset.clone(), time, observed, quality: Quality::Good, fact });
    }

    fn push_own(&mut self, gateway: &AssetPath, at: Timestamp, fact: Fact) {
        self.push(gateway, at, at, fact);
    }

    fn store(&mut self, key: &str, state: &Stored) {
        let value = postcard::to_stdvec(state).expect("plain numbers and texts can be encoded");
        self.state.push(StateChange { key: key.to_owned(), value });
    }
}

fn sampled(
    rule: &TelemetryRule,
    tag: &TagPath,
    sample: &Sample,
    time: Timestamp,
    observed: Timestamp,
) -> Event {
    let (value, quality): (Option<Value>, _) = match sample {
        Sample::Good(value) => (Some(value.clone()), Quality::Good),
        Sample::Bad(cause) => (None, Quality::Bad(*cause)),
    };
    let fact = Fact::TelemetrySampled { tag: tag.clone(), value, unit: rule.unit.clone() };
    Event { asset: rule.asset.clone(), time, observed, quality, fact }
}

fn changed(
    rule: &StateRule,
    machine: &mut MachineState,
    tag: &TagPath,
    value: &Value,
    time: Timestamp,
    observed: Timestamp,
) -> Option<Event> {
    let change = machine.observe(rule, time, value)?;
    let fact = Fact::MachineStateChanged { tag: tag.clone(), state: change.state, previous: change.previous };
    Some(Event { asset: rule.asset.clone(), time: change.since, observed, quality: Quality::Good, fact })
}
