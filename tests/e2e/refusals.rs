//! What the gateway needs refuses it: a broker its password, a disk its data. It says so and loses nothing.

use std::fs;

use crate::harness::{Gateway, Mosquitto, Penstock, Plc, Proof, Site, Subscriber, eventually};

const CREDENTIALS: &str = "username = \"edge-01\"\npassword = { file = \"password\" }\n";

/// The last words of a gateway that ends by itself, and its exit status.
fn last_words(toml: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    fs::write(&config, toml).unwrap();
    let run = Penstock::run(&["run", "--config", config.to_str().unwrap()]);
    let last = run.stderr().trim_end().lines().last().unwrap_or_default().to_owned();
    (run.code(), last)
}

#[test]
fn a_broker_that_refuses_the_password_is_named_and_gets_everything_once_it_does_not() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::with_password("edge-01", "right");
    let subscriber = Subscriber::named("enterprise", &broker, &["-u", "edge-01", "-P", "right"]);
    let site = Site::empty().press(&plc).uplink_with(broker.address(), CREDENTIALS);
    let mut gateway = Gateway::start_beside(&site.toml(), &[("password", "wrong\n")]);

    gateway.status_until("the refusal", |status| {
        status["destinations"][0]["link"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("not authorized"))
    });
    eventually("further attempts", || (broker.log().matches("not authorised").count() >= 3).then_some(()));
    // Polling goes on meanwhile.
    gateway.backlog_until("a backlog", |backlog| backlog > 50);
    let complaints = gateway.log().lines().filter(|line| line.contains("not authorized")).count();
    assert!(gateway.is_running());
    assert_eq!(complaints, 1, "it is said once, not with every attempt:\n{}", gateway.log());
    assert!(!gateway.log().contains("wrong"), "the password is logged");

    assert!(gateway.stop().success());
    gateway.write("password", "right\n");
    gateway.restart();
    let facts = plc.hold();
    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    let starts = proof.events().iter().filter(|event| event.kind == "gateway.started").count();
    assert_eq!(starts, 2);
}

#[test]
fn a_data_directory_that_cannot_be_written_ends_the_gateway_with_a_clear_last_line() {
    // A folder below a file: not even root can write there.
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("data");
    let plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let key = format!("path = {:?}\n", path.to_str().unwrap());
    let toml =
        Site::empty().press(&plc).uplink(broker.address()).buffer(&key).gateway("socket = \"socket\"").toml();

    let (code, last) = last_words(&toml);
    assert!(code != 0 && code != 78, "{code}: {last}");
    assert!(last.contains("data directory") && last.contains(path.to_str().unwrap()), "{last}");
}

#[test]
fn a_data_directory_that_is_in_use_is_left_alone_and_so_is_who_uses_it() {
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    subscriber.wait_until("the first events", |events| events.len() > 20);

    let config = gateway.config();
    let second = Penstock::run(&["run", "--config", config.to_str().unwrap()]);
    let last = second.stderr().trim_end().lines().last().unwrap_or_default().to_owned();
    assert_eq!(second.code(), 75, "{last}");
    assert!(last.contains("in use") && last.contains("edge-01"), "{last}");

    // The first one goes on, and still answers.
    let known = subscriber.events().len();
    subscriber.wait_until("more events", |events| events.len() > known + 20);
    eventually("an answer", || gateway.status());
    let facts = plc.hold();
    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.states("press-1.state", &facts.states);
    proof.every_poll_was_sampled("press-1");
    let starts = proof.events().iter().filter(|event| event.kind == "gateway.started").count();
    assert_eq!(starts, 1, "the second one never started");
    assert!(gateway.is_running());
}
