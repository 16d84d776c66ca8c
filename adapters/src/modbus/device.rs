//! What a device is and what is read from it: settings that are right once they exist.

use std::time::Duration;

use penstock_events::{SourceId, SourceName, TagId, TagPath};

use super::address::{Address, BITS_PER_REGISTER, Cell};
use super::encoding::Encoding;

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

/// Turns the number in the device into the quantity: `raw * factor + offset`, in double precision,
/// so integers beyond 2^53 lose their last digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// What the raw number is multiplied with: finite and not zero.
    pub factor: f64,
    /// What is added then: finite.
    pub offset: f64,
}

/// One value of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    id: TagId,
    path: TagPath,
    at: Address,
    encoding: Encoding,
    scaling: Option<Scaling>,
}

/// Why a tag is not possible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidTag {
    /// A bool that could be any of sixteen bits.
    #[error("{at} is a register and a bool is one bit of it: say which, such as {at}.0")]
    BitMissing {
        /// Where.
        at: Address,
    },
    /// One bit as a number or a text.
    #[error("{at} is one bit, which is a bool and cannot be a {encoding}")]
    BitIsBool {
        /// Where.
        at: Address,
        /// What was asked for.
        encoding: Encoding,
    },
    /// A bit that the place does not have.
    #[error("{at} has no such bit: only registers have bits, 0 to 15")]
    NoSuchBit {
        /// Where.
        at: Address,
    },
    /// A text without room.
    #[error("a string of 0 bytes holds nothing: use at least 1")]
    EmptyText,
    /// A value that begins in the table and ends behind it.
    #[error("a {encoding} at {at} ends at {end}, behind the table's last place 65535")]
    PastEnd {
        /// Where it begins.
        at: Address,
        /// What it is.
        encoding: Encoding,
        /// Its last place.
        end: u32,
    },
    /// A value that no single request could read, and reading it in two would tear it.
    #[error("a {encoding} takes {width} places and one request reads at most {limit}")]
    WiderThanRequest {
        /// What it is.
        encoding: Encoding,
        /// Its width in registers or bits.
        width: u16,
        /// The limit in the same unit.
        limit: u16,
    },
    /// Scaling of what is not a number.
    #[error("a {encoding} is not a number: leave the scaling out")]
    ScaledNotANumber {
        /// What it is.
        encoding: Encoding,
    },
    /// Scaling that would make every value zero or not finite.
    #[error(
        "a factor of {factor} and an offset of {offset} scale nothing: use finite numbers, the factor not zero"
    )]
    Scaling {
        /// The factor as it was given.
        factor: f64,
        /// The offset as it was given.
        offset: f64,
    },
}

impl Tag {
    /// The tag `path`, found at `at` and laid out as `encoding`.
    ///
    /// # Errors
    ///
    /// When the place and the encoding do not go together, or the value ends behind its table.
    pub fn new(id: TagId, path: TagPath, at: Address, encoding: Encoding) -> Result<Self, InvalidTag> {
        match (at.table.cell(), at.bit, encoding) {
            (Cell::Bit, Some(_), _) => return Err(InvalidTag::NoSuchBit { at }),
            (Cell::Register, Some(bit), _) if bit >= BITS_PER_REGISTER => {
                return Err(InvalidTag::NoSuchBit { at });
            }
            (Cell::Bit, None, Encoding::Bool) | (Cell::Register, Some(_), Encoding::Bool) => {}
            (Cell::Register, None, Encoding::Bool) => return Err(InvalidTag::BitMissing { at }),
            (Cell::Bit, None, _) | (Cell::Register, Some(_), _) => {
                return Err(InvalidTag::BitIsBool { at, encoding });
            }
            (Cell::Register, None, Encoding::Text { bytes: 0 }) => return Err(InvalidTag::EmptyText),
            (Cell::Register, None, _) => {}
        }
        let end = u32::from(at.start) + u32::from(encoding.width()) - 1;
        if end > u32::from(u16::MAX) {
            return Err(InvalidTag::PastEnd { at, encoding, end });
        }
        Ok(Self { id, path, at, encoding, scaling: None })
    }

    /// The same tag with its number scaled, which makes every value a float.
    ///
    /// # Errors
    ///
    /// When the tag is not a number, or the scaling would lose it.
    pub fn scaled(self, scaling: Scaling) -> Result<Self, InvalidTag> {
        let Scaling { factor, offset } = scaling;
        if matches!(self.encoding, Encoding::Bool | Encoding::Text { .. }) {
            return Err(InvalidTag::ScaledNotANumber { encoding: self.encoding });
        }
        if !factor.is_finite() || factor == 0.0 || !offset.is_finite() {
            return Err(InvalidTag::Scaling { factor, offset });
        }
        Ok(Self { scaling: Some(scaling), ..self })
    }

    /// Whether one request can read the tag.
    ///
    /// # Errors
    ///
    /// When it is wider than the limits allow.
    pub const fn fits(&self, limits: &Limits) -> Result<(), InvalidTag> {
        let (width, limit) = (self.width(), limits.size(self.at.table.cell()));
        if width > limit {
            return Err(InvalidTag::WiderThanRequest { encoding: self.encoding, width, limit });
        }
        Ok(())
    }

    /// Whether the two tags read some of the same bits of the device.
    pub fn overlaps(&self, other: &Self) -> bool {
        let reach = |tag: &Self| u32::from(tag.at.start) + u32::from(tag.width());
        let same_places = self.at.table == other.at.table
            && u32::from(self.at.start) < reach(other)
            && u32::from(other.at.start) < reach(self);
        let different_bits = matches!((self.at.bit, other.at.bit), (Some(a), Some(b)) if a != b);
        same_places && !different_bits
    }

    /// Its index in the running configuration.
    pub const fn id(&self) -> TagId {
        self.id
    }

    /// Its name with its source's.
    pub const fn path(&self) -> &TagPath {
        &self.path
    }

    /// Where it begins.
    pub const fn at(&self) -> Address {
        self.at
    }

    /// How it is laid out.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What is done to its number.
    pub const fn scaling(&self) -> Option<Scaling> {
        self.scaling
    }

    /// How many places of its table it takes.
    pub const fn width(&self) -> u16 {
        self.encoding.width()
    }
}

#[cfg(test)]
mod tests;
