//! What an event looks like on disk, one module per version of the format. A version that has
//! shipped never changes: a new need is a new version, and old ones stay readable.
//!
//! The stored form is written out by hand and converted field by field. It is not derived from
//! [`penstock_events::Event`], so that type may change without touching a byte on disk.

pub(crate) mod v1;

use penstock_events::{Alert, Event, Fact, Value};

/// The largest event that is taken, in bytes of text and lists. One such event still fits into a
/// block of its own even if it does not compress at all.
pub const MAX_EVENT_BYTES: usize = 8 * 1024;

/// What the fixed fields of a record and the names that are bounded elsewhere can cost at most:
/// an asset path (8 segments of 65 bytes), a tag path and two names (4 of 65), and the varints.
const FIXED_BYTES: usize = 900;

/// What an entry of a list of counts costs at most: a type code and a varint.
const TALLY_BYTES: usize = 11;

/// An upper bound of what one event costs in a block before compression, in bytes.
pub(crate) fn size_bound(event: &Event) -> usize {
    FIXED_BYTES
        + match &event.fact {
            Fact::TelemetrySampled { value, unit, .. } => {
                let text = match value {
                    Some(Value::Text(text)) => text.len(),
                    Some(Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_)) | None => 0,
                };
                text + unit.as_ref().map_or(0, |unit| unit.len())
            }
            Fact::AlertRaised(alert) | Fact::AlertCleared { alert, .. } => {
                let Alert { condition, name, source_name, message, .. } = &**alert;
                let words = [name, source_name, message].into_iter().flatten();
                condition.as_str().len() + words.map(|words| words.as_str().len()).sum::<usize>()
            }
            Fact::Gap { stream, lost, .. } => stream.as_str().len() + lost.len() * TALLY_BYTES,
            Fact::GatewayStarted { version } => version.len(),
            Fact::MachineStateChanged { .. }
            | Fact::ProductionCompleted { .. }
            | Fact::SourceDown { .. }
            | Fact::SourceUp { .. } => 0,
        }
}
