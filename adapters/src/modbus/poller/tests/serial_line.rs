//! RTU over a line on which everything that was said arrives some time, at whoever listens then.

use std::time::Duration;

use penstock_events::{Cause, Observation, Sample, SourceId, Value};

use super::wire::Wire;
use super::{Bench, REQUEST_TIMEOUT, device, good, right, slot};
use crate::modbus::scripted::{self, Act, Request};
use crate::modbus::{Device, Link};

/// The reply to a suspicious unit's first request, which has a size that no other has.
fn is_harmless(request: &Request) -> bool {
    request.function == 3 && request.count != 1 || request.function == 1 && request.count > 8
}

/// A device that answers request 4, in the second poll, in the way that `wrong` makes it.
fn wrong_once(wrong: impl Fn(Request) -> Vec<Act> + Send + Sync + 'static) -> scripted::Device {
    scripted::Device::new(move |n, request| match n {
        4 => wrong(request),
        _ => vec![Act::Send(right(request, u16::try_from(n / 3).unwrap()))],
    })
}

/// The device is lost for `cause`, is asked something harmless, and then has the values of then.
async fn is_lost_and_comes_back(plc: scripted::Device, cause: Cause) {
    let mut bench = Bench::on(&Wire::to(&plc), [device()]);
    assert_eq!(bench.polled().await, (slot(1), good(0)));
    assert_eq!(bench.lost().await, cause);
    let (at, samples) = bench.polled().await;
    assert!(at > slot(2));
    assert_eq!(samples[2], Sample::Good(Value::Bool(true)));
    let of_then = |sample: &Sample| matches!(sample, Sample::Good(Value::UInt(1..=3)));
    assert!(samples[..2].iter().all(of_then), "{samples:?}");
    let requests = plc.requests();
    assert!(is_harmless(&requests[5]), "{:?}", requests[5]);
    assert_eq!(requests.iter().filter(|request| is_harmless(request)).count(), 1);
    assert_eq!(bench.status.borrow().link, Link::Up);
}

