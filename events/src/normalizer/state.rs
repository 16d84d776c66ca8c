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
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct StoredState {
    state: String,
    since_us: i64,
}

impl MachineState {
    /// Takes the state as it was stored; a name that is no longer one begins with nothing told.
    pub(super) fn restore(stored: &StoredState) -> Self {
        let told = stored
            .state
            .parse()
            .ok()
            .map(|state| Since { state, time: Timestamp::from_micros(stored.since_us) });
        Self { told, candidate: None }
    }

    /// What to store after a change.
    pub(super) fn stored(&self) -> Option<StoredState> {
        self.told
            .as_ref()
            .map(|told| StoredState { state: told.state.to_string(), since_us: told.time.as_micros() })
    }

    /// The value at `time`; the change that it completes, if it does.
    pub(super) fn observe(&mut self, rule: &StateRule, time: Timestamp, value: &Value) -> Option<Change> {
        let state = rule.state_of(value);
        if self.told.as_ref().is_some_and(|told| told.state == state) {
            self.candidate = None;
            return None;
        }
        let began = match self.candidate.take() {
            Some(candidate) if candidate.state == state => candidate.time,
            _ => time,
        };
        // A clock that went backwards must not hold a state back for ever.
        if time.checked_since(began).is_some_and(|lasted| lasted < rule.debounce) {
            self.candidate = Some(Since { state, time: began });
            return None;
        }
        let previous =
            self.told.replace(Since { state: state.clone(), time: began }).map(|told| PreviousState {
                state: told.state,
                duration: began.checked_since(told.time).unwrap_or(Duration::ZERO),
            });
        Some(Change { state, since: began, previous })
    }
}

impl StateRule {
    fn state_of(&self, value: &Value) -> StateName {
        let raw = match value {
            Value::Bool(value) => Some(i64::from(*value)),
            Value::Int(value) => Some(*value),
            Value::UInt(value) => i64::try_from(*value).ok(),
            Value::Float(_) | Value::Text(_) => None,
        };
        raw.and_then(|raw| self.map.get(&raw)).unwrap_or(&self.otherwise).clone()
    }
}
