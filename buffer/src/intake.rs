//! Intake: forms groups of appends and packs them into blocks, one group ahead of the commit.
//!
//! [`Grouping`] decides when a group goes; it is pure. [`Intake`] is the thread around it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use penstock_events::normalizer::StateChange;
use penstock_events::{Event, Lane};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::block::{PackedBlock, Packer};
use crate::error::AppendError;
use crate::options::GroupCommit;
use crate::per_lane::{Appended, PerLane};
use crate::shared::Shared;
use crate::writer::Work;

/// How many groups may be with the writer: one being committed, one packed and waiting.
const MAX_GROUPS_AHEAD: usize = 2;

/// What reaches the intake.
pub(crate) enum Arrival {
    /// Events to make durable.
    Append(Request),
    /// The writer is done with a group.
    Committed,
    /// The writer is gone.
    WriterStopped,
    /// Commit what came before this, then stop.
    Close,
}

/// One append.
pub(crate) struct Request {
    pub(crate) events: Vec<Event>,
    pub(crate) state: Vec<StateChange>,
    pub(crate) answer: Answer,
}

/// Where an append's caller waits, and the room in the queue that the append takes until then.
pub(crate) struct Answer {
    pub(crate) to: oneshot::Sender<Result<Appended, AppendError>>,
    pub(crate) room: OwnedSemaphorePermit,
}

impl Answer {
    /// Tells the caller and frees the room.
    pub(crate) fn send(self, result: Result<Appended, AppendError>) {
        drop(self.room);
        // A caller that no longer waits has given up its right to know; the events are kept or not all the same.
        drop(self.to.send(result));
    }
}

/// Appends that share a commit, packed.
pub(crate) struct Group {
    pub(crate) shares: Vec<Share>,
    pub(crate) blocks: PerLane<Vec<PackedBlock>>,
    pub(crate) state: Vec<StateChange>,
}

/// One append's part of a group.
pub(crate) struct Share {
    pub(crate) counts: PerLane<u64>,
    pub(crate) answer: Answer,
}

/// When a group goes.
#[derive(Debug)]
struct Grouping {
    limits: GroupCommit,
    /// Groups that are with the writer.
    ahead: usize,
    /// When the last group went.
    last_went: Option<Instant>,
    requests: usize,
    events: usize,
    /// Whether the first request found nothing ahead of it.
    found_idle: bool,
    closing: bool,
}

/// What to do about the group that is forming.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// Hand it over.
    Go,
    /// Wait for the next arrival.
    Wait,
    /// Wait for the next arrival, but not past this time.
    WaitUntil(Instant),
}

impl Grouping {
    fn new(limits: GroupCommit) -> Self {
        Self { limits, ahead: 0, last_went: None, requests: 0, events: 0, found_idle: false, closing: false }
    }

    fn arrived(&mut self, events: usize) {
        if self.requests == 0 {
            self.found_idle = self.ahead == 0;
        }
        self.requests += 1;
        self.events += events;
    }

    fn went(&mut self, now: Instant) {
        self.ahead += 1;
        self.last_went = Some(now);
        self.requests = 0;
        self.events = 0;
    }

    fn committed(&mut self) {
        self.ahead = self.ahead.saturating_sub(1);
    }

    fn verdict(&self, now: Instant) -> Verdict {
        if self.requests == 0 || self.ahead >= MAX_GROUPS_AHEAD {
            return Verdict::Wait;
        }
        if self.closing || self.events >= self.limits.max_events {
            return Verdict::Go;
        }
        // Packing a small group while the disk is busy would only make it smaller than it could be.
        if self.ahead > 0 {
            return Verdict::Wait;
        }
        // Alone and with nothing before it: more would have to come out of nowhere.
        if self.requests == 1 && self.found_idle {
            return Verdict::Go;
        }
        match self.last_went.map(|went| went + self.limits.max_delay) {
            Some(due) if due > now => Verdict::WaitUntil(due),
            Some(_) | None => Verdict::Go,
        }
    }
}

/// The intake thread.
pub(crate) struct Intake {
    shared: Arc<Shared>,
    grouping: Grouping,
    waiting: Vec<Request>,
    packer: Packer,
    writer: Sender<Work>,
}

impl Intake {
    pub(crate) fn new(
        shared: Arc<Shared>,
        limits: GroupCommit,
        packer: Packer,
        writer: Sender<Work>,
    ) -> Self {
        Self { shared, grouping: Grouping::new(limits), waiting: Vec::new(), packer, writer }
    }

