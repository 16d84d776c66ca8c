//! From what a server sent to samples. Pure, and total: no value can make it panic.

use std::sync::Arc;

use opcua::types::{DataValue, DateTime, StatusCode, Variant};
use penstock_events::{Cause, Sample, Timestamp, Value};

/// The bits of a status code that are the code; the others say how it came about (OPC 10000-4, section 7.39.1).
const CODE: u32 = 0xFFFF_0000;

/// A decoded value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decoded {
    /// The value with its quality.
    pub(super) sample: Sample,
    /// The source's time of it, else the server's, where there is one.
    pub(super) time: Option<Timestamp>,
    /// Whether the server gave up values before it, for want of room in the item's queue.
    pub(super) overflowed: bool,
}

/// Decodes a value, or one element of an array.
pub(super) fn decode(value: &DataValue, element: Option<u32>) -> Decoded {
    let status = value.status.unwrap_or(StatusCode::Good);
    let sample = if status.is_bad() {
        Sample::Bad(cause(status))
    } else {
        match decoded(value.value.as_ref(), element) {
            Ok(value) if status.is_uncertain() => Sample::Uncertain(value, cause(status)),
            Ok(value) => Sample::Good(value),
            Err(cause) => Sample::Bad(cause),
        }
    };
    let time = [value.source_timestamp, value.server_timestamp].into_iter().flatten().find_map(timestamp);
    Decoded { sample, time, overflowed: status.overflow() }
}

/// The cause that a status code is.
pub(super) fn cause(status: StatusCode) -> Cause {
    Cause::OpcUaStatus(status.bits() & CODE)
}

/// The point in time; none for the null of OPC UA, the year 1601.
fn timestamp(time: DateTime) -> Option<Timestamp> {
    (!time.is_null()).then(|| Timestamp::from_micros(time.as_chrono().timestamp_micros()))
}

fn decoded(value: Option<&Variant>, element: Option<u32>) -> Result<Value, Cause> {
    let value = value.ok_or_else(|| cause(StatusCode::BadNoData))?;
    match (value, element) {
        (Variant::Variant(inner), _) => scalar(inner),
        (Variant::Array(array), Some(element)) => {
            let element = usize::try_from(element).unwrap_or(usize::MAX);
            array.values.get(element).map_or_else(|| Err(cause(StatusCode::BadIndexRangeNoData)), scalar)
        }
        (value, None) => scalar(value),
        (_, Some(_)) => Err(cause(StatusCode::BadIndexRangeNoData)),
    }
}

/// Each of the built-in types (OPC 10000-6, section 5.1.2) that is one value.
fn scalar(value: &Variant) -> Result<Value, Cause> {
    Ok(match value {
        Variant::Boolean(value) => Value::Bool(*value),
        Variant::SByte(value) => Value::Int((*value).into()),
        Variant::Int16(value) => Value::Int((*value).into()),
        Variant::Int32(value) => Value::Int((*value).into()),
        Variant::Int64(value) => Value::Int(*value),
        Variant::Byte(value) => Value::UInt((*value).into()),
        Variant::UInt16(value) => Value::UInt((*value).into()),
        Variant::UInt32(value) => Value::UInt((*value).into()),
        Variant::UInt64(value) => Value::UInt(*value),
        Variant::Float(value) => finite((*value).into())?,
        Variant::Double(value) => finite(*value)?,
        Variant::StatusCode(value) => Value::UInt(value.bits().into()),
        Variant::DateTime(value) => text(timestamp(**value).ok_or_else(no_data)?.to_string()),
        Variant::String(value) => text_or_null(value.value().as_ref())?,
        Variant::XmlElement(value) => text(value.to_string()),
        Variant::LocalizedText(value) => text_or_null(value.text.value().as_ref())?,
        Variant::Guid(value) => text(value.to_string()),
        Variant::ByteString(value) if value.is_null() => return Err(no_data()),
        Variant::ByteString(value) => text(value.as_base64()),
        Variant::QualifiedName(value) => text(value.to_string()),
        Variant::NodeId(value) => text(value.to_string()),
        Variant::ExpandedNodeId(value) => text(value.to_string()),
        Variant::Empty => return Err(no_data()),
        Variant::Array(_)
        | Variant::Variant(_)
        | Variant::ExtensionObject(_)
        | Variant::DataValue(_)
        | Variant::DiagnosticInfo(_) => return Err(cause(StatusCode::BadTypeMismatch)),
    })
}

fn finite(number: f64) -> Result<Value, Cause> {
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(Cause::NotFinite) }
}

fn text(text: String) -> Value {
    Value::Text(Arc::from(text))
}

fn text_or_null(value: Option<&String>) -> Result<Value, Cause> {
    value.map(|value| Value::Text(Arc::from(value.as_str()))).ok_or_else(no_data)
}

