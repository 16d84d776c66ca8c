//! The oven in real time, behind its server: one task lets it live, and tells each change to the server's clients
//! and to whoever keeps the record.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Oven, OvenState, late};
use crate::opcua_server::{Access, Change, NotStarted, OpcUaServer, Value, Variable};
use crate::press_line::Order;
use crate::truth::{Count, Entered};

/// How often the oven is let live: what a subscriber waits for its first value, at most.
const TICK: Duration = Duration::from_millis(10);

/// What one keeps of an oven: each variable that there is at first, and then each change, in order.
pub trait Record: Send + 'static {
    /// A variable has a value since a time, in microseconds since 1970.
    fn note(&mut self, name: &str, value: &Value, at_us: i64);
}

/// An oven that lives from now on. Dropping it ends it and its server.
pub struct LiveOven {
    // Looks come from the demo's screen and wait for a tick at most: messages would only add waiting.
    oven: Arc<Mutex<Oven>>,
    server: Arc<OpcUaServer>,
    _stop: DropGuard,
}

impl LiveOven {
    /// Serves an `oven` on `listen`, after `shift` other namespaces.
    ///
    /// # Errors
    ///
    /// [`NotStarted`].
    pub async fn start(
        oven: Oven,
        (listen, shift): (SocketAddr, u16),
        access: Access,
        mut record: impl Record,
    ) -> Result<Self, NotStarted> {
        let born_us = now_us();
        let variables = oven.variables(born_us);
        let server = Arc::new(OpcUaServer::start(listen, access, shift, &variables).await?);
        for variable in &variables {
            record.note(&variable.name, &variable.value, variable.since_us);
        }
        let oven = Arc::new(Mutex::new(oven));
        let stop = CancellationToken::new();
        let life = Life { oven: oven.clone(), server: server.clone(), variables, born_us, record };
        tokio::spawn(stop.clone().run_until_cancelled_owned(life.live()));
        Ok(Self { oven, server, _stop: stop.drop_guard() })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Gives the oven an order. After [`Order::Hold`] the record is complete: nothing more happens.
    pub fn give(&self, order: Order) {
        look(&self.oven).give(order);
    }

    /// What the oven is doing.
    pub fn state(&self) -> OvenState {
        look(&self.oven).state()
    }

    /// What it has counted.
    pub fn parts(&self) -> Count {
        look(&self.oven).parts()
    }

    /// Which states it was in, in order.
    pub fn states(&self) -> Vec<Entered> {
        look(&self.oven).states().to_vec()
    }

    /// Adds the variable that may come later.
    pub fn add_late(&self) {
        self.server.add(&late(now_us()));
    }
}

struct Life<R> {
    oven: Arc<Mutex<Oven>>,
    server: Arc<OpcUaServer>,
    variables: Vec<Variable>,
    born_us: i64,
    record: R,
}

impl<R: Record> Life<R> {
    async fn live(mut self) {
        // One clock only: times that are told never go back, whatever happens to the machine's.
        let born = Instant::now();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            // Locked until all is told: after an order to hold, nothing is on its way any more.
            let mut oven = look(&self.oven);
            let happenings = oven.advance(born.elapsed());
            let changes: Vec<Change> = happenings
                .into_iter()
                .map(|happening| Change {
                    variable: happening.variable,
                    value: happening.value,
                    at_us: self.born_us + micros(happening.at),
                })
                .collect();
            // In this order: whoever kills the process finds everything in the record that was told.
            for change in &changes {
                self.record.note(&self.variables[change.variable].name, &change.value, change.at_us);
            }
            self.server.publish(&changes);
        }
    }
}

fn look(oven: &Mutex<Oven>) -> MutexGuard<'_, Oven> {
    oven.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_us() -> i64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
