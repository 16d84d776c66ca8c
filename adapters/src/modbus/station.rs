//! One device on a line: which request is next for it, and what its answers amount to.
//!
//! A station knows no IO and no clock; the line asks it, asks the device, and tells it what came. It
//! is also the device's circuit breaker: a device that failed rests, and until its rest is over
//! nothing is asked of it, so that a dead device costs its neighbours one time-out for each rest.

use std::sync::Arc;
use std::time::Duration;

use penstock_events::{Observation, Sample, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use super::decode::{Answer, readings};
use super::device::{Device, Group};
use super::inquiry::Inquiry;
use super::ledger::{Ledger, Standing};
use super::plan::Block;
use super::session::{Ask, Failure, Framing};
use super::status::DeviceStatus;
use super::suspicion::harmless;
use crate::backoff::Backoff;
use crate::schedule::{Due, Schedule};

/// A device that answers with one of these will have an answer a moment later: acknowledge and busy
/// (Application Protocol V1.1b3, section 7).
const ASK_AGAIN: [u8; 2] = [5, 6];
/// The pauses before it is asked again, after which "busy" is its answer. A PLC that stores its program
/// is busy for longer than any poll should wait, one that swaps a page for less than this.
const BUSY_PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];
/// What a gateway answers in the place of a unit that it cannot reach: path unavailable, and target
/// failed to respond (section 7).
const UNIT_IS_DOWN: [u8; 2] = [10, 11];

/// A moment on both clocks: the one that slots are made of, and the one that never steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The time of day.
    pub(super) time: Timestamp,
    /// The same moment for rests.
    pub(super) instant: Instant,
}

/// What a station would do.
#[derive(Debug)]
pub(super) enum Next {
    /// Ask this.
    Ask(Ask),
    /// Nothing, for so long.
    Wait(Duration),
}

/// A device on a line.
pub(super) struct Station {
    device: Arc<Device>,
    rounds: Vec<Round>,
    poll: Option<Poll>,
    /// Until when nothing is asked.
    rest: Option<Instant>,
    /// Whether replies carry no number, so that a late one could be taken for the next.
    is_unnumbered: bool,
    /// What is asked before anything else, since an earlier reply may still come.
    suspicion: Option<Block>,
    backoff: Backoff,
    ledger: Ledger,
}

/// A group of tags, and when and how it is read.
struct Round {
    inquiry: Inquiry,
    schedule: Schedule,
    /// How many tags of its last poll were not good.
    bad_tags: usize,
}

/// A poll that has begun.
struct Poll {
    /// The index of its group.
    group: usize,
    slot: Timestamp,
    /// How often the device was busy with the block that is next.
    busy: usize,
    /// Whether a damaged reply was already asked for again.
    is_repeated: bool,
}

impl Station {
    /// A station on a line of this `framing` that goes on from what `status` shows.
    pub(super) fn new(
        device: Arc<Device>,
        framing: Framing,
        status: watch::Sender<DeviceStatus>,
        now: Timestamp,
    ) -> Self {
        let round = |group: &Group| Round {
            inquiry: Inquiry::new(&group.tags, &device.limits),
            schedule: Schedule::new(group.poll, now),
            bad_tags: 0,
        };
        Self {
            rounds: device.groups.iter().map(round).collect(),
            poll: None,
            rest: None,
            is_unnumbered: framing != Framing::Mbap,
            suspicion: None,
            backoff: Backoff::new(),
            ledger: Ledger::new(&device.name, status),
            device,
        }
    }

    /// The device.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// A connection was opened to ask it.
    pub(super) fn connected(&self) {
        self.ledger.connected();
    }

    /// What to do at `now`. Whoever asks does it, or asks again.
    pub(super) fn next(&mut self, now: Moment) -> Next {
        if let Some(until) = self.rest {
            if now.instant < until {
                return Next::Wait(until - now.instant);
            }
            self.rest = None;
            // A pause within a poll is no rest.
            if self.poll.is_none() {
                self.rested(now.time);
            }
        }
        let wait = if self.poll.is_none() { self.begin(now) } else { Duration::MAX };
        self.ask().map_or(Next::Wait(wait), Next::Ask)
    }

    /// Leaves out the slots that passed by `now`, in which it could not be asked.
    pub(super) fn rested(&mut self, now: Timestamp) {
        self.rounds.iter_mut().for_each(|round| round.schedule.rested(now));
    }

