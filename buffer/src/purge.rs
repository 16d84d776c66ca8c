//! Purging: what every destination has is deleted before its time, because an operator wants the room.
//! It refuses to touch what is not delivered, what a replay needs, and generations that still grow.

use penstock_events::{Lane, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::buffer::Buffer;
use crate::per_lane::PerLane;
use crate::shared::lock;
use crate::status::GenerationInfo;
use crate::writer::Work;

/// What to purge; everything that may go by default.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Purge {
    /// Only of this lane.
    pub lane: Option<Lane>,
    /// Only generations that end at this place or before it.
    pub to: Option<Sequence>,
    /// Only generations whose events are all earlier than this, by their `time`.
    pub until: Option<Timestamp>,
}

/// Why a purge was not carried out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PurgeError {
    /// The disk refuses changes, or the buffer is closing.
    #[error("nothing can be deleted at present: {0}; try again when the buffer accepts events")]
    Refused(String),
}

impl Buffer {
    /// The generations that `purge` would delete, the oldest of each lane first: sealed, delivered to every destination
    /// and needed by no replay. Changes nothing.
    pub fn purgeable(&self, purge: &Purge) -> Vec<GenerationInfo> {
        let needed_from = self.shared().replays.needed_from(&self.shared().destinations);
        let mut found = Vec::new();
        for lane in Lane::ALL.into_iter().filter(|&lane| purge.lane.is_none_or(|wanted| wanted == lane)) {
            let may_go = |one: &GenerationInfo| {
                let last = one.places.map_or(Sequence::ZERO, |places| places.last);
                one.sealed
                    && one.delivered
                    && purge.to.is_none_or(|to| last <= to)
                    && purge.until.is_none_or(|until| one.latest.is_some_and(|latest| latest < until))
                    && needed_from[lane].is_none_or(|needed| last < needed)
            };
            found.extend(self.generations(lane).into_iter().take_while(may_go));
        }
        found
    }

    /// Deletes what [`purgeable`](Self::purgeable) tells, and tells what it was. It is gone when this returns. Blocks on
    /// disk: not for an async worker.
    ///
    /// # Errors
    /// When the disk refuses changes. Part of it may be gone.
    pub fn purge(&self, purge: &Purge) -> Result<Vec<GenerationInfo>, PurgeError> {
        let going = self.purgeable(purge);
        let mut through = PerLane::<Sequence>::default();
        for places in going.iter().filter_map(|one| Some((one.lane, one.places?.last))) {
            through[places.0] = through[places.0].max(places.1);
        }
        {
            let mut purged = lock(&self.shared().purged);
            *purged = PerLane::from_fn(|lane| purged[lane].max(through[lane]));
        }
        self.ask_writer(Work::KeepHouse).map_err(PurgeError::Refused)?;
        tracing::info!(generations = going.len(), "delivered events were purged");
        Ok(going)
    }
}
