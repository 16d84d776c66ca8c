//! One tag: its readings go to each of its rules, and what follows from them into the outcome.

use super::counter::{Counted, Counter};
use super::plan::{CounterRule, Rule, StateRule, TelemetryRule};
use super::state::MachineState;
use super::stored::{RestoreError, Stored, counter_key, find, state_key};
use super::telemetry::LastReport;
use super::{At, Normalized};
use crate::event::{Fact, Quality};
use crate::name::TagPath;
use crate::reading::{Cause, Sample};

#[derive(Debug)]
pub(super) struct Tag {
    path: TagPath,
    /// Boxed: nearly every tag has one rule, and a growing list would keep room for four.
    rules: Box<[Live]>,
}

/// A rule with what it remembers, and the key under which that is stored.
#[derive(Debug)]
enum Live {
    Telemetry { rule: TelemetryRule, last: LastReport },
    State { rule: StateRule, key: String, machine: MachineState },
    Counter { rule: CounterRule, key: String, counter: Counter },
}

impl Tag {
    pub(super) fn restore<'a>(
        path: TagPath,
        rules: Vec<Rule>,
        state: &impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, RestoreError> {
        let rules =
            rules.into_iter().map(|rule| Live::restore(rule, &path, state)).collect::<Result<_, _>>()?;
        Ok(Self { path, rules })
    }

    pub(super) fn observe(&mut self, sample: &Sample, at: At, out: &mut Normalized) {
        let tag = &self.path;
        for rule in &mut self.rules {
            match (rule, sample) {
                (Live::Telemetry { rule, last }, _) => {
                    if last.admit(rule, at.time, sample) {
                        out.push_sampled(rule, tag, sample, at);
                    }
                }
                (Live::State { rule, key, machine }, Sample::Good(value)) => {
                    let Some(change) = machine.observe(rule, at.time, value) else { continue };
                    out.state.push(Stored::StateV1(change.stored()).change(key));
                    let at = At { time: change.since, ..at };
                    let (tag, state, previous) = (tag.clone(), change.state, change.previous);
                    let fact = Fact::MachineStateChanged { tag, state, previous };
                    out.push(&rule.asset, at, Quality::Good, fact);
                }
                (Live::Counter { rule, key, counter }, Sample::Good(value)) => {
                    let Some(movement) = counter.observe(rule, at.time, value) else { continue };
                    out.state.push(Stored::CounterV1(movement.run).change(key));
                    if let Some(Counted { quantity, mark }) = movement.counted {
                        let (tag, output) = (tag.clone(), rule.output);
                        let fact = Fact::ProductionCompleted { tag, output, quantity, counter: mark };
                        out.push(&rule.asset, at, Quality::Good, fact);
                    }
                }
                // Nothing can be concluded of a machine from a value that cannot be trusted.
                (Live::State { .. } | Live::Counter { .. }, Sample::Uncertain(..) | Sample::Bad(_)) => {}
            }
        }
    }

    /// The source is gone: the value cannot be trusted any more, and that is said once.
    pub(super) fn lose(&mut self, cause: Cause, at: At, out: &mut Normalized) {
        let sample = Sample::Bad(cause);
        for rule in &mut self.rules {
            if let Live::Telemetry { rule, last } = rule
                && !last.is_bad()
                && last.admit(rule, at.time, &sample)
            {
                out.push_sampled(rule, &self.path, &sample, at);
            }
        }
    }
}

impl Live {
    fn restore<'a>(
        rule: Rule,
        tag: &TagPath,
        state: &impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, RestoreError> {
        Ok(match rule {
            Rule::Telemetry(rule) => Self::Telemetry { rule, last: LastReport::default() },
            Rule::State(rule) => {
                let key = state_key(&rule, tag);
                let machine = find(state, &key, |stored| match stored {
                    Stored::StateV1(state) => Some(MachineState::restore(&state)),
                    _ => None,
                })?;
                Self::State { rule, key, machine: machine.unwrap_or_default() }
            }
            Rule::Counter(rule) => {
                let key = counter_key(&rule, tag);
                let counter = find(state, &key, |stored| match stored {
                    Stored::CounterV1(run) => Some(Counter::restore(run)),
                    _ => None,
                })?;
                Self::Counter { rule, key, counter: counter.unwrap_or_default() }
            }
        })
    }
}

impl Normalized {
    fn push_sampled(&mut self, rule: &TelemetryRule, tag: &TagPath, sample: &Sample, at: At) {
        let (value, quality) = match sample {
            Sample::Good(value) => (Some(value.clone()), Quality::Good),
            Sample::Uncertain(value, cause) => (Some(value.clone()), Quality::Uncertain(*cause)),
            Sample::Bad(cause) => (None, Quality::Bad(*cause)),
        };
        let fact = Fact::TelemetrySampled { tag: tag.clone(), value, unit: rule.unit.clone() };
        self.push(&rule.asset, at, quality, fact);
    }
}
