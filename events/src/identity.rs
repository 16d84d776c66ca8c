//! The id of an event: its deduplication key.
//!
//! An id is a UUIDv5 (RFC 9562, section 5.5) in the namespace [`NAMESPACE`]. Its name is a canonical
//! string, the UTF-8 text of these fields joined by `|`, which no field can contain but
//! the last:
//!
//! ```text
//! v1 | type | site | asset | natural key
//! ```
//!
//! Times are whole microseconds since the Unix epoch, numbers are decimal. The natural key is what
//! makes the fact one fact:
//!
//! | type | natural key |
//! |---|---|
//! | `telemetry.sampled` | tag, time |
//! | `machine.state_changed` | tag, state, time |
//! | `production.completed` | tag, epoch, counter value |
//! | `maintenance.alert_raised` | tag, time, condition |
//! | `maintenance.alert_cleared` | tag, time of the raise, condition |
//! | `gateway.source_down` | source, time |
//! | `gateway.source_up` | source, time |
//! | `gateway.gap` | stream, first sequence, last sequence |
//! | `gateway.started` | time |
//!
//! Nothing of the gateway's own enters an id, save for what it says about itself: the asset of the
//! `gateway.*` events is the gateway.
//!
//! What it costs: a clock that is set back passes the same slots twice, and a sample or a state that
//! falls on a slot that had one takes its id. Counters do not depend on it, since a later run always
//! has a later epoch.

use std::fmt::{self, Write};

use uuid::{Uuid, uuid};

use crate::event::{Event, Fact};
use crate::name::Site;

/// The namespace of event ids: UUIDv5 of `urn:penstock:event` in the URL namespace.
pub const NAMESPACE: Uuid = uuid!("274da131-a54d-5c62-854d-e3b0a5435b24");

/// How ids are derived. Stored with events, so that a later derivation leaves their ids alone.
pub const DERIVATION: u8 = 1;

/// Room for most canonical strings, so that making one allocates once.
const USUAL_BYTES: usize = 160;

/// The canonical string that the id is made of.
pub fn canonical(site: &Site, event: &Event) -> String {
    let mut name = String::with_capacity(USUAL_BYTES);
    write_canonical(&mut name, site, event).expect("writing to a String cannot fail");
    name
}

fn write_canonical(name: &mut String, site: &Site, event: &Event) -> fmt::Result {
    write!(name, "v{DERIVATION}|{}|{site}|{}|", event.kind(), event.asset)?;
    let time = event.time.as_micros();
    match &event.fact {
        Fact::TelemetrySampled { tag, .. } => write!(name, "{tag}|{time}"),
        Fact::MachineStateChanged { tag, state, .. } => write!(name, "{tag}|{state}|{time}"),
        Fact::ProductionCompleted { tag, counter, .. } => {
            write!(name, "{tag}|{}|{}", counter.epoch.as_micros(), counter.to)
        }
        Fact::AlertRaised(alert) => write!(name, "{}|{time}|{}", alert.tag, alert.condition),
        Fact::AlertCleared { alert, since } => {
            write!(name, "{}|{}|{}", alert.tag, since.as_micros(), alert.condition)
        }
        Fact::SourceDown { source, .. } | Fact::SourceUp { source, .. } => write!(name, "{source}|{time}"),
        Fact::Gap { stream, first, last, .. } => write!(name, "{stream}|{first}|{last}"),
        Fact::GatewayStarted { .. } => write!(name, "{time}"),
    }
}

/// The event's id.
pub fn id(site: &Site, event: &Event) -> Uuid {
    Uuid::new_v5(&NAMESPACE, canonical(site, event).as_bytes())
}
