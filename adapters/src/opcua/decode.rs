//! From what a server sent to samples. Pure, and total: no value can make it panic.

use std::sync::Arc;

use opcua::types::{DataValue, DateTime, StatusCode, Variant, XmlElement};
use penstock_events::{Cause, Sample, Timestamp, Value};

use super::part::{Part, Step};
use super::structure::{Fault, Node, pick, place};

/// The bits of a status code that are the code; the others say how it came about (OPC 10000-4, section 7.39.1).
const CODE: u32 = 0xFFFF_0000;
/// The null of OPC UA's times, the first moment of the year 1601 (OPC 10000-6, section 5.2.2.5). The library's own
/// test for it costs as much as all else that is done with a value.
const NULL_MICROS: i64 = -11_644_473_600_000_000;

/// A value that a server sent.
pub(super) struct Received<'v> {
    /// As it came.
    pub(super) value: &'v DataValue,
    /// What it is made of, if a tag is a field of it.
    pub(super) unfolded: Option<Node>,
}

impl Received<'_> {
    /// A part of it with its quality, and why there is none.
    pub(super) fn sample(&self, part: &Part) -> (Sample, Option<Fault>) {
        let status = self.status();
        if status.is_bad() {
            return (Sample::Bad(cause(status)), None);
        }
        match self.part(part).and_then(scalar) {
            Ok(value) if status.is_uncertain() => (Sample::Uncertain(value, cause(status)), None),
            Ok(value) => (Sample::Good(value), None),
            Err(fault) => (Sample::Bad(fault.cause()), Some(fault)),
        }
    }

    /// The source's time of it, else the server's, where there is one. Their picoseconds are finer than an event.
    pub(super) fn time(&self) -> Option<Timestamp> {
        let DataValue { source_timestamp, server_timestamp, .. } = self.value;
        [source_timestamp, server_timestamp].into_iter().flatten().find_map(|time| timestamp(*time))
    }

    /// Whether the server gave up values before it, for want of room in the item's queue.
    pub(super) fn overflowed(&self) -> bool {
        self.status().overflow()
    }

    fn status(&self) -> StatusCode {
        self.value.status.unwrap_or(StatusCode::Good)
    }

    fn part(&self, part: &Part) -> Result<&Variant, Fault> {
        if let Some(node) = self.unfolded.as_ref().filter(|_| part.is_in_structure()) {
            return pick(node, part.steps());
        }
        let mut value = self.value.value.as_ref().unwrap_or(&Variant::Empty);
        if let Variant::Variant(inner) = value {
            value = inner;
        }
        for step in part.steps() {
            value = match (value, step) {
                (_, Step::Field(_)) => return Err(Fault::NotAStructure),
                (Variant::Array(array), Step::Element(indexes)) => {
                    let place = place(indexes, array.dimensions.as_deref());
                    place.and_then(|place| array.values.get(place)).ok_or(Fault::NoElement)?
                }
                (_, Step::Element(_)) => return Err(Fault::NoElement),
            };
        }
        Ok(value)
    }
}

/// The cause that a status code is.
pub(super) fn cause(status: StatusCode) -> Cause {
    Cause::OpcUaStatus(status.bits() & CODE)
}

/// The point in time; none for the null of OPC UA, the year 1601.
pub(super) fn timestamp(time: DateTime) -> Option<Timestamp> {
    let micros = time.as_chrono().timestamp_micros();
    (micros != NULL_MICROS).then(|| Timestamp::from_micros(micros))
}

/// Each of the built-in types (OPC 10000-6, section 5.1.2) that is one value.
fn scalar(value: &Variant) -> Result<Value, Fault> {
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
        Variant::XmlElement(value) if *value == XmlElement::null() => return Err(no_data()),
        Variant::XmlElement(value) => text(value.to_string()),
        Variant::LocalizedText(value) => text_or_null(value.text.value().as_ref())?,
        Variant::Guid(value) => text(value.to_string()),
        Variant::ByteString(value) if value.is_null() => return Err(no_data()),
        Variant::ByteString(value) => text(value.as_base64()),
        Variant::QualifiedName(value) if value.name.is_null() => return Err(no_data()),
        Variant::QualifiedName(value) => text(value.to_string()),
        Variant::NodeId(value) => text(value.to_string()),
        // The index of the server itself is left out (OPC 10000-6, section 5.3.1.11).
        Variant::ExpandedNodeId(value) => {
            let shown = value.to_string();
            text(shown.strip_prefix("svr=0;").unwrap_or(&shown).to_owned())
        }
        Variant::Empty => return Err(no_data()),
        Variant::Array(_) => return Err(Fault::WholeArray),
        Variant::ExtensionObject(object) if object.is_null() => return Err(no_data()),
        Variant::ExtensionObject(_) => return Err(Fault::WholeStructure),
        Variant::Variant(_) | Variant::DataValue(_) | Variant::DiagnosticInfo(_) => {
            return Err(Fault::Plain(cause(StatusCode::BadTypeMismatch)));
        }
    })
}

fn finite(number: f64) -> Result<Value, Fault> {
    if number.is_finite() { Ok(Value::Float(number)) } else { Err(Fault::Plain(Cause::NotFinite)) }
}

fn text(text: String) -> Value {
    Value::Text(Arc::from(text))
}

fn text_or_null(value: Option<&String>) -> Result<Value, Fault> {
    value.map(|value| Value::Text(Arc::from(value.as_str()))).ok_or_else(no_data)
}

fn no_data() -> Fault {
    Fault::Plain(cause(StatusCode::BadNoData))
}

#[cfg(test)]
mod tests {
    use opcua::types::{
        ByteString, DataValue, DateTime, ExpandedNodeId, ExtensionObject, Guid, LocalizedText, NodeId,
        QualifiedName, StatusCode, UAString, Variant, XmlElement,
    };
    use penstock_events::{Cause, Sample, Timestamp, Value};

    use super::super::part::Part;
    use super::Received;

    fn received(value: &DataValue) -> Received<'_> {
        Received { value, unfolded: None }
    }

    fn sample(value: impl Into<Variant>, status: StatusCode, element: Option<u32>) -> Sample {
        let value = DataValue { value: Some(value.into()), status: Some(status), ..DataValue::default() };
        received(&value).sample(&element.map_or_else(Part::default, Part::element)).0
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
        assert_eq!(good(ExpandedNodeId::new(NodeId::new(2, "a"))), text("ns=2;s=a"));
        assert_eq!(good(ExpandedNodeId::from((NodeId::new(0, 7), "urn:a"))), text("nsu=urn:a;i=7"));
        assert_eq!(good(XmlElement::from("<a/>")), text("<a/>"));
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
        for null in [
            UAString::null().into(),
            Variant::XmlElement(XmlElement::null()),
            QualifiedName::null().into(),
            ByteString::null().into(),
            ExtensionObject::null().into(),
        ] {
            assert_eq!(good(null), bad(0x809B_0000));
        }
        assert_eq!(good(vec![1_i32, 2]), bad(0x8074_0000));
        assert_eq!(good(f64::NAN), Sample::Bad(Cause::NotFinite));
        assert_eq!(received(&DataValue::default()).sample(&Part::default()).0, bad(0x809B_0000));
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
            received(&value).time().map(Timestamp::as_micros)
        };
        let micros = |time: DateTime| Some(time.as_chrono().timestamp_micros());
        assert_eq!(time(Some(source), Some(server)), micros(source));
        assert_eq!(time(None, Some(server)), micros(server));
        assert_eq!(time(Some(DateTime::null()), Some(server)), micros(server));
        assert_eq!(time(None, None), None);
    }
}
