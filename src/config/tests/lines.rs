//! Which devices share a connection or a serial line, and how often their tags are polled.

use std::time::Duration;

use super::{Plant, edited};
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
