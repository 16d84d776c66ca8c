//! A gateway whose connection to an OPC UA server breaks again and again needs no more memory for that. Its tags belong to
//! no asset: what the buffer's caches take of memory, up to their bound, would hide what connections take.
//!
//! `RECONNECTS` is how often it breaks (100); `make soak` breaks it 1,000 times. The hundred find a leak of 28 KiB for each
//! break, or of 280 KiB for each session that is made anew, which every tenth is; the thousand one of a tenth of that.

use std::env;

use serde_json::Value;

use crate::harness::oven::{Kind, toml};
use crate::harness::{Gateway, Mosquitto, Oven, Relay, Site, eventually};

/// The server forgets a session after a second.
const SHORT: &str = "security = \"None\"\npoll = \"100ms\"\nsession_timeout = \"1s\"";
const RECONNECTS: usize = 100;
/// Of so many breaks one outlasts the session, one is that of a server that starts anew, and the others are short.
const ROUND: usize = 20;
const STARTS_ANEW_AT: usize = 0;
const OUTLASTS_AT: usize = 10;
/// Values that the counter of the oven has while a session ends: those of two seconds.
const MISSED: usize = 100;
/// What memory varies by: pages that the allocator keeps, and what the buffer's caches hold of the outages that it told.
const VARIES_KIB: u64 = 2 * 1024;
/// How often it is told how much memory there is.
const TOLD: usize = 20;

#[test]
fn memory_is_flat_over_reconnects() {
    let reconnects = env::var("RECONNECTS").map_or(RECONNECTS, |text| text.parse().expect("a number"));
    let mut oven = Oven::of(Kind::PenstockPlant, &[]);
    let relay = Relay::to(oven.address());
    let broker = Mosquitto::start();
    let site = toml(relay.address(), SHORT);
    let (source, _asset) = site.split_once("[[asset]]").expect("it has one");
    let gateway = Site::empty().device(source).uplink(broker.address()).start();
    let mut status = gateway.status_until("values", |status| of_source(status, "values") > 0);
    let mut memory = Vec::with_capacity(reconnects);
    for number in 0..reconnects {
        relay.cut();
        match number % ROUND {
            STARTS_ANEW_AT => {
                oven.kill();
                oven.restart(&[]);
            }
            OUTLASTS_AT => outlast_the_session(&oven),
            _ => {}
        }
        relay.open();
        status = well_again(&gateway, &status, number % ROUND == OUTLASTS_AT);
        memory.push(gateway.memory_kib());
        if (number + 1).is_multiple_of(reconnects.div_ceil(TOLD)) {
            eprintln!("{} reconnects: {} KiB", number + 1, memory[number]);
        }
    }
    eprintln!("{}", status["sources"][0]);
    assert!(of_source(&status, "connects") > (reconnects / ROUND * 2) as u64, "{status}");
    assert!(of_source(&status, "resumed") > 0, "{status}");

    let quarter = reconnects / 4;
    let most = |memory: &[u64]| *memory.iter().max().expect("there are some");
    let (first, last) = (most(&memory[..quarter]), most(&memory[reconnects - quarter..]));
    assert!(last <= first + VARIES_KIB, "{first} KiB at first, {last} KiB in the end");
}

/// Lets the server forget the session.
fn outlast_the_session(oven: &Oven) {
    let begin = oven.record("count").len();
    eventually("the session's end", || (oven.record("count").len() > begin + MISSED).then_some(()));
}

/// Waits until values come again, and those that were `missed`, and gives the status.
fn well_again(gateway: &Gateway, before: &Value, missed: bool) -> Value {
    let contact = gateway.status_until("contact", |status| {
        status["sources"][0]["state"] != "down" && contacts(status) > contacts(before)
    });
    gateway.status_until("values", |status| {
        of_source(status, "values") > of_source(&contact, "values")
            && (!missed || of_source(status, "recovered") > of_source(before, "recovered"))
    })
}

/// How often there was contact: sessions, and connections that took one up again.
fn contacts(status: &Value) -> u64 {
    of_source(status, "connects") + of_source(status, "resumed")
}

fn of_source(status: &Value, key: &str) -> u64 {
    status["sources"][0][key].as_u64().unwrap_or_else(|| panic!("no {key} in {status}"))
}
