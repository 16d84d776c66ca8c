//! Asks one request after the other, and bears what devices do about it.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Probe;
use crate::modbus::address::Table;
use crate::modbus::decode::Answer;
use crate::modbus::places::Places;
use crate::modbus::plan::Block;
use crate::modbus::session::{Ask, Failure, Session};

/// "Illegal function": the device has no such table (Application Protocol V1.1b3, section 7).
const ILLEGAL_FUNCTION: u8 = 1;
/// Acknowledge and busy: there is an answer a moment later.
const ASK_AGAIN: [u8; 2] = [5, 6];
/// What a gateway answers in the place of a unit that it cannot reach.
const NOBODY_THERE: [u8; 2] = [10, 11];
/// The rest before a busy device is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(200);
/// How often a request is made of a device that is busy or does not reply.
const TRIES: usize = 3;
/// A device that bears one connection may need a moment to notice that the last one is gone.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// A unit that answered and then leaves so many requests in a row without a reply is left alone.
const MOST_FAILURES: usize = 3;

/// What came back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// What was asked for.
    Values,
    /// An exception.
    Refusal,
}

/// Why not to go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Stop {
    /// With this table: the device does not have it.
    Table,
    /// With this unit.
    Unit(String),
    /// At all.
    Everything(String),
}

/// Who asks.
pub(super) struct Caller<'p> {
    probe: &'p Probe,
    deadline: Instant,
    session: Option<Session>,
    /// Requests in a row without a reply.
    failures: usize,
    requests: u64,
}

impl<'p> Caller<'p> {
    pub(super) fn new(probe: &'p Probe) -> Self {
        let deadline = Instant::now() + probe.within;
        Self { probe, deadline, session: None, failures: 0, requests: 0 }
    }

    /// How many requests were made.
    pub(super) const fn requests(&self) -> u64 {
        self.requests
    }

    /// Makes sure that there is a connection.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        if self.session.is_none() {
            let limit = self.probe.connect_timeout;
            let opened = timeout(limit, self.probe.transport.open()).await;
            let stream = opened.map_err(|_elapsed| Failure::ConnectTimeout(limit))?;
            let stream = stream.map_err(Failure::Connect)?;
            self.session = Some(Session::over(stream, self.probe.transport.framing()));
        }
        Ok(())
    }

    /// Whether anybody answers to `unit`.
    pub(super) async fn is_there(&mut self, unit: u8, place: u16) -> Result<bool, Stop> {
        let block = Block { table: Table::HoldingRegister, start: place, count: 1 };
        let reply = self.reply(unit, block).await?;
        Ok(match reply {
            Ok(Answer::Exception(code)) => !NOBODY_THERE.contains(&code),
            Ok(Answer::Bits(_) | Answer::Registers(_)) => true,
            Err(_failure) => false,
        })
    }

    /// Asks `unit` for places.
    pub(super) async fn ask(&mut self, unit: u8, places: Places) -> Result<Heard, Stop> {
        let count = u16::try_from(places.count()).expect("a request is for less than a whole table");
        let block = Block { table: places.table(), start: places.first(), count };
        let mut lost = None;
        for _ in 0..TRIES {
            match self.reply(unit, block).await? {
                Ok(Answer::Exception(code)) if ASK_AGAIN.contains(&code) => sleep(BUSY_PAUSE).await,
                Ok(Answer::Exception(ILLEGAL_FUNCTION)) => return Err(Stop::Table),
                Ok(answer) => {
                    self.failures = 0;
                    let is_refusal = matches!(answer, Answer::Exception(_));
                    return Ok(if is_refusal { Heard::Refusal } else { Heard::Values });
                }
                Err(failure) => lost = Some(failure),
            }
        }
        let reason = lost.map_or_else(|| "it stays busy".to_owned(), |failure| failure.to_string());
        self.failures += 1;
        if self.failures < MOST_FAILURES {
            // Some devices say nothing to what they do not have.
            return Ok(Heard::Refusal);
        }
        self.failures = 0;
        Err(Stop::Unit(format!("left alone at {places}: {reason}")))
    }

    /// Asks once, on a connection that is made if there is none, and rests.
    async fn reply(&mut self, unit: u8, block: Block) -> Result<Result<Answer, Failure>, Stop> {
        if Instant::now() >= self.deadline {
            return Err(Stop::Everything(format!("the time limit of {:?} was reached", self.probe.within)));
        }
        let session = self.session().await.map_err(|failure| Stop::Everything(failure.to_string()))?;
        self.requests += 1;
        let answer = match session.ask(&Ask { unit, block, timeout: self.probe.request_timeout }).await {
            Ok((session, answer)) => {
                self.session = Some(session);
                Ok(answer)
            }
            Err(failure) => Err(failure),
        };
        sleep(self.probe.pause).await;
        Ok(answer)
    }

    async fn session(&mut self) -> Result<Session, Failure> {
        let mut connected = self.connect().await;
        for _ in 1..TRIES {
            if connected.is_ok() {
                break;
            }
            sleep(RECONNECT_PAUSE).await;
            connected = self.connect().await;
        }
        connected.map(|()| self.session.take().expect("there is a connection"))
    }
}
