//! A Modbus reply that comes after its request was given up must not be taken for the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::harness::{Mosquitto, Proof, Reply, ScriptedDevice, Site, Subscriber};

/// Added to a value whose reply is late.
const LATE: u16 = 0x8000;
/// Every so many requests the reply is late.
const EVERY: u16 = 8;
const OUTAGES: usize = 3;

#[test]
fn a_late_reply_is_never_taken_for_the_next_one() {
    let asked = Arc::new(AtomicU16::new(0));
    let device = ScriptedDevice::start(move |request| {
        let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
        if !number.is_multiple_of(EVERY) {
            return Reply::Bytes(request.answer(&[number]));
        }
        // It even claims to answer the request that comes next, as devices that count by themselves do.
        let mut next = request.clone();
        next.transaction = request.transaction.wrapping_add(1);
        Reply::Late(next.answer(&[LATE | number]))
    });
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().device(&device.toml("slow", 1)).uplink(broker.address()).start();

    subscriber.wait_until("some outages", |events| {
        events.iter().filter(|event| event.is("gateway.source_up", "slow")).count() >= OUTAGES
    });
    assert!(gateway.stop().success());
    subscriber.flush();

    let proof = Proof::of(&subscriber.events());
    let samples = proof.about("telemetry.sampled", "slow.r0");
    let good: Vec<u16> = samples
        .iter()
        .filter(|event| event.data()["quality"]["status"] == "good")
        .map(|event| event.number() as u16)
        .collect();
    let answered_in_time: Vec<u16> =
        (1..).filter(|number: &u16| !number.is_multiple_of(EVERY)).take(good.len()).collect();
    assert_eq!(good, answered_in_time);
    let downs = proof.about("gateway.source_down", "slow");
    assert!(downs.len() >= OUTAGES);
    assert!(downs.iter().all(|event| event.data()["cause"] == "timeout"));
    // The only sure way to lose what may still be on its way.
    assert!(device.connections() > OUTAGES, "a connection was used again after a timeout");
}
