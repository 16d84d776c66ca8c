//! Replays: delivered events on their way once more, no faster than was ordered, and behind live traffic.

use std::time::Duration;

use penstock_buffer::{Batch, DeadLetterError, DeadLetterId, Replay, Replayed};
use penstock_events::{Event, Lane, Sequence, StreamId};
use penstock_uplink::Outcome;
use tokio::time::{Instant, sleep, sleep_until};

use super::errand::{Courier, Errand, Round, TOGETHER};
use super::now;

/// A replay waits while more live events than this do: more than a lane keeps in flight, so that delivery that
/// keeps up is no reason to wait, and a backlog is.
const LIVE_BACKLOG: u64 = 1_000;
/// How often a replay that waits for live traffic looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A slow replay sends single events and a fast one bursts: so many a second.
const BURSTS_PER_SECOND: u32 = 10;

/// Carries out the replays to one destination, one after the other.
pub(crate) struct Replays {
    load: Option<Load>,
    /// When the ordered rate allows the next delivery.
    due: Instant,
}

/// What was read of a replay and not delivered yet.
struct Load {
    replay: u32,
    lane: Lane,
    stream: StreamId,
    events: std::vec::IntoIter<(Sequence, Event)>,
    /// Where the replay is when these are delivered.
    next: Sequence,
    missing: u64,
}

impl Default for Replays {
    fn default() -> Self {
        Self { load: None, due: Instant::now() }
    }
}

impl Errand for Replays {
    const CARGO: &'static str = "replay";

    async fn round(&mut self, courier: &Courier) -> anyhow::Result<Round> {
        let Some(replay) = courier.buffer.replay_in_turn(&courier.route.destination) else {
            self.load = None;
            return Ok(Round::Idle);
        };
        if live_backlog(courier) > LIVE_BACKLOG {
            sleep(LOOK_EVERY).await;
            return Ok(Round::Answered);
        }
        let mut load = match self.load.take().filter(|load| load.replay == replay.id) {
            Some(load) => load,
            None => read(courier, replay.clone()).await?,
        };
        let burst = (replay.order.per_second / BURSTS_PER_SECOND).clamp(1, TOGETHER as u32);
        let burst: Vec<_> = load.events.by_ref().take(burst as usize).collect();
        self.wait_for_turn(burst.len(), replay.order.per_second).await;
        let places: Vec<Sequence> = burst.iter().map(|(place, _)| *place).collect();
        let outcomes =
            courier.deliver(burst.iter().map(|(place, event)| (&load.stream, *place, event))).await;
        let step = match load.step(&places, outcomes) {
            Ok(step) => step,
            Err(reason) => return Ok(Round::Failed(reason)),
        };
        if !load.events.as_slice().is_empty() {
            self.load = Some(load);
        }
        note(courier, replay, step).await?;
        Ok(Round::Answered)
    }
}

impl Replays {
    /// Waits until so many events may be sent.
    async fn wait_for_turn(&mut self, events: usize, per_second: u32) {
        sleep_until(self.due).await;
        let seconds = events as f64 / f64::from(per_second.max(1));
        self.due = self.due.max(Instant::now()) + Duration::from_secs_f64(seconds);
    }
}

/// A step of a replay, with the places whose events were taken.
struct Step {
    what: Replayed,
    taken: Vec<Sequence>,
}

impl Load {
    /// What the answers to the last deliveries come to. One that was not answered makes all of them be made again.
    fn step(&mut self, places: &[Sequence], outcomes: Vec<Outcome>) -> Result<Step, String> {
        let is_last = self.events.as_slice().is_empty();
        let next = match places.last() {
            Some(last) if !is_last => last.next(),
            _ => self.next,
        };
        let missed = std::mem::take(&mut self.missing);
        let lane = self.lane;
        let mut what = Replayed { lane, next, delivered: 0, refused: 0, last_refusal: None, missed };
        let mut taken = Vec::with_capacity(places.len());
        for (place, outcome) in places.iter().zip(outcomes) {
            match outcome {
                Outcome::Delivered => taken.push(*place),
                Outcome::Refused { reason, .. } | Outcome::Unclear { reason, .. } => {
                    what.refused += 1;
                    what.last_refusal = Some(reason);
                }
                Outcome::Failed { reason } => return Err(reason),
            }
        }
        what.delivered = taken.len() as u64;
        Ok(Step { what, taken })
    }
}

/// How many live events wait for this destination.
fn live_backlog(courier: &Courier) -> u64 {
    let status = courier.buffer.status();
    let lanes = status.destinations.get(&courier.route.destination);
    lanes.map_or(0, |lanes| Lane::ALL.into_iter().map(|lane| lanes[lane].backlog).sum())
}

/// Reads what comes next of `replay`.
async fn read(courier: &Courier, replay: Replay) -> anyhow::Result<Load> {
    let id = replay.id;
    let found = courier.with_buffer(move |buffer| buffer.replay_next(&replay)).await?;
    let (lane, found) = found.ok_or_else(|| anyhow::anyhow!("replay {id} has come to its end"))?;
    let Batch { stream, events } = found.batch;
    Ok(Load {
        replay: id,
        lane,
        stream,
        events: events.into_iter(),
        next: found.next,
        missing: found.missing,
    })
}

/// Notes a step. An event that had been refused for good and is taken by this leaves no dead letter.
async fn note(courier: &Courier, replay: Replay, Step { what, taken }: Step) -> anyhow::Result<()> {
    let destination = courier.route.destination.clone();
    courier
        .with_buffer(move |buffer| {
            for sequence in taken {
                let destination = destination.clone();
                buffer.settle_dead_letter(&DeadLetterId { destination, lane: what.lane, sequence })?;
            }
            buffer.note_replayed(replay.id, what, now());
            Ok::<_, DeadLetterError>(())
        })
        .await
}
