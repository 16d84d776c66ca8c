//! Several devices on one line, and several rates in one device.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use penstock_events::{Cause, Observation, SourceId, TagId};
use tokio::time::{sleep, timeout};

use super::{Bench, POLL, START, device, good, line, right, slot};
use crate::Clock;
use crate::backoff::REST_MAX;
use crate::modbus::scripted::{self, Act};
use crate::modbus::{Device, DeviceStatus, Encoding, Group, Link, Tag};

/// Unit `unit` on the line, whose source has the same number.
fn unit(unit: u8) -> Device {
    let name = format!("plc-{unit}").parse().expect("a source name");
    Device { source: SourceId(unit.into()), name, unit, ..device() }
}

/// The next observation of every source, as many as there are.
async fn round(bench: &mut Bench, sources: usize) -> BTreeMap<u32, Observation> {
    let mut round = BTreeMap::new();
    while round.len() < sources {
        let observation = bench.next().await;
        round.insert(observation.source().0, observation);
    }
    round
}

fn samples(observation: &Observation) -> Vec<penstock_events::Sample> {
    match observation {
        Observation::Polled { readings, .. } => {
            readings.iter().map(|reading| reading.sample.clone()).collect()
        }
        other => panic!("{other:?} where a poll was expected"),
    }
}

