//! What cannot be meant is refused with a word on how to mend it, and changes nothing.

use super::stocked;
use crate::harness::{Gateway, Penstock, Site, free_port};

/// Arguments, and a word of what is said about them.
const MISUSES: [(&[&str], &str); 23] = [
    (&["buffer", "wipe"], "unrecognized subcommand"),
    (&["buffer", "peek", "--limit", "0"], "1..=10000"),
    (&["buffer", "peek", "--limit", "99999999999999999999"], "limit"),
    (&["buffer", "peek", "--destination", "nobody"], "enterprise"),
    (&["buffer", "peek", "--destination", "../../etc"], "letter"),
    (&["buffer", "export", "--lane", "fast"], "telemetry"),
    (&["buffer", "export", "--from", "3"], "--lane"),
    (&["buffer", "export", "--lane", "business", "--from", "0"], "count from 1"),
    (&["buffer", "export", "--lane", "business", "--from", "-1"], "-1"),
    (&["buffer", "export", "--lane", "business", "--from", "9", "--to", "3"], "behind"),
    (&["buffer", "export", "--since", "yesterday"], "2026-01-31T06:00:00Z"),
    (&["buffer", "export", "--since", "1h", "--until", "2h"], "no event is between"),
    (&["buffer", "export", "--type", "production.complete"], "production.completed"),
    (&["buffer", "export", "--type", "telemetry.sampled", "--lane", "business"], "leave"),
    (&["buffer", "export", "--asset", "a//b"], "asset"),
    (&["buffer", "replay"], "--destination"),
    (&["buffer", "replay", "--destination", "nobody"], "enterprise"),
    (&["buffer", "replay", "--destination", "enterprise", "--rate", "0"], "1/s"),
    (&["buffer", "replay", "--destination", "enterprise", "--rate", "fast"], "200/s"),
    (&["buffer", "purge", "--dry-run", "--yes"], "cannot be used with"),
    (&["dead", "retry"], "--all"),
    (&["dead", "show", "enterprise/business/x"], "enterprise/business/42"),
    (&["dead", "discard", "--all", "--lane", "business", "--yes"], "cannot be used with"),
];

#[test]
fn what_cannot_be_meant_is_refused_with_a_word_on_how_to_mend_it() {
    let gateway = stocked(10);
    for (words, told) in MISUSES {
        let refused = gateway.command(words);
        assert_eq!(refused.code(), 64, "EX_USAGE (sysexits.h) for {words:?}: {}", refused.stderr());
        assert!(refused.stderr().contains(told), "{words:?}, but no {told:?} in: {}", refused.stderr());
        assert_eq!(refused.stdout(), "");
    }
    for words in [&["buffer", "replay", "--cancel", "7"][..], &["dead", "show", "enterprise/business/4711"]] {
        let refused = gateway.command(words);
        assert_eq!(refused.code(), 66, "EX_NOINPUT (sysexits.h) for {words:?}: {}", refused.stderr());
    }
    for words in [&["--help"][..], &["buffer", "--help"], &["buffer", "replay", "--help"], &["--version"]] {
        assert_eq!(Penstock::run(words).code(), 0, "{words:?}");
    }
}

#[test]
fn a_buffer_that_is_not_there_is_not_made_by_looking_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let toml = Site::empty().press_at("press-1", free_port()).uplink(free_port()).toml();
    std::fs::write(&config, toml).unwrap();
    let refused = Penstock::run(&["buffer", "status", "--config", config.to_str().unwrap()]);
    assert_eq!(refused.code(), 66, "EX_NOINPUT (sysexits.h): {}", refused.stderr());
    assert!(refused.stderr().contains("there is no buffer in"), "{}", refused.stderr());
    assert!(!folder.path().join("data").exists());
}

#[test]
fn a_gateway_that_has_the_buffer_and_does_not_answer_is_named() {
    let site = Site::empty().press_at("press-1", free_port()).uplink(free_port());
    let gateway: Gateway = site.clone().start();
    gateway.status_until("an answer", |_| true);
    gateway.write("elsewhere.toml", &site.gateway("socket = \"elsewhere.sock\"").toml());
    let elsewhere = gateway.path("elsewhere.toml");
    let refused = Penstock::run(&["buffer", "status", "--config", elsewhere.to_str().unwrap()]);
    assert_eq!(refused.code(), 75, "EX_TEMPFAIL (sysexits.h): {}", refused.stderr());
    for word in ["gateway edge-01", "elsewhere.sock", "--config"] {
        assert!(refused.stderr().contains(word), "no {word} in: {}", refused.stderr());
    }
}