/// The reply is asked for again in the same poll, behind something harmless, and nobody is lost.
async fn is_asked_again(plc: scripted::Device) {
    let mut bench = Bench::on(&Wire::to(&plc), [device()]);
    assert_eq!(bench.polled().await, (slot(1), good(0)));
    let (at, samples) = bench.polled().await;
    assert_eq!(at, slot(2));
    let of_then = |sample: &Sample| matches!(sample, Sample::Good(Value::UInt(1..=3)));
    assert!(samples[..2].iter().all(of_then), "{samples:?}");
    let requests = plc.requests();
    let asked: Vec<_> = requests[3..8].iter().map(|request| (request.function, request.start)).collect();
    assert!(is_harmless(&requests[5]), "{:?}", requests[5]);
    assert_eq!([asked[0], asked[1], asked[3], asked[4]], [(1, 5), (3, 100), (3, 100), (3, 900)]);
    assert_eq!(bench.status.borrow().failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_damaged_twice_is_a_loss() {
    let plc = scripted::Device::new(|n, request| {
        let mut frame = right(request, 7);
        frame[4] ^= u8::from((4..=6).contains(&n));
        vec![Act::Send(frame)]
    });
    let mut bench = Bench::on(&Wire::to(&plc), [device()]);
    assert_eq!(bench.polled().await, (slot(1), good(7)));
    assert_eq!(bench.lost().await, Cause::Malformed);
    assert_eq!(bench.polled().await.1, good(7));
}

#[tokio::test(start_paused = true)]
async fn every_slot_is_polled_once_and_the_line_is_opened_once() {
    let plc = scripted::Device::answering(|n, request| right(request, u16::try_from(n / 3).unwrap()));
    let mut bench = Bench::on(&Wire::to(&plc), [device()]);
    for poll in 0..5_u16 {
        assert_eq!(bench.polled().await, (slot(1 + i64::from(poll)), good(poll)));
    }
    assert_eq!(bench.status.borrow().connects, 1);
    assert!(!plc.requests().iter().any(is_harmless));
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_is_never_taken_for_a_later_one() {
    // Some come while the line is drained, some while the unit rests, some after it was asked again.
    for late in [1, 2, 3, 5, 8, 13, 21, 34, 55] {
        let plc = wrong_once(move |request| {
            vec![Act::Pause(REQUEST_TIMEOUT + Duration::from_millis(50 * late)), Act::Send(request.all(99))]
        });
        let mut bench = Bench::on(&Wire::to(&plc), [device()]);
        assert_eq!(bench.polled().await, (slot(1), good(0)));
        assert_eq!(bench.lost().await, Cause::Timeout);
        for _ in 0..4 {
            let (_, samples) = bench.polled().await;
            assert!(!samples.contains(&Sample::Good(Value::UInt(99))), "{late}: {samples:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_with_a_wrong_checksum_is_asked_for_again() {
    is_asked_again(wrong_once(|request| {
        let mut frame = request.all(99);
        frame[4] ^= 1;
        vec![Act::Send(frame)]
    }))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_another_size_or_function_is_asked_for_again() {
    is_asked_again(wrong_once(|r| vec![Act::Send(r.registers(&[9, 9]))])).await;
    is_asked_again(wrong_once(|r| vec![Act::Send(r.registers(&[]))])).await;
    let other = |r: Request| vec![Act::Send(Request { function: 4, ..r }.all(9))];
    is_asked_again(wrong_once(other)).await;
    let other = |r: Request| vec![Act::Send(Request { function: 4, ..r }.exception(2))];
    is_asked_again(wrong_once(other)).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_with_bytes_behind_it_is_asked_for_again() {
    let twice = |request: Request| vec![Act::Send([request.all(99), request.all(99)].concat())];
    is_asked_again(wrong_once(twice)).await;
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_and_then_nothing_is_a_timeout() {
    is_lost_and_comes_back(wrong_once(|r| vec![Act::Send(r.all(99)[..4].to_vec())]), Cause::Timeout).await;
}

#[tokio::test(start_paused = true)]
async fn garbage_is_asked_again_about() {
    is_asked_again(wrong_once(|_| vec![Act::Send(vec![17, 3, 0, 0, 0, 0])])).await;
    is_asked_again(wrong_once(|_| vec![Act::Send(vec![0xff; 600])])).await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_never_silent_is_told_and_not_asked() {
    let plc = scripted::Device::new(|_, _| {
        (0..1000).flat_map(|_| [Act::Send(vec![0]), Act::Pause(Duration::from_millis(10))]).collect()
    });
    let mut bench = Bench::on(&Wire::to(&plc), [device()]);
    assert_eq!(bench.lost().await, Cause::Malformed);
    while bench.status.borrow().failed < 2 {
        bench.status.changed().await.expect("the poller is at work");
    }
    let Link::Down { detail, .. } = bench.status.borrow().link.clone() else { panic!("it is up") };
    assert_eq!(
        detail,
        "malformed reply: the line does not fall silent for 2s: is there another master on it?"
    );
    assert_eq!(plc.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_of_another_unit_is_passed_over() {
    let plc = scripted::Device::new(|n, request| match n {
        3 => vec![Act::Send(Request { unit: 99, ..request }.all(99)), Act::Send(right(request, 1))],
        _ => vec![Act::Send(right(request, u16::try_from(n / 3).unwrap()))],
    });
    let mut bench = Bench::on(&Wire::to(&plc), [device()]);
    for poll in 0..3_u16 {
        assert_eq!(bench.polled().await, (slot(1 + i64::from(poll)), good(poll)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_unasked_between_two_requests_is_thrown_away() {
    let plc = scripted::Device::new(|n, request| {
        let reply = Act::Send(right(request, u16::try_from(n / 3).unwrap()));
        // The same once more, when the first was long taken.
        vec![reply.clone(), Act::Pause(Duration::from_millis(1)), reply]
    });
    let mut bench = Bench::on(&Wire::to(&plc), [device()]);
    for poll in 0..5_u16 {
        assert_eq!(bench.polled().await, (slot(1 + i64::from(poll)), good(poll)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_line_is_silent_before_each_request() {
    let plc = scripted::Device::answering(|_, request| right(request, 7));
    let second = Device { source: SourceId(4), unit: 18, ..device() };
    let mut bench = Bench::on(&Wire::to(&plc), [device(), second]);
    for _ in 0..4 {
        assert!(matches!(bench.next().await, Observation::Polled { .. }));
    }
    // In memory a reply takes no time: a request comes when the silence after the one before is over.
    let requests = plc.requests();
    let gaps = requests.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(gaps.min().expect("requests") >= Duration::from_micros(1_750));
    assert_eq!(plc.overlaps(), 0);
}
