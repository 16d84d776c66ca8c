//! A broker refuses some events for good: the others flow past, and the refused ones arrive once it relents.

use penstock_buffer::{Buffer, DeadLetter, DeadLetterFilter};
use penstock_events::cloudevent::{CloudEvent, Origin};
use serde_json::Value;

use crate::harness::{Event, Gateway, Mosquitto, Plc, Proof, Site, Subscriber};

const STATES: &str = "penstock/plant-7/stamping/line-1/press-1/machine.state_changed";

fn letters(buffer: &Buffer) -> Vec<DeadLetter> {
    buffer.dead_letters(&DeadLetterFilter::default(), None, 10_000).expect("a disk that works").letters
}

/// How many dead letters there are, and how many of them are to be sent again, by what the gateway says.
fn counts(status: &Value) -> (u64, u64) {
    let count = &status["destinations"][0]["dead_letters"];
    (count["letters"].as_u64().expect("a number"), count["retrying"].as_u64().expect("a number"))
}

/// Looks into the buffer of the gateway between two of its runs.
fn between_runs<T>(gateway: &mut Gateway, look: impl FnOnce(&Buffer) -> T) -> T {
    assert!(gateway.stop().success());
    let buffer = gateway.buffer();
    let seen = look(&buffer);
    buffer.close().expect("a disk that works");
    gateway.restart();
    seen
}

fn id_of(letter: &DeadLetter) -> String {
    let origin = Origin { gateway: "edge-01".parse().unwrap(), site: "plant-7".parse().unwrap() };
    let document = CloudEvent {
        origin: &origin,
        stream: &letter.stream,
        sequence: letter.id.sequence,
        event: &letter.event,
    };
    let document: Value = serde_json::from_slice(&document.to_json()).expect("it is JSON");
    document["id"].as_str().expect("a text").to_owned()
}

#[test]
fn refused_events_wait_as_dead_letters_while_others_pass_and_arrive_with_their_ids_once_they_may() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::refusing(STATES);
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();

    gateway.status_until("some dead letters", |status| counts(status).0 >= 5);
    let facts = plc.hold();
    let received = gateway.delivered("press-1", &facts, &subscriber);
    assert!(received.iter().all(|event| event.kind != "machine.state_changed"));
    let pieces = received.iter().filter(|event| event.kind == "production.completed").count();
    assert!(pieces > 5, "nothing flows past");

    // Asked for too early: it is refused again.
    let refused = between_runs(&mut gateway, |buffer| {
        let refused = letters(buffer);
        assert_eq!(buffer.retry_dead_letters(&[refused[0].id.clone()]).expect("a disk that works"), 1);
        refused
    });
    assert_eq!(refused.len(), facts.states.len(), "one for each state");
    assert!(refused.iter().all(|letter| letter.refusal.code == Some(0x87) && letter.refusal.attempts == 1));
    gateway.status_until("the second refusal", |status| counts(status) == (refused.len() as u64, 0));

    broker.relent();
    between_runs(&mut gateway, |buffer| {
        let again = letters(buffer);
        assert_eq!((again[0].refusal.attempts, again[0].refusal.first), (2, refused[0].refusal.first));
        let ids: Vec<_> = again.into_iter().map(|letter| letter.id).collect();
        assert_eq!(buffer.retry_dead_letters(&ids).expect("a disk that works"), ids.len());
    });
    gateway.status_until("all dead letters to be taken", |status| counts(status) == (0, 0));
    subscriber.flush();

    let mut received = subscriber.events();
    let states: Vec<&Event> = received.iter().filter(|event| event.kind == "machine.state_changed").collect();
    let mut ids: Vec<String> = states.iter().map(|event| event.id.clone()).collect();
    let mut expected: Vec<String> = refused.iter().map(id_of).collect();
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected, "each arrives once, with the id that it always had");
    // They came late: put back in their places they leave no hole.
    received.sort_by(|a, b| (&a.stream, a.sequence).cmp(&(&b.stream, b.sequence)));
    let proof = Proof::of(&received);
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.states("press-1.state", &facts.states);
}
