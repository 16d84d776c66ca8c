//! How a value is laid out in registers: its type, and the order of its words and bytes.

use std::fmt;
use std::str::FromStr;

use penstock_events::Value;

use super::address::BITS_PER_REGISTER;

/// The type of a value and, where it spans registers, their order.
///
/// Modbus defines only 16-bit registers, most significant byte first (Application Protocol
/// V1.1b3, section 4.2); wider types are each vendor's own convention, hence [`Order`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Encoding {
    /// `bool`: a coil, a discrete input or one bit of a register.
    Bool,
    /// `u16`: one register, unsigned.
    U16,
    /// `i16`: one register, two's complement.
    I16,
    /// `u32`: two registers, unsigned.
    U32(Order),
    /// `i32`: two registers, two's complement.
    I32(Order),
    /// `u64`: four registers, unsigned.
    U64(Order),
    /// `i64`: four registers, two's complement.
    I64(Order),
    /// `f32`: two registers, IEEE 754 binary32.
    F32(Order),
    /// `f64`: four registers, IEEE 754 binary64.
    F64(Order),
    /// `bcd16`: one register of four decimal digits, the first in the highest four bits.
    Bcd16,
    /// `bcd32`: two registers of eight decimal digits.
    Bcd32(Order),
    /// `bits`: neighbouring bits of one register as an unsigned number; its address names the lowest.
    Bits {
        /// How many bits.
        count: u8,
    },
    /// `string`: UTF-8 (so ASCII too), two characters a register.
    Text {
        /// The room for the text, in bytes; an odd count leaves the last register's second byte unused.
        bytes: u16,
        /// Which byte of a register has its first character.
        first: FirstByte,
    },
}

/// Which byte of a register has the first of its two characters.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum FirstByte {
    /// The high byte, as the registers go over the wire: order `ABCD`.
    #[default]
    High,
    /// The low byte: order `BADC`.
    Low,
}

/// A number as a manual writes it, before it is known which type has to hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Without a fraction.
    Whole(i128),
    /// With one.
    Real(f64),
}

/// What some types need to be told besides their name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Layout {
    /// For types that span registers, [`Order::Abcd`] unless given, and for strings.
    pub order: Option<Order>,
    /// For `string`, which needs it: its room in bytes.
    pub bytes: Option<u16>,
    /// For `bits`, which needs it: how many.
    pub bits: Option<u8>,
}

/// The order in which the bytes of a value that spans registers arrive.
///
/// The name spells the wire order of the bytes of a 32-bit value whose most significant byte is A.
/// A 64-bit value, A to H, extends the same two choices: whether the most or the least significant
/// word comes first, and whether the two bytes of each word are swapped.
///
/// | order | 32 bits | 64 bits | words | bytes within a word |
/// |---|---|---|---|---|
/// | `ABCD` | AB CD | AB CD EF GH | most significant first | as Modbus has them |
/// | `CDAB` | CD AB | GH EF CD AB | least significant first | as Modbus has them |
/// | `BADC` | BA DC | BA DC FE HG | most significant first | swapped |
/// | `DCBA` | DC BA | HG FE DC BA | least significant first | swapped |
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Order {
    /// Big-endian throughout.
    #[default]
    Abcd,
    /// Least significant word first.
    Cdab,
    /// Most significant word first, bytes swapped within each.
    Badc,
    /// Little-endian throughout.
    Dcba,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 4] = [Self::Abcd, Self::Cdab, Self::Badc, Self::Dcba];

    /// `ABCD`, `CDAB`, `BADC` or `DCBA`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Abcd => "ABCD",
            Self::Cdab => "CDAB",
            Self::Badc => "BADC",
            Self::Dcba => "DCBA",
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of an order.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text:?} is not an order: use ABCD, CDAB, BADC or DCBA")]
pub struct InvalidOrder {
    text: String,
}

impl FromStr for Order {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|order| order.as_str() == text)
            .ok_or_else(|| InvalidOrder { text: text.to_owned() })
    }
}

/// Why a type, an order and a size make no encoding.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidEncoding {
    /// No such type.
    #[error("{name:?} is not a type: use {}", Encoding::NAMES.join(", "))]
    UnknownType {
        /// The name as it was given.
        name: String,
    },
    /// An order for a type that has none.
    #[error("a {name} has no word order: leave the order out")]
    OrderNotUsed {
        /// The type.
        name: &'static str,
    },
    /// A string without its size.
    #[error("a string needs its size in bytes, such as bytes = 16")]
    BytesMissing,
    /// A bit field without its size.
    #[error("a bit field needs its size in bits, such as bits = 3")]
    BitsMissing,
    /// A bit field that no register holds.
    #[error("a bit field of {bits} bits: use 1 to 16")]
    BitsOutOfRange {
        /// The number as it was given.
        bits: u8,
    },
    /// A number of bits for a type that has its own.
    #[error("a {name} has a size of its own: leave the bits out")]
    BitsNotUsed {
        /// The type.
        name: &'static str,
    },
    /// A string's registers are always in order.
    #[error(
        "a string's order is ABCD (first character in the high byte) or BADC (in the low byte), not {order}"
    )]
    TextOrder {
        /// The order as it was given.
        order: Order,
    },
    /// A size for a type that has its own.
    #[error("a {name} has a size of its own: leave the bytes out")]
    BytesNotUsed {
        /// The type.
        name: &'static str,
    },
}

