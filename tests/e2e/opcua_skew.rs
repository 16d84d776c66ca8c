//! An OPC UA server whose clock is wrong: its values come as they are, each once, with its source's time, and the
//! gateway tells whose clock is how far off.

use std::time::Duration;

use crate::harness::oven::{Kind, against_every_server, assert_recorded, has, samples, toml};
use crate::harness::{Mosquitto, Oven, Proof, Site, Subscriber};

const NONE: &str = "security = \"None\"\npoll = \"100ms\"";
/// As of a server that takes its local time for UTC.
const OFF: Duration = Duration::from_secs(3 * 3_600);
/// The time that a busy machine may take to tell the time, and less than what `3h 0m` is rounded from.
const LATE: Duration = Duration::from_secs(20);

against_every_server!(
    a_server_whose_clock_is_ahead_is_read_as_it_is_and_its_clock_is_told,
    a_server_whose_clock_is_behind_is_read_as_it_is_and_its_clock_is_told,
    a_server_whose_clock_is_right_is_told_to_be,
);

fn a_server_whose_clock_is_ahead_is_read_as_it_is_and_its_clock_is_told(kind: Kind) {
    a_skewed_server_is_read_as_it_is(Oven::skewed(kind, "+3h"), 1, "3h 0m ahead");
}

fn a_server_whose_clock_is_behind_is_read_as_it_is_and_its_clock_is_told(kind: Kind) {
    a_skewed_server_is_read_as_it_is(Oven::skewed(kind, "-3h"), -1, "3h 0m behind");
}

fn a_skewed_server_is_read_as_it_is(mut oven: Oven, side: i64, words: &str) {
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().device(&toml(oven.address(), NONE)).uplink(broker.address()).start();
    subscriber.wait_until("some values", |events| has(events, "count", 100.0));
    let status =
        gateway.status_until("a comparison", |status| status["sources"][0]["clock_skew_ms"].is_i64());
    oven.hold();
    let last = oven.last_count();
    subscriber.wait_until("the last value", |events| {
        has(events, "count", last) && events.iter().any(|event| event.counts("oven.count", last as u64))
    });
    subscriber.flush();

    let skew_ms = status["sources"][0]["clock_skew_ms"].as_i64().expect("it was waited for");
    let is_right = |difference_ms: i64| {
        let error_ms = (side * difference_ms).abs_diff(OFF.as_millis() as i64);
        side * difference_ms > 0 && error_ms < LATE.as_millis() as u64
    };
    assert!(is_right(skew_ms), "{status}");
    let shown = gateway.command(&["status"]).stdout();
    assert!(shown.contains(&format!("its CLOCK is {words}")), "{shown}");
    let log = gateway.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("server's clock")).collect();
    assert!(matches!(warnings[..], [only] if only.contains(words) && only.contains("NTP")), "{warnings:?}");

    let proof = Proof::of(&subscriber.events());
    for tag in ["count", "temp", "still"] {
        assert_recorded(&samples(&proof, tag), &oven.record(tag));
    }
    let counts = oven.counts();
    proof.counts("oven.count", 1 << 32, &[&counts]);
    for event in proof.about("production.completed", "oven.count") {
        let told = event.data()["counter"]["to"].as_u64().expect("a count");
        assert!(counts.contains(&(event.time_us, told)), "{}", event.document);
    }
    proof.outages("oven", 0, 0);
    assert_eq!(proof.repeated(), 0);
    for event in proof.about("telemetry.sampled", "oven.temp") {
        assert!(is_right((event.time_us - event.observed_us) / 1_000), "{}", event.document);
    }
}

fn a_server_whose_clock_is_right_is_told_to_be(kind: Kind) {
    let oven = Oven::of(kind, &[]);
    let broker = Mosquitto::start();
    let gateway = Site::empty().device(&toml(oven.address(), NONE)).uplink(broker.address()).start();
    let status =
        gateway.status_until("a comparison", |status| status["sources"][0]["clock_skew_ms"].is_i64());
    let skew_ms = status["sources"][0]["clock_skew_ms"].as_i64().expect("it was waited for");
    assert!(u128::from(skew_ms.unsigned_abs()) < LATE.as_millis(), "{status}");
}
