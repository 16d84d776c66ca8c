//! Where a value stands in a device: which table, which place, which bit.

use std::fmt;
use std::str::FromStr;

/// The bits of a register, numbered 0 (least significant) to 15.
pub(super) const BITS_PER_REGISTER: u8 = 16;

/// One of the four tables of the Modbus data model (Application Protocol V1.1b3, section 4.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Table {
    /// Single bits that can be written; function 01 reads them.
    Coil,
    /// Single bits that can only be read; function 02.
    DiscreteInput,
    /// 16-bit words that can only be read; function 04.
    InputRegister,
    /// 16-bit words that can be written; function 03 reads them.
    HoldingRegister,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 4] = [Self::Coil, Self::DiscreteInput, Self::InputRegister, Self::HoldingRegister];

    /// The name in an address: `coil`, `discrete`, `input` or `holding`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Coil => "coil",
            Self::DiscreteInput => "discrete",
            Self::InputRegister => "input",
            Self::HoldingRegister => "holding",
        }
    }

    /// What one place of the table holds.
    pub const fn cell(self) -> Cell {
        match self {
            Self::Coil | Self::DiscreteInput => Cell::Bit,
            Self::InputRegister | Self::HoldingRegister => Cell::Register,
        }
    }

    /// The table that the first digit of a classic address stands for.
    const fn from_classic_digit(digit: u8) -> Option<Self> {
        match digit {
            b'0' => Some(Self::Coil),
            b'1' => Some(Self::DiscreteInput),
            b'3' => Some(Self::InputRegister),
            b'4' => Some(Self::HoldingRegister),
            _ => None,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one place of a table holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cell {
    /// One bit.
    Bit,
    /// One 16-bit word.
    Register,
}

/// Where a value begins in a device.
///
/// Parses from the zero-based form, which is the address on the wire (`holding:100`,
/// `holding:100.3` for bit 3 of that register), and from the one-based classic form of five or
/// six digits (`40101`, `400101`, `40101.3`). Displays in the zero-based form.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    /// Which table.
    pub table: Table,
    /// The zero-based place in it, as it goes over the wire.
    pub start: u16,
    /// A bit of the register there, 0 (least significant) to 15.
    pub bit: Option<u8>,
}

/// Why a text is not an address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidAddress {
    /// Neither of the two forms.
    #[error("{text:?} is not an address such as holding:100 (zero-based) or 40101 (classic, one-based)")]
    Form {
        /// The text as it was given.
        text: String,
    },
    /// The word before the colon.
    #[error("{text:?} names no table: use coil, discrete, input or holding, such as holding:100")]
    UnknownTable {
        /// The text as it was given.
        text: String,
    },
    /// The first digit of a classic address.
    #[error(
        "{text:?} begins with no table's digit: use 0 (coil), 1 (discrete), 3 (input) or 4 (holding), \
         such as 40101"
    )]
    UnknownClassicTable {
        /// The text as it was given.
        text: String,
    },
    /// A zero-based place that a device cannot have.
    #[error("{text:?} is out of range: places are 0 to 65535, such as holding:100")]
    PlaceOutOfRange {
        /// The text as it was given.
        text: String,
    },
    /// A classic place that a device cannot have.
    #[error(
        "{text:?} is out of range: classic places count from 1, to 9999 with five digits (40101) \
         and to 65536 with six (400101)"
    )]
    ClassicPlaceOutOfRange {
        /// The text as it was given.
        text: String,
    },
    /// A bit that a register does not have.
    #[error(
        "{text:?} has no such bit: a register's bits are 0 (least significant) to 15, such as holding:100.3"
    )]
    BitOutOfRange {
        /// The text as it was given.
        text: String,
    },
    /// A bit of what is a bit itself.
    #[error("{text:?} asks for a bit of a {table}, which is a single bit: leave the bit out")]
    BitOfBit {
        /// The text as it was given.
        text: String,
        /// The table.
        table: Table,
    },
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, bit) = match text.split_once('.') {
            Some((place, bit)) => (place, Some(parse_bit(bit, text)?)),
            None => (text, None),
        };
        let (table, start) = match place.split_once(':') {
            Some((table, start)) => (parse_table(table, text)?, parse_start(start, text)?),
            None => parse_classic(place, text)?,
        };
        if bit.is_some() && table.cell() == Cell::Bit {
            return Err(InvalidAddress::BitOfBit { text: text.to_owned(), table });
        }
        Ok(Self { table, start, bit })
    }
}

fn parse_table(table: &str, text: &str) -> Result<Table, InvalidAddress> {
    let named = Table::ALL.into_iter().find(|known| known.as_str() == table);
    named.ok_or_else(|| InvalidAddress::UnknownTable { text: text.to_owned() })
}

