//! How a value is laid out in registers: its type, and the order of its words and bytes.

use std::fmt;
use std::str::FromStr;

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
    /// `string`: UTF-8 (so ASCII too), two characters a register, the first in the high byte.
    Text {
        /// The room for the text, in bytes; an odd count leaves the last low byte unused.
        bytes: u16,
    },
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
    #[error("{name:?} is not a type: use bool, u16, i16, u32, i32, u64, i64, f32, f64 or string")]
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
    /// A size for a type that has its own.
    #[error("a {name} has a size of its own: leave the bytes out")]
    BytesNotUsed {
        /// The type.
        name: &'static str,
    },
}

impl Encoding {
    /// The encoding called `name`. An `order` is for types that span registers (default
    /// [`Order::Abcd`]); `bytes` is for `string`, which needs it.
    ///
    /// # Errors
    ///
    /// When there is no such type, or the order or the size does not belong to it.
    pub fn new(name: &str, order: Option<Order>, bytes: Option<u16>) -> Result<Self, InvalidEncoding> {
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
            "string" => Self::Text { bytes: bytes.ok_or(InvalidEncoding::BytesMissing)? },
            _ => return Err(InvalidEncoding::UnknownType { name: name.to_owned() }),
        };
        if order.is_some() && encoding.order().is_none() {
            return Err(InvalidEncoding::OrderNotUsed { name: encoding.name() });
        }
        if bytes.is_some() && !matches!(encoding, Self::Text { .. }) {
            return Err(InvalidEncoding::BytesNotUsed { name: encoding.name() });
        }
        Ok(encoding)
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
            Self::Text { .. } => "string",
        }
    }

    /// The order of a type that spans registers.
    pub const fn order(self) -> Option<Order> {
        match self {
            Self::U32(order) | Self::I32(order) | Self::F32(order) => Some(order),
            Self::U64(order) | Self::I64(order) | Self::F64(order) => Some(order),
            Self::Bool | Self::U16 | Self::I16 | Self::Text { .. } => None,
        }
    }

    /// How many places of its table a value takes: registers, or one bit for a bool in a bit table.
    pub const fn width(self) -> u16 {
        match self {
            Self::Bool | Self::U16 | Self::I16 => 1,
            Self::U32(_) | Self::I32(_) | Self::F32(_) => 2,
            Self::U64(_) | Self::I64(_) | Self::F64(_) => 4,
            Self::Text { bytes } => bytes.div_ceil(2),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Text { bytes } => write!(f, "[{bytes}]"),
            _ => match self.order() {
                Some(order) => write!(f, " {order}"),
                None => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Encoding, InvalidEncoding, Order};

    #[test]
    fn every_type_is_found_by_its_name() {
        for (name, width) in [
            ("bool", 1),
            ("u16", 1),
            ("i16", 1),
            ("u32", 2),
            ("i32", 2),
            ("f32", 2),
            ("u64", 4),
            ("i64", 4),
            ("f64", 4),
        ] {
            let encoding = Encoding::new(name, None, None).expect(name);
            assert_eq!((encoding.name(), encoding.width()), (name, width));
        }
        assert_eq!(Encoding::new("string", None, Some(5)), Ok(Encoding::Text { bytes: 5 }));
        assert_eq!(Encoding::Text { bytes: 5 }.width(), 3);
    }

    #[test]
    fn an_order_belongs_to_types_that_span_registers() {
        assert_eq!(Encoding::new("f32", Some(Order::Cdab), None), Ok(Encoding::F32(Order::Cdab)));
        for name in ["bool", "u16", "i16"] {
            let refused = Encoding::new(name, Some(Order::Cdab), None);
            assert!(matches!(refused, Err(InvalidEncoding::OrderNotUsed { .. })), "{name} gave {refused:?}");
        }
    }

    #[test]
    fn a_size_belongs_to_strings_and_strings_need_one() {
        assert_eq!(Encoding::new("string", None, None), Err(InvalidEncoding::BytesMissing));
        let refused = Encoding::new("u32", None, Some(4));
        assert_eq!(refused, Err(InvalidEncoding::BytesNotUsed { name: "u32" }));
    }

    #[test]
    fn orders_read_back_what_they_display() {
        for order in Order::ALL {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        assert!("ACBD".parse::<Order>().is_err());
    }
}
