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
    epoch_us: i64,
    value: u64,
}

/// What a reading means for a counter.
pub(super) enum Movement {
    /// It stands where it stood.
    None,
    /// The first reading ever: where counting begins. Nothing to tell, but to remember.
    Began,
    /// It counted.
    Counted { quantity: u64, mark: CounterMark },
    /// It was reset and has not counted since: to remember.
    Reset,
}

impl Counter {
    pub(super) fn restore(run: Run) -> Self {
        Self(Some(run))
    }

    pub(super) fn stored(&self) -> Option<Run> {
        self.0
    }

    /// The value at `time`. A value that cannot be a count (negative, text, beyond the highest) is
    /// `None`: it says nothing.
    pub(super) fn observe(&mut self, rule: &CounterRule, time: Timestamp, value: &Value) -> Option<Movement> {
        let value = as_count(value).filter(|value| *value <= rule.highest)?;
        let run_from_here = Run { epoch_us: time.as_micros(), value };
        let Some(last) = self.0.replace(run_from_here) else { return Some(Movement::Began) };

        if value >= last.value {
            self.0 = Some(Run { value, ..last });
            return Some(match value - last.value {
                0 => Movement::None,
                quantity => last.counted(quantity, last.epoch_us, value),
            });
        }
        // It fell. From the last value up to the highest, one step to 0, and on to the value:
        // cannot overflow, since value < last <= highest.
        let rolled_over = (rule.highest - last.value) + value + 1;
        let quantity = if rolled_over <= rule.max_step { rolled_over } else { value };
        Some(match quantity {
            0 => Movement::Reset,
            quantity => last.counted(quantity, run_from_here.epoch_us, value),
        })
    }
}

impl Run {
    fn counted(self, quantity: u64, epoch_us: i64, value: u64) -> Movement {
        let epoch = Timestamp::from_micros(epoch_us);
        Movement::Counted { quantity, mark: CounterMark { epoch, from: self.value, to: value } }
    }
}

fn as_count(value: &Value) -> Option<u64> {
    match value {
        Value::UInt(value) => Some(*value),
        Value::Int(value) => u64::try_from(*value).ok(),
        Value::Bool(_) | Value::Float(_) | Value::Text(_) => None,
    }
}
