//! Report by exception: which values of a tag are worth an event.

use std::time::Duration;

use super::plan::{Deadband, TelemetryRule};
use crate::reading::{Sample, Value};
use crate::time::Timestamp;

/// The last report of one rule. It is lost with the process: after a start the first value of every
/// tag is reported, which is a sample like any other.
#[derive(Clone, Debug, Default)]
pub(super) struct LastReport(Option<(Timestamp, Sample)>);

impl LastReport {
    /// Whether `sample` is to be reported; if so it becomes the last report.
    pub(super) fn admit(&mut self, rule: &TelemetryRule, time: Timestamp, sample: &Sample) -> bool {
        let admitted = match &self.0 {
            None => true,
            Some((last_time, last)) => is_due(rule, time.checked_since(*last_time), last, sample),
        };
        if admitted {
            self.0 = Some((time, sample.clone()));
        }
        admitted
    }

    /// Whether the last report said that the value cannot be trusted.
    pub(super) fn is_bad(&self) -> bool {
        matches!(self.0, Some((_, Sample::Bad(_))))
    }
}

/// `elapsed` is `None` when the clock went backwards: the old report's time means nothing then, and
/// waiting for the clock to come by again could take for ever.
fn is_due(rule: &TelemetryRule, elapsed: Option<Duration>, last: &Sample, sample: &Sample) -> bool {
    let Some(elapsed) = elapsed else { return true };
    if rule.heartbeat.is_some_and(|heartbeat| elapsed >= heartbeat) {
        return true;
    }
    match (last, sample) {
        (Sample::Good(last), Sample::Good(value)) => {
            elapsed >= rule.min_interval && has_moved(rule.deadband, last, value)
        }
        (Sample::Uncertain(last, known), Sample::Uncertain(value, cause)) if known == cause => {
            elapsed >= rule.min_interval && has_moved(rule.deadband, last, value)
        }
        (last, sample) => last != sample,
    }
}

fn has_moved(deadband: Deadband, last: &Value, value: &Value) -> bool {
    let limit = match deadband {
        Deadband::None => return last != value,
        Deadband::Absolute(limit) => Some(limit),
        Deadband::Percent(percent) => as_number(last).map(|last| last.abs() * (percent / 100.0)),
    };
    match (as_number(last), as_number(value), limit) {
        (Some(last), Some(value), Some(limit)) => {
            let is_within = (value - last).abs() <= limit;
            // The negation also holds for what is no number, which must not silence a tag for ever.
            !is_within
        }
        _ => last != value,
    }
}

/// The number that a deadband compares. Integers beyond 2^53 lose digits, which no deadband notices.
fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::UInt(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        Value::Bool(_) | Value::Text(_) => None,
    }
}
