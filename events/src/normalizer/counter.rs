//! How many pieces a counter counted: rollover and reset handled.

use serde::{Deserialize, Serialize};

use super::plan::CounterRule;
use crate::event::CounterMark;
use crate::reading::Value;
use crate::time::Timestamp;

/// Where a counter stood when it was last told; nothing before its first reading.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Option<Run>);

/// One run of a counter: from its first reading, a rollover or a reset to the next.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Run {
    pub(super) epoch_us: i64,
    pub(super) value: u64,
}

/// A reading after which the counter stands elsewhere.
pub(super) struct Movement {
    /// What to store.
    pub(super) run: Run,
    /// What to tell; nothing of the first reading ever, where counting begins, and of a reset to 0.
    pub(super) counted: Option<Counted>,
}

/// Pieces, and where the counter stood and stands.
pub(super) struct Counted {
    pub(super) quantity: u64,
    pub(super) mark: CounterMark,
}

impl Counter {
    pub(super) fn restore(run: Run) -> Self {
        Self(Some(run))
    }

    /// The value at `time`. `None` when the counter stands where it stood, and for a value that cannot
    /// be a count (negative, not an integer, beyond the highest): that says nothing.
    pub(super) fn observe(&mut self, rule: &CounterRule, time: Timestamp, value: &Value) -> Option<Movement> {
        let value = as_count(value).filter(|value| *value <= rule.highest)?;
        let Some(last) = self.0 else {
            let run = Run { epoch_us: time.as_micros(), value };
            self.0 = Some(run);
            return Some(Movement { run, counted: None });
        };
        let (epoch_us, quantity) = match value.checked_sub(last.value) {
            Some(0) => return None,
            Some(quantity) => (last.epoch_us, quantity),
            None => (last.next_epoch_us(time), pieces_in_fall(rule, last.value, value)),
        };
        let run = Run { epoch_us, value };
        self.0 = Some(run);
        let mark = CounterMark { epoch: Timestamp::from_micros(epoch_us), from: last.value, to: value };
        Some(Movement { run, counted: (quantity > 0).then_some(Counted { quantity, mark }) })
    }
}

impl Run {
    /// The epoch of the run that follows at `time`. Always a later one, or else a clock that was set
    /// back could give two runs the same epoch, and their events the same ids.
    fn next_epoch_us(self, time: Timestamp) -> i64 {
        time.as_micros().max(self.epoch_us.saturating_add(1))
    }
}

/// How many pieces explain that the counter fell from `last` to `value`.
fn pieces_in_fall(rule: &CounterRule, last: u64, value: u64) -> u64 {
    // From the last value up to the highest, one step to 0, and on to the value: no more than the
    // highest, since value < last. A last value beyond the highest is of an earlier configuration.
    match rule.highest.checked_sub(last).map(|rest| rest + 1 + value) {
        Some(rolled_over) if rolled_over <= rule.max_step => rolled_over,
        _ => value,
    }
}

fn as_count(value: &Value) -> Option<u64> {
    match value {
        Value::UInt(value) => Some(*value),
        Value::Int(value) => u64::try_from(*value).ok(),
        Value::Bool(_) | Value::Float(_) | Value::Text(_) => None,
    }
}
