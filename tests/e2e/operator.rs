//! The operator: every command on the buffer, while the gateway runs and while it does not.

mod arguments;
mod dead;
mod export;
mod look;
mod purge;
mod replay;

use penstock_buffer::Buffer;
use penstock_events::{CounterMark, Event, Fact, Lane, Output, Quality, Timestamp, Value};
use serde_json::Value as Json;

use crate::harness::{Gateway, Site, free_port};

/// 2026-01-01: when event 1 of a stocked buffer happened. Each other is a second later.
const BEGIN_MICROS: i64 = 1_767_225_600_000_000;
/// As many events as one append takes.
const AT_ONCE: u64 = 8_000;

/// A gateway that does not run, with a buffer of so many samples and a tenth as many pieces, alternately of two presses.
/// Neither its device nor its broker is there.
fn stocked(samples: u64) -> Gateway {
    let site = Site::empty().press_at("press-1", free_port()).uplink(free_port());
    let gateway = Gateway::stopped(&site.toml());
    let buffer = gateway.buffer();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let numbers: Vec<u64> = (1..=samples).collect();
    for chunk in numbers.chunks(AT_ONCE as usize / 2) {
        let pieces = chunk.iter().filter(|n| n.is_multiple_of(10)).map(|&n| piece(n));
        let events = chunk.iter().map(|&n| sample(n)).chain(pieces).collect();
        runtime.block_on(buffer.append(events, Vec::new())).expect("a disk that works");
    }
    buffer.close().expect("a disk that works");
    gateway
}

/// Notes that the destination has everything.
fn acknowledge(buffer: &Buffer) {
    let heads = *buffer.heads().borrow();
    for lane in Lane::ALL {
        buffer.ack(&"enterprise".parse().unwrap(), lane, heads[lane]).expect("it is durable");
    }
}

fn sample(n: u64) -> Event {
    let tag = "press-1.temp".parse().unwrap();
    // Not to be compressed, so that generations fill.
    let value = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    event(n, Fact::TelemetrySampled { tag, value: Some(Value::UInt(value)), unit: None })
}

fn piece(n: u64) -> Event {
    let counter = CounterMark { epoch: Timestamp::EPOCH, from: n - 1, to: n };
    let tag = "press-1.good".parse().unwrap();
    event(n, Fact::ProductionCompleted { tag, output: Output::Good, quantity: 1, counter })
}

fn event(n: u64, fact: Fact) -> Event {
    let time = Timestamp::from_micros(BEGIN_MICROS + i64::try_from(n).unwrap() * 1_000_000);
    let asset = format!("stamping/line-1/press-{}", n % 2 + 1).parse().unwrap();
    Event { asset, time, observed: time, quality: Quality::Good, fact }
}

/// The text of a field of each of these documents.
fn texts<'a>(documents: &'a [Json], field: &'a str) -> impl Iterator<Item = &'a str> {
    documents.iter().map(move |one| one[field].as_str().unwrap_or_else(|| panic!("no {field} in {one}")))
}