fn parse_start(start: &str, text: &str) -> Result<u16, InvalidAddress> {
    if !is_number(start) {
        return Err(InvalidAddress::Form { text: text.to_owned() });
    }
    start.parse().map_err(|_| InvalidAddress::PlaceOutOfRange { text: text.to_owned() })
}

fn parse_classic(digits: &str, text: &str) -> Result<(Table, u16), InvalidAddress> {
    if !is_number(digits) || !matches!(digits.len(), 5 | 6) {
        return Err(InvalidAddress::Form { text: text.to_owned() });
    }
    let (table, place) = digits.split_at(1);
    let table = Table::from_classic_digit(table.as_bytes()[0])
        .ok_or_else(|| InvalidAddress::UnknownClassicTable { text: text.to_owned() })?;
    let start = place.parse::<u32>().ok().and_then(|place| u16::try_from(place.checked_sub(1)?).ok());
    Ok((table, start.ok_or_else(|| InvalidAddress::ClassicPlaceOutOfRange { text: text.to_owned() })?))
}

fn parse_bit(bit: &str, text: &str) -> Result<u8, InvalidAddress> {
    if !is_number(bit) {
        return Err(InvalidAddress::Form { text: text.to_owned() });
    }
    bit.parse()
        .ok()
        .filter(|bit| *bit < BITS_PER_REGISTER)
        .ok_or_else(|| InvalidAddress::BitOutOfRange { text: text.to_owned() })
}

/// Digits only: `parse` alone would take a leading plus sign.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.table, self.start)?;
        match self.bit {
            Some(bit) => write!(f, ".{bit}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::{Address, InvalidAddress, Table};

    fn at(table: Table, start: u16, bit: Option<u8>) -> Address {
        Address { table, start, bit }
    }

    #[test]
    fn both_forms_name_the_same_place() {
        let holding = at(Table::HoldingRegister, 100, None);
        for (text, address) in [
            ("holding:100", holding),
            ("40101", holding),
            ("400101", holding),
            ("40101.3", at(Table::HoldingRegister, 100, Some(3))),
            ("holding:65535.15", at(Table::HoldingRegister, 65_535, Some(15))),
            ("465536", at(Table::HoldingRegister, 65_535, None)),
            ("49999", at(Table::HoldingRegister, 9_998, None)),
            ("input:10", at(Table::InputRegister, 10, None)),
            ("30001", at(Table::InputRegister, 0, None)),
            ("discrete:5", at(Table::DiscreteInput, 5, None)),
            ("10001", at(Table::DiscreteInput, 0, None)),
            ("coil:5", at(Table::Coil, 5, None)),
            ("00001", at(Table::Coil, 0, None)),
            ("000001", at(Table::Coil, 0, None)),
        ] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
    }

    #[test]
    fn an_invalid_address_says_what_is_wrong_with_it_and_shows_a_right_one() {
        type Check = fn(&InvalidAddress) -> bool;
        let form: Check = |e| matches!(e, InvalidAddress::Form { .. });
        let place: Check = |e| matches!(e, InvalidAddress::PlaceOutOfRange { .. });
        let classic: Check = |e| matches!(e, InvalidAddress::ClassicPlaceOutOfRange { .. });
        let bit: Check = |e| matches!(e, InvalidAddress::BitOutOfRange { .. });
        for (text, expected) in [
            ("", form),
            ("100", form),
            ("4010", form),
            ("4000101", form),
            ("holding:", form),
            ("holding:+1", form),
            ("holding:-1", form),
            ("holding:1.", form),
            ("holding:1.x", form),
            ("holding:1.2.3", form),
            ("holding:65536", place),
            ("40000", classic),
            ("400000", classic),
            ("465537", classic),
            ("holding:1.16", bit),
            ("holding:1.999", bit),
            ("register:1", |e| matches!(e, InvalidAddress::UnknownTable { .. })),
            ("20001", |e| matches!(e, InvalidAddress::UnknownClassicTable { .. })),
            ("coil:1.3", |e| matches!(e, InvalidAddress::BitOfBit { table: Table::Coil, .. })),
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(expected(&error), "{text:?} gave {error:?}");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    fn addresses() -> impl Strategy<Value = Address> {
        let bits = || (prop_oneof![Just(Table::Coil), Just(Table::DiscreteInput)], any::<u16>(), Just(None));
        let registers = || {
            let table = prop_oneof![Just(Table::InputRegister), Just(Table::HoldingRegister)];
            (table, any::<u16>(), proptest::option::of(0_u8..16))
        };
        prop_oneof![bits().prop_map(|(t, s, b)| at(t, s, b)), registers().prop_map(|(t, s, b)| at(t, s, b))]
    }

    proptest! {
        #[test]
        fn an_address_reads_back_what_it_displays(address in addresses()) {
            assert_eq!(address.to_string().parse(), Ok(address));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,12}") {
            if let Ok(address) = text.parse::<Address>() {
                assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
