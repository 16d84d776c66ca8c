//! Replays: delivered events that an operator wants a destination to have once more, with the ids and places
//! that they always had.
//!
//! A replay is an order and how far it is carried out. Both are durable: it goes on after a restart, and what
//! was delivered again in the second before a crash is delivered yet again. While it is active, age takes nothing that it
//! still needs; want of room does, and is counted in [`Replay::missed`]. It never moves a cursor.

mod register;
mod stored;

use std::io;
use std::path::PathBuf;

use penstock_events::{DestinationName, Lane, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::buffer::Buffer;
use crate::error::ReadError;
use crate::per_lane::{PerLane, SequenceRange};
use crate::selection::{Selected, Selection};
pub(crate) use register::Register;
use register::{Change, MAX_ACTIVE};
#[cfg(any(test, fuzzing))]
pub(crate) use stored::rewrite;

/// What is to be delivered again, and how fast.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReplayOrder {
    /// To whom.
    pub destination: DestinationName,
    /// Which events.
    pub selection: Selection,
    /// How many events a second, at most.
    pub per_second: u32,
}

/// A replay and how far it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Replay {
    /// Its number in this store.
    pub id: u32,
    /// What was ordered.
    pub order: ReplayOrder,
    /// When.
    pub ordered: Timestamp,
    /// Whether it goes on.
    pub state: ReplayState,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The part of each lane that it looks through; `None` where there is nothing in it.
    pub lanes: PerLane<Option<ReplaySpan>>,
    /// How many events the destination has taken again.
    pub delivered: u64,
    /// How many events the destination has refused.
    pub refused: u64,
    /// Why it refused the last of them.
    pub last_refusal: Option<String>,
    /// How many places held nothing any more when it came to them: deleted for want of room, or damaged.
    pub missed: u64,
}

/// Whether a replay goes on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayState {
    /// It does.
    Active,
    /// It came to its end.
    Done,
    /// An operator stopped it.
    Cancelled,
}

/// The part of a lane that a replay looks through.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReplaySpan {
    /// Its first place.
    pub first: Sequence,
    /// Where the replay is: everything before is done with.
    pub next: Sequence,
    /// Its last place.
    pub last: Sequence,
}

/// What one step of a replay came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replayed {
    /// Where it was made.
    pub lane: Lane,
    /// Where the next one begins.
    pub next: Sequence,
    /// Events that the destination took.
    pub delivered: u64,
    /// Events that it refused.
    pub refused: u64,
    /// Why it refused the last of them.
    pub last_refusal: Option<String>,
    /// Places that held nothing any more.
    pub missed: u64,
}

/// Why a replay was not taken, found or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nobody of this name is configured.
    #[error("{name} is no destination; those that are configured: {known}")]
    UnknownDestination {
        /// The name as it was given.
        name: DestinationName,
        /// Those that there are.
        known: String,
    },
    /// The selection takes no place that the destination has been given and the buffer still holds.
    #[error(
        "{0} has been given nothing of this that the buffer still holds; `penstock buffer status` shows what it holds"
    )]
    Nothing(DestinationName),
    /// There are too many already.
    #[error("{MAX_ACTIVE} replays are under way already; wait for one, or cancel one")]
    TooMany,
    /// There is no such replay.
    #[error("there is no replay {0}; `penstock buffer status` lists them")]
    Unknown(u32),
    /// It has ended, so it cannot be stopped.
    #[error("replay {0} has ended already")]
    Ended(u32),
    /// The disk failed or is full.
    #[error("{path} cannot be written: {error}; check the disk and its free space")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
}

impl Replay {
    /// Whether it goes on.
    pub fn is_active(&self) -> bool {
        self.state == ReplayState::Active
    }

    /// What it is to look at next; `None` when it has looked at everything.
    pub fn rest(&self) -> Option<(Lane, SequenceRange)> {
        Lane::ALL.into_iter().find_map(|lane| {
            let ReplaySpan { next, last, .. } = self.lanes[lane]?;
            (next <= last).then_some((lane, SequenceRange { first: next, last }))
        })
    }

    /// How many places it is through with, and how many it has in all.
    pub fn progress(&self) -> (u64, u64) {
        let spans = Lane::ALL.into_iter().filter_map(|lane| self.lanes[lane]);
        spans.fold((0, 0), |(done, all), span| {
            (done + span.next.0 - span.first.0, all + span.last.next().0 - span.first.0)
        })
    }
}

