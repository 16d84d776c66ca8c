//! The PLC loses its power and comes back: pieces are counted on, whether its counter begins anew or not.

use crate::harness::{Boot, Facts, Gateway, Mosquitto, Plc, Proof, Site, Subscriber};

/// A PLC that has made some pieces, all of which are told, and has stopped: what it would make between the last
/// poll and the power cut, nobody could know.
fn stopped_after_some_pieces(plc: &mut Plc, gateway: &Gateway, subscriber: &Subscriber) -> Facts {
    subscriber.wait_until("some pieces", |events| {
        events.iter().filter(|event| event.is("production.completed", "press-1.good")).count() >= 10
    });
    let facts = plc.hold();
    gateway.delivered("press-1", &facts, subscriber);
    facts
}

fn out_and_back(plc: &mut Plc, boot: Boot, subscriber: &Subscriber) {
    plc.power_off();
    subscriber.wait_until("the outage", |events| {
        events.iter().any(|event| event.is("gateway.source_down", "press-1"))
    });
    plc.power_on(boot);
    subscriber
        .wait_until("its end", |events| events.iter().any(|event| event.is("gateway.source_up", "press-1")));
}

#[test]
fn a_counter_that_begins_at_zero_after_a_power_cut_is_counted_on() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    let before = stopped_after_some_pieces(&mut plc, &gateway, &subscriber);

    out_and_back(&mut plc, Boot { seed: 2, ..Boot::default() }, &subscriber);
    subscriber.wait_until("pieces of the second run", |events| {
        let epochs = events
            .iter()
            .filter(|event| event.is("production.completed", "press-1.good"))
            .map(|event| event.data()["counter"]["epoch"].as_str());
        epochs.collect::<std::collections::BTreeSet<_>>().len() == 2
    });
    let after = plc.hold();

    let proof = Proof::of(&gateway.delivered("press-1", &after, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&before.good, &after.good]);
    proof.counts("press-1.scrap", 1 << 16, &[&before.scrap, &after.scrap]);
    proof.outages("press-1", 1, 1);
}

#[test]
fn a_counter_that_keeps_its_value_over_a_power_cut_is_counted_on() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    let before = stopped_after_some_pieces(&mut plc, &gateway, &subscriber);

    let kept = Boot { good: before.last_good(), scrap: before.last_scrap(), seed: 2, ..Boot::default() };
    out_and_back(&mut plc, kept, &subscriber);
    subscriber.wait_until("more pieces", |events| {
        events.iter().any(|event| {
            event.is("production.completed", "press-1.good")
                && event.data()["counter"]["from"].as_u64() >= Some(before.last_good())
        })
    });
    let after = plc.hold();

    let proof = Proof::of(&gateway.delivered("press-1", &after, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&before.good, &after.good]);
    proof.counts("press-1.scrap", 1 << 16, &[&before.scrap, &after.scrap]);
    proof.outages("press-1", 1, 1);
    let epochs: std::collections::BTreeSet<_> = proof
        .about("production.completed", "press-1.good")
        .iter()
        .map(|event| event.data()["counter"]["epoch"].to_string())
        .collect();
    assert_eq!(epochs.len(), 1, "it is one run of the counter");
}
