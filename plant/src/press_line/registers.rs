//! What the press line's PLC shows over Modbus: unit [`UNIT`], addresses zero-based.
//!
//! | at | type | order | meaning |
//! |---|---|---|---|
//! | `holding:100` | u16 | | state: 0 stopped, 1 running, 2 faulted, 3 setup |
//! | `holding:101` | u16 | | alarm bits: 0 lubrication, 1 guard open, 2 overload, 3 misfeed |
//! | `holding:102` | u16 | | good pieces; starts near its end and rolls over |
//! | `holding:103` | u32 | CDAB | scrap pieces |
//! | `holding:105` | i16 | | hydraulic pressure, 0.1 bar |
//! | `holding:110` | string of 20 bytes | | work order, padded with zeros |
//! | `input:10` | f32 | ABCD | die temperature, °C |
//! | `input:12` | f32 | CDAB | oil temperature, °C |
//! | `coil:0` | bool | | the line is in automatic: running or faulted |
//! | `discrete:0` to `discrete:3` | bool | | the alarm bits again |
//!
//! The gaps inside a table's block read as zero; anything outside is an illegal data address.

use super::{LineState, PressLine};
use crate::modbus_server::{BitTable, Exception, RegisterTable};

/// The unit id of the PLC.
pub const UNIT: u8 = 1;

const HOLDING_FIRST: u16 = 100;
const INPUT_FIRST: u16 = 10;
const ORDER_BYTES: usize = 20;

impl PressLine {
    /// `count` registers from `first` on, as they are at this moment.
    ///
    /// # Errors
    ///
    /// [`Exception::IllegalDataAddress`] outside the map.
    pub fn registers(&self, table: RegisterTable, first: u16, count: u16) -> Result<Vec<u16>, Exception> {
        match table {
            RegisterTable::Holding => cut(&self.holding(), HOLDING_FIRST, first, count),
            RegisterTable::Input => cut(&self.input(), INPUT_FIRST, first, count),
        }
    }

    /// `count` bits from `first` on, as they are at this moment.
    ///
    /// # Errors
    ///
    /// [`Exception::IllegalDataAddress`] outside the map.
    pub fn bits(&self, table: BitTable, first: u16, count: u16) -> Result<Vec<bool>, Exception> {
        match table {
            BitTable::Coils => {
                let automatic = matches!(self.state, LineState::Running | LineState::Faulted);
                cut(&[automatic], 0, first, count)
            }
            BitTable::DiscreteInputs => {
                let alarms = [0, 1, 2, 3].map(|bit| self.gauges.alarms >> bit & 1 == 1);
                cut(&alarms, 0, first, count)
            }
        }
    }

    fn holding(&self) -> [u16; 20] {
        let mut block = [0; 20];
        block[0] = self.state.code();
        block[1] = self.gauges.alarms;
        block[2] = low_word(self.good.raw());
        block[3] = low_word(self.scrap.raw());
        block[4] = low_word(self.scrap.raw() >> 16);
        // In two's complement; the gauge stays far inside of 16 bits.
        block[5] = (self.gauges.pressure_decibar.round() as i16).cast_unsigned();
        let mut order = format!("WO-2031-{:05}", self.work_order).into_bytes();
        order.resize(ORDER_BYTES, 0);
        for (register, pair) in block[10..].iter_mut().zip(order.chunks_exact(2)) {
            *register = u16::from_be_bytes([pair[0], pair[1]]);
        }
        block
    }

    fn input(&self) -> [u16; 4] {
        let (die, oil) = (self.gauges.die_celsius.to_bits(), self.gauges.oil_celsius.to_bits());
        let (die, oil) = (u64::from(die), u64::from(oil));
        [low_word(die >> 16), low_word(die), low_word(oil), low_word(oil >> 16)]
    }
}

/// The lowest 16 bits.
const fn low_word(value: u64) -> u16 {
    (value & 0xFFFF) as u16
}

/// The part of a `block` that begins at address `block_first`.
fn cut<T: Copy>(block: &[T], block_first: u16, first: u16, count: u16) -> Result<Vec<T>, Exception> {
    let from = first.checked_sub(block_first).map(usize::from).ok_or(Exception::IllegalDataAddress)?;
    block.get(from..from + usize::from(count)).map(<[T]>::to_vec).ok_or(Exception::IllegalDataAddress)
}
