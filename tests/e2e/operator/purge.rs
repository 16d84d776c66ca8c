//! Purging: what is delivered goes when it is confirmed, and nothing goes otherwise.

use serde_json::Value;

use super::{acknowledge, stocked};
use crate::harness::Gateway;

fn generations(gateway: &Gateway) -> Value {
    gateway.json(&["buffer", "status", "--json"]).remove(0)["generations"].clone()
}

fn purge(gateway: &Gateway, words: &[&str]) -> Vec<Value> {
    gateway.json(&[&["buffer", "purge", "--json"], words].concat())
}

#[test]
fn a_purge_deletes_what_is_delivered_once_it_is_confirmed_and_a_dry_run_nothing() {
    let mut gateway = stocked(40_000);
    assert_eq!(purge(&gateway, &["--yes"]), [] as [Value; 0], "nothing is delivered");
    let buffer = gateway.buffer();
    acknowledge(&buffer);
    buffer.close().expect("a disk that works");

    let before = generations(&gateway);
    let would = purge(&gateway, &["--dry-run"]);
    let telemetry = |one: &&Value| one["lane"] == "telemetry";
    assert!(would.iter().filter(telemetry).count() >= 3, "{would:#?}");
    assert!(would.iter().all(|one| one["dry_run"] == true && one["delivered"] == true));
    let unconfirmed = gateway.command(&["buffer", "purge"]);
    assert_eq!(unconfirmed.code(), 64, "EX_USAGE (sysexits.h)");
    assert!(unconfirmed.stderr().contains("--yes"), "{}", unconfirmed.stderr());
    assert_eq!(generations(&gateway), before);

    // The oldest while it does not run, the rest while it does.
    let last = would.iter().find(telemetry).unwrap()["places"]["last"].to_string();
    let one = purge(&gateway, &["--lane", "telemetry", "--to", &last, "--yes"]);
    assert_eq!(one.len(), 1, "{one:#?}");
    assert_eq!(one[0]["dry_run"], false);
    assert!(
        !gateway.path("data/telemetry/00000001").exists() && gateway.path("data/telemetry/00000002").exists()
    );
    gateway.restart();
    gateway.status_until("an answer", |_| true);
    let rest = purge(&gateway, &["--yes"]);
    assert_eq!(rest.len(), would.len() - 1);
    let left = generations(&gateway);
    assert!(left.as_array().unwrap().iter().all(|one| one["sealed"] == false), "{left:#}");
    let verified = gateway.command(&["buffer", "verify"]);
    assert_eq!(verified.code(), 0, "{}", verified.stderr());
}
