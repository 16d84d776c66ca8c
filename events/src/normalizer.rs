//! From what devices say to what the enterprise acts on: pure state machines.

mod plan;

pub use plan::{CounterRule, Deadband, Plan, Rule, StateRule, TagPlan, TelemetryRule};

/// A piece of the normalizer's state that changed, to be stored in the same commit as the events
/// that it explains.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateChange {
    /// Whose state: stable over restarts and changes of configuration.
    pub key: String,
    /// The state, in a versioned encoding of the normalizer's own.
    pub value: Vec<u8>,
}
