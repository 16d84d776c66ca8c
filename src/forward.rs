//! The way out: one forwarder for each lane of each destination. It owns order, retry and the cursor.
//!
//! A forwarder reads on from its cursor, keeps many deliveries in flight, and moves the cursor over
//! the unbroken run of those that are confirmed. After any failure it goes back to the cursor: what
//! was in flight is delivered again, with the same ids. An event that is refused for good is kept as a
//! dead letter before the cursor passes it.

mod backlog;
mod burial;
mod errand;
mod refusals;
mod replay;
mod retry;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::FutureExt;
use penstock_buffer::{Buffer, Refusal, Refused};
use penstock_events::cloudevent::{CloudEvent, Origin};
use penstock_events::{DestinationName, Event, Lane, Sequence, StreamId, Timestamp};
use penstock_uplink::Outcome;
use penstock_uplink::mqtt::{Link, MqttUplink, Publishing, Topic, TopicPrefix, TopicTemplate};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use backlog::{Backlog, Outgoing};
use burial::{Burial, Buried};
pub(crate) use errand::Courier;
use refusals::{Clarity, Refusals, Tried, Verdict};
pub(crate) use replay::Replays;
pub(crate) use retry::Retry;

/// The first pause after a failed delivery; a passing fault costs no more.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: an uplink that comes back is used within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where events go, and how they are addressed.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Where to.
    pub(crate) destination: DestinationName,
    /// Whose events.
    pub(crate) origin: Origin,
    /// The first level of every topic.
    pub(crate) prefix: TopicPrefix,
    /// The topic of an event.
    pub(crate) topic: TopicTemplate,
}

/// An event as it travels: where to, and what.
pub(crate) struct Letter {
    pub(crate) topic: Topic,
    pub(crate) document: Vec<u8>,
}

impl Route {
    /// The event at this place as it travels, the same whenever it is sent.
    pub(crate) fn letter(&self, stream: &StreamId, sequence: Sequence, event: &Event) -> Letter {
        Letter {
            topic: self.topic.expand(&self.prefix, &self.origin, event),
            document: CloudEvent { origin: &self.origin, stream, sequence, event }.to_json(),
        }
    }
}

/// Delivers one lane to one destination.
pub(crate) struct Forwarder {
    destination: DestinationName,
    lane: Lane,
    /// Deliveries that may wait for their confirmation at once.
    window: usize,
    buffer: Buffer,
    uplink: MqttUplink,
    backlog: Backlog,
    in_flight: VecDeque<InFlight>,
    refusals: Refusals,
    burial: Burial,
    /// Dead letters beyond the cursor, which a crash leaves: their events are sent again.
    letters_ahead: BTreeSet<Sequence>,
}

/// An event that has been sent and not been answered.
struct InFlight {
    sequence: Sequence,
    event: Event,
    publishing: Publishing,
}

/// An event with the answer to it.
struct Answered {
    sequence: Sequence,
    event: Event,
    outcome: Outcome,
}

/// Why a run of deliveries ended.
enum Interruption {
    /// The process stops.
    Stopped,
    /// A delivery was not confirmed; it may be the next time.
    Failed(String),
    /// The destination did not take this event and gave no reason; it is tried again.
    Doubted(Sequence, String),
    /// One event after another is refused.
    Flood { reason: String, is_new: bool },
    /// This event was refused for good, and there is no room for its dead letter.
    NoRoom(Sequence, String),
}

/// What a run of answers came to.
#[derive(Default)]
struct Settled {
    /// Up to where every event is delivered or is to be a dead letter.
    through: Option<Sequence>,
    refused: Vec<Refused>,
    /// Dead letters whose events were taken after all.
    taken: Vec<Sequence>,
    interruption: Option<Interruption>,
}

impl Forwarder {
    /// A forwarder over `uplink` for one lane, with at most `window` deliveries under way.
    pub(crate) fn new(route: Route, lane: Lane, window: usize, buffer: Buffer, uplink: MqttUplink) -> Self {
        let destination = route.destination.clone();
        Self {
            backlog: Backlog::new(route, lane, buffer.clone()),
            burial: Burial::new(buffer.clone(), destination.clone(), lane),
            in_flight: VecDeque::with_capacity(window),
            refusals: Refusals::default(),
            letters_ahead: BTreeSet::new(),
            destination,
            lane,
            window,
            buffer,
            uplink,
        }
    }