#[tokio::test(start_paused = true)]
async fn units_on_a_line_take_turns_request_by_request_over_one_connection() {
    let plc = scripted::Device::new(|_, request| {
        vec![Act::Pause(Duration::from_millis(10)), Act::Send(right(request, request.unit.into()))]
    });
    let mut bench = Bench::sharing([unit(1), unit(2), unit(3)], &plc);
    for _ in 0..3 {
        let round = round(&mut bench, 3).await;
        for (source, observation) in &round {
            assert_eq!(samples(observation), good(u16::try_from(*source).unwrap()));
        }
    }
    let units: Vec<u8> = plc.requests().iter().map(|request| request.unit).collect();
    assert_eq!(units[..9], [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    assert_eq!(plc.connections(), 1);
    // A scripted device reads its next request after it answered; what came sooner would be here.
    assert_eq!(plc.overlaps(), 0, "two requests were in flight");
}

#[tokio::test(start_paused = true)]
async fn a_dead_unit_costs_its_neighbours_one_timeout_a_rest() {
    let plc = scripted::Device::new(|_, request| match request.unit {
        2 => vec![],
        _ => vec![Act::Send(right(request, 7))],
    });
    let mut bench = Bench::sharing([unit(1), unit(2), unit(3)], &plc);
    let first = round(&mut bench, 3).await;
    assert!(matches!(first[&2], Observation::Lost { cause: Cause::Timeout, .. }), "{first:?}");
    let polls = 600;
    for _ in 0..polls {
        for (source, observation) in round(&mut bench, 2).await {
            assert_ne!(source, 2, "a loss was told twice");
            assert_eq!(samples(&observation), good(7));
        }
    }
    let status = bench.status.borrow().clone();
    assert_eq!((status.link, status.failed, status.skipped), (Link::Up, 0, 0));
    let tried = plc.requests().iter().filter(|request| request.unit == 2).count();
    let most = usize::try_from(polls).unwrap() / (REST_MAX.as_secs() as usize / 2) + 10;
    assert!((10..most).contains(&tried), "{tried} attempts in {polls} s");
}

#[tokio::test(start_paused = true)]
async fn what_a_gateway_says_of_a_dead_unit_is_the_units_loss_and_keeps_the_connection() {
    for code in [10, 11] {
        let plc = scripted::Device::answering(move |n, request| match request.unit {
            2 if n < 30 => request.exception(code),
            _ => right(request, 7),
        });
        let mut bench = Bench::sharing([unit(1), unit(2)], &plc);
        let first = round(&mut bench, 2).await;
        let cause = Cause::ModbusException(code);
        assert!(matches!(first[&2], Observation::Lost { cause: told, .. } if told == cause), "{first:?}");
        let Link::Down { detail, .. } = bench.neighbours[0].borrow().link.clone() else { panic!("it is up") };
        assert_eq!(detail, format!("the gateway cannot reach the unit (exception {code})"));
        let again = loop {
            let observation = bench.next().await;
            if observation.source() == SourceId(2) {
                break observation;
            }
            assert_eq!(samples(&observation), good(7));
        };
        assert_eq!(samples(&again), good(7));
        assert_eq!(plc.connections(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_cannot_be_reached_is_told_once_for_each_device_and_dialled_once_a_rest() {
    let line = line([unit(1), unit(2), unit(3)]);
    let known =
        line.devices.iter().map(|device| DeviceStatus::starting(device.name.clone(), START)).collect();
    let refuse = || Err(io::ErrorKind::ConnectionRefused.into());
    let mut bench = Bench::start(line, known, refuse, Clock::from_tokio(START));
    for source in [1, 2, 3] {
        let lost = bench.next().await;
        assert!(
            matches!(lost, Observation::Lost { source: SourceId(told), cause: Cause::Disconnected, .. } if told == source)
        );
    }
    assert!(timeout(REST_MAX * 4, bench.observations.recv()).await.is_err(), "a loss was told twice");
    let dials = bench.status.borrow().failed;
    assert!((4..20).contains(&dials), "{dials} dials");
    assert_eq!(bench.neighbours[0].borrow().failed, dials);
}

#[tokio::test(start_paused = true)]
async fn a_device_behind_another_that_was_let_rest_is_polled_in_its_next_slot() {
    // Unit 1 answers nothing; unit 2 needs the connection that its silence cost.
    let plc = scripted::Device::new(|_, request| match request.unit {
        1 => vec![],
        _ => vec![Act::Send(right(request, 7))],
    });
    let mut bench = Bench::sharing([unit(1), unit(2)], &plc);
    assert!(matches!(bench.next().await, Observation::Lost { source: SourceId(1), .. }));
    let Observation::Polled { readings, .. } = bench.next().await else { panic!("unit 2 is not polled") };
    assert_eq!(readings[0].time, slot(1));
}

#[tokio::test(start_paused = true)]
async fn units_behind_a_device_that_bears_one_connection_do_not_lose_each_other_theirs() {
    let plc = scripted::Device::new(|_, request| match request.unit {
        2 => vec![],
        _ => vec![Act::Send(right(request, 7))],
    });
    let line = line([unit(1), unit(2), unit(3)]);
    let known =
        line.devices.iter().map(|device| DeviceStatus::starting(device.name.clone(), START)).collect();
    let dialed = plc.clone();
    let dial = move || Ok(dialed.connect_alone(Duration::from_millis(80)));
    let mut bench = Bench::start(line, known, dial, Clock::from_tokio(START));
    while bench.neighbours[0].borrow().failed < 10 {
        if let observation @ Observation::Polled { .. } = bench.next().await {
            assert_eq!(samples(&observation), good(7));
        }
    }
    for alive in [&bench.status, &bench.neighbours[1]] {
        assert_eq!((alive.borrow().failed, alive.borrow().skipped), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn tags_with_a_poll_of_their_own_have_slots_of_their_own() {
    let tag = |id: u32, at: &str| {
        let path = format!("plc.tag-{id}").parse().expect("a tag path");
        Tag::new(TagId(id), path, at.parse().expect(at), Encoding::U16).expect("a valid tag")
    };
    let groups = Group::by_poll([
        (POLL * 5, tag(0, "holding:1")),
        (POLL, tag(1, "holding:2")),
        (POLL * 5, tag(2, "holding:3")),
    ]);
    let plc = scripted::Device::answering(|_, request| request.all(7));
    let mut bench = Bench::sharing([Device { groups, ..device() }], &plc);
    let mut polls = Vec::new();
    while polls.len() < 14 {
        let Observation::Polled { readings, .. } = bench.next().await else { panic!("it is lost") };
        let tags: Vec<u32> = readings.iter().map(|reading| reading.tag.0).collect();
        assert!(readings.iter().all(|reading| reading.time == readings[0].time));
        polls.push(((readings[0].time.as_micros() - slot(0).as_micros()) / 1_000_000, tags));
    }
    let expected = (1..).flat_map(|second| {
        let fast = (second, vec![1]);
        let slow = (second % 5 == 0).then(|| (second, vec![0, 2]));
        [Some(fast), slow].into_iter().flatten()
    });
    assert_eq!(polls, expected.take(14).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_slow_group_is_not_starved_by_a_fast_one_that_takes_all_the_time() {
    let tag = |id: u32, at: &str| {
        let path = format!("plc.tag-{id}").parse().expect("a tag path");
        Tag::new(TagId(id), path, at.parse().expect(at), Encoding::U16).expect("a valid tag")
    };
    let fast = Group { poll: Duration::from_millis(100), tags: vec![tag(0, "holding:1")] };
    let slow = Group { poll: Duration::from_millis(1000), tags: vec![tag(1, "holding:2")] };
    let plc = scripted::Device::new(|_, request| {
        vec![Act::Pause(Duration::from_millis(120)), Act::Send(request.all(7))]
    });
    let mut bench = Bench::sharing([Device { groups: vec![fast, slow], ..device() }], &plc);
    let mut polls = [0, 0];
    sleep(Duration::from_millis(1)).await;
    while polls[0] < 50 {
        let Observation::Polled { readings, .. } = bench.next().await else { panic!("it is lost") };
        polls[readings[0].tag.0 as usize] += 1;
    }
    assert!(polls[1] >= 5, "{polls:?}");
}
