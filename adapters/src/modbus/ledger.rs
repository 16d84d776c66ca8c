//! The account that a poller keeps of its device: status, metrics and log. It logs transitions,
//! never every poll.

use std::collections::HashMap;

use penstock_events::{SourceName, Timestamp};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::decode::Answer;
use super::plan::Block;
use super::session::Failure;
use super::status::{DeviceStatus, Link};

const POLLS: &str = "penstock_polls_total";
const FAILED: &str = "penstock_polls_failed_total";
const SKIPPED: &str = "penstock_polls_skipped_total";
const CONNECTS: &str = "penstock_connects_total";

/// Describes this module's metrics to the recorder that is installed. Call it once, after that.
pub fn describe_metrics() {
    metrics::describe_counter!(POLLS, "Polls that the source answered completely");
    metrics::describe_counter!(FAILED, "Polls that the source did not answer, or not completely");
    metrics::describe_counter!(SKIPPED, "Poll slots that passed without a poll");
    metrics::describe_counter!(CONNECTS, "Connections opened to the source");
}

/// The account of one device.
pub(super) struct Ledger {
    source: SourceName,
    status: watch::Sender<DeviceStatus>,
    /// The blocks that the device refuses, with its exceptions.
    refusals: HashMap<Block, u8>,
    polls: metrics::Counter,
    failed: metrics::Counter,
    skipped: metrics::Counter,
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

    /// Notes which of the blocks of a complete poll the device refuses, and logs those that changed.
    pub(super) fn refusals(&mut self, blocks: &[Block], answers: &[Answer]) {
        for (block, answer) in blocks.iter().zip(answers) {
            match answer {
                Answer::Exception(code) => {
                    if self.refusals.insert(*block, *code) != Some(*code) {
                        warn!(source = %self.source, %block, exception = code, "device refuses a block");
                    }
                }
                Answer::Bits(_) | Answer::Registers(_) => {
                    if self.refusals.remove(block).is_some() {
                        info!(source = %self.source, %block, "device answers a block again");
                    }
                }
            }
        }
    }
}