    /// Begins the poll whose slot is the earliest, of those that are due; returns for how long none is.
    fn begin(&mut self, now: Moment) -> Duration {
        let is_asked = |group: &usize| !self.rounds[*group].inquiry.plan().blocks.is_empty();
        let mut by_slot: Vec<usize> = (0..self.rounds.len()).filter(is_asked).collect();
        by_slot.sort_by_key(|&group| self.rounds[group].schedule.next_slot());
        let mut wait = Duration::MAX;
        for group in by_slot {
            loop {
                match self.rounds[group].schedule.due(now.time) {
                    Due::Wait(next) => {
                        wait = wait.min(next);
                        break;
                    }
                    Due::Skipped(slots) => self.ledger.skipped(slots),
                    Due::Restarted => self.ledger.clock_stepped_back(),
                    Due::Poll(slot) => {
                        self.rounds[group].inquiry.begin(now.instant.into_std());
                        self.poll = Some(Poll { group, slot, busy: 0, is_repeated: false });
                        return Duration::ZERO;
                    }
                }
            }
        }
        wait
    }

    /// The request that is next in the poll.
    fn ask(&mut self) -> Option<Ask> {
        let next = self.rounds[self.poll.as_ref()?.group].inquiry.next();
        let block = self.suspicion.or(next)?;
        Some(Ask { unit: self.device.unit, block, timeout: self.device.request_timeout })
    }

    /// Takes the answer to the request that was next; what to say, if that ends the poll.
    pub(super) fn answered(&mut self, answer: Answer, now: Moment) -> Option<Observation> {
        let mut poll = self.poll.take()?;
        match answer {
            Answer::Exception(code) if UNIT_IS_DOWN.contains(&code) => {
                return self.failed(&Failure::Unreachable(code), now);
            }
            Answer::Exception(code) if ASK_AGAIN.contains(&code) && poll.busy < BUSY_PAUSES.len() => {
                self.rest = Some(now.instant + BUSY_PAUSES[poll.busy]);
                poll.busy += 1;
                self.poll = Some(poll);
                return None;
            }
            answer => {
                // Whatever it is, the unit is in step again.
                if self.suspicion.take().is_none() {
                    let tags = &self.device.groups[poll.group].tags;
                    self.rounds[poll.group].inquiry.take(answer, tags, now.instant.into_std());
                }
                poll.busy = 0;
            }
        }
        if self.rounds[poll.group].inquiry.next().is_some() {
            self.poll = Some(poll);
            return None;
        }
        Some(self.polled(&poll, now.time))
    }

    fn polled(&mut self, poll: &Poll, observed: Timestamp) -> Observation {
        self.backoff = Backoff::new();
        let round = &mut self.rounds[poll.group];
        let (answers, plan) = (round.inquiry.answers(), round.inquiry.plan());
        let readings = readings(&self.device.groups[poll.group].tags, plan, &answers, poll.slot);
        self.ledger.refusals(poll.group, plan, &answers);
        round.bad_tags = readings.iter().filter(|reading| matches!(reading.sample, Sample::Bad(_))).count();
        let bad_tags = self.rounds.iter().map(|round| round.bad_tags).sum();
        self.ledger.answered(poll.slot, observed, bad_tags);
        Observation::Polled { source: self.device.source, observed, readings }
    }

    /// Gives the poll up and rests, unless the request is worth a second try; what to say about it, if
    /// anything.
    pub(super) fn failed(&mut self, failure: &Failure, now: Moment) -> Option<Observation> {
        if self.is_unnumbered && failure.may_be_followed_by_a_reply() {
            self.suspect();
            if self.repeats(failure) {
                return None;
            }
        }
        self.rest = Some(now.instant + self.backoff.next());
        self.lost(failure, now.time)
    }

    /// Whether the poll goes on all the same: a line picks up noise, which is no loss of the device as
    /// long as the reply comes through once it is asked for again.
    fn repeats(&mut self, failure: &Failure) -> bool {
        match &mut self.poll {
            Some(poll) if !poll.is_repeated && matches!(failure, Failure::Malformed(_)) => {
                poll.is_repeated = true;
                self.ledger.damaged(failure);
                true
            }
            _ => false,
        }
    }

    /// Remembers that a reply to what was asked may still come, which looks like another one.
    fn suspect(&mut self) {
        let Some(ask) = self.ask() else { return };
        if self.suspicion.is_none() {
            let asked: Vec<Block> = self.rounds.iter().flat_map(|round| round.inquiry.blocks()).collect();
            self.suspicion = harmless(&ask.block, &asked, &self.device.limits);
        }
    }

    /// Gives the poll up because of the line, which rests in its place.
    pub(super) fn lost(&mut self, failure: &Failure, observed: Timestamp) -> Option<Observation> {
        self.poll = None;
        match self.ledger.failed(failure, observed) {
            Standing::Lost => {
                Some(Observation::Lost { source: self.device.source, observed, cause: failure.cause() })
            }
            Standing::StillDown => None,
        }
    }
}
