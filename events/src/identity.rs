//! The id of an event: its deduplication key.
//!
//! An id is a UUIDv5 (RFC 9562, section 5.5) in the namespace [`NAMESPACE`]. Its name is a canonical
//! string, the UTF-8 text of these fields joined by `|`, which no field can contain:
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
//! | `gateway.source_down` | source, time |
//! | `gateway.source_up` | source, time |
//! | `gateway.gap` | stream, first sequence, last sequence |
//! | `gateway.started` | time |
//!
//! Nothing of the gateway's own enters an id, save for what it says about itself: the asset of the
//! `gateway.*` events is the gateway.

use std::fmt::Write;

use uuid::{Uuid, uuid};

use crate::event::{Event, Fact};
use crate::name::Site;

/// The namespace of event ids: UUIDv5 of `urn:penstock:event` in the URL namespace.
pub const NAMESPACE: Uuid = uuid!("274da131-a54d-5c62-854d-e3b0a5435b24");

/// How ids are derived. Stored with events, so that a later derivation leaves their ids alone.
pub const DERIVATION: u8 = 1;

/// The canonical string that the id is made of.
pub fn canonical(site: &Site, event: &Event) -> String {
    let mut name = String::with_capacity(128);
    let time = event.time.as_micros();
    let head = format_args!("v{DERIVATION}|{}|{site}|{}|", event.kind(), event.asset).to_string();
    name.push_str(&head);
    match &event.fact {
        Fact::TelemetrySampled { tag, .. } => write!(name, "{tag}|{time}"),
        Fact::MachineStateChanged { tag, state, .. } => write!(name, "{tag}|{state}|{time}"),
        Fact::ProductionCompleted { tag, counter, .. } => {
            write!(name, "{tag}|{}|{}", counter.epoch.as_micros(), counter.to)
        }
        Fact::SourceDown { source, .. } | Fact::SourceUp { source, .. } => write!(name, "{source}|{time}"),
        Fact::Gap { stream, first, last, .. } => write!(name, "{stream}|{first}|{last}"),
        Fact::GatewayStarted { .. } => write!(name, "{time}"),
    }
    .expect("writing to a String cannot fail");
    name
}

/// The event's id.
pub fn id(site: &Site, event: &Event) -> Uuid {
    Uuid::new_v5(&NAMESPACE, canonical(site, event).as_bytes())
}
