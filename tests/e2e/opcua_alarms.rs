//! The alarms of an OPC UA server: each is told to begin and to end once, however much is missed in between. Each
//! scenario ends by comparing what the server recorded with what was received.

use std::net::SocketAddr;

use crate::harness::alarms::{Alarm, Learnt, assert_told, recorded, told};
use crate::harness::{Gateway, Mosquitto, Oven, Proof, Relay, Site, Subscriber};

const ONE_ASSET: &str = r#"
[[asset]]
path = "heat/oven"
alerts = [{ tag = "oven.alarms" }]
"#;

struct Plant {
    oven: Oven,
    subscriber: Subscriber,
    gateway: Gateway,
    _broker: Mosquitto,
}

fn toml(address: SocketAddr, keys: &str, assets: &str) -> String {
    format!(
        r#"
[[opcua]]
name = "oven"
endpoint = "opc.tcp://{address}/oven"
security = "None"
publish = "50ms"
{keys}
alarms = [{{ name = "alarms" }}]
tags = [{{ name = "count", node = "nsu=urn:plant:oven;s=Count" }}]

[[asset]]
path = "heat"
telemetry = [{{ tag = "oven.count", min_interval = "1s" }}]
{assets}"#
    )
}

impl Plant {
    /// A gateway that is connected with `oven` at `address` and knows what is active.
    fn of(oven: Oven, address: SocketAddr, keys: &str, assets: &str) -> Self {
        let broker = Mosquitto::start();
        let subscriber = Subscriber::of(&broker);
        let gateway = Site::empty().device(&toml(address, keys, assets)).uplink(broker.address()).start();
        let plant = Self { oven, subscriber, gateway, _broker: broker };
        plant.checked();
        plant
    }

    fn start(assets: &str) -> Self {
        let oven = Oven::start();
        let address = oven.address();
        Self::of(oven, address, "", assets)
    }

    /// Waits until the server has told what is active.
    fn checked(&self) {
        self.gateway.status_until("all that is active", |status| {
            !status["sources"][0]["alarms"]["last_complete"].is_null()
        });
    }

    /// Waits until the alarm `name` was told to begin and to end so often.
    fn told(&self, name: &str, raised: usize, cleared: usize) {
        self.subscriber.wait_until(name, |events| told(events, name, raised, cleared));
    }

    fn proof(&self) -> Proof {
        self.subscriber.flush();
        Proof::of(&self.subscriber.events())
    }
}

fn by_the_server(_: &Alarm) -> Learnt {
    Learnt::Told
}

/// Learnt from what was not there, if it is called `name`.
fn found(name: &str) -> impl Fn(&Alarm) -> Learnt {
    move |alarm| if alarm.name == name { Learnt::Found } else { Learnt::Told }
}

#[test]
fn every_alarm_is_told_to_begin_and_to_end_once_whatever_is_said_in_between() {
    let mut plant = Plant::start(ONE_ASSET);
    plant.oven.tell("raise Hot 700 Zone-2");
    plant.oven.tell("raise Door 200 Door");
    plant.oven.tell("change Hot 900");
    plant.told("Hot", 1, 0);
    plant.gateway.status_until("two active", |status| status["sources"][0]["alarms"]["active"] == 2);
    plant.oven.tell("clear Hot");
    plant.told("Hot", 1, 1);
    plant.oven.tell("raise Hot 500 Zone-2");
    plant.oven.tell("clear Door");
    plant.told("Door", 1, 1);
    plant.told("Hot", 2, 1);
    assert_told(&plant.proof(), "heat/oven", &recorded(&plant.oven), by_the_server);
    let shown = plant.gateway.command(&["status"]).stdout();
    assert!(shown.contains("1 active, checked"), "{shown}");
    let peeked = plant.gateway.command(&["buffer", "export", "--since", "1h"]).stdout();
    assert!(peeked.contains("maintenance.alert_raised"), "{peeked}");
}

#[test]
fn what_was_active_before_the_gateway_first_came_is_told_with_its_own_time() {
    let mut oven = Oven::start();
    oven.tell("raise Hot 700 Zone-2");
    let address = oven.address();
    let plant = Plant::of(oven, address, "", ONE_ASSET);
    plant.told("Hot", 1, 0);
    assert_told(&plant.proof(), "heat/oven", &recorded(&plant.oven), by_the_server);
}

#[test]
fn nothing_is_missed_while_the_network_is_cut_for_less_than_the_session_lasts() {
    let oven = Oven::start();
    let relay = Relay::to(oven.address());
    let mut plant = Plant::of(oven, relay.address(), "", ONE_ASSET);
    plant.oven.tell("raise Hot 700 Zone-2");
    plant.told("Hot", 1, 0);
    relay.cut();
    plant.subscriber.wait_until("the outage", |events| {
        events.iter().any(|event| event.is("gateway.source_down", "oven"))
    });
    plant.oven.tell("clear Hot");
    plant.oven.tell("raise Door 200 Door");
    relay.open();
    plant.told("Hot", 1, 1);
    plant.told("Door", 1, 0);
    assert_told(&plant.proof(), "heat/oven", &recorded(&plant.oven), by_the_server);
    assert_eq!(plant.gateway.status().expect("it runs")["sources"][0]["connects"], 1);
}

