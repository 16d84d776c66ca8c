//! Devices that answer nonsense: it is never taken for a value, is told once, and disturbs no one else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Event, Mosquitto, Plc, Proof, Reply, Request, ScriptedDevice, Site, Subscriber};

/// What a device that has come to its senses answers. Nothing that it says before contains it.
const TRUTH: u16 = 4242;

/// A way to be wrong, and what the gateway should call it.
struct Nonsense {
    name: &'static str,
    cause: &'static str,
    say: fn(&Request) -> Reply,
}

const MALFORMED: &str = "malformed-reply";

const NONSENSE: [Nonsense; 11] = [
    Nonsense { name: "other-transaction", cause: MALFORMED, say: |request| changed(request, 1) },
    Nonsense { name: "other-protocol", cause: MALFORMED, say: |request| changed(request, 3) },
    Nonsense { name: "other-unit", cause: MALFORMED, say: |request| changed(request, 6) },
    Nonsense { name: "other-function", cause: MALFORMED, say: |request| changed(request, 7) },
    Nonsense { name: "wrong-byte-count", cause: MALFORMED, say: |request| changed(request, 8) },
    Nonsense { name: "too-few", cause: MALFORMED, say: |request| Reply::Bytes(request.answer(&[])) },
    Nonsense { name: "too-many", cause: MALFORMED, say: |request| Reply::Bytes(request.answer(&[7, 7, 7])) },
    Nonsense { name: "empty", cause: MALFORMED, say: |request| Reply::Bytes(request.frame(&[])) },
    Nonsense {
        // Not waited for, although its fifth and sixth byte announce far more than it then says.
        name: "web-server",
        cause: MALFORMED,
        say: |_| Reply::Bytes(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec()),
    },
    Nonsense {
        name: "half-a-reply",
        cause: "disconnected",
        say: |request| Reply::Last(request.answer(&[7])[..9].to_vec()),
    },
    Nonsense { name: "mute", cause: "timeout", say: |_| Reply::Silence },
];

/// The right answer, with the lowest bit of the byte `at` changed.
fn changed(request: &Request, at: usize) -> Reply {
    let mut bytes = request.answer(&[7]);
    bytes[at] ^= 1;
    Reply::Bytes(bytes)
}

#[test]
fn nonsense_is_never_a_value_and_disturbs_no_other_device() {
    let sane = Arc::new(AtomicBool::new(false));
    let devices: Vec<ScriptedDevice> = NONSENSE
        .iter()
        .map(|nonsense| {
            let (sane, say) = (Arc::clone(&sane), nonsense.say);
            ScriptedDevice::start(move |request| match sane.load(Ordering::Relaxed) {
                true => Reply::Bytes(request.answer(&[TRUTH])),
                false => say(request),
            })
        })
        .collect();
    let mut plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let site = NONSENSE.iter().zip(&devices).fold(Site::empty().press(&plc), |site, (nonsense, device)| {
        site.device(&device.toml(nonsense.name, 1))
    });
    let gateway = site.uplink(broker.address()).start();
    subscriber.wait_until("every device to be told", |events| {
        NONSENSE
            .iter()
            .all(|nonsense| events.iter().any(|event| event.is("gateway.source_down", nonsense.name)))
    });
    sane.store(true, Ordering::Relaxed);
    subscriber.wait_until("every device to come to its senses", |events| {
        NONSENSE.iter().all(|nonsense| {
            let tag = format!("{}.r0", nonsense.name);
            events.iter().any(|event| event.is("telemetry.sampled", &tag) && event.data()["value"] == TRUTH)
        })
    });
    let facts = plc.hold();

    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    for Nonsense { name, cause, .. } in &NONSENSE {
        proof.outages(name, 1, 1);
        assert_eq!(proof.about("gateway.source_down", name)[0].data()["cause"], *cause, "{name}");
        for sample in proof.about("telemetry.sampled", &format!("{name}.r0")) {
            let value = &sample.data()["value"];
            assert!(*value == TRUTH || value.is_null(), "{name}: {}", sample.document);
        }
    }
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.states("press-1.state", &facts.states);
    proof.every_poll_was_sampled("press-1");
    proof.outages("press-1", 0, 0);
}

#[test]
fn a_modbus_exception_makes_its_tags_bad_and_leaves_the_device_up() {
    let sane = Arc::new(AtomicBool::new(false));
    let knows = Arc::clone(&sane);
    let device = ScriptedDevice::start(move |request| match knows.load(Ordering::Relaxed) {
        true => Reply::Bytes(request.answer(&[TRUTH])),
        // Illegal data address (Application Protocol V1.1b3, section 7).
        false => Reply::Bytes(request.frame(&[request.function | 0x80, 2])),
    });
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().device(&device.toml("strict", 1)).uplink(broker.address()).start();
    let sampled = |events: &[Event], value: &Value| {
        events
            .iter()
            .any(|event| event.is("telemetry.sampled", "strict.r0") && event.data()["value"] == *value)
    };
    subscriber.wait_until("a bad sample", |events| sampled(events, &Value::Null));
    sane.store(true, Ordering::Relaxed);
    subscriber.wait_until("a good sample", |events| sampled(events, &TRUTH.into()));
    assert!(gateway.stop().success());
    subscriber.flush();

    let proof = Proof::of(&subscriber.events());
    proof.outages("strict", 0, 0);
    let samples = proof.about("telemetry.sampled", "strict.r0");
    let told: Vec<_> = samples.iter().map(|event| event.data()["quality"].clone()).collect();
    let bad = json!({ "status": "bad", "cause": "modbus-exception-2" });
    assert_eq!(told, [bad, json!({ "status": "good" })]);
}
