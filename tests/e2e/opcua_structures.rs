//! Structures are read by field: each change of each field once, whatever else is wrong with other tags, and after
//! the server's next start as well.

use crate::harness::oven::{Recorded, assert_recorded, samples, toml_of};
use crate::harness::{Event, Gateway, Mosquitto, Oven, Proof, Site, Subscriber};

fn tag(name: &str, node: &str, field: &str) -> String {
    format!("{{ name = \"{name}\", node = \"nsu=urn:plant:oven;s={node}\", field = \"{field}\" }}")
}

/// Fields of the oven's structures, by the names in its record.
fn fields() -> Vec<String> {
    vec![
        tag("mode", "Status", "Mode"),
        tag("main", "Status", "Main.Temp"),
        tag("zone", "Status", "Zones[1].Temp"),
        tag("limit", "Status", "Zones[1].Limit"),
        tag("note", "Status", "Note"),
        tag("board", "Board", "[1].Limit"),
        tag("result", "Result", "Text"),
    ]
}

struct Plant {
    oven: Oven,
    subscriber: Subscriber,
    gateway: Gateway,
    _broker: Mosquitto,
}

impl Plant {
    fn start(tags: &[String]) -> Self {
        let oven = Oven::with(&["--types"]);
        let broker = Mosquitto::start();
        let subscriber = Subscriber::of(&broker);
        let gateway = Site::empty().device(&toml_of(oven.address(), tags)).uplink(broker.address()).start();
        Self { oven, subscriber, gateway, _broker: broker }
    }

    /// Waits until the temperature of the main zone was told in this life of the oven, some times.
    fn told(&self, times: usize) {
        self.subscriber.wait_until("changes of the structure", |events| {
            let record = self.oven.record("status.main.temp");
            mains(events).filter(|sample| record.contains(sample)).count() >= times
        });
    }

    fn finish(mut self) -> (Oven, Proof, String) {
        self.oven.hold();
        let last = *self.oven.record("status.main.temp").last().expect("it is recorded at the start");
        self.subscriber.wait_until("the last change", |events| mains(events).last() == Some(last));
        self.subscriber.flush();
        let log = self.gateway.log();
        (self.oven, Proof::of(&self.subscriber.events()), log)
    }
}

fn mains(events: &[Event]) -> impl Iterator<Item = Recorded> {
    let samples = events.iter().filter(|event| event.is("telemetry.sampled", "oven.main"));
    samples.filter_map(|event| Some((event.time_us, event.data()["value"].as_f64()?)))
}

/// What a tag's quality said, one after the other.
fn causes(proof: &Proof, tag: &str) -> Vec<String> {
    let samples = proof.about("telemetry.sampled", &format!("oven.{tag}"));
    let shown = |event: &&Event| event.data()["quality"]["cause"].as_str().unwrap_or("good").to_owned();
    samples.iter().map(shown).collect()
}

#[test]
fn every_change_of_every_field_is_told_once_with_its_time() {
    let plant = Plant::start(&fields());
    plant.told(30);
    let (oven, proof, _) = plant.finish();
    for (tag, recorded) in
        [("main", "main.temp"), ("mode", "mode"), ("zone", "zones[1].temp"), ("limit", "zones[1].limit")]
    {
        let record = oven.record(&format!("status.{recorded}"));
        assert_recorded(&samples(&proof, tag), &record);
    }
    let notes = proof.about("telemetry.sampled", "oven.note");
    let facts = oven.facts("status.note");
    let first = facts.iter().position(|fact| fact["at"] == notes[0].time_us).expect("it was recorded");
    for (event, fact) in notes.iter().zip(&facts[first..]) {
        assert_eq!(
            (&event.data()["value"], event.time_us),
            (&fact["value"], fact["at"].as_i64().expect("a time"))
        );
    }
    // What is left out is no data: the optional field of every other value.
    let limits = causes(&proof, "limit");
    assert!(limits.iter().any(|cause| cause == "opcua-0x809B0000"), "{limits:?}");
    assert_eq!(samples(&proof, "board")[0].1, 99.0);
    assert_eq!(proof.about("telemetry.sampled", "oven.result")[0].data()["value"], "done");
    proof.outages("oven", 0, 0);
}

#[test]
fn a_field_that_cannot_be_read_is_bad_alone_and_the_log_says_what_there_is() {
    let mut tags = fields();
    tags.extend([
        tag("typo", "Status", "Main.Tmp"),
        tag("whole", "Status", "Main"),
        tag("many", "Status", "Zones.Temp"),
        tag("beyond", "Status", "Zones[3].Temp"),
        tag("other", "Result", "Code"),
        tag("scalar", "Count", "Temp"),
        tag("legacy", "Legacy", "Temp"),
    ]);
    let plant = Plant::start(&tags);
    plant.told(10);
    plant.gateway.status_until("seven bad tags or eight", |status| {
        matches!(status["sources"][0]["bad_tags"].as_u64(), Some(7 | 8))
    });
    let (oven, proof, log) = plant.finish();
    for (tag, cause) in [
        ("typo", "opcua-0x803E0000"),
        ("whole", "opcua-0x80740000"),
        ("many", "opcua-0x80740000"),
        ("beyond", "opcua-0x80370000"),
        ("other", "opcua-0x809B0000"),
        ("scalar", "opcua-0x80740000"),
        ("legacy", "opcua-0x80110000"),
    ] {
        assert_eq!(causes(&proof, tag), [cause], "{tag}");
    }
    assert_recorded(&samples(&proof, "zone"), &oven.record("status.zones[1].temp"));
    for words in [
        "the structure ZoneStatus has no field \\\"Tmp\\\"; it has Temp, Limit",
        "the value is a structure: say which field",
        "the value is an array: say which element",
        "it has no DataTypeDefinition",
    ] {
        assert_eq!(log.matches(words).count(), 1, "{words:?} once in {log}");
    }
}

#[test]
fn a_server_whose_namespaces_and_types_are_elsewhere_after_its_next_start_is_read_on() {
    let mut plant = Plant::start(&fields());
    plant.told(10);
    plant.oven.kill();
    let first = plant.oven.record("status.zones[1].temp");
    plant.oven.restart(&["--types", "--shift", "2"]);
    plant.told(10);
    let (oven, proof, _) = plant.finish();
    let second = oven.record("status.zones[1].temp");
    let zones = samples(&proof, "zone");
    for record in [&first, &second] {
        let of_life: Vec<_> = zones.iter().filter(|sample| record.contains(sample)).copied().collect();
        assert_recorded(&of_life, record);
    }
    proof.outages("oven", 1, 1);
}
