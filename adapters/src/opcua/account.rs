//! What the gateway knows of a server's tags, over all its sessions, and the way onwards for what it learns.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use opcua::types::StatusCode;
use penstock_events::{
    Cause, Condition, ConditionId, MAX_CONDITIONS_TOLD, Observation, Reading, Sample, Timestamp,
};
use tokio::sync::mpsc;

use super::conditions::{Notice, Watch};
use super::dating::{Dating, batches};
use super::decode::{self, Received};
use super::failure::Failure;
use super::history::Absences;
use super::ledger::{EventCounts, Ledger, Standing};
use super::server::Server;
use super::structure::Fault;
use super::visit::Succession;
use crate::Clock;

/// Nobody receives observations any more.
#[derive(Debug)]
pub(super) struct Unheard;

/// What is known, and to whom it is told.
pub(super) struct Account {
    pub(super) server: Arc<Server>,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    /// What is missing of the values, each by the first of the tags that share it, and what waits for it.
    pub(super) absences: Absences,
    /// What the session before left at the server.
    pub(super) succession: Succession,
    observations: mpsc::Sender<Observation>,
    /// What there was no room for yet.
    outbox: VecDeque<Observation>,
    dating: Dating,
    /// The last sample of each tag from the server.
    known: Vec<Option<Sample>>,
    bad: Vec<bool>,
    /// How many are: there may be many tags, and a message says little of them.
    bad_tags: usize,
    /// Tags whose values cannot be read, and why.
    faults: HashMap<usize, Fault>,
    /// The conditions of each notifier, and whether the server refuses it.
    watches: Vec<Watch>,
    refused: Vec<bool>,
}

/// Readings in the making, to be told together.
pub(super) struct News {
    /// When what they are made of came.
    pub(super) observed: Timestamp,
    readings: Vec<Reading>,
    values: u64,
    overflows: u64,
    events: EventCounts,
    told: Vec<Told>,
    complete: Option<Timestamp>,
}

/// What the notifier at `index` told.
enum Told {
    One { index: usize, condition: Condition },
    All { index: usize, time: Timestamp, active: BTreeSet<ConditionId> },
}

impl Account {
    pub(super) fn new(
        server: Arc<Server>,
        ledger: Ledger,
        clock: Clock,
        observations: mpsc::Sender<Observation>,
    ) -> Self {
        let (tags, notifiers) = (server.tags.len(), server.notifiers.len());
        if notifiers > 0 {
            ledger.alarms(EventCounts::default(), 0, None);
        }
        Self {
            absences: Absences::new(tags, server.history),
            server,
            ledger,
            clock,
            observations,
            succession: Succession::default(),
            outbox: VecDeque::new(),
            dating: Dating::new(tags),
            known: vec![None; tags],
            bad: vec![false; tags],
            bad_tags: 0,
            faults: HashMap::new(),
            watches: std::iter::repeat_with(Watch::default).take(notifiers).collect(),
            refused: vec![false; notifiers],
        }
    }

    /// Takes a value for the tags that share it.
    pub(super) fn value(&mut self, tags: &[usize], received: &Received<'_>, news: &mut News) {
        news.values += 1;
        news.overflows += u64::from(received.overflowed());
        for &index in tags {
            let sample = self.part(index, received);
            self.sample(index, sample, received.time(), news);
        }
    }

    /// Takes a value that was read at `slot`: it has its own time if it is of the time since the poll before.
    pub(super) fn polled(
        &mut self,
        tags: &[usize],
        received: &Received<'_>,
        slot: Timestamp,
        news: &mut News,
    ) {
        let observed = self.clock.now();
        let is_fresh = |time: &Timestamp| {
            *time <= observed && slot.checked_since(*time).is_none_or(|age| age < self.server.poll)
        };
        let time = received.time().filter(is_fresh).unwrap_or(slot);
        news.values += 1;
        for &index in tags {
            let sample = self.part(index, received);
            self.sample(index, sample, Some(time), news);
        }
    }

    /// The part of a value that the tag at `index` is. Why it has none is logged once, if somebody must mend it.
    fn part(&mut self, index: usize, received: &Received<'_>) -> Sample {
        let tag = &self.server.tags[index];
        let (sample, fault) = received.sample(&tag.part);
        let known = match fault.filter(Fault::is_lasting) {
            Some(fault) => {
                let known = self.faults.insert(index, fault.clone());
                (known.as_ref() != Some(&fault)).then(|| Some(fault.to_string()))
            }
            None if self.faults.is_empty() => None,
            None => self.faults.remove(&index).map(|_mended| None),
        };
        if let Some(reason) = known {
            self.ledger.unreadable(tag.path.as_str(), reason.as_deref());
        }
        sample
    }

    fn sample(&mut self, index: usize, sample: Sample, time: Option<Timestamp>, news: &mut News) {
        let is_other = self.known[index].as_ref() != Some(&sample);
        let time = self.dating.time(index, time, news.observed, is_other);
        self.mark(index, matches!(sample, Sample::Bad(_)));
        self.known[index] = Some(sample.clone());
        news.readings.push(Reading { tag: self.server.tags[index].id, sample, time });
    }

    fn mark(&mut self, index: usize, is_bad: bool) {
        let was_bad = std::mem::replace(&mut self.bad[index], is_bad);
        self.bad_tags = self.bad_tags + usize::from(is_bad) - usize::from(was_bad);
    }

