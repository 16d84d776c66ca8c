//! Dead letters in an operator's hands: listed, shown, exported, sent again and given up.

use serde_json::Value;

use super::texts;
use crate::harness::{Event, Gateway, Mosquitto, Plc, Site, Subscriber, eventually};

const STATES: &str = "penstock/plant-7/stamping/line-1/press-1/machine.state_changed";

fn list(gateway: &Gateway) -> Vec<Value> {
    gateway.json(&["dead", "list", "--json"])
}

#[test]
fn dead_letters_are_listed_shown_exported_sent_again_and_given_up() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::refusing(STATES);
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    eventually("some dead letters", || {
        let listed = gateway.command(&["dead", "list", "--json"]);
        (listed.code() == 0 && listed.json().len() >= 4).then_some(())
    });
    let facts = plc.hold();
    gateway.delivered("press-1", &facts, &subscriber);

    let letters = list(&gateway);
    assert_eq!(letters.len(), facts.states.len(), "one for each state");
    let names: Vec<&str> = texts(&letters, "id").collect();
    let shown = gateway.json(&["dead", "show", names[0], "--json"]).remove(0);
    assert_eq!(shown, letters[0]);
    assert_eq!((&shown["code"], &shown["attempts"]), (&Value::from(0x87), &Value::from(1)));
    let text = gateway.command(&["dead", "show", names[0]]).stdout();
    assert!(text.contains("(0x87)") && text.contains("machine.state_changed"), "{text}");
    let table = gateway.command(&["dead", "list"]).stdout();
    assert!(names.iter().all(|name| table.contains(name)), "{table}");
    let exported = gateway.json(&["dead", "export"]);
    assert_eq!(exported, letters.iter().map(|letter| letter["event"].clone()).collect::<Vec<_>>());

    // The first is given up while the gateway runs, the second while it does not; the others are sent again.
    let would = gateway.json(&["dead", "discard", names[0], "--dry-run", "--json"]).remove(0);
    assert_eq!((&would["letters"], &would["dry_run"]), (&Value::from(1), &Value::from(true)));
    assert_eq!(gateway.command(&["dead", "discard", names[0]]).code(), 64, "nobody said yes");
    assert_eq!(list(&gateway), letters);
    gateway.json(&["dead", "discard", names[0], "--yes", "--json"]);
    assert!(gateway.stop().success());
    assert_eq!(list(&gateway), letters[1..]);
    gateway.json(&["dead", "discard", names[1], "--yes", "--json"]);
    assert_eq!(list(&gateway), letters[2..]);

    broker.relent();
    gateway.restart();
    gateway.status_until("an answer", |_| true);
    let asked = gateway.json(&["dead", "retry", "--type", "machine.state_changed", "--json"]).remove(0);
    assert_eq!(asked["letters"], letters.len() as u64 - 2);
    eventually("all to be taken", || list(&gateway).is_empty().then_some(()));

    let (given_up, sent_again) = exported.split_at(2);
    let received = subscriber.wait_until("both gaps", |events| {
        events.iter().filter(|event| event.kind == "gateway.gap").count() == 2
    });
    assert_eq!(announced(&received), texts(given_up, "sequence").collect::<Vec<_>>());
    let states = received.iter().filter(|event| event.kind == "machine.state_changed");
    let mut states: Vec<&str> = states.map(|event| event.id.as_str()).collect();
    let mut expected: Vec<&str> = texts(sent_again, "id").collect();
    states.sort_unstable();
    expected.sort_unstable();
    assert_eq!(states, expected, "each arrives once, with the id that it always had");
}

/// The first place of each gap, all of which say that letters were discarded.
fn announced(events: &[Event]) -> Vec<&str> {
    let gaps = events.iter().filter(|event| event.kind == "gateway.gap").map(Event::data);
    gaps.inspect(|gap| assert_eq!(gap["reason"], "discarded"))
        .map(|gap| gap["first"].as_str().expect("digits"))
        .collect()
}