impl Buffer {
    /// The part of each lane that a replay of `order` would look through: what its destination has been given and the
    /// buffer still holds. Changes nothing.
    ///
    /// # Errors
    /// When the destination is not configured, or there is nothing to look through.
    pub fn replay_spans(&self, order: &ReplayOrder) -> Result<PerLane<Option<ReplaySpan>>, ReplayError> {
        let ReplayOrder { destination, selection, .. } = order;
        let cursor = |lane| {
            self.cursor(destination, lane).ok_or_else(|| ReplayError::UnknownDestination {
                name: destination.clone(),
                known: self
                    .shared()
                    .destinations
                    .iter()
                    .map(DestinationName::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
        };
        let mut spans = PerLane::default();
        for lane in Lane::ALL {
            let cursor = cursor(lane)?;
            let given =
                self.retained(lane).map(|places| SequenceRange { last: places.last.min(cursor), ..places });
            let places = given.and_then(|given| selection.places(lane, given));
            spans[lane] = places.map(|SequenceRange { first, last }| ReplaySpan { first, next: first, last });
        }
        if spans == PerLane::default() {
            return Err(ReplayError::Nothing(destination.clone()));
        }
        Ok(spans)
    }

    /// Takes an order for a replay. It is durable when this returns; the running gateway carries it out, or the next
    /// one to start.
    ///
    /// # Errors
    /// See [`ReplayError`]; nothing was ordered then.
    pub fn order_replay(&self, order: ReplayOrder, now: Timestamp) -> Result<Replay, ReplayError> {
        let lanes = self.replay_spans(&order)?;
        let made = self.shared().replays.add(|id| Replay {
            id,
            order,
            ordered: now,
            state: ReplayState::Active,
            ended: None,
            lanes,
            delivered: 0,
            refused: 0,
            last_refusal: None,
            missed: 0,
        })?;
        tracing::info!(replay = made.id, destination = %made.order.destination, "a replay was ordered");
        self.shared().new_errands();
        Ok(made)
    }

    /// The replays that are under way and the last that have ended, in the order of their numbers. From memory.
    pub fn replays(&self) -> Vec<Replay> {
        self.shared().replays.all()
    }

    /// The replay to `destination` whose turn it is: the oldest that is under way.
    pub fn replay_in_turn(&self, destination: &DestinationName) -> Option<Replay> {
        self.replays()
            .into_iter()
            .find(|replay| replay.is_active() && replay.order.destination == *destination)
    }

    /// What `replay` is to deliver next, perhaps nothing of what it looked at; `None` when it has looked at
    /// everything. Blocks on disk: not for an async worker.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] when the store does not hold what it should.
    pub fn replay_next(&self, replay: &Replay) -> Result<Option<(Lane, Selected)>, ReadError> {
        let Some((lane, places)) = replay.rest() else { return Ok(None) };
        Ok(Some((lane, self.select(lane, places, &replay.order.selection)?)))
    }

    /// Notes what a step of the replay `id` came to. The replay ends with its last place. Holds at once in memory, and within about a second on disk. Says whether it goes on:
    /// an operator may have stopped it meanwhile.
    pub fn note_replayed(&self, id: u32, step: Replayed, now: Timestamp) -> bool {
        let change = |replay: &mut Replay| {
            if !replay.is_active() {
                return Change::None;
            }
            if let Some(span) = &mut replay.lanes[step.lane] {
                span.next = span.next.max(step.next.min(span.last.next()));
            }
            replay.delivered += step.delivered;
            replay.refused += step.refused;
            replay.missed += step.missed;
            replay.last_refusal = step.last_refusal.or(replay.last_refusal.take());
            if replay.rest().is_some() {
                return Change::Progress;
            }
            (replay.state, replay.ended) = (ReplayState::Done, Some(now));
            let Replay { delivered, refused, missed, .. } = replay;
            tracing::info!(replay = id, delivered, refused, missed, "a replay is done");
            Change::End
        };
        let changed = self.shared().replays.change(id, change);
        let Ok(Some(replay)) = changed.inspect_err(
            |error| tracing::warn!(replay = id, %error, "the progress of a replay is not on disk; a restart would repeat it"),
        ) else {
            return self.shared().replays.get(id).is_some_and(|replay| replay.is_active());
        };
        replay.is_active()
    }

    /// Stops the replay `id` for good.
    ///
    /// # Errors
    /// When there is none under way, or the disk fails.
    pub fn cancel_replay(&self, id: u32, now: Timestamp) -> Result<Replay, ReplayError> {
        let mut was_active = false;
        let changed = self.shared().replays.change(id, |replay| {
            was_active = replay.is_active();
            if !was_active {
                return Change::None;
            }
            (replay.state, replay.ended) = (ReplayState::Cancelled, Some(now));
            Change::End
        })?;
        match changed {
            Some(replay) if was_active => {
                tracing::info!(replay = id, "a replay was cancelled");
                Ok(replay)
            }
            Some(_) => Err(ReplayError::Ended(id)),
            None => Err(ReplayError::Unknown(id)),
        }
    }
}
