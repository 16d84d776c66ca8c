//! A forecast counts what a plan asks for.

use std::time::Duration;

use penstock_events::{SourceId, TagId};

use crate::modbus::{
    Device, Encoding, FirstByte, Group, Host, Limits, Order, Parity, SerialPort, Stop, Tag, Transport,
};

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

fn serial(baud: u32, turnaround: Duration) -> Transport {
    let path = "/dev/ttyUSB0".into();
    Transport::Serial(SerialPort { path, baud, parity: Parity::Even, stop: Stop::One, turnaround })
}

#[test]
fn a_request_takes_a_serial_line_its_bytes_and_the_silence_before_them() {
    let request = device(&[("holding:0", Encoding::U16)]).forecast()[0].requests[0];
    let line = serial(9_600, Duration::ZERO);
    assert_eq!(request.bytes_over(&line), 8 + 7);
    // Eleven bits a byte, and 3.5 bytes of silence.
    let micros = (15.0 + 3.5) * 11.0 / 9_600.0 * 1e6;
    let time = request.time_on(&line).expect("its speed is known");
    assert!((time.as_secs_f64() * 1e6 - micros).abs() < 1.0, "{time:?}");
    let tcp = Transport::Tcp(Host { host: "plc".to_owned(), port: 502 });
    assert_eq!((request.bytes_over(&tcp), request.time_on(&tcp)), (12 + 11, None));
}

#[test]
fn a_request_is_worth_more_bytes_the_longer_its_line_is_silent_before_it() {
    let cost = |baud, millis| serial(baud, Duration::from_millis(millis)).request_cost_bytes();
    assert_eq!(cost(9_600, 0), 8 + 5 + 4 + 4);
    assert_eq!(cost(9_600, 50), 8 + 5 + 4 + 44, "44 bytes take 50.4 ms");
    assert_eq!(cost(115_200, 0), 8 + 5 + 4 + 19, "1.75 ms of silence, whatever the speed");
    let behind_converter = Transport::RtuOverTcp {
        host: Host { host: "converter".to_owned(), port: 4001 },
        turnaround: Duration::ZERO,
    };
    assert_eq!(behind_converter.request_cost_bytes(), 8 + 5 + 4 + 4);
}
