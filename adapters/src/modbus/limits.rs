//! How a device may be asked: how much at once, what never, and what it is worth to ask once less.

use std::sync::Arc;

use super::address::{Cell, Table};
use super::places::Places;

/// How much one request may ask for, which places it may never ask for, and when tags that stand
/// apart share a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    registers: u16,
    bits: u16,
    max_gap_registers: Option<u16>,
    max_gap_bits: Option<u16>,
    request_cost_bytes: u32,
    /// Sorted, and apart from each other.
    never_read: Arc<[Places]>,
}

/// Why limits are not possible.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidLimits {
    /// Registers per request.
    #[error("{registers} registers a request: use 1 to {}", Limits::MAX_REGISTERS)]
    Registers {
        /// The number as it was given.
        registers: u16,
    },
    /// Bits per request.
    #[error("{bits} bits a request: use 1 to {}", Limits::MAX_BITS)]
    Bits {
        /// The number as it was given.
        bits: u16,
    },
}

impl Limits {
    /// The most registers that one request may ask for (Application Protocol V1.1b3, sections 6.3 and 6.4).
    pub const MAX_REGISTERS: u16 = 125;
    /// The most coils or inputs that one request may ask for (sections 6.1 and 6.2).
    pub const MAX_BITS: u16 = 2000;
    /// What a request costs over TCP whatever it reads: 12 bytes there and 9 back, each in a packet
    /// with 54 bytes of Ethernet, IP and TCP. It is worth 64 registers that nobody wants.
    pub const TCP_REQUEST_COST_BYTES: u32 = 12 + 9 + 2 * 54;

    /// At most `registers` or `bits` in a request. Tags share a request where that is cheaper.
    ///
    /// # Errors
    ///
    /// When a request of that size is none, or more than Modbus has.
    pub fn new(registers: u16, bits: u16) -> Result<Self, InvalidLimits> {
        if registers == 0 || registers > Self::MAX_REGISTERS {
            return Err(InvalidLimits::Registers { registers });
        }
        if bits == 0 || bits > Self::MAX_BITS {
            return Err(InvalidLimits::Bits { bits });
        }
        Ok(Self {
            registers,
            bits,
            max_gap_registers: None,
            max_gap_bits: None,
            request_cost_bytes: Self::TCP_REQUEST_COST_BYTES,
            never_read: Arc::default(),
        })
    }

    /// The same, but tags share a request, whatever it costs, when no more than so many places that
    /// nobody wants lie between them. None leaves it to the cost.
    #[must_use]
    pub fn with_gaps(self, registers: Option<u16>, bits: Option<u16>) -> Self {
        Self { max_gap_registers: registers, max_gap_bits: bits, ..self }
    }

    /// The same on a line where a request costs as much as `bytes` of an answer, whatever it reads.
    #[must_use]
    pub fn with_request_cost(self, bytes: u32) -> Self {
        Self { request_cost_bytes: bytes, ..self }
    }

    /// The same, with `places` that no request touches, not even to bridge a gap.
    #[must_use]
    pub fn never_reading(self, mut places: Vec<Places>) -> Self {
        places.sort_unstable();
        let mut apart: Vec<Places> = Vec::with_capacity(places.len());
        for next in places {
            match apart.last_mut() {
                Some(known) if known.table() == next.table() && next.first() <= known.last() => {
                    let last = known.last().max(next.last());
                    *known = Places::new(known.table(), known.first(), last).expect("it only grows");
                }
                _ => apart.push(next),
            }
        }
        Self { never_read: apart.into(), ..self }
    }

    /// The most places of kind `cell` in one request.
    pub const fn size(&self, cell: Cell) -> u16 {
        match cell {
            Cell::Bit => self.bits,
            Cell::Register => self.registers,
        }
    }

    /// The most unwanted places of kind `cell` between two tags of one request, if that was said.
    pub const fn max_gap(&self, cell: Cell) -> Option<u16> {
        match cell {
            Cell::Bit => self.max_gap_bits,
            Cell::Register => self.max_gap_registers,
        }
    }

    /// What a request costs whatever it reads, in bytes of an answer.
    pub const fn request_cost_bytes(&self) -> u32 {
        self.request_cost_bytes
    }

    /// The forbidden places among those of `table` from `first` to `last`, if there are any.
    pub fn forbidden(&self, table: Table, first: u16, last: u16) -> Option<Places> {
        let next = self.never_read.partition_point(|places| (places.table(), places.last()) < (table, first));
        self.never_read.get(next).copied().filter(|places| places.table() == table && places.first() <= last)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Self::MAX_REGISTERS, Self::MAX_BITS).expect("Modbus allows its own limits")
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, InvalidLimits, Limits};
    use crate::modbus::Table;

    #[test]
    fn limits_stay_within_what_modbus_has() {
        let limits = Limits::new(125, 2000).expect("the widest");
        assert_eq!((limits.size(Cell::Register), limits.size(Cell::Bit)), (125, 2000));
        assert_eq!(limits, Limits::default());
        for registers in [0, 126] {
            assert_eq!(Limits::new(registers, 1), Err(InvalidLimits::Registers { registers }));
        }
        for bits in [0, 2001] {
            assert_eq!(Limits::new(1, bits), Err(InvalidLimits::Bits { bits }));
        }
    }

    #[test]
    fn forbidden_places_are_found_wherever_they_overlap() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().expect(text)).collect();
        let limits = Limits::default().never_reading(parse(&[
            "holding:200-299",
            "input:5",
            "holding:250-310",
            "holding:400",
            "holding:65535",
        ]));
        let found = |first, last| {
            limits.forbidden(Table::HoldingRegister, first, last).map(|places| places.to_string())
        };
        for (first, last, expected) in [
            (0, 199, None),
            (0, 200, Some("holding:200-310")),
            (305, 399, Some("holding:200-310")),
            (311, 399, None),
            (311, 500, Some("holding:400")),
            (401, 65_534, None),
            (401, 65_535, Some("holding:65535")),
        ] {
            assert_eq!(found(first, last).as_deref(), expected, "{first} to {last}");
        }
        assert_eq!(limits.forbidden(Table::Coil, 0, u16::MAX), None);
    }
}
