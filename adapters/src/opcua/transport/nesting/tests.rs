//! Nesting as deep as it is let through and deeper, and publications that are flat or nearly so.

use std::thread;

use opcua::types::{
    BinaryDecodable, BinaryEncodable, ByteString, ContextOwned, DataChangeNotification, DataValue, DateTime,
    DiagnosticInfo, ExtensionObject, Guid, MonitoredItemNotification, NodeId, NotificationMessage, ObjectId,
    PublishResponse, StatusCode, UAString, Variant,
};
use proptest::prelude::*;

use super::*;

const MOST_ELEMENTS: usize = 100_000;
/// What a thread of the runtime has, and a test of an unoptimised build is to get by with.
const STACK_BYTES: usize = 2 * 1024 * 1024;

fn encoded(thing: &impl BinaryEncodable) -> Vec<u8> {
    let context = ContextOwned::default();
    thing.encode_to_vec(&context.context())
}

fn judged(body: &[u8]) -> Result<(), TooDeep> {
    check(body, MOST_ELEMENTS)
}

/// Diagnostics of so many levels below the first; of some, fields are there.
fn diagnostics(levels: usize, fields: u8) -> DiagnosticInfo {
    let mut made = DiagnosticInfo::default();
    for level in 0..levels {
        let has = |bit: u8| (fields.rotate_left((level % 8) as u32) & bit != 0).then_some(7);
        made = DiagnosticInfo {
            symbolic_id: has(1),
            namespace_uri: has(2),
            locale: has(4),
            localized_text: has(8),
            additional_info: has(16).map(|_| UAString::from("3 of 7")),
            inner_status_code: has(32).map(|_| StatusCode::BadTimeout),
            inner_diagnostic_info: Some(Box::new(made)),
        };
    }
    made
}

fn is_flat(value: &DataValue) -> bool {
    !matches!(
        value.value,
        Some(
            Variant::Variant(_)
                | Variant::DataValue(_)
                | Variant::DiagnosticInfo(_)
                | Variant::ExtensionObject(_)
                | Variant::Array(_)
        )
    )
}

#[test]
fn diagnostics_nest_as_deep_as_a_decoder_must_bear_and_no_deeper() {
    for fields in [0, 0xFF, 0b1001_0110] {
        let most = usize::from(MOST_DIAGNOSTICS);
        assert_eq!(judged(&encoded(&diagnostics(most, fields))), Ok(()));
        assert_eq!(judged(&encoded(&diagnostics(most + 1, fields))), Err(TooDeep::Diagnostics));
    }
}

#[test]
fn values_nest_in_each_other_only_so_far_also_behind_others_in_arrays() {
    // DataValue and Variant, again and again.
    let nested = |levels: u8| [1, TYPE_DATA_VALUE].repeat(levels.into());
    assert_eq!(judged(&nested(MOST_VALUES)), Ok(()));
    assert_eq!(judged(&nested(MOST_VALUES + 1)), Err(TooDeep::Values));
    // Arrays of two, of which the second goes on.
    let arrays = |levels: u8| {
        [1, IS_ARRAY | TYPE_DATA_VALUE, 2, 0, 0, 0, 1, 11, 1, 2, 3, 4, 5, 6, 7, 8].repeat(levels.into())
    };
    assert_eq!(judged(&arrays(MOST_VALUES)), Ok(()));
    assert_eq!(judged(&arrays(MOST_VALUES + 1)), Err(TooDeep::Values));
    // That many elements no array has.
    let long = |levels: u8| [1, IS_ARRAY | TYPE_DATA_VALUE, 2, 0, 0, 9].repeat(levels.into());
    assert_eq!(judged(&long(MOST_VALUES + 1)), Ok(()));
}

#[test]
fn what_is_let_through_is_decoded_and_dropped_on_the_stack_of_a_thread() {
    // Ten Variants are as many as the library takes.
    let part = [&[1, TYPE_DATA_VALUE].repeat(MOST_VALUES.into())[..], &[1, 24]].concat();
    let inner = encoded(&diagnostics(MOST_DIAGNOSTICS.into(), 0));
    let body = [&part.repeat(10)[..], &[25], &inner].concat();
    assert_eq!(judged(&body), Ok(()));
    let decode = move || {
        let context = ContextOwned::default();
        DataValue::decode(&mut &body[..], &context.context()).map(drop)
    };
    let decoding = thread::Builder::new().stack_size(STACK_BYTES).spawn(decode).expect("a thread");
    decoding.join().expect("no panic").expect("what may be so deep");
}

#[test]
fn a_text_of_letters_is_a_text() {
    let text = "No milk. Had a cold lead head; mind a feed of coal & led. \u{40}HHHH@@@@ ".repeat(500);
    assert_eq!(judged(&encoded(&UAString::from(text))), Ok(()));
}

