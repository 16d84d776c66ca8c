//! Exports: what was asked for, as it travels, in bounded memory however much it is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::{stocked, texts};
use crate::harness::{Gateway, Mosquitto, Plc, Site, Subscriber, eventually, peak_memory_kib};

#[test]
fn an_export_has_every_event_as_it_was_delivered() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    subscriber.wait_until("events", |events| events.len() > 100);
    let facts = plc.hold();
    gateway.delivered("press-1", &facts, &subscriber);
    let online = gateway.json(&["buffer", "export"]);
    assert!(gateway.stop().success());
    subscriber.flush();
    let received: Vec<Value> = subscriber.events().into_iter().map(|event| event.document).collect();
    let exported = gateway.json(&["buffer", "export"]);

    let sorted = |documents: &[Value]| {
        let mut ids: Vec<(String, Value)> =
            documents.iter().map(|one| (one["id"].to_string(), one.clone())).collect();
        ids.sort_by(|a, b| a.0.cmp(&b.0));
        ids
    };
    assert_eq!(sorted(&exported), sorted(&received));
    let is_business = |one: &&Value| one["type"] != "telemetry.sampled";
    let business = |all: &[Value]| all.iter().filter(is_business).cloned().collect::<Vec<_>>();
    assert_eq!(business(&online), business(&exported), "a held press has no news");
    for lane in ["business", "telemetry"] {
        let of_lane = gateway.json(&["buffer", "export", "--lane", lane]);
        assert!(texts(&of_lane, "sequence").is_sorted(), "each lane comes in its order");
    }
}

#[test]
fn an_export_takes_what_is_selected() {
    let gateway = stocked(3_000);
    let count = |words: &[&str]| gateway.json(&[&["buffer", "export"], words].concat()).len();
    let business = count(&["--lane", "business"]);
    assert!(business >= 300);
    assert_eq!(count(&["--lane", "telemetry"]), 3_000);
    assert_eq!(count(&["--type", "production.completed"]), 300);
    assert_eq!(count(&["--type", "production.completed", "--type", "telemetry.sampled"]), 3_300);
    assert_eq!(count(&["--asset", "stamping/line-1/press-1"]), 1_500 + 300);
    assert_eq!(count(&["--asset", "stamping/line-1"]), 3_300);
    assert_eq!(count(&["--asset", "stamping/line"]), 0);
    assert_eq!(count(&["--lane", "telemetry", "--from", "10", "--to", "19"]), 10);
    let minute = ["--since", "2026-01-01T00:01:00Z", "--until", "2026-01-01T00:02:00Z"];
    assert_eq!(count(&minute), 60 + 6);
    assert_eq!(count(&["--limit", "7"]), 7);
}

#[test]
fn a_file_is_there_once_it_is_whole_and_is_not_replaced_unasked() {
    let gateway = stocked(100);
    let file = gateway.path("events.jsonl");
    let export = ["buffer", "export", "--lane", "telemetry", "--output", file.to_str().unwrap()];
    let done = gateway.command(&export);
    assert_eq!((done.code(), done.stdout()), (0, String::new()), "{}", done.stderr());
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 100);

    fs::write(&file, "precious").unwrap();
    let refused = gateway.command(&export);
    assert_eq!(refused.code(), 64, "EX_USAGE (sysexits.h)");
    assert!(refused.stderr().contains("--force"), "{}", refused.stderr());
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    assert_eq!(gateway.command(&[&export[..], &["--force"]].concat()).code(), 0);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 100);

    let nowhere = gateway.path("missing/events.jsonl");
    let refused = gateway.command(&["buffer", "export", "--output", nowhere.to_str().unwrap()]);
    assert_eq!(refused.code(), 74, "EX_IOERR (sysexits.h)");
    assert!(refused.stderr().contains("missing/events.jsonl"), "{}", refused.stderr());
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().filter(is_partial).count(), 0);
}

fn is_partial(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("partial"))
}

/// Exports the samples of a buffer that has so many; the most memory that took, in KiB.
fn export_all(gateway: &Gateway, events: usize) -> u64 {
    /// More than a pipe holds.
    const LAST: usize = 2_000;
    // What a gateway says of its device when it starts comes behind.
    let mut command =
        gateway.operator(&["buffer", "export", "--lane", "telemetry", "--to", &events.to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("cargo has built it");
    let out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut lines = out.lines().map(|line| line.expect("UTF-8"));
    assert_eq!(lines.by_ref().take(events - LAST).count(), events - LAST);
    // It waits for the pipe to be read.
    let peak = peak_memory_kib(&child);
    assert_eq!(lines.count(), LAST);
    assert!(child.wait().expect("it is a child of ours").success());
    peak
}

#[test]
fn an_export_of_many_events_streams_in_bounded_memory_through_both_processes() {
    const EVENTS: usize = 120_000;
    /// An export held in memory would take 70 MB and more.
    const BOUND_KIB: u64 = 48 * 1024;
    let mut gateway = stocked(EVENTS as u64);
    let peak = export_all(&gateway, EVENTS);
    assert!(peak < BOUND_KIB, "the command took {peak} KiB when it opened the buffer itself");

    gateway.restart();
    gateway.status_until("an answer", |_| true);
    let before = gateway.peak_memory_kib();
    let peak = export_all(&gateway, EVENTS);
    assert!(peak < BOUND_KIB, "the command took {peak} KiB");
    let grown = gateway.peak_memory_kib() - before;
    assert!(grown < BOUND_KIB, "the gateway took {grown} KiB for it");
}

#[test]
fn a_fifth_command_at_once_is_told_to_come_again_and_holds_nothing_up() {
    let mut gateway = stocked(20_000);
    gateway.restart();
    gateway.status_until("an answer", |_| true);
    // Each waits for its reader, and has its place until then.
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let mut command = gateway.operator(&["buffer", "export"]);
            let mut child = command.stdout(Stdio::piped()).spawn().expect("cargo has built it");
            let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
            out.read_line(&mut String::new()).expect("there are events");
            (child, out)
        })
        .collect();
    let fifth = gateway.command(&["buffer", "peek"]);
    assert_eq!(fifth.code(), 75, "EX_TEMPFAIL (sysexits.h): {}", fifth.stderr());
    assert!(fifth.stderr().contains("try again"), "{}", fifth.stderr());
    gateway.status_until("an answer all the same", |_| true);
    for (mut child, out) in readers {
        drop(out);
        assert!(child.wait().expect("it is a child of ours").success());
    }
    eventually("the places to be free", || (gateway.command(&["buffer", "peek"]).code() == 0).then_some(()));
}

#[test]
fn a_reader_that_has_seen_enough_ends_an_export_quietly() {
    let gateway = stocked(20_000);
    let mut command = gateway.operator(&["buffer", "export"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("cargo has built it");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("there are events");
    let ended = child.wait_with_output().expect("it is a child of ours");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}