#[test]
fn what_began_and_ended_while_the_gateway_was_cut_off_for_longer_is_found() {
    let oven = Oven::start();
    let relay = Relay::to(oven.address());
    let mut plant = Plant::of(oven, relay.address(), "session_timeout = \"1s\"", ONE_ASSET);
    for command in ["raise Hot 700 Zone-2", "raise Stays 300 Zone-1", "raise Again 300 Zone-1"] {
        plant.oven.tell(command);
    }
    plant.told("Again", 1, 0);
    relay.cut();
    plant.gateway.status_until("the session to be given up", |status| {
        status["sources"][0]["detail"].as_str().is_some_and(|detail| detail.starts_with("cannot connect"))
    });
    for command in ["clear Hot", "raise Door 200 Door", "clear Again", "raise Again 400 Zone-1"] {
        plant.oven.tell(command);
    }
    relay.open();
    plant.told("Hot", 1, 1);
    plant.told("Door", 1, 0);
    plant.told("Again", 2, 1);
    plant.told("Stays", 1, 0);
    let proof = plant.proof();
    let mut alarms = recorded(&plant.oven);
    // When the first of two ended nobody saw: no later than the second began.
    let again: Vec<usize> = (0..alarms.len()).filter(|at| alarms[*at].name == "Again").collect();
    alarms[again[0]].end = Some((alarms[again[1]].since, String::new()));
    assert_told(&proof, "heat/oven", &alarms, |alarm| match alarm.name.as_str() {
        "Hot" => Learnt::Found,
        "Again" => Learnt::Inferred,
        _ => Learnt::Told,
    });
}

#[test]
fn what_began_and_ended_while_the_gateway_was_dead_is_found_and_what_stayed_is_not_told_again() {
    let mut plant = Plant::start(ONE_ASSET);
    for command in ["raise Hot 700 Zone-2", "raise Stays 300 Zone-1"] {
        plant.oven.tell(command);
    }
    plant.told("Hot", 1, 0);
    plant.told("Stays", 1, 0);
    plant.gateway.kill();
    plant.oven.tell("clear Hot");
    plant.oven.tell("raise Door 200 Door");
    plant.gateway.restart();
    plant.told("Hot", 1, 1);
    plant.told("Door", 1, 0);
    // And once more, with nothing to find.
    plant.gateway.kill();
    plant.gateway.restart();
    plant.checked();
    plant.oven.tell("clear Stays");
    plant.told("Stays", 1, 1);
    assert_told(&plant.proof(), "heat/oven", &recorded(&plant.oven), found("Hot"));
}

#[test]
fn an_alarm_is_the_first_assets_that_it_matches_and_one_too_mild_is_nobodys() {
    let assets = r#"
[[asset]]
path = "heat/oven/zone-2"
alerts = [{ tag = "oven.alarms", source = "Zone-2", min_severity = 400 }]

[[asset]]
path = "heat/oven/zones"
alerts = [{ tag = "oven.alarms", source = "Zone-*" }]
"#;
    let mut plant = Plant::start(assets);
    for (name, severity, source) in [
        ("Hot", 400, "Zone-2"),
        ("Warm", 399, "Zone-2"),
        ("Cold", 1, "Zone-1"),
        ("Open", 900, "Door"),
        ("Last", 1, "Zone-1"),
    ] {
        plant.oven.tell(&format!("raise {name} {severity} {source}"));
    }
    plant.told("Last", 1, 0);
    plant.oven.tell("clear Warm");
    plant.oven.tell("clear Hot");
    plant.told("Hot", 1, 1);
    let proof = plant.proof();
    let of = |names: &[&str]| -> Vec<Alarm> {
        recorded(&plant.oven).into_iter().filter(|alarm| names.contains(&alarm.name.as_str())).collect()
    };
    assert_told(&proof, "heat/oven/zone-2", &of(&["Hot"]), by_the_server);
    assert_told(&proof, "heat/oven/zones", &of(&["Cold", "Last"]), by_the_server);
    assert_eq!(proof.about("maintenance.alert_raised", "oven.alarms").len(), 3);
    let status = plant.gateway.status().expect("it runs");
    assert_eq!(status["alerts_left_out"]["of_no_asset"], 1, "{status}");
}

#[test]
fn a_server_without_events_is_read_all_the_same() {
    let oven = Oven::with(&["--without-events"]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().device(&toml(oven.address(), "", ONE_ASSET)).uplink(broker.address()).start();
    let status = gateway.status_until("one bad tag", |status| {
        let source = &status["sources"][0];
        source["bad_tags"] == 1 && source["state"] == "up"
    });
    assert_eq!(status["sources"][0]["connects"], 1);
    subscriber.wait_until("values", |events| {
        events.iter().filter(|event| event.is("telemetry.sampled", "oven.count")).count() > 2
    });
    assert!(gateway.log().contains("oven.alarms"), "{}", gateway.log());
}

#[test]
fn a_server_that_does_not_tell_what_is_active_still_tells_what_happens() {
    let oven = Oven::with(&["--without-refresh"]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let site = Site::empty().device(&toml(oven.address(), "", ONE_ASSET)).uplink(broker.address());
    let mut plant = Plant { oven, gateway: site.start(), subscriber, _broker: broker };
    let why = |status: &serde_json::Value| status["sources"][0]["alarms"]["incomplete_because"].clone();
    plant.gateway.status_until("its refusal", |status| !why(status).is_null());
    plant.oven.tell("raise Hot 700 Zone-2");
    plant.told("Hot", 1, 0);
    plant.oven.tell("clear Hot");
    plant.told("Hot", 1, 1);
    assert_told(&plant.proof(), "heat/oven", &recorded(&plant.oven), by_the_server);
    assert_eq!(plant.gateway.status().expect("it runs")["sources"][0]["connects"], 1);
}
