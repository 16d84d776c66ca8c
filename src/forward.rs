//! The way out: one forwarder for each lane of each destination. It owns order, retry and the cursor.
//!
//! A forwarder reads on from its cursor, keeps many deliveries in flight, and moves the cursor over
//! the unbroken run of those that are confirmed. After any failure it goes back to the cursor: what
//! was in flight is delivered again, with the same ids.

mod backlog;

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Context;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::FutureExt;
use penstock_buffer::Buffer;
use penstock_events::cloudevent::Origin;
use penstock_events::{DestinationName, Lane, Sequence};
use penstock_uplink::Outcome;
use penstock_uplink::mqtt::{Link, MqttUplink, Publishing, TopicPrefix, TopicTemplate};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use backlog::Backlog;

/// The first pause after a failed delivery; a passing fault costs no more.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: an uplink that comes back is used within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is delivered where, and how it is addressed.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Where to.
    pub(crate) destination: DestinationName,
    /// Which events.
    pub(crate) lane: Lane,
    /// Whose events.
    pub(crate) origin: Origin,
    /// The first level of every topic.
    pub(crate) prefix: TopicPrefix,
    /// The topic of an event.
    pub(crate) topic: TopicTemplate,
    /// Deliveries that may wait for their confirmation at once.
    pub(crate) window: usize,
}

/// Delivers one lane to one destination.
pub(crate) struct Forwarder {
    route: Route,
    buffer: Buffer,
    uplink: MqttUplink,
    backlog: Backlog,
    in_flight: VecDeque<(Sequence, Publishing)>,
}

/// Why a run of deliveries ended.
enum Interruption {
    /// The process stops.
    Stopped,
    /// A delivery was not confirmed; it may be the next time.
    Failed(String),
    /// The destination will not take an event.
    Refused(Sequence, String),
}

impl Forwarder {
    /// A forwarder over `uplink` for what `route` says.
    pub(crate) fn new(route: Route, buffer: Buffer, uplink: MqttUplink) -> Self {
        let backlog = Backlog::new(route.clone(), buffer.clone());
        let in_flight = VecDeque::with_capacity(route.window);
        Self { route, buffer, uplink, backlog, in_flight }
    }

    /// Delivers until `stop`.
    ///
    /// # Errors
    /// When the buffer cannot be read or its cursor cannot be moved.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let Route { destination, lane, .. } = self.route.clone();
        let mut link = self.uplink.link();
        let mut pauses = pauses();
        let mut interrupted = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                online = link.wait_for(Link::is_online) => drop(online.context("the connection is gone")?),
            }
            if std::mem::replace(&mut interrupted, true) {
                info!(%destination, %lane, "delivery resumes");
            }
            let before = self.cursor()?;
            let interruption = self.deliver(before, &stop).await?;
            if self.cursor()? > before {
                pauses = self::pauses();
            }
            match interruption {
                Interruption::Stopped => return Ok(()),
                Interruption::Failed(reason) => {
                    warn!(%destination, %lane, reason, "delivery interrupted; undelivered events wait in the buffer");
                }
                Interruption::Refused(sequence, reason) => {
                    error!(%destination, %lane, %sequence, reason,
                        "the destination refuses an event; the lane waits for it to be taken");
                }
            }
            let pause = pauses.next().unwrap_or(LONGEST_PAUSE);
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(());
            }
        }
    }

    fn cursor(&self) -> anyhow::Result<Sequence> {
        let Route { destination, lane, .. } = &self.route;
        self.buffer.cursor(destination, *lane).context("the buffer does not know the destination")
    }

    /// Delivers what follows `cursor`, until something stands in the way.
    async fn deliver(&mut self, cursor: Sequence, stop: &CancellationToken) -> anyhow::Result<Interruption> {
        self.in_flight.clear();
        self.backlog.rewind(cursor);
        loop {
            let has_room = self.in_flight.len() < self.route.window;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Interruption::Stopped),
                (sequence, outcome) = oldest(&mut self.in_flight) => {
                    if let Some(interruption) = self.settle(sequence, outcome)? {
                        return Ok(interruption);
                    }
                }
                next = self.backlog.next(), if has_room => {
                    let next = next?;
                    tokio::select! {
                        () = stop.cancelled() => return Ok(Interruption::Stopped),
                        publishing = self.uplink.publish(next.topic, next.document) => {
                            self.in_flight.push_back((next.sequence, publishing));
                        }
                    }
                }
            }
        }
    }

    /// Takes the outcome of the oldest delivery and of all behind it that are settled too, and moves
    /// the cursor once.
    fn settle(&mut self, sequence: Sequence, outcome: Outcome) -> anyhow::Result<Option<Interruption>> {
        let mut confirmed = None;
        let mut settled = Some((sequence, outcome));
        let mut interruption = None;
        while let Some((sequence, outcome)) = settled.take() {
            match outcome {
                Outcome::Delivered => confirmed = Some(sequence),
                Outcome::Failed { reason } => interruption = Some(Interruption::Failed(reason)),
                Outcome::Refused { reason } => interruption = Some(Interruption::Refused(sequence, reason)),
            }
            if interruption.is_none() {
                settled = oldest(&mut self.in_flight).now_or_never();
            }
        }
        if let Some(through) = confirmed {
            let Route { destination, lane, .. } = &self.route;
            self.buffer.ack(destination, *lane, through).context("cannot move the cursor")?;
        }
        Ok(interruption)
    }
}

/// The outcome of the oldest delivery, which is then no longer in flight; never while there is none.
async fn oldest(in_flight: &mut VecDeque<(Sequence, Publishing)>) -> (Sequence, Outcome) {
    let Some((sequence, publishing)) = in_flight.front_mut() else { return std::future::pending().await };
    let settled = (*sequence, publishing.await);
    in_flight.pop_front();
    settled
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}
