//! One tag: its readings go to each of its rules, and what follows from them into the outcome.

use std::collections::BTreeSet;

use super::alerts::Alerts;
use super::counter::{Counted, Counter};
use super::plan::{AlertRule, CounterRule, Rule, StateRule, TelemetryRule};
use super::state::MachineState;
use super::stored::{RestoreError, Stored, counter_key, find, state_key};
use super::telemetry::LastReport;
use super::{At, Normalized};
use crate::condition::{Condition, ConditionId};
use crate::event::{Fact, Quality};
use crate::name::TagPath;
use crate::reading::{Cause, Sample};
use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Tag {
    path: TagPath,
    /// Boxed: nearly every tag has one rule, and a growing list would keep room for four.
    rules: Box<[Live]>,
    /// Of a tag that stands for conditions. Boxed: few do.
    alerts: Option<Box<Alerts>>,
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
        let (mut live, mut of_alerts): (_, Vec<AlertRule>) = (Vec::with_capacity(rules.len()), Vec::new());
        for rule in rules {
            match rule {
                Rule::Alert(rule) => of_alerts.push(rule),
                Rule::Telemetry(rule) => live.push(Live::of_telemetry(rule)),
                Rule::State(rule) => live.push(Live::of_state(rule, &path, state)?),
                Rule::Counter(rule) => live.push(Live::of_counter(rule, &path, state)?),
            }
        }
        let alerts = if of_alerts.is_empty() {
            None
        } else {
            Some(Box::new(Alerts::restore(of_alerts, &path, state)?))
        };
        Ok(Self { path, rules: live.into(), alerts })
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

    /// The source told of a condition.
    pub(super) fn told(&mut self, condition: &Condition, observed: Timestamp, out: &mut Normalized) {
        if let Some(alerts) = &mut self.alerts {
            alerts.observe(condition, observed, out);
        }
    }

    /// The source told of every condition that is active.
    pub(super) fn told_all(&mut self, active: &BTreeSet<ConditionId>, at: At, out: &mut Normalized) {
        if let Some(alerts) = &mut self.alerts {
            alerts.observe_all(active, at, out);
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
    fn of_telemetry(rule: TelemetryRule) -> Self {
        Self::Telemetry { rule, last: LastReport::default() }
    }

    fn of_state<'a>(
        rule: StateRule,
        tag: &TagPath,
        state: &impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, RestoreError> {
        let key = state_key(&rule.asset, tag);
        let machine = find(state, &key, |stored| match stored {
            Stored::StateV1(state) => Some(MachineState::restore(&state)),
            _ => None,
        })?;
        Ok(Self::State { rule, key, machine: machine.unwrap_or_default() })
    }

    fn of_counter<'a>(
        rule: CounterRule,
        tag: &TagPath,
        state: &impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, RestoreError> {
        let key = counter_key(&rule.asset, tag, rule.output);
        let counter = find(state, &key, |stored| match stored {
            Stored::CounterV1(run) => Some(Counter::restore(run)),
            _ => None,
        })?;
        Ok(Self::Counter { rule, key, counter: counter.unwrap_or_default() })
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