impl Encoding {
    /// Every type's name in the configuration.
    pub const NAMES: [&'static str; 13] =
        ["bool", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bcd16", "bcd32", "bits", "string"];

    /// The encoding called `name`, laid out as `layout` says.
    ///
    /// # Errors
    ///
    /// When there is no such type, or the order or a size is missing or does not belong to it.
    pub fn new(name: &str, layout: Layout) -> Result<Self, InvalidEncoding> {
        let Layout { order, bytes, bits } = layout;
        let in_order = order.unwrap_or_default();
        let encoding = match name {
            "bool" => Self::Bool,
            "u16" => Self::U16,
            "i16" => Self::I16,
            "u32" => Self::U32(in_order),
            "i32" => Self::I32(in_order),
            "u64" => Self::U64(in_order),
            "i64" => Self::I64(in_order),
            "f32" => Self::F32(in_order),
            "f64" => Self::F64(in_order),
            "bcd16" => Self::Bcd16,
            "bcd32" => Self::Bcd32(in_order),
            "bits" => Self::bits(bits.ok_or(InvalidEncoding::BitsMissing)?)?,
            "string" => Self::Text {
                bytes: bytes.ok_or(InvalidEncoding::BytesMissing)?,
                first: FirstByte::of(in_order)?,
            },
            _ => return Err(InvalidEncoding::UnknownType { name: name.to_owned() }),
        };
        let is_text = matches!(encoding, Self::Text { .. });
        if order.is_some() && encoding.order().is_none() && !is_text {
            return Err(InvalidEncoding::OrderNotUsed { name: encoding.name() });
        }
        if bytes.is_some() && !is_text {
            return Err(InvalidEncoding::BytesNotUsed { name: encoding.name() });
        }
        if bits.is_some() && !matches!(encoding, Self::Bits { .. }) {
            return Err(InvalidEncoding::BitsNotUsed { name: encoding.name() });
        }
        Ok(encoding)
    }

    const fn bits(count: u8) -> Result<Self, InvalidEncoding> {
        match count {
            1..=BITS_PER_REGISTER => Ok(Self::Bits { count }),
            bits => Err(InvalidEncoding::BitsOutOfRange { bits }),
        }
    }

    /// The value that a device with this type gives for the raw `number`; none when the type is no
    /// number or cannot hold this one.
    pub fn raw(self, number: Number) -> Option<Value> {
        match (self, number) {
            (Self::F32(_), number) => Some(Value::Float(f64::from(number.as_f64() as f32))),
            (Self::F64(_), number) => Some(Value::Float(number.as_f64())),
            (_, Number::Real(_)) => None,
            (_, Number::Whole(whole)) => {
                let (lowest, highest) = self.whole_range()?;
                let fits = (i128::from(lowest)..=i128::from(highest)).contains(&whole);
                let value = match self {
                    Self::I16 | Self::I32(_) | Self::I64(_) => Value::Int(i64::try_from(whole).ok()?),
                    _ => Value::UInt(u64::try_from(whole).ok()?),
                };
                fits.then_some(value)
            }
        }
    }

    /// The least and the greatest raw number of a type of whole numbers.
    pub fn whole_range(self) -> Option<(i64, u64)> {
        match self {
            Self::U16 => Some((0, u16::MAX.into())),
            Self::U32(_) => Some((0, u32::MAX.into())),
            Self::U64(_) => Some((0, u64::MAX)),
            Self::I16 => Some((i16::MIN.into(), i16::MAX.unsigned_abs().into())),
            Self::I32(_) => Some((i32::MIN.into(), i32::MAX.unsigned_abs().into())),
            Self::I64(_) => Some((i64::MIN, i64::MAX.unsigned_abs())),
            Self::Bcd16 => Some((0, 9_999)),
            Self::Bcd32(_) => Some((0, 99_999_999)),
            Self::Bits { count } => Some((0, (1 << count) - 1)),
            Self::Bool | Self::F32(_) | Self::F64(_) | Self::Text { .. } => None,
        }
    }

    /// The type's name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32(_) => "u32",
            Self::I32(_) => "i32",
            Self::U64(_) => "u64",
            Self::I64(_) => "i64",
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
            Self::Bcd16 => "bcd16",
            Self::Bcd32(_) => "bcd32",
            Self::Bits { .. } => "bits",
            Self::Text { .. } => "string",
        }
    }

    /// The order of a type that spans registers.
    pub const fn order(self) -> Option<Order> {
        match self {
            Self::U32(order) | Self::I32(order) | Self::F32(order) | Self::Bcd32(order) => Some(order),
            Self::U64(order) | Self::I64(order) | Self::F64(order) => Some(order),
            Self::Bool | Self::U16 | Self::I16 | Self::Bcd16 | Self::Bits { .. } | Self::Text { .. } => None,
        }
    }

    /// How many places of its table a value takes: registers, or one bit for a bool in a bit table.
    pub const fn width(self) -> u16 {
        match self {
            Self::Bool | Self::U16 | Self::I16 | Self::Bcd16 | Self::Bits { .. } => 1,
            Self::U32(_) | Self::I32(_) | Self::F32(_) | Self::Bcd32(_) => 2,
            Self::U64(_) | Self::I64(_) | Self::F64(_) => 4,
            Self::Text { bytes, .. } => bytes.div_ceil(2),
        }
    }
}

impl FirstByte {
    const fn of(order: Order) -> Result<Self, InvalidEncoding> {
        match order {
            Order::Abcd => Ok(Self::High),
            Order::Badc => Ok(Self::Low),
            Order::Cdab | Order::Dcba => Err(InvalidEncoding::TextOrder { order }),
        }
    }
}

impl Number {
    const fn as_f64(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Real(real) => real,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(whole) => whole.fmt(f),
            Self::Real(real) => real.fmt(f),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Text { bytes, .. } => write!(f, "[{bytes}]"),
            Self::Bits { count } => write!(f, "[{count}]"),
            _ => match self.order() {
                Some(order) => write!(f, " {order}"),
                None => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests;
