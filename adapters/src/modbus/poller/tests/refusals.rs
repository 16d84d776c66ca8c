//! A device that refuses an address: one tag is bad, the others are not, and it is not asked for it all the time.

use penstock_events::{Cause, Observation, Sample, TagId, Value};

use super::{Bench, POLL, device};
use crate::modbus::scripted::{self, Act};
use crate::modbus::{Device, Encoding, Group, Tag};

const HOLE: u16 = 104;

/// Ten registers in a row, with a poll of their own.
fn row() -> Device {
    let tag = |id: u16| {
        let path = format!("plc.tag-{id}").parse().expect("a tag path");
        let at = format!("holding:{}", 100 + id).parse().expect("an address");
        Tag::new(TagId(id.into()), path, at, Encoding::U16).expect("a valid tag")
    };
    Device { groups: vec![Group { poll: POLL, tags: (0..10).map(tag).collect() }], ..device() }
}

#[tokio::test(start_paused = true)]
async fn an_illegal_address_makes_one_tag_bad_until_it_is_there() {
    let plc = scripted::Device::answering(|n, request| {
        let is_refused = n < 60 && (request.start..request.start + request.count).contains(&HOLE);
        if is_refused { request.exception(2) } else { request.all(7) }
    });
    let mut bench = Bench::sharing([row()], &plc);
    let (good, bad) = (Sample::Good(Value::UInt(7)), Sample::Bad(Cause::ModbusException(2)));
    let mut polls_with_a_bad_tag = 0;
    loop {
        let Observation::Polled { readings, .. } = bench.next().await else { panic!("it is lost") };
        let samples: Vec<&Sample> = readings.iter().map(|reading| &reading.sample).collect();
        if samples.iter().all(|sample| **sample == good) {
            break;
        }
        for (index, sample) in samples.iter().enumerate() {
            assert_eq!(*sample, if index == usize::from(HOLE - 100) { &bad } else { &good });
        }
        assert_eq!(bench.status.borrow().bad_tags, 1);
        polls_with_a_bad_tag += 1;
    }
    assert_eq!(bench.status.borrow().bad_tags, 0);
    let with_hole =
        |request: &&scripted::Request| (request.start..request.start + request.count).contains(&HOLE);
    let asked = plc.requests().iter().take(60).filter(with_hole).count();
    assert!(asked < polls_with_a_bad_tag, "asked {asked} times in {polls_with_a_bad_tag} polls");
    assert_eq!(plc.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_refuses_everything_is_up_with_all_tags_bad_until_it_does_not() {
    let plc = scripted::Device::answering(|n, request| match n {
        0..100 => request.exception(2),
        _ => request.all(7),
    });
    let mut bench = Bench::sharing([row()], &plc);
    let mut polls = 0;
    loop {
        let Observation::Polled { readings, .. } = bench.next().await else { panic!("it is lost") };
        polls += 1;
        let good = readings.iter().filter(|reading| matches!(reading.sample, Sample::Good(_))).count();
        assert!([0, readings.len()].contains(&good) || plc.requests().len() > 100);
        if good == readings.len() {
            break;
        }
    }
    assert!(polls > 30, "{polls}");
    assert_eq!(bench.status.borrow().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_refuses_everything_and_then_dies_is_lost() {
    let plc = scripted::Device::new(|n, request| match n {
        0..50 => vec![Act::Send(request.exception(2))],
        _ => vec![],
    });
    let mut bench = Bench::sharing([row()], &plc);
    while let Observation::Polled { .. } = bench.next().await {}
    assert_eq!(plc.requests().len(), 51);
}
