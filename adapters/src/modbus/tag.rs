//! One value of a device: where it stands, how it is laid out, and which numbers can be trusted.

use std::ops::RangeInclusive;

use penstock_events::{TagId, TagPath, Value};

use super::address::{Address, BITS_PER_REGISTER, Cell};
use super::encoding::{Encoding, Number};
use super::limits::Limits;
use super::names::Names;
use super::places::Places;

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
    invalid: Option<Value>,
    range: RangeInclusive<f64>,
    names: Option<Names>,
}

/// Why a tag is not possible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidTag {
    /// A bool that could be any of sixteen bits, or bits that could begin at any.
    #[error("{at} is a register and a {encoding} begins at one bit of it: say which, such as {at}.0")]
    BitMissing {
        /// Where.
        at: Address,
        /// What was asked for.
        encoding: Encoding,
    },
    /// A bit field that begins in a register and ends behind it.
    #[error("a {encoding} at {at} ends behind the register's last bit 15")]
    PastRegister {
        /// Where it begins.
        at: Address,
        /// What it is.
        encoding: Encoding,
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
    /// A value of which a part must never be read.
    #[error("a {encoding} at {at} reads places of {places}, which never_read forbids")]
    NeverRead {
        /// Where it begins.
        at: Address,
        /// What it is.
        encoding: Encoding,
        /// The forbidden places.
        places: Places,
    },
    /// Scaling of what is not a number.
    #[error("a {encoding} is not a number: leave the scaling out")]
    ScaledNotANumber {
        /// What it is.
        encoding: Encoding,
    },
    /// A number that the device cannot send, so that no value would ever be it.
    #[error("{number} is no raw value of a {encoding}, which could then never be invalid")]
    NeverInvalid {
        /// What the tag is.
        encoding: Encoding,
        /// The number as it was given.
        number: Number,
    },
    /// A range for what is not a number.
    #[error("a {encoding} is not a number: leave min and max out")]
    RangeOfNoNumber {
        /// What it is.
        encoding: Encoding,
    },
    /// A name for a number that the device cannot send.
    #[error("a {encoding} is never the whole number {number}: leave its name out")]
    NeverNamed {
        /// What the tag is.
        encoding: Encoding,
        /// The number as it was given.
        number: i128,
    },
    /// Names and numbers at once.
    #[error("a tag whose numbers have names is a text: leave scale, offset, min and max out")]
    NamedNumber,
    /// A range that nothing is in.
    #[error("nothing is from {min} to {max}: use a min that is not above the max")]
    EmptyRange {
        /// The least number as it was given.
        min: f64,
        /// The greatest.
        max: f64,
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
            (Cell::Register, Some(bit), Encoding::Bits { count }) => {
                if bit + count > BITS_PER_REGISTER {
                    return Err(InvalidTag::PastRegister { at, encoding });
                }
            }
            (Cell::Register, None, Encoding::Bool | Encoding::Bits { .. }) => {
                return Err(InvalidTag::BitMissing { at, encoding });
            }
            (Cell::Bit, None, _) | (Cell::Register, Some(_), _) => {
                return Err(InvalidTag::BitIsBool { at, encoding });
            }
            (Cell::Register, None, Encoding::Text { bytes: 0, .. }) => return Err(InvalidTag::EmptyText),
            (Cell::Register, None, _) => {}
        }
        let end = u32::from(at.start) + u32::from(encoding.width()) - 1;
        if end > u32::from(u16::MAX) {
            return Err(InvalidTag::PastEnd { at, encoding, end });
        }
        let range = f64::NEG_INFINITY..=f64::INFINITY;
        Ok(Self { id, path, at, encoding, scaling: None, invalid: None, range, names: None })
    }

    /// The same tag with its number scaled, which makes every value a float.
    ///
    /// # Errors
    ///
    /// When the tag is not a number, or the scaling would lose it.
    pub fn scaled(self, scaling: Scaling) -> Result<Self, InvalidTag> {
        let Scaling { factor, offset } = scaling;
        if !self.is_number() {
            return Err(InvalidTag::ScaledNotANumber { encoding: self.encoding });
        }
        if !factor.is_finite() || factor == 0.0 || !offset.is_finite() {
            return Err(InvalidTag::Scaling { factor, offset });
        }
        Ok(Self { scaling: Some(scaling), ..self })
    }

    /// The same tag, of which the raw `number` stands for "no value".
    ///
    /// # Errors
    ///
    /// When the device can never send it.
    pub fn marked_invalid(self, number: Number) -> Result<Self, InvalidTag> {
        let encoding = self.encoding;
        let invalid = encoding.raw(number).ok_or(InvalidTag::NeverInvalid { encoding, number })?;
        Ok(Self { invalid: Some(invalid), ..self })
    }

    /// The same tag, of which only scaled numbers from `min` to `max` can be trusted.
    ///
    /// # Errors
    ///
    /// When the tag is not a number, or no number is in the range.
    pub fn within(self, min: f64, max: f64) -> Result<Self, InvalidTag> {
        if !self.is_number() {
            return Err(InvalidTag::RangeOfNoNumber { encoding: self.encoding });
        }
        if min <= max {
            Ok(Self { range: min..=max, ..self })
        } else {
            Err(InvalidTag::EmptyRange { min, max })
        }
    }

    /// The same tag, whose numbers stand for these names; one that has none cannot be trusted.
    ///
    /// # Errors
    ///
    /// When the device can never send one of the numbers, or the tag is scaled or has a range.
    pub fn named(self, names: Names) -> Result<Self, InvalidTag> {
        let encoding = self.encoding;
        let can_be = |number: i128| match encoding {
            Encoding::Bool => matches!(number, 0 | 1),
            _ => encoding.whole_range().is_some() && encoding.raw(Number::Whole(number)).is_some(),
        };
        if let Some(number) = names.numbers().find(|number| !can_be(*number)) {
            return Err(InvalidTag::NeverNamed { encoding, number });
        }
        if self.scaling.is_some() || self.range != (f64::NEG_INFINITY..=f64::INFINITY) {
            return Err(InvalidTag::NamedNumber);
        }
        Ok(Self { names: Some(names), ..self })
    }

    /// Whether one request can read the tag.
    ///
    /// # Errors
    ///
    /// When it is wider than the limits allow, or stands where nothing may be read.
    pub fn fits(&self, limits: &Limits) -> Result<(), InvalidTag> {
        let Self { at, encoding, .. } = *self;
        let (width, limit) = (self.width(), limits.size(at.table.cell()));
        if width > limit {
            return Err(InvalidTag::WiderThanRequest { encoding, width, limit });
        }
        match limits.forbidden(at.table, at.start, at.start + (width - 1)) {
            Some(places) => Err(InvalidTag::NeverRead { at, encoding, places }),
            None => Ok(()),
        }
    }

    /// Whether the two tags read some of the same bits of the device.
    pub fn overlaps(&self, other: &Self) -> bool {
        let reach = |tag: &Self| u32::from(tag.at.start) + u32::from(tag.width());
        let same_places = self.at.table == other.at.table
            && u32::from(self.at.start) < reach(other)
            && u32::from(other.at.start) < reach(self);
        same_places && self.mask() & other.mask() != 0
    }

    /// The bits of its registers that it reads.
    fn mask(&self) -> u16 {
        let first = self.at.bit.unwrap_or(0);
        match self.encoding {
            Encoding::Bool if self.at.bit.is_some() => 1 << first,
            Encoding::Bits { count } => (u16::MAX >> (BITS_PER_REGISTER - count)) << first,
            _ => u16::MAX,
        }
    }

    const fn is_number(&self) -> bool {
        !matches!(self.encoding, Encoding::Bool | Encoding::Text { .. })
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

    /// The raw value that stands for "no value".
    pub const fn invalid(&self) -> Option<&Value> {
        self.invalid.as_ref()
    }

    /// The scaled numbers that can be trusted.
    pub const fn range(&self) -> &RangeInclusive<f64> {
        &self.range
    }

    /// What its numbers are called.
    pub const fn names(&self) -> Option<&Names> {
        self.names.as_ref()
    }

    /// How many places of its table it takes.
    pub const fn width(&self) -> u16 {
        self.encoding.width()
    }
}