    /// Delivers until `stop`.
    ///
    /// # Errors
    /// When the buffer cannot be read or its cursor cannot be moved.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut link = self.uplink.link();
        let mut pauses = pauses();
        let mut held = None;
        let mut interrupted = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                online = link.wait_for(Link::is_online) => drop(online.context("the connection is gone")?),
            }
            if std::mem::take(&mut interrupted) {
                info!(destination = %self.destination, lane = %self.lane, "delivery resumes");
            }
            let before = self.cursor()?;
            let interruption = self.deliver(before, &stop).await?;
            if self.cursor()? > before && !self.refusals.is_flood() {
                pauses = self::pauses();
            }
            if matches!(interruption, Interruption::Stopped) {
                return Ok(());
            }
            interrupted = matches!(interruption, Interruption::Failed(_));
            self.tell(&interruption, &mut held);
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Logs an interruption; a flood and an event that is `held` for want of room only when they begin.
    fn tell(&self, interruption: &Interruption, held: &mut Option<Sequence>) {
        let Self { destination, lane, .. } = self;
        match interruption {
            Interruption::Stopped => {}
            Interruption::Failed(reason) => {
                warn!(%destination, %lane, reason, "delivery interrupted; undelivered events wait in the buffer");
            }
            Interruption::Doubted(sequence, reason) => {
                warn!(%destination, %lane, %sequence, reason,
                    "the destination does not take an event and gives no reason; it is tried again");
            }
            Interruption::Flood { reason, is_new: true } => {
                error!(%destination, %lane, reason,
                    "the destination refuses one event after another; the lane slows down until it takes one");
            }
            Interruption::Flood { reason, .. } => debug!(%destination, %lane, reason, "refused again"),
            Interruption::NoRoom(sequence, reason) if held.replace(*sequence) != Some(*sequence) => {
                error!(%destination, %lane, %sequence, reason,
                    "the destination refuses an event and its dead letters are full; the lane waits: \
                     retry or discard some with `penstock dead`");
            }
            Interruption::NoRoom(sequence, _) => {
                debug!(%destination, %lane, %sequence, "there is still no room");
            }
        }
    }

    fn cursor(&self) -> anyhow::Result<Sequence> {
        self.buffer.cursor(&self.destination, self.lane).context("the buffer does not know the destination")
    }

    /// Delivers what follows `cursor`, until something stands in the way.
    async fn deliver(&mut self, cursor: Sequence, stop: &CancellationToken) -> anyhow::Result<Interruption> {
        self.in_flight.clear();
        self.backlog.rewind(cursor);
        self.letters_ahead = self.buffer.dead_letters_beyond(&self.destination, self.lane, cursor);
        loop {
            let has_room = self.in_flight.len() < self.refusals.window(self.window);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Interruption::Stopped),
                answered = oldest(&mut self.in_flight) => {
                    if let Some(interruption) = self.settle(answered).await? {
                        return Ok(interruption);
                    }
                }
                next = self.backlog.next(), if has_room => {
                    let Outgoing { sequence, event, letter } = next?;
                    tokio::select! {
                        () = stop.cancelled() => return Ok(Interruption::Stopped),
                        publishing = self.uplink.publish(letter.topic, letter.document) => {
                            self.in_flight.push_back(InFlight { sequence, event, publishing });
                        }
                    }
                }
            }
        }
    }

    /// Takes the answer to the oldest delivery and to all behind it that are answered too, keeps what is
    /// refused for good, and moves the cursor once.
    async fn settle(&mut self, answered: Answered) -> anyhow::Result<Option<Interruption>> {
        let mut settled = Settled::default();
        let mut next = Some(answered);
        while let Some(answered) = next.take() {
            self.judge(answered, &mut settled);
            if settled.interruption.is_none() {
                next = oldest(&mut self.in_flight).now_or_never();
            }
        }
        let Settled { mut through, refused, taken, mut interruption } = settled;
        if let Some(first) = refused.first().map(|refused| refused.sequence) {
            let stuck = match self.burial.keep(refused).await {
                Ok(Buried::All) => None,
                Ok(Buried::NoRoom(at, reason)) => Some((at, Interruption::NoRoom(at, reason))),
                Err(error) => {
                    let reason = format!("refused events cannot be kept: {error:#}");
                    Some((first, Interruption::Failed(reason)))
                }
            };
            if let Some((at, reason)) = stuck {
                through = Some(Sequence(at.0 - 1));
                interruption = Some(reason);
            }
        }
        self.burial.undo(taken).await;
        if let Some(through) = through {
            self.buffer.ack(&self.destination, self.lane, through).context("cannot move the cursor")?;
        }
        Ok(interruption)
    }

    /// Adds one answer to what `settled` came to.
    fn judge(&mut self, Answered { sequence, event, outcome }: Answered, settled: &mut Settled) {
        let (clarity, reason, code) = match outcome {
            Outcome::Delivered => {
                self.refusals.delivered();
                settled.through = Some(sequence);
                if self.letters_ahead.remove(&sequence) {
                    settled.taken.push(sequence);
                }
                return;
            }
            Outcome::Failed { reason } => {
                settled.interruption = Some(Interruption::Failed(reason));
                return;
            }
            Outcome::Refused { reason, code } => (Clarity::Final, reason, code),
            Outcome::Unclear { reason, code } => (Clarity::Unclear, reason, code),
        };
        let now = now();
        let Tried { first, attempts } = match self.refusals.refused(sequence, clarity, now) {
            Verdict::TryAgain => {
                settled.interruption = Some(Interruption::Doubted(sequence, reason));
                return;
            }
            Verdict::Bury(tried) => tried,
            Verdict::BuryAndPause(tried) => {
                let is_new = self.refusals.flood_begins();
                settled.interruption = Some(Interruption::Flood { reason: reason.clone(), is_new });
                tried
            }
        };
        settled.through = Some(sequence);
        let refusal = Refusal { reason, code, first, last: now, attempts };
        settled.refused.push(Refused { lane: self.lane, sequence, event, refusal });
    }
}

/// The answer to the oldest delivery, which is then no longer in flight; never while there is none.
async fn oldest(in_flight: &mut VecDeque<InFlight>) -> Answered {
    let Some(first) = in_flight.front_mut() else { return std::future::pending().await };
    let outcome = (&mut first.publishing).await;
    let InFlight { sequence, event, .. } = in_flight.pop_front().expect("it was just looked at");
    Answered { sequence, event, outcome }
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}
