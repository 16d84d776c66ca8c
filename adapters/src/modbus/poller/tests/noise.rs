//! 10,000 polls through all that a line can do to a reply, without one wrong value taken for a good one.
//!
//! Every value says which register it is of and in which slot it was read, and every request of a unit
//! has the same size, so that any reply could be taken for any other. Over TCP bytes come whole and in
//! order, so there whole frames are late, lost, doubled, swapped or cut off; over RTU single bytes are.
//! The seed is fixed: a run can be repeated.

use std::sync::Mutex;
use std::time::Duration;

use fastrand::Rng;
use penstock_events::{Observation, Sample, SourceId, TagId, Value};

use super::wire::Wire;
use super::{Bench, REQUEST_TIMEOUT, START, device};
use crate::modbus::scripted::{self, Act, Request};
use crate::modbus::{Device, Encoding, Group, Order, Tag};

const POLLS: usize = 10_000;
const POLL: Duration = Duration::from_millis(100);
const UNITS: [u8; 2] = [1, 2];
/// Two registers each, too far apart to be read at once.
const PLACES: [u16; 3] = [100, 700, 1300];
/// One reply of so many has a bad fate.
const ONE_IN: usize = 12;

fn unit(unit: u8) -> Device {
    let tag = |(id, at): (u32, u16)| {
        let path = format!("plc-{unit}.tag-{id}").parse().expect("a tag path");
        let at = format!("holding:{at}").parse().expect("an address");
        Tag::new(TagId(id), path, at, Encoding::U32(Order::Abcd)).expect("a valid tag")
    };
    let tags = (0..).zip(PLACES).map(tag).collect();
    let name = format!("plc-{unit}").parse().expect("a source name");
    let groups = vec![Group { poll: POLL, tags }];
    Device { source: SourceId(unit.into()), name, unit, groups, ..device() }
}

/// What stands in the register `at` of `unit`: even ones say where they are, odd ones when.
fn register(unit: u8, at: u16, slot: u16) -> u16 {
    if at.is_multiple_of(2) { u16::from(unit) << 12 | at } else { slot }
}

fn slot_number(micros: i64) -> u16 {
    ((micros - START.as_micros()) / i64::try_from(POLL.as_micros()).unwrap()) as u16
}

/// The right answer to a request that comes so long after the start.
fn answer(request: &Request, elapsed: Duration) -> Vec<u8> {
    let slot = slot_number(START.as_micros() + i64::try_from(elapsed.as_micros()).unwrap());
    let words: Vec<u16> =
        (request.start..request.start + request.count).map(|at| register(request.unit, at, slot)).collect();
    request.registers(&words)
}

/// Polls until there were enough polls; returns how many were complete and how many devices were lost.
async fn nothing_wrong_is_taken(mut bench: Bench) -> (usize, usize) {
    let (mut complete, mut lost) = (0, 0);
    while complete < POLLS {
        let Observation::Polled { source, observed, readings } = bench.next().await else {
            lost += 1;
            continue;
        };
        let unit = u8::try_from(source.0).unwrap();
        for (reading, place) in readings.iter().zip(PLACES) {
            let Sample::Good(Value::UInt(value)) = reading.sample else { panic!("{reading:?} is not read") };
            let (read_of, read_in) = ((value >> 16) as u16, value as u16);
            assert_eq!(read_of, register(unit, place, 0), "a value of another register, {complete} polls in");
            let slots = slot_number(reading.time.as_micros())..=slot_number(observed.as_micros());
            assert!(slots.contains(&read_in), "a value of slot {read_in} in {slots:?}, {complete} polls in");
        }
        complete += 1;
    }
    (complete, lost)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_polls_over_a_bad_serial_line_take_no_wrong_value() {
    let origin = tokio::time::Instant::now();
    let plc = scripted::Device::answering(move |_, request| answer(&request, request.at - origin));
    let mut random = Rng::with_seed(0x5eed);
    let wire = Wire::through(move |reply| serial_fate(&mut random, reply), &plc);
    let (_, lost) = nothing_wrong_is_taken(Bench::on(&wire, UNITS.map(unit))).await;
    assert!(lost > POLLS / 100, "only {lost} losses: the line was not bad");
}

fn serial_fate(random: &mut Rng, mut bytes: Vec<u8>) -> Vec<(Duration, Vec<u8>)> {
    let at_once = |bytes| vec![(Duration::ZERO, bytes)];
    if random.usize(..ONE_IN) != 0 {
        return at_once(bytes);
    }
    let at = random.usize(..bytes.len() - 1);
    match random.u8(..8) {
        0 => drop(bytes.remove(at)),
        1 => bytes.insert(at, bytes[at]),
        2 => bytes.swap(at, at + 1),
        3 => bytes.clear(),
        4 => bytes.extend_from_within(..),
        5 => {
            let rest = bytes.split_off(at + 1);
            return vec![(Duration::ZERO, bytes), (REQUEST_TIMEOUT.mul_f64(random.f64() * 1.5), rest)];
        }
        // Later than the time-out, than the drained line and the first rests together.
        _ => return vec![(REQUEST_TIMEOUT.mul_f64(random.f64() * 8.0), bytes)],
    }
    at_once(bytes)
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_polls_over_bad_connections_take_no_wrong_value() {
    let origin = tokio::time::Instant::now();
    let fate = Mutex::new((Rng::with_seed(0x5eed), Vec::new()));
    let plc = scripted::Device::new(move |_, request| {
        let (random, held) = &mut *fate.lock().expect("no test panics with the lock");
        tcp_fate(random, held, answer(&request, request.at - origin))
    });
    let (_, lost) = nothing_wrong_is_taken(Bench::sharing(UNITS.map(unit), &plc)).await;
    assert!(lost > POLLS / 100, "only {lost} losses: the connections were not bad");
}

/// What is `held` back goes out behind the next reply, over whatever connection that takes.
fn tcp_fate(random: &mut Rng, held: &mut Vec<u8>, frame: Vec<u8>) -> Vec<Act> {
    let overdue = std::mem::take(held);
    if random.usize(..ONE_IN) != 0 {
        return vec![Act::Send([frame, overdue].concat())];
    }
    let at = random.usize(1..frame.len());
    let (first, rest) = frame.split_at(at);
    let late = REQUEST_TIMEOUT.mul_f64(random.f64() * 2.0);
    match random.u8(..8) {
        0 => vec![Act::Send([frame.as_slice(), &frame].concat())],
        1 => vec![],
        2 => {
            *held = frame;
            vec![]
        }
        3 => vec![Act::Send(first.to_vec()), Act::Close],
        4 => vec![Act::Send(first.to_vec()), Act::Pause(late), Act::Send(rest.to_vec())],
        5 => vec![Act::Send([overdue, frame].concat())],
        6 => vec![Act::Send((0..at).map(|_| random.u8(..)).collect())],
        _ => vec![Act::Pause(late), Act::Send(frame)],
    }
}
