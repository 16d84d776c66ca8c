//! The kinds of values that a key can have, and how each is read from its text.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use penstock_adapters::modbus::Number;
use penstock_events::{AssetPath, DestinationName, GatewayId, Site, SourceName, StateName, TagName, TagPath};
use toml::de::DeValue;

use super::source::Typing;

/// A value as the file has it.
pub(super) enum Scalar<'t> {
    /// Text.
    Text(&'t str),
    /// A cell of a tag list: text that may be read as any kind. `decimal` separates its fractions.
    Cell { text: &'t str, decimal: char },
    /// A whole number; none when it does not fit.
    Integer(Option<i128>),
    /// A number with a fraction.
    Float(f64),
    /// True or false.
    Bool,
    /// Something that is no single value.
    Other(&'static str),
}

/// A kind of value.
pub(super) trait Setting: Sized {
    /// Whether an example stands in quotes.
    const QUOTED: bool;

    /// What is allowed, in words.
    fn allowed() -> String;

    /// Reads it.
    ///
    /// # Errors
    /// A complaint that goes on after the key: `` `poll` `` "is not a duration".
    fn read(scalar: &Scalar<'_>) -> Result<Self, String>;
}

/// A kind of value that has an order.
pub(super) trait Ordered: Setting + PartialOrd {
    /// The value as one would write it.
    fn show(&self) -> String;
}

impl<'t> Scalar<'t> {
    /// The scalar that `value` is in a file of this typing.
    pub(super) fn of(value: &'t DeValue<'_>, typing: Typing) -> Self {
        match (value, typing) {
            (DeValue::String(text), Typing::Toml) => Self::Text(text),
            (DeValue::String(text), Typing::Cells { decimal }) => Self::Cell { text: text.trim(), decimal },
            (DeValue::Integer(number), _) => {
                Self::Integer(i128::from_str_radix(number.as_str(), number.radix()).ok())
            }
            (DeValue::Float(number), _) => Self::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            (DeValue::Boolean(_), _) => Self::Bool,
            (DeValue::Datetime(_), _) => Self::Other("a date"),
            (DeValue::Array(_), _) => Self::Other("a list"),
            (DeValue::Table(_), _) => Self::Other("a table"),
        }
    }

    /// The text.
    pub(super) fn text(&self) -> Result<&'t str, String> {
        match self {
            Self::Text(text) | Self::Cell { text, .. } => Ok(text),
            _ => Err(format!("must be text in quotes, not {}", self.kind())),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Cell { .. } => "text",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Bool => "true or false",
            Self::Other(kind) => kind,
        }
    }

    fn integer(&self) -> Result<i128, String> {
        match self {
            Self::Integer(Some(number)) => Ok(*number),
            Self::Integer(None) => Err("is out of range".to_owned()),
            Self::Cell { text, .. } => text.parse().map_err(|_| "must be a whole number".to_owned()),
            _ => Err(format!("must be a whole number, not {}", self.kind_of_number())),
        }
    }

    fn float(&self) -> Result<f64, String> {
        let number = match self {
            Self::Integer(Some(number)) => *number as f64,
            Self::Float(number) => *number,
            Self::Cell { text, decimal } => {
                text.replace(*decimal, ".").parse().map_err(|_| "must be a number".to_owned())?
            }
            _ => return Err(format!("must be a number, not {}", self.kind())),
        };
        if number.is_finite() { Ok(number) } else { Err("must be a finite number".to_owned()) }
    }

    fn kind_of_number(&self) -> &'static str {
        if let Self::Float(_) = self { "a number with a fraction" } else { self.kind() }
    }
}

macro_rules! integer_settings {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            const QUOTED: bool = false;

            fn allowed() -> String {
                "a whole number".to_owned()
            }

            fn read(scalar: &Scalar<'_>) -> Result<Self, String> {
                <$type>::try_from(scalar.integer()?).map_err(|_| "is out of range".to_owned())
            }
        }

        impl Ordered for $type {
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

integer_settings!(u8, u16, u32, u64, usize);

/// A kind of value that is text and checks itself.
pub(super) trait Text: FromStr<Err: Display> {
    /// What is allowed, in words.
    const ALLOWED: &'static str;
}

impl<T: Text> Setting for T {
    const QUOTED: bool = true;

    fn allowed() -> String {
        T::ALLOWED.to_owned()
    }

    fn read(scalar: &Scalar<'_>) -> Result<Self, String> {
        scalar.text()?.parse().map_err(|error| format!("is not allowed: {error}"))
    }
}

const NAME: &str = "1 to 64 letters a-z A-Z, digits, '_' and '-', starting with a letter or digit";

macro_rules! names {
    ($($type:ty: $allowed:expr),* $(,)?) => {$(
        impl Text for $type {
            const ALLOWED: &'static str = $allowed;
        }
    )*};
}

names! {
    Site: NAME,
    GatewayId: NAME,
    SourceName: NAME,
    StateName: NAME,
    DestinationName: NAME,
    TagName: "1 to 64 letters a-z A-Z, digits, '_', '-' and '.', starting with a letter or digit",
    TagPath: "SOURCE.TAG, the name of a source and of one of its tags",
    AssetPath: "1 to 8 names joined by '/'",
}

impl Setting for String {
    const QUOTED: bool = true;

    fn allowed() -> String {
        "text".to_owned()
    }

    fn read(scalar: &Scalar<'_>) -> Result<Self, String> {
        match scalar.text()? {
            "" => Err("must not be empty".to_owned()),
            text => Ok(text.to_owned()),
        }
    }
}

impl Setting for PathBuf {
    const QUOTED: bool = true;

    fn allowed() -> String {
        "a path; a relative one starts at the folder of the configuration file".to_owned()
    }

    fn read(scalar: &Scalar<'_>) -> Result<Self, String> {
        String::read(scalar).map(Self::from)
    }
}

impl Setting for f64 {
    const QUOTED: bool = false;

    fn allowed() -> String {
        "a number".to_owned()
    }

    fn read(scalar: &Scalar<'_>) -> Result<Self, String> {
        scalar.float()
    }
}

impl Ordered for f64 {
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for Number {
    const QUOTED: bool = false;

    fn allowed() -> String {
        "a number".to_owned()
    }

    fn read(scalar: &Scalar<'_>) -> Result<Self, String> {
        scalar.integer().map(Self::Whole).or_else(|_| scalar.float().map(Self::Real))
    }
}

impl Setting for Duration {
    const QUOTED: bool = true;

    fn allowed() -> String {
        "a duration with its unit: \"250ms\", \"2s\", \"5m\", \"1h\"".to_owned()
    }

    fn read(scalar: &Scalar<'_>) -> Result<Self, String> {
        if let Scalar::Integer(_) | Scalar::Float(_) = scalar {
            return Err("needs a unit, in quotes".to_owned());
        }
        let text = scalar.text()?;
        if text.parse::<f64>().is_ok() {
            return Err("needs a unit".to_owned());
        }
        text.parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|duration| Self::try_from(duration).ok())
            .ok_or_else(|| "is not a duration".to_owned())
    }
}

impl Ordered for Duration {
    fn show(&self) -> String {
        jiff::SignedDuration::try_from(*self)
            .map_or_else(|_| format!("{self:?}"), |duration| format!("{duration:#}"))
    }
}

/// A number of bytes: `4 GiB`, `500 MB`, `64 KiB`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, PartialOrd)]
pub(super) struct ByteSize(pub(super) u64);

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Setting for ByteSize {
    const QUOTED: bool = true;

    fn allowed() -> String {
        "a size with its unit: \"64 MiB\", \"4 GiB\", \"500 MB\"".to_owned()
    }

    fn read(scalar: &Scalar<'_>) -> Result<Self, String> {
        if let Scalar::Integer(_) | Scalar::Float(_) = scalar {
            return Err("needs a unit, in quotes".to_owned());
        }
        let text = scalar.text()?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = (&text[..digits], text[digits..].trim());
        if unit.is_empty() && !number.is_empty() {
            return Err("needs a unit".to_owned());
        }
        let factor =
            SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, bytes)| *bytes);
        let bytes =
            number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        bytes.map(Self).ok_or_else(|| "is not a size in whole units".to_owned())
    }
}

impl Ordered for ByteSize {
    fn show(&self) -> String {
        let (unit, factor) = SIZE_UNITS
            .into_iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(("B", 1));
        format!("{} {unit}", self.0 / factor)
    }
}
