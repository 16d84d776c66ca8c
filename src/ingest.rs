//! The way in: observations become events, and are durable before anything else happens to them.

use std::collections::VecDeque;

use anyhow::Context;
use penstock_buffer::{Buffer, MAX_APPEND_EVENTS, Ticket};
use penstock_events::normalizer::{LeftOut, Normalized, Normalizer, StateChange};
use penstock_events::{Event, Lane, Observation};
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use crate::pulse::Pulse;

/// Observations between adapters and ingest. One is a whole poll of a device; when the buffer cannot
/// keep up, adapters wait here and skip slots rather than pile up.
pub(crate) const QUEUE: usize = 64;
/// Observations that are taken at once, and share an append while it has room.
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
    left_out: watch::Sender<LeftOut>,
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
        Self { normalizer, buffer, observations, appends, pulse, left_out: watch::Sender::default() }
    }

    /// Where the conditions are counted that raised no alert though they are active.
    pub(crate) fn left_out(&self) -> watch::Receiver<LeftOut> {
        self.left_out.subscribe()
    }

    /// Takes observations until every adapter is gone, then waits until all of it is durable.
    /// `started` is the first event.
    ///
    /// # Errors
    /// When the buffer fails: then nothing more may be taken.
    pub(crate) async fn run(mut self, started: Event) -> anyhow::Result<()> {
        self.append(Normalized { events: vec![started], ..Normalized::default() }).await?;
        let mut batch = Vec::with_capacity(BATCH);
        while self.receive(&mut batch).await? {
            self.take(&mut batch).await?;
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

    /// Normalizes the batch, and appends as much of it at once as an append takes.
    async fn take(&mut self, batch: &mut Vec<Observation>) -> anyhow::Result<()> {
        let mut gathered = Normalized::default();
        for observation in batch.drain(..) {
            let Normalized { events, state, left_out } = self.normalizer.observe(&observation);
            self.leave_out(left_out);
            if gathered.events.len() + events.len() > MAX_APPEND_EVENTS {
                self.append(std::mem::take(&mut gathered)).await?;
            }
            gathered.events.extend(events);
            gathered.state.extend(state);
        }
        self.append(gathered).await
    }

    /// Appends what belongs together. When one observation has more events than an append takes, its
    /// telemetry goes first, in parts: no state explains it, so it need not share the commit.
    async fn append(&mut self, Normalized { mut events, state, .. }: Normalized) -> anyhow::Result<()> {
        if events.len() > MAX_APPEND_EVENTS {
            let (mut telemetry, rest): (Vec<_>, _) =
                events.into_iter().partition(|event| event.lane() == Lane::Telemetry);
            while !telemetry.is_empty() {
                let part = telemetry.drain(..telemetry.len().min(MAX_APPEND_EVENTS)).collect();
                self.enqueue(part, Vec::new()).await?;
            }
            events = rest;
        }
        if !events.is_empty() || !state.is_empty() {
            self.enqueue(events, state).await?;
        }
        Ok(())
    }

    fn leave_out(&self, news: LeftOut) {
        if news == LeftOut::default() {
            return;
        }
        self.left_out.send_modify(|sum| {
            if sum.of_no_asset == 0 && news.of_no_asset > 0 {
                info!("conditions are active that are alerts of no asset; penstock status counts them");
            }
            if sum.beyond_limit == 0 && news.beyond_limit > 0 {
                error!(
                    "more alerts are active than the gateway keeps; penstock status counts those left out"
                );
            }
            *sum += news;
        });
    }

    async fn enqueue(&mut self, events: Vec<Event>, state: Vec<StateChange>) -> anyhow::Result<()> {
        self.appends.push_back(self.buffer.enqueue(events, state).await.context(LOST)?);
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

#[cfg(test)]
mod tests {
    use penstock_buffer::Options;
    use penstock_events::cloudevent::Origin;
    use penstock_events::normalizer::{Deadband, Plan, Rule, TagPlan, TelemetryRule};
    use penstock_events::{
        AssetPath, Fact, GatewayId, Quality, Reading, Sample, SourceId, TagId, Timestamp, Value,
    };

    use super::*;

    fn telemetry_of(tags: u32) -> Plan {
        let origin =
            Origin { gateway: "edge-01".parse().expect("a name"), site: "plant-7".parse().expect("a name") };
        let asset: AssetPath = "line-1/press-1".parse().expect("a path");
        let tag = |index| {
            let (asset, deadband) = (asset.clone(), Deadband::None);
            let rule = TelemetryRule {
                asset,
                unit: None,
                deadband,
                min_interval: Default::default(),
                heartbeat: None,
            };
            let path = format!("press-1.t{index}").parse().expect("a tag path");
            TagPlan { path, source: SourceId(0), rules: vec![Rule::Telemetry(rule)] }
        };
        Plan { origin, sources: vec!["press-1".parse().expect("a name")], tags: (0..tags).map(tag).collect() }
    }

    fn started(gateway: &GatewayId) -> Event {
        Event {
            asset: AssetPath::of_gateway(gateway),
            time: Timestamp::EPOCH,
            observed: Timestamp::EPOCH,
            quality: Quality::Good,
            fact: Fact::GatewayStarted { version: "0".into() },
        }
    }

    #[tokio::test]
    async fn a_poll_with_more_events_than_an_append_takes_is_kept_whole() {
        let tags = u32::try_from(MAX_APPEND_EVENTS).expect("a small number") + 1;
        let folder = tempfile::tempdir().expect("a folder");
        let gateway: GatewayId = "edge-01".parse().expect("a name");
        let buffer = Buffer::open(Options::new(folder.path().join("buffer"), gateway.clone(), Vec::new()))
            .expect("an empty folder");
        let normalizer = Normalizer::restore(telemetry_of(tags), |_| None).expect("nothing to restore");
        let (sender, observations) = mpsc::channel(QUEUE);
        let (source, time) = (SourceId(0), Timestamp::EPOCH);
        let reading = |tag| Reading { tag: TagId(tag), sample: Sample::Good(Value::UInt(1)), time };
        let readings = (0..tags).map(reading).collect();
        sender.try_send(Observation::Polled { source, observed: time, readings }).expect("room");
        let cause = penstock_events::Cause::Timeout;
        sender.try_send(Observation::Lost { source, observed: time, cause }).expect("room");
        drop(sender);

        let ingest = Ingest::new(normalizer, buffer.clone(), observations, Pulse::default());
        ingest.run(started(&gateway)).await.expect("the buffer takes it all");
        let heads = *buffer.heads().borrow();
        assert_eq!(heads[Lane::Telemetry].0, 2 * u64::from(tags));
        assert_eq!(heads[Lane::Business].0, 2, "the start and the loss");
    }
}
