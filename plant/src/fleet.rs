//! Load: a device with a block of registers of which a few change every second. It keeps no truth.
//!
//! Nothing runs between two requests: a device catches up with the time when it is read.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::modbus_server::{BitTable, Device, Exception, RegisterTable};

/// One register in this many changes each second: 1 %.
const CHANGE_PERIOD_SECONDS: u64 = 100;

/// Registers from holding register 0 on that drift by one now and then.
#[derive(Debug)]
pub struct DriftingBlock {
    // Connections read it at the same time and each moves it on: a task would add a hop for a copy.
    block: Mutex<Block>,
    born: Instant,
}

impl DriftingBlock {
    /// `size` registers whose values follow from `seed` and time.
    pub fn new(size: u16, seed: u64) -> Self {
        Self { block: Mutex::new(Block::new(size, seed)), born: Instant::now() }
    }
}

impl Device for DriftingBlock {
    fn bits(&self, _table: BitTable, _first: u16, _count: u16) -> Result<Vec<bool>, Exception> {
        Err(Exception::IllegalFunction)
    }

    fn registers(&self, table: RegisterTable, first: u16, count: u16) -> Result<Vec<u16>, Exception> {
        if table == RegisterTable::Input {
            return Err(Exception::IllegalFunction);
        }
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        block.advance(self.born.elapsed());
        let wanted = usize::from(first)..usize::from(first) + usize::from(count);
        block.registers.get(wanted).map(<[u16]>::to_vec).ok_or(Exception::IllegalDataAddress)
    }
}

#[derive(Debug)]
struct Block {
    rng: fastrand::Rng,
    registers: Vec<u16>,
    changes: u64,
}

impl Block {
    fn new(size: u16, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let registers = (0..size).map(|_| rng.u16(10_000..20_000)).collect();
        Self { rng, registers, changes: 0 }
    }

    /// Makes the changes that are due `since_birth`.
    fn advance(&mut self, since_birth: Duration) {
        let size = self.registers.len();
        let seconds = CHANGE_PERIOD_SECONDS * 1_000;
        let due =
            u64::try_from(since_birth.as_millis() * size as u128 / u128::from(seconds)).unwrap_or(u64::MAX);
        // A block that nobody read for an hour need not be stirred more than all through.
        let missed = due.saturating_sub(self.changes).min(size as u64);
        for _ in 0..missed {
            let index = self.rng.usize(..size);
            let step = if self.rng.bool() { 1 } else { u16::MAX };
            self.registers[index] = self.registers[index].wrapping_add(step);
        }
        self.changes = due;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_register_in_a_hundred_moves_by_one_each_second() {
        let mut block = Block::new(1_000, 1);
        let before = block.registers.clone();
        block.advance(Duration::from_secs(1));
        let distances = before.iter().zip(&block.registers).map(|(a, b)| u64::from(a.abs_diff(*b)));
        let moved: u64 = distances.sum();
        assert!((6..=10).contains(&moved), "{moved} steps; two may cancel out");
    }

    #[test]
    fn a_block_is_the_same_however_often_it_is_read() {
        let (mut often, mut once) = (Block::new(100, 7), Block::new(100, 7));
        for second in 0..=60 {
            often.advance(Duration::from_secs(second));
        }
        once.advance(Duration::from_secs(60));
        assert_eq!(often.registers, once.registers);
    }
}
