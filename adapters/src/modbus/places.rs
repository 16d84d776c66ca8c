//! Neighbouring places of one table, as an operator names them: `holding:200-299`.

use std::fmt;
use std::str::FromStr;

use super::address::{Address, InvalidAddress, Table};

/// The places of `table` from `first` to `last`, both included.
///
/// Parses from `holding:200-299`, from a single place, and from the classic form `40201-40300`;
/// displays in the zero-based form.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Places {
    table: Table,
    first: u16,
    last: u16,
}

/// Why a text names no places.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPlaces {
    /// One of its ends.
    #[error("{0}")]
    Address(#[from] InvalidAddress),
    /// A bit of a register, which is only read with its register.
    #[error("{0} is a bit of a register: name the whole register")]
    Bit(Address),
    /// Two tables.
    #[error("{first} and {last} are of two tables")]
    TwoTables {
        /// The first place.
        first: Address,
        /// The last place.
        last: Address,
    },
    /// The end before the beginning.
    #[error("{last} comes before {first}")]
    Backwards {
        /// The first place.
        first: Address,
        /// The last place.
        last: Address,
    },
}

impl Places {
    /// The places of `table` from `first` to `last`; none when they are the wrong way round.
    pub const fn new(table: Table, first: u16, last: u16) -> Option<Self> {
        if first <= last { Some(Self { table, first, last }) } else { None }
    }

    /// The table.
    pub const fn table(&self) -> Table {
        self.table
    }

    /// The first place, zero-based as on the wire.
    pub const fn first(&self) -> u16 {
        self.first
    }

    /// The last place.
    pub const fn last(&self) -> u16 {
        self.last
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        u32::from(self.last) - u32::from(self.first) + 1
    }
}

impl FromStr for Places {
    type Err = InvalidPlaces;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once('-').unwrap_or((text, ""));
        let first: Address = from.trim().parse()?;
        // The end of `holding:200-299` leaves the table out, the end of `40201-40300` has its digit.
        let last: Address = match (to.trim(), from.contains(':')) {
            ("", _) if !text.contains('-') => first,
            (to, true) if !to.contains(':') => format!("{}:{to}", first.table).parse()?,
            (to, _) => to.parse()?,
        };
        for end in [first, last] {
            if end.bit.is_some() {
                return Err(InvalidPlaces::Bit(end));
            }
        }
        if first.table != last.table {
            return Err(InvalidPlaces::TwoTables { first, last });
        }
        Self::new(first.table, first.start, last.start).ok_or(InvalidPlaces::Backwards { first, last })
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, first, last } = self;
        if first == last { write!(f, "{table}:{first}") } else { write!(f, "{table}:{first}-{last}") }
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidPlaces, Places};
    use crate::modbus::Table;

    #[test]
    fn places_are_named_zero_based_or_as_in_a_manual() {
        for (text, shown) in [
            ("holding:200-299", "holding:200-299"),
            ("holding:200 - holding:299", "holding:200-299"),
            ("40201-40300", "holding:200-299"),
            ("input:0-65535", "input:0-65535"),
            ("coil:7", "coil:7"),
            ("00008", "coil:7"),
            ("discrete:7-7", "discrete:7"),
        ] {
            let places: Places = text.parse().expect(text);
            assert_eq!(places.to_string(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(places));
        }
        let all = Places::new(Table::InputRegister, 0, u16::MAX).expect("the right way round");
        assert_eq!(all.count(), 65_536);
    }

    #[test]
    fn what_names_no_places_is_refused_with_its_reason() {
        type Check = fn(&InvalidPlaces) -> bool;
        let address: Check = |error| matches!(error, InvalidPlaces::Address(_));
        let cases: [(&str, Check); 9] = [
            ("", address),
            ("holding:200-", address),
            ("-", address),
            ("holding:200-299-300", address),
            ("holding:200-65536", address),
            ("holding:200.3", |error| matches!(error, InvalidPlaces::Bit(_))),
            ("holding:200-input:299", |error| matches!(error, InvalidPlaces::TwoTables { .. })),
            ("40201-30300", |error| matches!(error, InvalidPlaces::TwoTables { .. })),
            ("holding:299-200", |error| matches!(error, InvalidPlaces::Backwards { .. })),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Places>().expect_err(text);
            assert!(expected(&error), "{text:?} gave {error:?}");
        }
    }
}
