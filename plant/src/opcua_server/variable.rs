//! What the server's variables are and hold, in words of our own.

use opcua::types::{DataTypeId, DataValue, DateTime, ExtensionObject, Range, Variant};

/// The ticks of 100 ns from 1601, from which OPC UA counts (OPC 10000-6, section 5.2.2.5), to 1970.
const TICKS_TO_1970: i64 = 116_444_736_000_000_000;
const TICKS_OF_A_MICROSECOND: i64 = 10;

/// What a variable holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An Int32.
    Int32(i32),
    /// A UInt32.
    UInt32(u32),
    /// A Double.
    Double(f64),
    /// An array of Doubles.
    Doubles(Vec<f64>),
    /// A String.
    Text(String),
    /// A structure of the standard's: Range (OPC 10000-8, section 5.6.2), from its low to its high.
    Range(f64, f64),
}

impl Value {
    pub(super) fn data_type(&self) -> DataTypeId {
        match self {
            Self::Int32(_) => DataTypeId::Int32,
            Self::UInt32(_) => DataTypeId::UInt32,
            Self::Double(_) | Self::Doubles(_) => DataTypeId::Double,
            Self::Text(_) => DataTypeId::String,
            Self::Range(..) => DataTypeId::Range,
        }
    }

    /// Scalar, or of one dimension (OPC 10000-3, section 5.6.2).
    pub(super) const fn rank(&self) -> i32 {
        if matches!(self, Self::Doubles(_)) { 1 } else { -1 }
    }

    /// This value, since `at_us`: microseconds since 1970.
    pub(super) fn since(&self, at_us: i64) -> DataValue {
        let variant = match self {
            Self::Int32(value) => Variant::from(*value),
            Self::UInt32(value) => Variant::from(*value),
            Self::Double(value) => Variant::from(*value),
            Self::Doubles(values) => Variant::from(values.clone()),
            Self::Text(text) => Variant::from(text.as_str()),
            Self::Range(low, high) => {
                Variant::from(ExtensionObject::from_message(Range { low: *low, high: *high }))
            }
        };
        DataValue::new_at(variant, date_time(at_us))
    }
}

/// A variable in the oven's folder, called by its name there and in its node id.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// The name.
    pub name: String,
    /// What it holds at first.
    pub value: Value,
    /// Since when, in microseconds since 1970.
    pub since_us: i64,
    /// Whether the server keeps what it held before.
    pub history: History,
}

/// Whether a variable's former values can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum History {
    /// The last of them can.
    Kept,
    /// None can: there are too many such variables.
    Forgotten,
}

/// A variable has another value.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which: its place in the list that the server was started with.
    pub variable: usize,
    /// What it holds from then on.
    pub value: Value,
    /// When, in microseconds since 1970.
    pub at_us: i64,
}

pub(super) fn date_time(at_us: i64) -> DateTime {
    DateTime::from(at_us * TICKS_OF_A_MICROSECOND + TICKS_TO_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_carries_its_time_to_the_microsecond() {
        let value = Value::Double(20.5).since(1_767_225_600_000_001);
        let at = value.source_timestamp.expect("it has one");
        assert_eq!(at.as_chrono().timestamp_micros(), 1_767_225_600_000_001);
        assert_eq!(value.value, Some(Variant::Double(20.5)));
    }
}
