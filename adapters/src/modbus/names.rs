//! The names of an enumeration's numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use penstock_events::Value;

/// What each number of a tag is called. Parses from `0=off, 1=heating` and displays so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names(BTreeMap<i128, Arc<str>>);

/// Why a text gives no names.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidNames {
    /// No number, no equals sign or no name.
    #[error("{entry:?} is not a number and its name: write 0=off, 1=heating")]
    Entry {
        /// The entry as it was given.
        entry: String,
    },
    /// Which of its names a number has cannot be told.
    #[error("{number} has two names")]
    Twice {
        /// The number.
        number: i128,
    },
}

impl Names {
    /// What `number` is called; none when it is no whole number or has no name.
    pub(super) fn of(&self, number: &Value) -> Option<&Arc<str>> {
        let number = match number {
            Value::Bool(bit) => i128::from(*bit),
            Value::Int(int) => i128::from(*int),
            Value::UInt(uint) => i128::from(*uint),
            Value::Float(_) | Value::Text(_) => return None,
        };
        self.0.get(&number)
    }

    /// The numbers that have a name, the least first.
    pub(super) fn numbers(&self) -> impl Iterator<Item = i128> {
        self.0.keys().copied()
    }
}

impl FromStr for Names {
    type Err = InvalidNames;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut names = BTreeMap::new();
        for entry in text.split(',').map(str::trim) {
            let invalid = || InvalidNames::Entry { entry: entry.to_owned() };
            let (number, name) = entry.split_once('=').ok_or_else(invalid)?;
            let (number, name): (i128, _) = (number.trim().parse().map_err(|_| invalid())?, name.trim());
            if name.is_empty() {
                return Err(invalid());
            }
            if names.insert(number, Arc::from(name)).is_some() {
                return Err(InvalidNames::Twice { number });
            }
        }
        Ok(Self(names))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (number, name)) in self.0.iter().enumerate() {
            write!(f, "{}{number}={name}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use penstock_events::Value;

    use super::{InvalidNames, Names};

    #[test]
    fn a_number_has_the_name_that_stands_beside_it() {
        let names: Names = " 1 = heating up ,0=off,-1=lost".parse().expect("names");
        assert_eq!(names.to_string(), "-1=lost, 0=off, 1=heating up");
        let name = |value| names.of(&value).map(AsRef::as_ref);
        assert_eq!(name(Value::UInt(1)), Some("heating up"));
        assert_eq!(name(Value::Int(-1)), Some("lost"));
        assert_eq!(name(Value::Bool(false)), Some("off"));
        assert_eq!(name(Value::UInt(2)), None);
        assert_eq!(name(Value::Float(0.0)), None);
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "off", "0", "0=", "=off", "0=off,", "x=off", "0.5=off"] {
            let refused = text.parse::<Names>();
            assert!(matches!(refused, Err(InvalidNames::Entry { .. })), "{text:?} gave {refused:?}");
        }
        assert_eq!("0=off,0=on".parse::<Names>(), Err(InvalidNames::Twice { number: 0 }));
    }
}
