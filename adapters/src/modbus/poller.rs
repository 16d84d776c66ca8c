//! The IO loop of one line: asks its devices in turn, and hands on what they said.
//!
//! One task, one connection, one request in flight. The devices take turns request by request, so a
//! device with a long list of tags holds nobody up for longer than one reply.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use penstock_events::Observation;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::decode::Answer;
use super::line::Line;
use super::session::{Ask, Failure, Framing, Session};
use super::station::{Moment, Next, Station};
use super::status::DeviceStatus;
use super::transport::Stream;
use crate::Clock;
use crate::backoff::Backoff;

/// How long a connection is left alone after it was given up: a device that bears one connection needs a
/// moment to notice, and would refuse the next one.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);

/// What a line's poller is connected to.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Where observations go. When it is full the line waits, and counts the slots that it misses.
    pub observations: mpsc::Sender<Observation>,
    /// Where the status page reads, for each of the line's devices.
    pub statuses: Vec<watch::Sender<DeviceStatus>>,
    /// The time of day.
    pub clock: Clock,
    /// Ends the poller: at once, with nothing half said.
    pub stop: CancellationToken,
}

/// Polls the devices of `line` on their time grids until it is told to stop or nobody listens any more.
///
/// Sends one `Polled` per complete poll of a group of tags, and one `Lost` when a device stops answering
/// or was never reached; then nothing of that device until it answers again. A connection that was closed
/// while it was idle is no loss: it is made anew and the request asked once more.
pub async fn poll(line: Arc<Line>, wiring: Wiring) {
    let target = Arc::clone(&line);
    let dial = move || {
        let target = Arc::clone(&target);
        async move { target.transport.open().await }
    };
    poll_over(dial, &line, wiring).await;
}

/// The same over connections that `dial` makes.
pub(super) async fn poll_over<D, C, S>(dial: D, line: &Line, wiring: Wiring)
where
    D: Fn() -> C,
    C: Future<Output = io::Result<S>>,
    S: Stream,
{
    let stop = wiring.stop.clone();
    let mut poller = Poller::new(dial, line, wiring);
    if let Some(Unheard) = stop.run_until_cancelled(poller.run()).await {
        debug!(line = %line.transport, "nobody receives observations any more");
    }
}

struct Poller<D> {
    dial: D,
    framing: Framing,
    stations: Vec<Station>,
    /// The station that is asked first for a request.
    turn: usize,
    session: Option<Session>,
    /// When the connection was given up.
    closed: Option<Instant>,
    /// Until when the line is not connected again, since nobody could be reached.
    rest: Option<Instant>,
    backoff: Backoff,
    observations: mpsc::Sender<Observation>,
    clock: Clock,
}

/// Nobody receives observations any more.
struct Unheard;

/// What the line does next.
enum Turn {
    /// Ask this for the station.
    Ask(usize, Ask),
    /// Nothing, for so long.
    Wait(Duration),
}

/// Why there is no answer: whose failure it is.
enum Trouble {
    /// Nobody on the line can be reached.
    Line(Failure),
    /// The device that was asked failed.
    Device(Failure),
}

impl<D, C, S> Poller<D>
where
    D: Fn() -> C,
    C: Future<Output = io::Result<S>>,
    S: Stream,
{
    fn new(dial: D, line: &Line, wiring: Wiring) -> Self {
        let Wiring { observations, statuses, clock, stop: _ } = wiring;
        let now = clock.now();
        let stations = line.devices.iter().zip(statuses);
        let framing = line.transport.framing();
        let stations =
            stations.map(|(device, status)| Station::new(Arc::clone(device), framing, status, now));
        Self {
            dial,
            framing,
            stations: stations.collect(),
            turn: 0,
            session: None,
            closed: None,
            rest: None,
            backoff: Backoff::new(),
            observations,
            clock,
        }
    }

    /// Ends only when nobody listens.
    async fn run(&mut self) -> Unheard {
        loop {
            let turned = match self.next() {
                Turn::Wait(wait) => {
                    sleep(wait).await;
                    Ok(())
                }
                Turn::Ask(station, ask) => self.ask(station, &ask).await,
            };
            if let Err(unheard) = turned {
                return unheard;
            }
        }
    }

    /// The next request of the station whose turn it is, or of the next one that has any.
    fn next(&mut self) -> Turn {
        let now = self.now();
        if let Some(closed) = self.closed {
            let since = now.instant - closed;
            if since < REOPEN_PAUSE {
                return Turn::Wait(REOPEN_PAUSE - since);
            }
            self.closed = None;
        }
        if let Some(until) = self.rest {
            if now.instant < until {
                return Turn::Wait(until - now.instant);
            }
            self.rest = None;
            self.stations.iter_mut().for_each(|station| station.rested(now.time));
        }
        let mut wait = Duration::MAX;
        for offset in 0..self.stations.len() {
            let index = (self.turn + offset) % self.stations.len();
            match self.stations[index].next(now) {
                Next::Ask(ask) => {
                    self.turn = index + 1;
                    return Turn::Ask(index, ask);
                }
                Next::Wait(next) => wait = wait.min(next),
            }
        }
        Turn::Wait(wait)
    }

    async fn ask(&mut self, station: usize, ask: &Ask) -> Result<(), Unheard> {
        match self.answer(station, ask).await {
            Ok(answer) => {
                let now = self.now();
                let said = self.stations[station].answered(answer, now);
                self.say(said).await
            }
            Err(Trouble::Device(failure)) => {
                let now = self.now();
                self.closed = Some(now.instant);
                let said = self.stations[station].failed(&failure, now);
                self.say(said).await
            }
            Err(Trouble::Line(failure)) => {
                let now = self.now();
                self.rest = Some(now.instant + self.backoff.next());
                for station in 0..self.stations.len() {
                    let said = self.stations[station].lost(&failure, now.time);
                    self.say(said).await?;
                }
                Ok(())
            }
        }
    }

    /// Asks over the connection at hand, or over another one if that has been closed.
    async fn answer(&mut self, station: usize, ask: &Ask) -> Result<Answer, Trouble> {
        if let Some(session) = self.session.take() {
            match session.ask(ask).await {
                Err(Failure::Lost(error)) => {
                    let device = &self.stations[station].device().name;
                    debug!(%device, %error, "connection closed since the last request");
                }
                done => return self.keep(done),
            }
        }
        let session = self.connect(station).await.map_err(Trouble::Line)?;
        let done = session.ask(ask).await;
        self.keep(done)
    }

    fn keep(&mut self, done: Result<(Session, Answer), Failure>) -> Result<Answer, Trouble> {
        let (session, answer) = done.map_err(Trouble::Device)?;
        self.session = Some(session);
        Ok(answer)
    }

    async fn connect(&mut self, station: usize) -> Result<Session, Failure> {
        let limit = self.stations[station].device().connect_timeout;
        let stream = timeout(limit, (self.dial)())
            .await
            .map_err(|_elapsed| Failure::ConnectTimeout(limit))?
            .map_err(Failure::Connect)?;
        self.backoff = Backoff::new();
        self.stations[station].connected();
        Ok(Session::over(stream, self.framing))
    }

    /// Waits for room: a poll that nobody has room for is better late than lost.
    async fn say(&mut self, observation: Option<Observation>) -> Result<(), Unheard> {
        let Some(observation) = observation else { return Ok(()) };
        self.observations.send(observation).await.map_err(|_closed| Unheard)
    }

    fn now(&self) -> Moment {
        Moment { time: self.clock.now(), instant: Instant::now() }
    }
}

#[cfg(test)]
mod tests;
