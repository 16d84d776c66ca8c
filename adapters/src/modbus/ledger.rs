//! The account that a poller keeps of its device: status, metrics and log. It logs transitions,
//! never every poll.

use std::collections::HashMap;

use penstock_events::{SourceName, Timestamp};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::decode::Answer;
use super::plan::{Block, Plan};
use super::session::Failure;
use super::status::{DeviceStatus, Link};

const POLLS: &str = "penstock_polls_total";
const FAILED: &str = "penstock_polls_failed_total";
const SKIPPED: &str = "penstock_polls_skipped_total";
const DAMAGED: &str = "penstock_replies_damaged_total";
const CONNECTS: &str = "penstock_connects_total";

/// Describes this module's metrics to the recorder that is installed. Call it once, after that.
pub fn describe_metrics() {
    metrics::describe_counter!(POLLS, "Polls that the source answered completely");
    metrics::describe_counter!(FAILED, "Polls that the source did not answer, or not completely");
    metrics::describe_counter!(SKIPPED, "Poll slots that passed without a poll");
    metrics::describe_counter!(DAMAGED, "Replies on a serial line that were damaged and asked for again");
    metrics::describe_counter!(CONNECTS, "Connections opened to the source");
}

/// The account of one device.
pub(super) struct Ledger {
    source: SourceName,
    status: watch::Sender<DeviceStatus>,
    /// The blocks that the device refuses, with its exceptions, by the group of their tags.
    refusals: HashMap<usize, HashMap<Block, u8>>,
    polls: metrics::Counter,
    failed: metrics::Counter,
    skipped: metrics::Counter,
    damaged: metrics::Counter,
    connects: metrics::Counter,
}

/// What a failure changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// The device answered until then, or was never asked.
    Lost,
    /// It was known not to answer.
    StillDown,
}

impl Ledger {
    /// An account that goes on from what `status` shows.
    pub(super) fn new(source: &SourceName, status: watch::Sender<DeviceStatus>) -> Self {
        let counter = |name| metrics::counter!(name, "source" => source.to_string());
        Self {
            source: source.clone(),
            status,
            refusals: HashMap::new(),
            polls: counter(POLLS),
            failed: counter(FAILED),
            skipped: counter(SKIPPED),
            damaged: counter(DAMAGED),
            connects: counter(CONNECTS),
        }
    }

    /// A connection was opened.
    pub(super) fn connected(&self) {
        self.connects.increment(1);
        self.status.send_modify(|status| status.connects += 1);
    }

    /// The device answered the poll of `slot`; of all that it is asked, `bad_tags` tags are not good.
    pub(super) fn answered(&self, slot: Timestamp, now: Timestamp, bad_tags: usize) {
        self.polls.increment(1);
        self.status.send_modify(|status| {
            if status.link != Link::Up {
                info!(source = %self.source, "device answers");
                (status.link, status.since) = (Link::Up, now);
            }
            (status.last_poll, status.bad_tags) = (Some(slot), bad_tags);
            status.polls += 1;
        });
    }

    /// The device did not answer.
    pub(super) fn failed(&self, failure: &Failure, now: Timestamp) -> Standing {
        self.failed.increment(1);
        let mut standing = Standing::StillDown;
        self.status.send_modify(|status| {
            if !matches!(status.link, Link::Down { .. }) {
                warn!(source = %self.source, cause = %failure.cause(), error = %failure, "device lost");
                (standing, status.since) = (Standing::Lost, now);
            }
            status.link = Link::Down { cause: failure.cause(), detail: failure.to_string() };
            status.failed += 1;
        });
        standing
    }

    /// A reply was damaged, and is asked for again.
    pub(super) fn damaged(&self, failure: &Failure) {
        debug!(source = %self.source, error = %failure, "reply damaged");
        self.damaged.increment(1);
    }

    /// So many slots passed without a poll.
    pub(super) fn skipped(&self, slots: u64) {
        debug!(source = %self.source, slots, "poll slots skipped");
        self.skipped.increment(slots);
        self.status.send_modify(|status| status.skipped += slots);
    }

    /// The polling grid restarted at an earlier time.
    pub(super) fn clock_stepped_back(&self) {
        warn!(source = %self.source, "clock stepped back, slots may repeat");
    }

    /// Notes which blocks of a group the device refused in a complete poll, and logs what changed.
    pub(super) fn refusals(&mut self, group: usize, plan: &Plan, answers: &[Answer]) {
        let exception = |(block, answer): (&Block, &Answer)| match answer {
            Answer::Exception(code) => Some((*block, *code)),
            Answer::Bits(_) | Answer::Registers(_) => None,
        };
        let refused: HashMap<Block, u8> = plan.blocks.iter().zip(answers).filter_map(exception).collect();
        let known = self.refusals.entry(group).or_default();
        for (block, exception) in &refused {
            if known.get(block) != Some(exception) {
                warn!(source = %self.source, %block, exception, "device refuses a block");
            }
        }
        for block in known.keys().filter(|block| !refused.contains_key(block)) {
            info!(source = %self.source, %block, "device answers a block again");
        }
        *known = refused;
    }
}
