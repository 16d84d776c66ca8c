//! From what devices say to what the enterprise acts on: pure state machines.
//!
//! A [`Normalizer`] takes one [`Observation`] after the other and gives the events that follow from
//! it, with the pieces of its own state that changed. Both are to be stored in one commit, also when
//! there is state without events: after a crash, the normalizer that is restored from the stored state
//! neither repeats nor skips a fact. Only the memory of report by exception is not kept; the first
//! sample after a start is a fact of its own.

mod alerts;
mod counter;
mod pattern;
mod plan;
mod recall;
mod state;
mod stored;
mod tag;
mod telemetry;

pub use pattern::Pattern;
pub use plan::{AlertRule, CounterRule, Deadband, Plan, Rule, StateRule, TagPlan, TelemetryRule};
pub use recall::recall;
pub use stored::{RestoreError, StateChange};

use std::ops::AddAssign;

use serde::Serialize;

use crate::event::{Event, Fact, Quality};
use crate::name::{AssetPath, SourceName};
use crate::reading::{Cause, Observation, Reading, SourceId};
use crate::time::Timestamp;
use stored::{Stored, find, source_key};
use tag::Tag;

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
    /// The events, in the order in which they were found.
    pub events: Vec<Event>,
    /// What changed of the normalizer's state, to be stored in the same commit.
    pub state: Vec<StateChange>,
    /// Conditions from which nothing follows, though they are active.
    pub left_out: LeftOut,
}

/// How many active conditions raised no alert, by the reason. One that is too mild is not among them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct LeftOut {
    /// They match no rule.
    pub of_no_asset: u64,
    /// So many are active already that no more can be remembered.
    pub beyond_limit: u64,
}

impl AddAssign for LeftOut {
    fn add_assign(&mut self, more: Self) {
        self.of_no_asset += more.of_no_asset;
        self.beyond_limit += more.beyond_limit;
    }
}

#[derive(Debug)]
struct Source {
    name: SourceName,
    key: String,
    tags: Vec<usize>,
    down_since: Option<Timestamp>,
}

/// When something was, by the source's clock and by the gateway's.
#[derive(Clone, Copy)]
struct At {
    time: Timestamp,
    observed: Timestamp,
}

impl Normalizer {
    /// A normalizer for `plan` that goes on where the one that stored `state` stopped.
    ///
    /// # Errors
    /// When a piece of state that the plan needs cannot be decoded.
    pub fn restore<'a>(plan: Plan, state: impl Fn(&str) -> Option<&'a [u8]>) -> Result<Self, RestoreError> {
        let mut sources = plan
            .sources
            .into_iter()
            .map(|name| Source::restore(name, &state))
            .collect::<Result<Vec<_>, _>>()?;
        let mut tags = Vec::with_capacity(plan.tags.len());
        for TagPlan { path, source, rules } in plan.tags {
            if let Some(source) = sources.get_mut(source.0 as usize) {
                source.tags.push(tags.len());
            }
            tags.push(Tag::restore(path, rules, &state)?);
        }
        Ok(Self { gateway: AssetPath::of_gateway(&plan.origin.gateway), sources, tags })
    }

    /// What follows from `observation`. Sources and tags that are not in the plan are ignored.
    pub fn observe(&mut self, observation: &Observation) -> Normalized {
        let mut out = Normalized::default();
        match observation {
            Observation::Polled { source, observed, readings } => {
                let observed = *observed;
                self.source_answers(*source, observed, &mut out);
                for Reading { tag, sample, time } in readings {
                    if let Some(tag) = self.tags.get_mut(tag.0 as usize) {
                        tag.observe(sample, At { time: *time, observed }, &mut out);
                    }
                }
            }
            Observation::Told { source, observed, tag, conditions } => {
                self.source_answers(*source, *observed, &mut out);
                if let Some(tag) = self.tags.get_mut(tag.0 as usize) {
                    for condition in conditions {
                        tag.told(condition, *observed, &mut out);
                    }
                }
            }
            Observation::ToldAll { source, observed, tag, time, active } => {
                self.source_answers(*source, *observed, &mut out);
                if let Some(tag) = self.tags.get_mut(tag.0 as usize) {
                    tag.told_all(active, At { time: *time, observed: *observed }, &mut out);
                }
            }
            Observation::Lost { source, observed, cause } => {
                self.source_is_lost(*source, *observed, *cause, &mut out);
            }
        }
        out
    }

    fn source_answers(&mut self, id: SourceId, observed: Timestamp, out: &mut Normalized) {
        let Some(source) = self.sources.get_mut(id.0 as usize) else { return };
        if let Some(down_since) = source.down_since.take() {
            let fact = Fact::SourceUp { source: source.name.clone(), down_since };
            out.push(&self.gateway, At::noticed(observed), Quality::Good, fact);
            out.state.push(Stored::SourceV1 { down_since_us: None }.change(&source.key));
        }
    }

    fn source_is_lost(&mut self, id: SourceId, observed: Timestamp, cause: Cause, out: &mut Normalized) {
        let Some(source) = self.sources.get_mut(id.0 as usize) else { return };
        if source.down_since.is_none() {
            source.down_since = Some(observed);
            let fact = Fact::SourceDown { source: source.name.clone(), cause };
            out.push(&self.gateway, At::noticed(observed), Quality::Good, fact);
            let stored = Stored::SourceV1 { down_since_us: Some(observed.as_micros()) };
            out.state.push(stored.change(&source.key));
        }
        for &tag in &source.tags {
            self.tags[tag].lose(cause, At::noticed(observed), out);
        }
    }
}

impl Source {
    fn restore<'a>(
        name: SourceName,
        state: &impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, RestoreError> {
        let key = source_key(&name);
        let down_since = find(state, &key, |stored| match stored {
            Stored::SourceV1 { down_since_us } => Some(down_since_us.map(Timestamp::from_micros)),
            _ => None,
        })?;
        Ok(Self { name, key, tags: Vec::new(), down_since: down_since.flatten() })
    }
}

impl At {
    /// What the gateway itself noticed.
    fn noticed(observed: Timestamp) -> Self {
        Self { time: observed, observed }
    }
}

impl Normalized {
    fn push(&mut self, asset: &AssetPath, at: At, quality: Quality, fact: Fact) {
        let At { time, observed } = at;
        self.events.push(Event { asset: asset.clone(), time, observed, quality, fact });
    }
}
