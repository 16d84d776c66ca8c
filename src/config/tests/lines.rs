//! Which devices share a connection or a serial line, and how often their tags are polled.

use std::time::Duration;

use super::{Plant, Severity, edited};
use crate::config::Config;

const TAGS: &str = "tags = [{ name = \"a\", at = \"holding:1\", type = \"u16\" }]\n";

/// A configuration with more devices: the name, and the keys besides.
fn with(devices: &[(&str, &str)]) -> Plant {
    let mut text = super::VALID.to_owned();
    for (name, keys) in devices {
        text.push_str(&format!("[[modbus]]\nname = \"{name}\"\n{keys}\n{TAGS}"));
    }
    Plant::with(text)
}

/// The devices of each line.
fn shared(config: &Config) -> Vec<(String, Vec<&str>)> {
    let mut lines = Vec::new();
    for line in &config.modbus {
        let names = line.devices.iter().map(|device| device.name.as_str()).collect();
        lines.push((line.transport.to_string(), names));
    }
    lines
}

#[test]
fn devices_with_the_same_address_share_a_line() {
    let config = with(&[
        ("press-2", "address = \"tcp://127.0.0.1:1502\"\nunit = 2"),
        ("press-3", "address = \"tcp://127.0.0.1\"\nunit = 3"),
        ("press-4", "address = \"tcp://127.0.0.1:502\"\nunit = 4"),
    ])
    .load()
    .unwrap();
    let expected = [
        ("tcp://127.0.0.1:1502".to_owned(), vec!["press-1", "press-2"]),
        ("tcp://127.0.0.1:502".to_owned(), vec!["press-3", "press-4"]),
    ];
    assert_eq!(shared(&config), expected);
}

#[test]
fn a_tag_may_have_a_poll_of_its_own() {
    let text = edited("type = \"i16\"", "type = \"i16\", poll = \"10s\"");
    let config = Plant::with(text).load().unwrap();
    let groups = &config.modbus[0].devices[0].groups;
    let shown: Vec<_> = groups.iter().map(|group| (group.poll, group.tags.len())).collect();
    assert_eq!(shown, [(Duration::from_secs(1), 3), (Duration::from_secs(10), 1)]);
}

fn address(text: &str) -> Plant {
    Plant::with(edited("tcp://127.0.0.1:1502", text))
}

#[test]
fn a_serial_line_is_set_as_the_standard_has_it_unless_told_otherwise() {
    use penstock_adapters::modbus::{Parity, SerialPort, Stop, Transport};
    let port = |baud, parity, stop, turnaround_ms| {
        Transport::Serial(SerialPort {
            path: "/dev/ttyUSB0".into(),
            baud,
            parity,
            stop,
            turnaround: Duration::from_millis(turnaround_ms),
        })
    };
    for (text, transport) in [
        ("rtu:///dev/ttyUSB0", port(19_200, Parity::Even, Stop::One, 0)),
        ("rtu:///dev/ttyUSB0?parity=none", port(19_200, Parity::None, Stop::Two, 0)),
        ("rtu:///dev/ttyUSB0?baud=9600&parity=none&stop=1", port(9_600, Parity::None, Stop::One, 0)),
        ("rtu:///dev/ttyUSB0?parity=odd&stop=2&turnaround=50ms", port(19_200, Parity::Odd, Stop::Two, 50)),
    ] {
        assert_eq!(address(text).load().unwrap().modbus[0].transport, transport, "{text}");
    }
    let shown = |text| address(text).load().unwrap().modbus[0].transport.to_string();
    assert_eq!(shown("rtu:///dev/ttyUSB0?baud=9600"), "rtu:///dev/ttyUSB0");
    assert_eq!(shown("rtu+tcp://10.0.0.7:4001"), "rtu+tcp://10.0.0.7:4001");
}

