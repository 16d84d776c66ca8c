//! What the normalizer is to do, as configured: rules by tag.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::pattern::Pattern;
use crate::cloudevent::Origin;
use crate::condition::Severity;
use crate::event::Output;
use crate::name::{AssetPath, SourceName, StateName, TagPath};
use crate::reading::SourceId;

/// Everything that the normalizer is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whose events these are.
    pub origin: Origin,
    /// The sources, by [`SourceId`].
    pub sources: Vec<SourceName>,
    /// The tags, by [`crate::TagId`].
    pub tags: Vec<TagPlan>,
}

/// One tag, and what its readings mean.
#[derive(Clone, Debug)]
pub struct TagPlan {
    /// The tag.
    pub path: TagPath,
    /// The source that it belongs to.
    pub source: SourceId,
    /// What its readings mean; a tag may mean several things.
    pub rules: Vec<Rule>,
}

/// What readings of a tag mean.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Report its values by exception.
    Telemetry(TelemetryRule),
    /// It tells a machine's state.
    State(StateRule),
    /// It counts pieces.
    Counter(CounterRule),
    /// It stands for conditions, some of which are alerts of an asset.
    Alert(AlertRule),
}

/// Report by exception: a `telemetry.sampled` when the value has moved or time has passed.
#[derive(Clone, Debug)]
pub struct TelemetryRule {
    /// The asset that the value describes.
    pub asset: AssetPath,
    /// Its unit, for the reader.
    pub unit: Option<Arc<str>>,
    /// How far the value must move from the last one reported.
    pub deadband: Deadband,
    /// At most one report of a moved value in this time. A change of quality is always reported.
    pub min_interval: Duration,
    /// Report a value that has not moved after this time; never when `None`.
    pub heartbeat: Option<Duration>,
}

/// How far a number must move to be reported. Other values are reported on any change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deadband {
    /// Any change.
    None,
    /// More than this, in the unit of the value.
    Absolute(f64),
    /// More than this part of the last reported value, in percent.
    Percent(f64),
}

/// A `machine.state_changed` when the mapped value has changed and stayed.
#[derive(Clone, Debug)]
pub struct StateRule {
    /// The machine.
    pub asset: AssetPath,
    /// States by raw value; a bool is 0 or 1.
    pub map: BTreeMap<i64, StateName>,
    /// The state of a raw value that is not in the map.
    pub otherwise: StateName,
    /// How long a state must last to count. The event carries the time at which it began.
    pub debounce: Duration,
}

/// A `production.completed` when the counter has moved.
#[derive(Clone, Debug)]
pub struct CounterRule {
    /// The machine.
    pub asset: AssetPath,
    /// Which pieces it counts.
    pub output: Output,
    /// The highest value; the next count is 0. A counter that never rolls over: `u64::MAX`.
    pub highest: u64,
    /// The most pieces that may be made between two readings. A counter that falls is taken to have
    /// rolled over when that explains it within this many pieces, else to have been reset to 0.
    pub max_step: u64,
}

/// A `maintenance.alert_raised` when a condition becomes active, and a `maintenance.alert_cleared` when it is over.
/// Of a tag's rules the first that a condition matches has it, whatever its severity.
#[derive(Clone, Debug)]
pub struct AlertRule {
    /// The asset that the conditions are about.
    pub asset: AssetPath,
    /// What a condition is about.
    pub source: Pattern,
    /// What it is called.
    pub condition: Pattern,
    /// One that is less severe raises nothing.
    pub min_severity: Severity,
}
