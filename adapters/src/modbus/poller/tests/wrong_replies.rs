//! One wrong reply at a time: never a wrong value as good, never a connection that is kept.

use penstock_events::{Cause, Observation, Sample, Value};

use super::{Bench, REQUEST_TIMEOUT, good, right, slot};
use crate::modbus::Link;
use crate::modbus::scripted::{self, Act, Request};

/// A device whose reply to request 4, in the second poll, is wrong in the way that `wrong` makes it.
fn wrong_once(wrong: impl Fn(Request) -> Vec<Act> + Send + Sync + 'static) -> scripted::Device {
    scripted::Device::new(move |n, request| match n {
        4 => wrong(request),
        _ => vec![Act::Send(right(request, u16::try_from(n / 3).unwrap()))],
    })
}

/// The device is lost for `cause`, and comes back over another connection with the values of then.
async fn is_lost_and_comes_back(plc: scripted::Device, cause: Cause) {
    let mut bench = Bench::with(&plc);
    assert_eq!(bench.polled().await, (slot(1), good(0)));
    assert_eq!(bench.lost().await, cause);
    assert!(matches!(bench.status.borrow().link, Link::Down { cause: shown, .. } if shown == cause));
    let (at, samples) = bench.polled().await;
    assert!(at > slot(2));
    assert_eq!(samples[2], Sample::Good(Value::Bool(true)));
    let of_then = |sample: &Sample| matches!(sample, Sample::Good(Value::UInt(1..=3)));
    assert!(samples[..2].iter().all(of_then), "{samples:?}");
    assert_eq!(plc.connections(), 2, "a connection with a wrong reply was kept");
    assert_eq!(bench.status.borrow().link, Link::Up);
}

#[tokio::test(start_paused = true)]
async fn a_short_reply_is_malformed() {
    let plc = wrong_once(|request| vec![Act::Send(request.registers(&[]))]);
    is_lost_and_comes_back(plc, Cause::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_reply_is_malformed() {
    let plc = wrong_once(|request| vec![Act::Send(request.registers(&[9, 9]))]);
    is_lost_and_comes_back(plc, Cause::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn coils_that_are_too_few_or_too_many_are_malformed() {
    for bytes in [vec![], vec![1, 1]] {
        let plc = scripted::Device::answering(move |n, request| match (request.function, n) {
            (1, 3) => request.bits(&bytes),
            _ => right(request, u16::try_from(n / 3).unwrap()),
        });
        is_lost_and_comes_back(plc, Cause::Malformed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_requests_transaction_id_is_malformed() {
    let plc = wrong_once(|request| {
        let earlier = Request { transaction: request.transaction.wrapping_sub(1), ..request };
        vec![Act::Send(earlier.all(99))]
    });
    is_lost_and_comes_back(plc, Cause::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn another_units_reply_is_malformed() {
    let plc = wrong_once(|request| vec![Act::Send(Request { unit: 18, ..request }.all(99))]);
    is_lost_and_comes_back(plc, Cause::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn another_functions_reply_is_malformed() {
    let plc = wrong_once(|request| vec![Act::Send(Request { function: 4, ..request }.all(99))]);
    is_lost_and_comes_back(plc, Cause::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn another_functions_exception_is_malformed() {
    let plc = wrong_once(|request| vec![Act::Send(Request { function: 4, ..request }.exception(2))]);
    is_lost_and_comes_back(plc, Cause::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_says_less_than_it_holds_is_malformed() {
    let plc = wrong_once(|request| vec![Act::Send(request.frame(&[3, 2, 0]))]);
    is_lost_and_comes_back(plc, Cause::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn garbage_is_malformed() {
    let plc = wrong_once(|_| vec![Act::Send(b"HTTP/1.1 400 Bad Request\r\n\r\n".repeat(1000))]);
    is_lost_and_comes_back(plc, Cause::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn a_header_that_no_frame_has_is_malformed_without_waiting_for_the_rest() {
    for header in [[0, 0, 0, 1, 0, 5], [0, 0, 0, 0, 0, 255], [0, 0, 0, 0, 0xff, 0xff], [0, 0, 0, 0, 0, 0]] {
        is_lost_and_comes_back(wrong_once(move |_| vec![Act::Send(header.to_vec())]), Cause::Malformed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_device_is_asked_again_within_the_poll() {
    for code in [5, 6] {
        let plc = scripted::Device::answering(move |n, request| match n {
            1..=3 => request.exception(code),
            _ => right(request, 7),
        });
        let mut bench = Bench::with(&plc);
        assert_eq!(bench.polled().await, (slot(1), good(7)));
        assert_eq!((plc.requests().len(), plc.connections()), (6, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_stays_busy_is_not_asked_for_ever_and_a_refusal_not_again() {
    for (code, requests) in [(6, 4), (5, 4), (1, 1), (2, 1), (4, 1)] {
        let plc = scripted::Device::answering(move |_, request| match request.start {
            900 => request.exception(code),
            _ => right(request, 7),
        });
        let mut bench = Bench::with(&plc);
        let (_, samples) = bench.polled().await;
        let [first, last] = [good(7)[0].clone(), good(7)[2].clone()];
        assert_eq!(samples, [first, Sample::Bad(Cause::ModbusException(code)), last]);
        assert_eq!(plc.requests().iter().filter(|request| request.start == 900).count(), requests);
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_frame_and_then_nothing_is_a_timeout() {
    let plc = wrong_once(|request| vec![Act::Send(request.all(99)[..9].to_vec())]);
    is_lost_and_comes_back(plc, Cause::Timeout).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_is_never_taken_for_a_later_one() {
    let plc = wrong_once(|request| vec![Act::Pause(REQUEST_TIMEOUT * 2), Act::Send(request.all(99))]);
    is_lost_and_comes_back(plc, Cause::Timeout).await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_sent_twice_never_becomes_the_next_answer() {
    let plc = scripted::Device::new(|n, request| {
        let reply = Act::Send(right(request, u16::try_from(n).unwrap()));
        if n == 1 { vec![reply.clone(), reply] } else { vec![reply] }
    });
    let mut bench = Bench::with(&plc);
    for _ in 0..5 {
        match bench.next().await {
            Observation::Polled { readings, .. } => {
                assert_ne!(readings[0].sample, readings[1].sample, "one reply was taken for two requests");
            }
            Observation::Lost { cause, .. } => assert_eq!(cause, Cause::Malformed),
            other => panic!("{other:?} of a device"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_mid_frame_is_opened_again_within_the_slot() {
    let plc = wrong_once(|request| vec![Act::Send(request.all(99)[..9].to_vec()), Act::Close]);
    let mut bench = Bench::with(&plc);
    assert_eq!(bench.polled().await, (slot(1), good(0)));
    let (at, samples) = bench.polled().await;
    assert_eq!(at, slot(2));
    assert!(!samples.contains(&Sample::Good(Value::UInt(99))));
    assert_eq!((plc.connections(), bench.status.borrow().connects), (2, 2));
}
