//! Looking: status, verify and peek say the same of the same buffer, whoever opens it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{acknowledge, stocked, texts};
use crate::harness::{Gateway, Mosquitto, Plc, Site, Subscriber};

fn status(gateway: &Gateway) -> Value {
    gateway.json(&["buffer", "status", "--json"]).remove(0)
}

#[test]
fn what_is_seen_is_the_same_while_the_gateway_runs_and_while_it_does_not() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    subscriber.wait_until("events", |events| events.len() > 60);
    let facts = plc.hold();
    gateway.delivered("press-1", &facts, &subscriber);

    let running = status(&gateway);
    assert_eq!(running["running"], true);
    assert_eq!(running["condition"], "accepting");
    let peeked = gateway.json(&["buffer", "peek", "--json", "--lane", "business", "-n", "4"]);
    let verified = gateway.json(&["buffer", "verify", "--json"]);
    assert_eq!(verified.len(), 4, "a generation of each lane, the small files and the dead letters");
    assert!(gateway.stop().success());

    let stopped = status(&gateway);
    assert_eq!(stopped["running"], false);
    let business = |status: &Value| status["lanes"][0].clone();
    assert_eq!(business(&stopped)["lane"], "business");
    assert_eq!(business(&stopped)["head"], business(&running)["head"], "a held press has no news");
    assert_eq!(gateway.json(&["buffer", "peek", "--json", "--lane", "business", "-n", "4"]), peeked);
    let again = gateway.json(&["buffer", "verify", "--json"]);
    assert_eq!(again[0]["events"], verified[0]["events"]);

    let received = subscriber.events();
    for document in &peeked {
        let same = received.iter().find(|event| event.id == document["id"]).expect("it was delivered");
        assert_eq!(same.document, *document);
    }
    for words in [&["buffer", "status", "--generations"][..], &["buffer", "peek"], &["buffer", "verify"]] {
        let shown = gateway.command(words);
        assert_eq!((shown.code(), shown.stderr()), (0, String::new()), "{words:?}");
        assert!(
            shown.stdout().contains("business") && !shown.stdout().contains('\u{1b}'),
            "{}",
            shown.stdout()
        );
    }
}

#[test]
fn a_peek_shows_the_newest_or_what_a_destination_is_to_get_next() {
    let gateway = stocked(2_000);
    let sequences = |words: &[&str]| -> Vec<u64> {
        let peeked = gateway.json(&[&["buffer", "peek", "--json", "--lane", "telemetry"], words].concat());
        texts(&peeked, "sequence").map(|digits| digits.parse().unwrap()).collect()
    };
    assert_eq!(sequences(&["-n", "3"]), [1_998, 1_999, 2_000]);
    assert_eq!(sequences(&["-n", "3", "--destination", "enterprise"]), [1, 2, 3]);
    assert_eq!(sequences(&["-n", "2", "--asset", "stamping/line-1/press-2"]), [1_997, 1_999]);
    // Far back, where a first look does not reach.
    assert_eq!(sequences(&["-n", "2", "--until", "2026-01-01T00:00:05Z"]), [3, 4]);
    assert_eq!(sequences(&["-n", "5", "--from", "7", "--to", "8"]), [7, 8]);
    assert_eq!(sequences(&["--asset", "nowhere"]), [] as [u64; 0]);

    let buffer = gateway.buffer();
    acknowledge(&buffer);
    buffer.close().expect("a disk that works");
    assert_eq!(sequences(&["--destination", "enterprise"]), [] as [u64; 0]);
}

/// Damages the first block of a generation in its log.
fn damage_a_block(log: &Path) {
    let mut bytes = fs::read(log).unwrap();
    let first = bytes.windows(3).position(|at| at == b"PSB").expect("blocks begin so");
    bytes[first + 8] ^= 0x55;
    fs::write(log, bytes).unwrap();
}

#[test]
fn damage_is_found_by_generation_and_ends_with_the_status_of_bad_data() {
    let mut gateway = stocked(40_000);
    let sound = gateway.command(&["buffer", "verify"]);
    assert_eq!(sound.code(), 0, "{}", sound.stderr());
    damage_a_block(&gateway.path("data/telemetry/00000001/log"));

    for is_running in [false, true] {
        if is_running {
            gateway.restart();
            gateway.status_until("an answer", |_| true);
        }
        let found = gateway.command(&["buffer", "verify", "--json"]);
        assert_eq!(found.code(), 65, "EX_DATAERR (sysexits.h): {}", found.stderr());
        let lines = found.json();
        let of = |number: u64| {
            let is_it = |line: &&Value| {
                line["generation"]["lane"] == "telemetry" && line["generation"]["number"] == number
            };
            lines.iter().find(is_it).unwrap_or_else(|| panic!("no generation {number} in {lines:#?}"))
        };
        assert!(!of(1)["problems"].as_array().unwrap().is_empty());
        assert_eq!(of(2)["problems"].as_array().unwrap().len(), 0);
    }
    // Who reads comes upon it: it is announced, and no news any more.
    assert_eq!(gateway.command(&["buffer", "export", "--lane", "telemetry"]).code(), 0);
    let known = gateway.command(&["buffer", "verify"]);
    assert_eq!(known.code(), 0, "{}", known.stderr());
    assert!(known.stdout().contains("whole but 1 hole"), "{}", known.stdout());
}

#[test]
fn a_damaged_replay_is_found_while_the_gateway_runs_and_after_it_was_set_aside() {
    let mut gateway = stocked(2_000);
    let buffer = gateway.buffer();
    acknowledge(&buffer);
    buffer.close().expect("a disk that works");
    let ordered = gateway.command(&["buffer", "replay", "--destination", "enterprise"]);
    assert_eq!(ordered.code(), 0, "{}", ordered.stderr());
    gateway.restart();
    gateway.status_until("an answer", |_| true);
    fs::write(gateway.path("data/replay/0000000001"), "no replay").unwrap();

    for (is_running, name) in [(true, "replay/0000000001"), (false, "replay/0000000001.damaged")] {
        if !is_running {
            // Whatever progress was saved on the way, it is damaged when the store is opened.
            assert!(gateway.stop().success());
            fs::write(gateway.path("data/replay/0000000001"), "no replay").unwrap();
        }
        let found = gateway.command(&["buffer", "verify", "--json"]);
        assert_eq!(found.code(), 65, "EX_DATAERR (sysexits.h): {}", found.stderr());
        let files = found.json().into_iter().find(|line| line["kind"] == "files").expect("a line for them");
        assert_eq!((&files["files"], &files["damaged"][0]["file"]), (&json!(4), &json!(name)));
        let shown = gateway.command(&["buffer", "verify"]);
        assert!(shown.stdout().contains(&format!("{name} is DAMAGED")), "{}", shown.stdout());
    }
}