    /// Runs until it is closed and everything is handed over, or until the writer is gone.
    pub(crate) fn run(mut self, arrivals: &Receiver<Arrival>) {
        loop {
            // Everything that has queued up belongs to this group before its verdict.
            while let Ok(arrival) = arrivals.try_recv() {
                if !self.apply(arrival) {
                    return;
                }
                if self.grouping.events >= self.grouping.limits.max_events {
                    break;
                }
            }
            let arrival = match self.grouping.verdict(Instant::now()) {
                Verdict::Go => {
                    self.hand_over();
                    continue;
                }
                Verdict::Wait if self.grouping.closing && self.waiting.is_empty() => break,
                Verdict::Wait => arrivals.recv().ok(),
                Verdict::WaitUntil(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    match arrivals.recv_timeout(left.max(Duration::from_micros(1))) {
                        Ok(arrival) => Some(arrival),
                        Err(RecvTimeoutError::Timeout) => continue,
                        Err(RecvTimeoutError::Disconnected) => None,
                    }
                }
            };
            if !arrival.is_some_and(|arrival| self.apply(arrival)) {
                return;
            }
        }
        drop(self.writer.send(Work::Close));
    }

    fn apply(&mut self, arrival: Arrival) -> bool {
        match arrival {
            Arrival::Append(request) => {
                self.grouping.arrived(request.events.len());
                self.waiting.push(request);
            }
            Arrival::Committed => self.grouping.committed(),
            Arrival::Close => self.grouping.closing = true,
            Arrival::WriterStopped => return false,
        }
        true
    }

    fn hand_over(&mut self) {
        self.grouping.went(Instant::now());
        let requests = std::mem::take(&mut self.waiting);
        match self.pack(&requests) {
            Ok(blocks) => {
                let mut group =
                    Group { shares: Vec::with_capacity(requests.len()), blocks, state: Vec::new() };
                let mut packed = Vec::with_capacity(requests.len());
                for Request { events, state, answer } in requests {
                    group.shares.push(Share { counts: counts(&events), answer });
                    group.state.extend(state);
                    packed.push(events);
                }
                drop(self.writer.send(Work::Group(group)));
                // Many small things to give back: the commit does not wait for that.
                drop(packed);
            }
            // The requests are dropped, and their callers told by that.
            Err(error) => {
                self.shared.fail(|| format!("blocks cannot be compressed: {error}"));
                self.grouping.committed();
            }
        }
    }

    fn pack(&mut self, requests: &[Request]) -> std::io::Result<PerLane<Vec<PackedBlock>>> {
        let mut events = PerLane::from_fn(|_| Vec::with_capacity(self.grouping.limits.max_events));
        for event in requests.iter().flat_map(|request| &request.events) {
            events[event.lane()].push(event);
        }
        let mut blocks = PerLane::default();
        for lane in Lane::ALL {
            self.packer.pack(&events[lane], &mut blocks[lane])?;
        }
        Ok(blocks)
    }
}

fn counts(events: &[Event]) -> PerLane<u64> {
    let mut counts = PerLane::default();
    events.iter().for_each(|event| counts[event.lane()] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: GroupCommit = GroupCommit { max_delay: Duration::from_millis(50), max_events: 100 };

    #[test]
    fn a_lone_append_goes_at_once_however_lately_another_went() {
        let now = Instant::now();
        let mut grouping = Grouping::new(LIMITS);
        for _ in 0..3 {
            grouping.arrived(1);
            assert_eq!(grouping.verdict(now), Verdict::Go);
            grouping.went(now);
            grouping.committed();
        }
    }

    #[test]
    fn appends_that_came_during_a_commit_wait_for_more_but_not_past_the_delay() {
        let now = Instant::now();
        let mut grouping = Grouping::new(LIMITS);
        grouping.arrived(1);
        grouping.went(now);
        grouping.arrived(1);
        assert_eq!(grouping.verdict(now), Verdict::Wait, "the disk is busy");
        grouping.committed();
        assert_eq!(grouping.verdict(now), Verdict::WaitUntil(now + LIMITS.max_delay));
        assert_eq!(grouping.verdict(now + LIMITS.max_delay), Verdict::Go);
    }

    #[test]
    fn a_full_group_goes_while_another_is_committed_but_no_third() {
        let now = Instant::now();
        let mut grouping = Grouping::new(LIMITS);
        for _ in 0..MAX_GROUPS_AHEAD {
            grouping.arrived(99);
            grouping.arrived(1);
            assert_eq!(grouping.verdict(now), Verdict::Go);
            grouping.went(now);
        }
        grouping.arrived(100);
        assert_eq!(grouping.verdict(now), Verdict::Wait);
        grouping.committed();
        assert_eq!(grouping.verdict(now), Verdict::Go);
    }

    #[test]
    fn closing_waits_for_nothing_but_the_writer() {
        let now = Instant::now();
        let mut grouping = Grouping::new(LIMITS);
        grouping.arrived(1);
        grouping.went(now);
        grouping.arrived(1);
        grouping.closing = true;
        assert_eq!(grouping.verdict(now), Verdict::Go);
        grouping.went(now);
        assert_eq!(grouping.verdict(now), Verdict::Wait, "there is nothing left");
    }
}
