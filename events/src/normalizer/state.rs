//! Which state a machine is in: mapped, debounced, with the time at which it began.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::StateRule;
use crate::event::PreviousState;
use crate::name::StateName;
use crate::reading::Value;
use crate::time::Timestamp;

/// The state of one machine as far as it was told, and a state that may become it.
#[derive(Clone, Debug, Default)]
pub(super) struct MachineState {
    told: Option<Since>,
    candidate: Option<Since>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Since {
    state: StateName,
    time: Timestamp,
}

/// A state that began, to be told.
pub(super) struct Change {
    pub(super) state: StateName,
    pub(super) since: Timestamp,
    pub(super) previous: Option<PreviousState>,
}

/// What is stored: the told state. A candidate is not worth a commit; after a crash it is seen anew.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct StoredState {
    pub(super) state: String,
    pub(super) since_us: i64,
}

impl MachineState {
    /// Takes the state as it was stored; a name that is no longer one begins with nothing told.
    pub(super) fn restore(stored: &StoredState) -> Self {
        let since = |state| Since { state, time: Timestamp::from_micros(stored.since_us) };
        Self { told: stored.state.parse().ok().map(since), candidate: None }
    }

    /// The value at `time`; the change that it completes, if it does.
    pub(super) fn observe(&mut self, rule: &StateRule, time: Timestamp, value: &Value) -> Option<Change> {
        let state = rule.state_of(value);
        if self.told.as_ref().is_some_and(|told| told.state == *state) {
            self.candidate = None;
            return None;
        }
        // A clock that was set back takes the beginning with it: a begin in the future would hold the
        // state back until the clock comes by again.
        let began = match &self.candidate {
            Some(candidate) if candidate.state == *state => candidate.time.min(time),
            _ => time,
        };
        if time.checked_since(began).is_some_and(|lasted| lasted < rule.debounce) {
            self.candidate = Some(Since { state: state.clone(), time: began });
            return None;
        }
        self.candidate = None;
        let left = self.told.replace(Since { state: state.clone(), time: began });
        let previous = left.map(|told| PreviousState {
            state: told.state,
            duration: began.checked_since(told.time).unwrap_or(Duration::ZERO),
        });
        Some(Change { state: state.clone(), since: began, previous })
    }
}

impl Change {
    /// What to store with the event.
    pub(super) fn stored(&self) -> StoredState {
        StoredState { state: self.state.to_string(), since_us: self.since.as_micros() }
    }
}

impl StateRule {
    fn state_of(&self, value: &Value) -> &StateName {
        let raw = match value {
            Value::Bool(value) => Some(i64::from(*value)),
            Value::Int(value) => Some(*value),
            Value::UInt(value) => i64::try_from(*value).ok(),
            Value::Float(_) | Value::Text(_) => None,
        };
        raw.and_then(|raw| self.map.get(&raw)).unwrap_or(&self.otherwise)
    }
}
