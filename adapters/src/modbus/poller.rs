//! The IO loop of one device: waits for a slot, reads, hands on what it saw.
//!
//! One task, one connection, one request in flight.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use penstock_events::{Observation, Timestamp};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::backoff::Backoff;
use super::decode::{Answer, readings};
use super::device::Device;
use super::ledger::{Ledger, Standing};
use super::plan::{Plan, plan};
use super::schedule::{Due, Schedule};
use super::session::{Failure, Session};
use super::status::DeviceStatus;
use super::transport;
use crate::Clock;

/// What a poller is connected to.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Where observations go. When it is full the poller waits, and counts the slots that it misses.
    pub observations: mpsc::Sender<Observation>,
    /// Where the status page reads.
    pub status: watch::Sender<DeviceStatus>,
    /// The time of day.
    pub clock: Clock,
    /// Ends the poller: at once, with nothing half said.
    pub stop: CancellationToken,
}

/// Polls `device` on its time grid until it is told to stop or nobody listens any more.
///
/// Sends one `Polled` per complete poll, and one `Lost` when the device stops answering or was
/// never reached; then nothing until it answers again. A device that closed an idle connection is
/// not lost: it is connected and asked once more within the slot.
pub async fn poll(device: Arc<Device>, wiring: Wiring) {
    let target = Arc::clone(&device);
    let dial = move || {
        let target = Arc::clone(&target);
        async move { transport::connect(&target.host, target.port).await }
    };
    poll_over(dial, device, wiring).await;
}

/// The same over connections that `dial` makes.
pub(super) async fn poll_over<D, C, S>(dial: D, device: Arc<Device>, wiring: Wiring)
where
    D: Fn() -> C,
    C: Future<Output = io::Result<S>>,
    S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static,
{
    let stop = wiring.stop.clone();
    let mut poller = Poller::new(dial, device, wiring);
    if let Some(Unheard) = stop.run_until_cancelled(poller.run()).await {
        debug!(source = %poller.device.name, "nobody receives observations any more");
    }
}

struct Poller<D> {
    dial: D,
    device: Arc<Device>,
    observations: mpsc::Sender<Observation>,
    clock: Clock,
    plan: Plan,
    schedule: Schedule,
    backoff: Backoff,
    session: Option<Session>,
    ledger: Ledger,
}

/// Nobody receives observations any more.
struct Unheard;

impl<D, C, S> Poller<D>
where
    D: Fn() -> C,
    C: Future<Output = io::Result<S>>,
    S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static,
{
    fn new(dial: D, device: Arc<Device>, wiring: Wiring) -> Self {
        let Wiring { observations, status, clock, stop: _ } = wiring;
        let plan = plan(&device.tags, &device.limits);
        let schedule = Schedule::new(device.poll, clock.now());
        let ledger = Ledger::new(&device.name, status);
        Self {
            dial,
            device,
            observations,
            clock,
            plan,
            schedule,
            backoff: Backoff::new(),
            session: None,
            ledger,
        }
    }

    /// Ends only when nobody listens.
    async fn run(&mut self) -> Unheard {
        loop {
            match self.schedule.due(self.clock.now()) {
                Due::Wait(wait) => sleep(wait).await,
                Due::Skipped(slots) => self.ledger.skipped(slots),
                Due::Restarted => self.ledger.clock_stepped_back(),
                Due::Poll(slot) => {
                    if let Err(unheard) = self.poll(slot).await {
                        return unheard;
                    }
                }
            }
        }
    }

    async fn poll(&mut self, slot: Timestamp) -> Result<(), Unheard> {
        match self.read().await {
            Ok(answers) => {
                self.backoff = Backoff::new();
                let polled = self.answered(slot, &answers);
                self.say(polled).await
            }
            Err(failure) => {
                if let Some(lost) = self.failed(&failure) {
                    self.say(lost).await?;
                }
                sleep(self.backoff.next()).await;
                self.schedule.rested(self.clock.now());
                Ok(())
            }
        }
    }

    /// Reads all blocks over the connection at hand, or over another one if that has been closed.
    async fn read(&mut self) -> Result<Vec<Answer>, Failure> {
        if let Some(session) = self.session.take() {
            match session.read_all(&self.plan.blocks).await {
                Err(Failure::Lost(error)) => {
                    debug!(source = %self.device.name, %error, "connection closed since the last poll");
                }
                done => return self.keep(done),
            }
        }
        let session = self.connect().await?;
        let done = session.read_all(&self.plan.blocks).await;
        self.keep(done)
    }

    fn keep(&mut self, done: Result<(Session, Vec<Answer>), Failure>) -> Result<Vec<Answer>, Failure> {
        let (session, answers) = done?;
        self.session = Some(session);
        Ok(answers)
    }

    async fn connect(&mut self) -> Result<Session, Failure> {
        let limit = self.device.connect_timeout;
        let stream = timeout(limit, (self.dial)())
            .await
            .map_err(|_elapsed| Failure::ConnectTimeout(limit))?
            .map_err(Failure::Connect)?;
        self.ledger.connected();
        Ok(Session::over(stream, self.device.unit, self.device.request_timeout))
    }

    fn answered(&mut self, slot: Timestamp, answers: &[Answer]) -> Observation {
        let observed = self.clock.now();
        let readings = readings(&self.device.tags, &self.plan, answers, slot);
        self.ledger.refusals(&self.plan.blocks, answers);
        self.ledger.answered(slot, observed, &readings);
        Observation::Polled { source: self.device.source, observed, readings }
    }

    /// What to say about the failure, if anything.
    fn failed(&mut self, failure: &Failure) -> Option<Observation> {
        let observed = self.clock.now();
        match self.ledger.failed(failure, observed) {
            Standing::Lost => {
                Some(Observation::Lost { source: self.device.source, observed, cause: failure.cause() })
            }
            Standing::StillDown => None,
        }
    }

    /// Waits for room: a poll that nobody has room for is better late than lost.
    async fn say(&mut self, observation: Observation) -> Result<(), Unheard> {
        self.observations.send(observation).await.map_err(|_closed| Unheard)
    }
}

#[cfg(test)]
mod tests;
