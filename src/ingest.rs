//! The way in: observations become events, and are durable before anything else happens to them.

use std::collections::VecDeque;

use anyhow::Context;
use penstock_buffer::{Buffer, Ticket};
use penstock_events::normalizer::{Normalized, Normalizer};
use penstock_events::{Event, Observation};
use tokio::sync::mpsc;

use crate::pulse::Pulse;

/// Observations between adapters and ingest. One is a whole poll of a device; when the buffer cannot
/// keep up, adapters wait here and skip slots rather than pile up.
pub(crate) const QUEUE: usize = 64;
/// Observations that are put into one append at the most.
const BATCH: usize = 32;
/// Appends on their way to the disk. Two would keep it busy; more let a group commit fill.
const APPENDS_IN_FLIGHT: usize = 16;

/// Owns the normalizer and feeds the buffer.
pub(crate) struct Ingest {
    normalizer: Normalizer,
    buffer: Buffer,
    observations: mpsc::Receiver<Observation>,
    appends: VecDeque<Ticket>,
    pulse: Pulse,
}

impl Ingest {
    /// An ingest of `observations` into `buffer`.
    pub(crate) fn new(
        normalizer: Normalizer,
        buffer: Buffer,
        observations: mpsc::Receiver<Observation>,
        pulse: Pulse,
    ) -> Self {
        let appends = VecDeque::with_capacity(APPENDS_IN_FLIGHT);
        Self { normalizer, buffer, observations, appends, pulse }
    }

    /// Takes observations until every adapter is gone, then waits until all of it is durable.
    /// `started` is the first event.
    ///
    /// # Errors
    /// When the buffer fails: then nothing more may be taken.
    pub(crate) async fn run(mut self, started: Event) -> anyhow::Result<()> {
        self.append(Normalized { events: vec![started], state: Vec::new() }).await?;
        let mut batch = Vec::with_capacity(BATCH);
        while self.receive(&mut batch).await? {
            let normalized = self.normalize(&mut batch);
            self.append(normalized).await?;
            self.pulse.beat();
        }
        for append in self.appends {
            append.await.context(LOST)?;
        }
        Ok(())
    }

    /// Waits for observations, and for appends meanwhile. `false` when there will be none.
    async fn receive(&mut self, batch: &mut Vec<Observation>) -> anyhow::Result<bool> {
        loop {
            let has_room = self.appends.len() < APPENDS_IN_FLIGHT;
            tokio::select! {
                biased;
                durable = oldest(&mut self.appends) => {
                    durable.context(LOST)?;
                    self.appends.pop_front();
                    self.pulse.beat();
                }
                count = self.observations.recv_many(batch, BATCH), if has_room => return Ok(count > 0),
            }
        }
    }

    fn normalize(&mut self, batch: &mut Vec<Observation>) -> Normalized {
        let mut all = Normalized::default();
        for observation in batch.drain(..) {
            let Normalized { events, state } = self.normalizer.observe(&observation);
            all.events.extend(events);
            all.state.extend(state);
        }
        all
    }

    async fn append(&mut self, Normalized { events, state }: Normalized) -> anyhow::Result<()> {
        if !events.is_empty() || !state.is_empty() {
            self.appends.push_back(self.buffer.enqueue(events, state).await.context(LOST)?);
        }
        Ok(())
    }
}

const LOST: &str = "the buffer cannot keep events";

/// The oldest append's end; never while there is none.
async fn oldest(appends: &mut VecDeque<Ticket>) -> Result<(), penstock_buffer::AppendError> {
    match appends.front_mut() {
        Some(append) => append.await.map(drop),
        None => std::future::pending().await,
    }
}
