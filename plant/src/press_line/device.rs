//! The press line in real time: the simulation catches up with the clock whenever somebody looks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{LineState, Order, PressLine};
use crate::modbus_server::{BitTable, Device, Exception, RegisterTable};
use crate::truth::Truth;

/// A press line that lives from now on. Clones are the same line.
#[derive(Clone, Debug)]
pub struct LiveLine {
    // Each look is a short computation on the whole line, from connections and from the demo alike:
    // a task and messages would only add waiting.
    line: Arc<Mutex<PressLine>>,
    born: Instant,
}

impl LiveLine {
    /// A stopped line; see [`PressLine::new`].
    pub fn new(seed: u64, scale: u32) -> Self {
        Self { line: Arc::new(Mutex::new(PressLine::new(seed, scale))), born: Instant::now() }
    }

    /// Gives the line an order.
    pub fn give(&self, order: Order) {
        self.present().give(order);
    }

    /// What the line is doing.
    pub fn state(&self) -> LineState {
        self.present().state()
    }

    /// What happened until now.
    pub fn truth(&self, source: &str) -> Truth {
        self.present().truth(source)
    }

    fn present(&self) -> MutexGuard<'_, PressLine> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.advance(self.born.elapsed());
        line
    }
}

impl Device for LiveLine {
    fn bits(&self, table: BitTable, first: u16, count: u16) -> Result<Vec<bool>, Exception> {
        self.present().bits(table, first, count)
    }

    fn registers(&self, table: RegisterTable, first: u16, count: u16) -> Result<Vec<u16>, Exception> {
        self.present().registers(table, first, count)
    }
}