    /// The server refuses the tag at `index`.
    pub(super) fn refused(&mut self, index: usize, status: StatusCode, news: &mut News) {
        let now = self.clock.now();
        self.dating.declare_bad(index);
        self.mark(index, true);
        let sample = Sample::Bad(decode::cause(status));
        news.readings.push(Reading { tag: self.server.tags[index].id, sample, time: now });
    }

    /// The server has no other value of the tag at `index` than the one that is known: after an outage through
    /// which the session lived, what did not change is as good as before.
    pub(super) fn confirmed(&mut self, index: usize, news: &mut News) {
        if self.dating.is_declared_bad(index)
            && let Some(sample) = self.known[index].clone()
        {
            self.sample(index, sample, Some(self.clock.now()), news);
        }
    }

    /// Takes what an event of the notifier at `index` says.
    pub(super) fn noticed(&mut self, index: usize, notice: Notice, news: &mut News) {
        let watch = &mut self.watches[index];
        match notice {
            Notice::Condition(condition) => {
                watch.told(&condition);
                news.events.told += 1;
                news.told.push(Told::One { index, condition });
            }
            Notice::RefreshBegins => watch.begins(),
            Notice::RefreshEnds(time) => {
                if let Some(active) = watch.ends() {
                    news.complete = Some(self.clock.now());
                    news.told.push(Told::All { index, time, active });
                }
            }
            Notice::Unusable => news.events.unusable += 1,
            Notice::Overflow => news.events.overflows += 1,
            Notice::RefreshRequired | Notice::Other => {}
        }
    }

    /// Something that the server said of conditions may be missing.
    pub(super) fn doubt_alarms(&mut self) {
        self.watches.iter_mut().for_each(Watch::doubt);
    }

    /// The server refuses the notifier at `index`, or takes it after all.
    pub(super) fn notifier_refused(&mut self, index: usize, reason: Option<&str>) {
        let was_refused = std::mem::replace(&mut self.refused[index], reason.is_some());
        if was_refused || reason.is_some() {
            self.ledger.refused(self.server.notifiers[index].path.as_str(), reason);
        }
    }

    /// Tells what was learnt, and waits for room: what nobody has room for is better late than lost.
    pub(super) async fn tell(&mut self, news: News) -> Result<(), Unheard> {
        let News { observed: _, readings, values, overflows, events, told, complete } = news;
        let observed = self.clock.now();
        let bad_tags = self.bad_tags + self.refused.iter().filter(|refused| **refused).count();
        self.ledger.heard(observed, values, overflows, bad_tags);
        self.ledger.gaps(self.absences.take_gaps());
        if !self.watches.is_empty() {
            let active = self.watches.iter().map(Watch::active).sum();
            self.ledger.alarms(events, active, complete);
        }
        let source = self.server.source;
        let batches = batches(readings).into_iter();
        self.outbox.extend(batches.map(|readings| Observation::Polled { source, observed, readings }));
        self.outbox.extend(self.told(told, observed));
        self.send().await
    }

    /// What was told as observations, in its order: neighbours of one notifier together.
    fn told(&self, told: Vec<Told>, observed: Timestamp) -> Vec<Observation> {
        let source = self.server.source;
        let tag = |index: usize| self.server.notifiers[index].id;
        let mut observations = Vec::new();
        for told in told {
            match (told, observations.last_mut()) {
                (Told::One { index, condition }, Some(Observation::Told { tag: last, conditions, .. }))
                    if *last == tag(index) && conditions.len() < MAX_CONDITIONS_TOLD =>
                {
                    conditions.push(condition);
                }
                (Told::One { index, condition }, _) => {
                    let conditions = vec![condition];
                    observations.push(Observation::Told { source, observed, tag: tag(index), conditions });
                }
                (Told::All { index, time, active }, _) => {
                    observations.push(Observation::ToldAll {
                        source,
                        observed,
                        tag: tag(index),
                        time,
                        active,
                    });
                }
            }
        }
        observations
    }

    /// Tells that the server answers.
    pub(super) async fn answers(&mut self) -> Result<(), Unheard> {
        let observed = self.clock.now();
        self.ledger.answers(observed);
        self.say(Observation::Polled { source: self.server.source, observed, readings: Vec::new() }).await
    }

    /// Tells that the server does not answer, unless that is known.
    pub(super) async fn lost(&mut self, failure: &Failure) -> Result<(), Unheard> {
        let observed = self.clock.now();
        if self.ledger.failed(failure, observed) == Standing::StillDown {
            return Ok(());
        }
        self.dating.declare_all_bad();
        let cause: Cause = failure.cause();
        self.say(Observation::Lost { source: self.server.source, observed, cause }).await
    }

    async fn say(&mut self, observation: Observation) -> Result<(), Unheard> {
        self.outbox.push_back(observation);
        self.send().await
    }

    /// Sends what there is to send. May be dropped while it waits: the rest goes before what comes next.
    async fn send(&mut self) -> Result<(), Unheard> {
        while !self.outbox.is_empty() {
            let room = self.observations.reserve().await.map_err(|_closed| Unheard)?;
            if let Some(observation) = self.outbox.pop_front() {
                room.send(observation);
            }
        }
        Ok(())
    }
}

impl News {
    /// Nothing yet of what came at this time.
    pub(super) fn at(observed: Timestamp) -> Self {
        Self {
            observed,
            readings: Vec::new(),
            values: 0,
            overflows: 0,
            events: EventCounts::default(),
            told: Vec::new(),
            complete: None,
        }
    }

    /// Whether there is nothing to tell.
    pub(super) fn is_empty(&self) -> bool {
        self.readings.is_empty() && self.told.is_empty()
    }
}
