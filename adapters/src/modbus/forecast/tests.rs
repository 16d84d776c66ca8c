//! A forecast counts what a plan asks for.

use std::time::Duration;

use penstock_events::{SourceId, TagId};

use crate::modbus::{Device, Encoding, FirstByte, Group, Limits, Order, Tag};

fn device(tags: &[(&str, Encoding)]) -> Device {
    let tag = |(at, encoding): &(&str, Encoding)| {
        Tag::new(TagId(0), "plc.tag".parse().expect("a tag path"), at.parse().expect(at), *encoding)
            .expect(at)
    };
    Device {
        source: SourceId(0),
        name: "plc".parse().expect("a source name"),
        unit: 1,
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(1),
        limits: Limits::default(),
        groups: vec![Group { poll: Duration::from_secs(1), tags: tags.iter().map(tag).collect() }],
    }
}

#[test]
fn each_request_says_what_it_reads_for_whom_and_how_much_of_it_is_wanted() {
    let text = Encoding::Text { bytes: 20, first: FirstByte::High };
    let forecast = device(&[
        ("holding:300", Encoding::U16),
        ("holding:0", text),
        ("holding:3.5", Encoding::Bool),
        ("holding:12", Encoding::F32(Order::Abcd)),
        ("holding:13.0", Encoding::Bool),
        ("coil:0", Encoding::Bool),
        ("coil:9", Encoding::Bool),
    ])
    .forecast();
    assert_eq!((forecast.len(), forecast[0].tags), (1, 7));
    let told: Vec<_> = forecast[0]
        .requests
        .iter()
        .map(|request| (request.places.to_string(), request.tags, request.wanted, request.pdu_bytes()))
        .collect();
    let expected = [
        ("coil:0-9".to_owned(), 2, 2, (5, 4)),
        ("holding:0-13".to_owned(), 4, 12, (5, 30)),
        ("holding:300".to_owned(), 1, 1, (5, 4)),
    ];
    assert_eq!(told, expected);
}
