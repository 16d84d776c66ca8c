//! The buffer's metrics, through the `metrics` facade.
//!
//! | name | kind | labels | what |
//! |---|---|---|---|
//! | `penstock_buffer_appended_events_total` | counter | `lane` | events made durable |
//! | `penstock_buffer_commits_total` | counter | | commits; events per commit is the one over the other |
//! | `penstock_buffer_commit_microseconds_total` | counter | | time spent in commits |
//! | `penstock_buffer_given_up_events_total` | counter | `reason`, `type` | undelivered events given up; the reasons are those of `gateway.gap` |
//! | `penstock_buffer_stored_bytes` | gauge | `lane` | bytes of blocks kept |
//! | `penstock_buffer_head` | gauge | `lane` | the last durable sequence |
//! | `penstock_buffer_cursor` | gauge | `destination`, `lane` | the last acknowledged sequence; the head less this is the backlog |
//! | `penstock_buffer_damage_total` | counter | `lane` | generations in which damage was found |
//! | `penstock_buffer_full` | gauge | | 1 while appends wait for deliveries, else 0 |
//! | `penstock_buffer_suspended` | gauge | | 1 while the disk refuses what is written, else 0 |
//! | `penstock_dead_letters_total` | counter | `destination` | events that were refused for good and kept |
//! | `penstock_dead_letters` | gauge | `destination` | dead letters that there are |

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{counter, gauge};
use penstock_events::{DestinationName, GapReason, Lane, Sequence};

use crate::block::Tally;
use crate::dead::DeadLetterCount;
use crate::per_lane::{Heads, PerLane};

pub(crate) fn committed(before: Heads, after: Heads, took: Duration, bytes: PerLane<u64>) {
    for lane in Lane::ALL {
        counter!("penstock_buffer_appended_events_total", "lane" => lane.as_str())
            .increment(after[lane].0 - before[lane].0);
    }
    counter!("penstock_buffer_commits_total").increment(1);
    counter!("penstock_buffer_commit_microseconds_total")
        .increment(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    heads(after);
    stored(bytes);
}

pub(crate) fn heads(heads: Heads) {
    for lane in Lane::ALL {
        gauge!("penstock_buffer_head", "lane" => lane.as_str()).set(heads[lane].0 as f64);
    }
}

pub(crate) fn stored(bytes: PerLane<u64>) {
    for lane in Lane::ALL {
        gauge!("penstock_buffer_stored_bytes", "lane" => lane.as_str()).set(bytes[lane] as f64);
    }
}

pub(crate) fn acknowledged(destination: &DestinationName, lane: Lane, through: Sequence) {
    gauge!("penstock_buffer_cursor", "destination" => destination.to_string(), "lane" => lane.as_str())
        .set(through.0 as f64);
}

pub(crate) fn given_up(reason: GapReason, lost: &Tally) {
    for (kind, &events) in lost {
        counter!("penstock_buffer_given_up_events_total", "reason" => reason.as_str(), "type" => kind.as_str())
            .increment(events);
    }
}

/// Damage was found in a generation of `lane`.
pub(crate) fn damaged(lane: Lane) {
    counter!("penstock_buffer_damage_total", "lane" => lane.as_str()).increment(1);
}

pub(crate) fn full(full: bool) {
    gauge!("penstock_buffer_full").set(f64::from(u8::from(full)));
}

pub(crate) fn suspended(suspended: bool) {
    gauge!("penstock_buffer_suspended").set(f64::from(u8::from(suspended)));
}

/// `count` letters were written for `destination`.
pub(crate) fn dead_letters(
    destination: &DestinationName,
    written: u64,
    counts: &BTreeMap<DestinationName, DeadLetterCount>,
) {
    let label = destination.to_string();
    counter!("penstock_dead_letters_total", "destination" => label.clone()).increment(written);
    let letters = counts.get(destination).map_or(0, |count| count.letters);
    gauge!("penstock_dead_letters", "destination" => label).set(letters as f64);
}
