//! What a device is and what is read from it: settings that are right once they exist.

use std::time::Duration;

use penstock_events::{SourceId, SourceName};

use super::address::Cell;
use super::tag::Tag;

/// The port that Modbus TCP is registered for (Messaging on TCP/IP V1.0b, section 4.1).
pub const DEFAULT_PORT: u16 = 502;

/// One Modbus TCP device, or one unit behind a gateway to serial lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its index in the running configuration.
    pub source: SourceId,
    /// Its name.
    pub name: SourceName,
    /// Host name or IP address; a name is resolved on every connect.
    pub host: String,
    /// TCP port, usually [`DEFAULT_PORT`].
    pub port: u16,
    /// The unit id that requests carry and replies must repeat.
    pub unit: u8,
    /// The time between polls: the grid, aligned to the Unix epoch. At least a millisecond.
    pub poll: Duration,
    /// How long name resolution and TCP connect may take together.
    pub connect_timeout: Duration,
    /// How long one reply may take.
    pub request_timeout: Duration,
    /// How much one request may ask for.
    pub limits: Limits,
    /// What is read, in the order in which readings are reported. Each tag
    /// [fits](Tag::fits) the limits.
    pub tags: Vec<Tag>,
}

/// How much one request may ask for, and how far apart tags may stand to share a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    registers: u16,
    bits: u16,
    gap_registers: u16,
    gap_bits: u16,
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
    /// Reading 16 registers too many adds 32 bytes to a reply; a request of its own costs
    /// a round trip and at least 21 bytes.
    pub const DEFAULT_GAP_REGISTERS: u16 = 16;
    /// The same 32 bytes, in bits.
    pub const DEFAULT_GAP_BITS: u16 = 256;

    /// At most `registers` or `bits` in a request; tags share a request when no more than
    /// `gap_registers` or `gap_bits` that nobody wants lie between them.
    ///
    /// # Errors
    ///
    /// When a request of that size is none, or more than Modbus has.
    pub const fn new(
        registers: u16,
        bits: u16,
        gap_registers: u16,
        gap_bits: u16,
    ) -> Result<Self, InvalidLimits> {
        if registers == 0 || registers > Self::MAX_REGISTERS {
            return Err(InvalidLimits::Registers { registers });
        }
        if bits == 0 || bits > Self::MAX_BITS {
            return Err(InvalidLimits::Bits { bits });
        }
        Ok(Self { registers, bits, gap_registers, gap_bits })
    }

    /// The most places of kind `cell` in one request.
    pub const fn size(&self, cell: Cell) -> u16 {
        match cell {
            Cell::Bit => self.bits,
            Cell::Register => self.registers,
        }
    }

    /// The most unwanted places of kind `cell` between two tags of one request.
    pub const fn gap(&self, cell: Cell) -> u16 {
        match cell {
            Cell::Bit => self.gap_bits,
            Cell::Register => self.gap_registers,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            registers: Self::MAX_REGISTERS,
            bits: Self::MAX_BITS,
            gap_registers: Self::DEFAULT_GAP_REGISTERS,
            gap_bits: Self::DEFAULT_GAP_BITS,
        }
    }
}

#[cfg(test)]
mod tests;