fn value() -> impl Strategy<Value = DataValue> {
    let variant = prop_oneof![
        any::<bool>().prop_map(Variant::from),
        any::<u8>().prop_map(Variant::from),
        any::<i16>().prop_map(Variant::from),
        any::<u32>().prop_map(Variant::from),
        any::<i64>().prop_map(Variant::from),
        any::<f32>().prop_map(Variant::from),
        any::<f64>().prop_map(Variant::from),
        any::<i64>().prop_map(|ticks| Variant::from(DateTime::from(ticks))),
        any::<[u8; 16]>().prop_map(|bytes| Variant::from(Guid::from_bytes(bytes))),
        ".{0,40}".prop_map(|text| Variant::from(UAString::from(text))),
        any::<Vec<u8>>().prop_map(|bytes| Variant::from(ByteString::from(bytes))),
        any::<Vec<u16>>().prop_map(Variant::from),
        Just(Variant::Variant(Box::new(Variant::from(7_i32)))),
    ];
    (prop::option::of(variant), any::<[bool; 5]>()).prop_map(
        |(value, [status, source, server, finer, finest])| DataValue {
            value,
            status: status.then_some(StatusCode::Uncertain),
            source_timestamp: source.then(DateTime::now),
            source_picoseconds: finer.then_some(40),
            server_timestamp: server.then(DateTime::now),
            server_picoseconds: finest.then_some(0),
        },
    )
}

/// The body of a message that publishes these values.
fn publication(values: &[DataValue]) -> Vec<u8> {
    let item = |value: &DataValue| MonitoredItemNotification { client_handle: 64, value: value.clone() };
    let change = DataChangeNotification {
        monitored_items: Some(values.iter().map(item).collect()),
        ..DataChangeNotification::default()
    };
    let response = PublishResponse {
        subscription_id: 7,
        available_sequence_numbers: Some(vec![1, 2]),
        notification_message: NotificationMessage {
            sequence_number: 2,
            notification_data: Some(vec![ExtensionObject::from_message(change)]),
            ..NotificationMessage::default()
        },
        ..PublishResponse::default()
    };
    let id = NodeId::from(ObjectId::PublishResponse_Encoding_DefaultBinary);
    [encoded(&id), encoded(&response)].concat()
}

fn published(body: &[u8]) -> Option<PublishResponse> {
    let context = ContextOwned::default();
    let mut rest = body;
    let id = NodeId::decode(&mut rest, &context.context()).ok()?;
    assert_eq!(id, NodeId::from(ObjectId::PublishResponse_Encoding_DefaultBinary));
    PublishResponse::decode(&mut rest, &context.context()).ok()
}

fn has_only_flat(response: &PublishResponse) -> bool {
    let is_null = |infos: &Option<Vec<DiagnosticInfo>>| infos.as_ref().is_none_or(Vec::is_empty);
    let is_flat_object = |object: &ExtensionObject| {
        object.inner_as::<DataChangeNotification>().is_some_and(|change| {
            change.monitored_items.iter().flatten().all(|item| is_flat(&item.value))
                && is_null(&change.diagnostic_infos)
        })
    };
    response.notification_message.notification_data.iter().flatten().all(is_flat_object)
        && is_null(&response.diagnostic_infos)
        && response.response_header.service_diagnostics == DiagnosticInfo::default()
}

proptest! {
    #[test]
    fn a_publication_is_flat_exactly_if_its_values_are(values in prop::collection::vec(value(), 0..20)) {
        let body = publication(&values);
        prop_assert_eq!(flat::is_flat(&body), values.iter().all(is_flat));
        prop_assert_eq!(judged(&body), Ok(()));
    }

    /// Whatever it is made into, a decoder finds nothing in it that nests.
    #[test]
    fn what_is_told_to_be_flat_is_decoded_as_that(
        values in prop::collection::vec(value().prop_filter("flat", is_flat), 1..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(1), Just(23), Just(64)]), 1..4),
    ) {
        let mut body = publication(&values);
        for (at, byte) in changes {
            let at = at.index(body.len() - 4) + 4;
            body[at] = byte;
        }
        if flat::is_flat(&body) {
            prop_assert!(published(&body).is_none_or(|response| has_only_flat(&response)));
        }
    }

    #[test]
    fn no_nesting_of_diagnostics_is_missed(levels in 0_usize..200, fields: u8, before: Vec<u8>) {
        let body = [before, encoded(&diagnostics(levels, fields))].concat();
        if levels > usize::from(MOST_DIAGNOSTICS) {
            prop_assert!(judged(&body).is_err());
        }
    }

    #[test]
    fn no_bytes_break_it(body: Vec<u8>) {
        let _ = judged(&body);
        let _ = flat::is_flat(&[&[1, 0, 0x3D, 0x03][..], &body].concat());
    }
}