fn no_data() -> Cause {
    cause(StatusCode::BadNoData)
}

#[cfg(test)]
mod tests {
    use opcua::types::{
        ByteString, DataValue, DateTime, Guid, LocalizedText, NodeId, QualifiedName, StatusCode, UAString,
        Variant,
    };
    use penstock_events::{Cause, Sample, Timestamp, Value};

    use super::decode;

    fn sample(value: impl Into<Variant>, status: StatusCode, element: Option<u32>) -> Sample {
        let value = DataValue { value: Some(value.into()), status: Some(status), ..DataValue::default() };
        decode(&value, element).sample
    }

    fn good(value: impl Into<Variant>) -> Sample {
        sample(value, StatusCode::Good, None)
    }

    #[test]
    fn every_built_in_type_that_is_one_value_has_a_value() {
        let text = |text: &str| Sample::Good(Value::Text(text.into()));
        assert_eq!(good(true), Sample::Good(Value::Bool(true)));
        for int in [Variant::SByte(-5), Variant::Int16(-5), Variant::Int32(-5), Variant::Int64(-5)] {
            assert_eq!(good(int), Sample::Good(Value::Int(-5)));
        }
        for uint in [Variant::Byte(5), Variant::UInt16(5), Variant::UInt32(5), Variant::UInt64(5)] {
            assert_eq!(good(uint), Sample::Good(Value::UInt(5)));
        }
        for float in [Variant::Float(0.5), Variant::Double(0.5)] {
            assert_eq!(good(float), Sample::Good(Value::Float(0.5)));
        }
        assert_eq!(good(UAString::from("a")), text("a"));
        assert_eq!(good(LocalizedText::new("en", "a")), text("a"));
        assert_eq!(good(QualifiedName::new(2, "a")), text("2:a"));
        assert_eq!(good(NodeId::new(2, "a")), text("ns=2;s=a"));
        assert_eq!(good(ByteString::from(vec![1, 2, 3])), text("AQID"));
        assert_eq!(good(StatusCode::BadNodeIdUnknown), Sample::Good(Value::UInt(0x8034_0000)));
        assert_eq!(good(DateTime::ymd(2026, 1, 1)), text("2026-01-01T00:00:00.000000Z"));
        let guid = "09087e75-8e5e-499b-954f-f2a9603db28a";
        assert_eq!(good(guid.parse::<Guid>().expect("a guid")), text(guid));
    }

    #[test]
    fn what_is_no_value_is_bad() {
        let bad = |code| Sample::Bad(Cause::OpcUaStatus(code));
        assert_eq!(good(Variant::Empty), bad(0x809B_0000));
        assert_eq!(good(UAString::null()), bad(0x809B_0000));
        assert_eq!(good(vec![1_i32, 2]), bad(0x8074_0000));
        assert_eq!(good(f64::NAN), Sample::Bad(Cause::NotFinite));
        assert_eq!(decode(&DataValue::default(), None).sample, bad(0x809B_0000));
    }

    #[test]
    fn an_element_is_taken_from_its_array() {
        let element = |at| sample(vec![7_i32, 8], StatusCode::Good, Some(at));
        assert_eq!(element(1), Sample::Good(Value::Int(8)));
        assert_eq!(element(2), Sample::Bad(Cause::OpcUaStatus(0x8037_0000)));
        assert_eq!(sample(7_i32, StatusCode::Good, Some(0)), Sample::Bad(Cause::OpcUaStatus(0x8037_0000)));
    }

    #[test]
    fn a_status_becomes_a_quality_with_its_code_and_without_its_other_bits() {
        let uncertain = StatusCode::UncertainLastUsableValue.set_overflow(true);
        let cause = Cause::OpcUaStatus(0x4090_0000);
        assert_eq!(sample(7_i32, uncertain, None), Sample::Uncertain(Value::Int(7), cause));
        let bad = Sample::Bad(Cause::OpcUaStatus(0x808C_0000));
        assert_eq!(sample(7_i32, StatusCode::BadSensorFailure, None), bad);
    }

    #[test]
    fn the_sources_time_goes_before_the_servers_and_a_null_is_none() {
        let (source, server) = (DateTime::ymd(2026, 1, 1), DateTime::ymd(2026, 1, 2));
        let time = |source_timestamp, server_timestamp| {
            let value = DataValue { source_timestamp, server_timestamp, ..DataValue::new_now(1_i32) };
            decode(&value, None).time.map(Timestamp::as_micros)
        };
        let micros = |time: DateTime| Some(time.as_chrono().timestamp_micros());
        assert_eq!(time(Some(source), Some(server)), micros(source));
        assert_eq!(time(None, Some(server)), micros(server));
        assert_eq!(time(Some(DateTime::null()), Some(server)), micros(server));
        assert_eq!(time(None, None), None);
    }
}