#[test]
fn an_address_that_is_none_says_why() {
    for (text, why) in [
        ("rtu://ttyUSB0", "a serial port is a path from the root, such as rtu:///dev/ttyUSB0"),
        ("rtu:///dev/ttyUSB0?baud=fast", "baud=fast is none from 110 to 4000000"),
        ("rtu:///dev/ttyUSB0?parity=mark", "parity=mark is none of even, odd and none"),
        ("rtu:///dev/ttyUSB0?stop=3", "stop=3 is neither 1 nor 2"),
        ("rtu:///dev/ttyUSB0?turnaround=5", "turnaround=5 needs a unit"),
        ("rtu:///dev/ttyUSB0?turnaround=1h", "turnaround=1h is more than 10s"),
        ("rtu:///dev/ttyUSB0?speed=9600", "rtu:// has no setting \"speed\", or has it twice"),
        ("rtu:///dev/ttyUSB0?baud=9600&baud=1200", "rtu:// has no setting \"baud\", or has it twice"),
        ("rtu:///dev/ttyUSB0?baud", "\"baud\" is no NAME=VALUE"),
        ("rtu+tcp://10.0.0.7", "it has no port, and converters have none in common"),
        ("tcp://10.0.0.7?turnaround=5ms", "tcp:// has no setting \"turnaround\", or has it twice"),
        ("udp://10.0.0.7", "udp:// is no Modbus transport"),
        ("tls://10.0.0.7?turnaround=5ms", "tls:// has no setting \"turnaround\", or has it twice"),
    ] {
        let told = format!("7:11 modbus[0].address: `address` is not allowed: {why}");
        assert_eq!(address(text).problems(Severity::Error), [told], "{text}");
    }
}

#[test]
fn devices_that_cannot_share_a_serial_line_are_told() {
    let line = "address = \"rtu:///dev/ttyUSB0\"";
    let told = with(&[
        ("a", line),
        ("b", &format!("{line}\nunit = 2")),
        ("c", &format!("{line}\nunit = 2")),
        ("d", "address = \"rtu:///dev/ttyUSB0?baud=9600\"\nunit = 3"),
        ("e", &format!("{line}\nunit = 0")),
    ])
    .problems(Severity::Error);
    assert_eq!(
        told,
        [
            "39:8 modbus[3].unit: unit 2 of `rtu:///dev/ttyUSB0` is `b` already",
            "43:11 modbus[4].address: `rtu:///dev/ttyUSB0` has other settings at config.toml:29",
            "49:8 modbus[5].unit: unit 0 is every device of a serial line, and none of them answers",
        ]
    );
}

#[test]
fn modbus_security_takes_three_files() {
    let with_files = |files: &str| {
        let address = "address = \"tls://plc-1.plant.example\"";
        Plant::with(edited("address = \"tcp://127.0.0.1:1502\"", &format!("{address}\n{files}")))
            .and("ca.pem", "")
            .problems(Severity::Error)
    };
    let both = "7:11 modbus[0].address: Modbus/TCP Security takes certificates on both sides";
    assert_eq!(with_files(""), [both]);
    assert_eq!(with_files("ca_file = \"ca.pem\""), [both]);
    let half = "9:20 modbus[0].certificate_file: a client certificate takes two files";
    assert_eq!(with_files("ca_file = \"ca.pem\"\ncertificate_file = \"client.pem\""), [half]);
    let told =
        with_files("ca_file = \"ca.pem\"\ncertificate_file = \"client.pem\"\nkey_file = \"client.key\"");
    assert!(told[0].starts_with("8:11 modbus[0].ca_file: the certificates in "), "{told:?}");
    assert!(told[0].ends_with("ca.pem cannot be used: it holds none in PEM"), "{told:?}");
}

#[test]
fn certificates_without_tls_are_told() {
    let text = edited(
        "address = \"tcp://127.0.0.1:1502\"",
        "address = \"tcp://127.0.0.1:1502\"\nca_file = \"ca.pem\"",
    );
    let told = ["8:11 modbus[0].ca_file: `ca_file` has no effect with this address"];
    assert_eq!(Plant::with(text).problems(Severity::Warning), told);
}
