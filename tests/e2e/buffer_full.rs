//! The buffer is full: the oldest telemetry is given up, counted and announced; business events are not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::harness::{Event, Mosquitto, Plc, Proof, Relay, Reply, ScriptedDevice, Site, Subscriber};

/// Registers that all change with every poll.
const REGISTERS: u16 = 100;

#[test]
fn a_full_buffer_sheds_telemetry_announces_it_and_keeps_every_business_event() {
    let mut plc = Plc::start("press-1");
    let polls = Arc::new(AtomicU16::new(0));
    let chatter = ScriptedDevice::start(move |request| {
        let poll = polls.fetch_add(1, Ordering::Relaxed);
        let noise =
            (0..request.count).map(|at| poll.wrapping_mul(40_503).wrapping_add(at.wrapping_mul(7919)));
        Reply::Bytes(request.answer(&noise.collect::<Vec<_>>()))
    });
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let link = Relay::to(broker.address());
    link.cut();
    let site = Site::empty().press(&plc).device(&chatter.toml("chatter", REGISTERS));
    let gateway = site.buffer("max_size = \"128 KiB\"").uplink(link.address()).start();

    let shed =
        |status: &serde_json::Value| status["buffer"]["shed_events"].as_u64().expect("a number of events");
    let first = shed(&gateway.status_until("telemetry to be shed", |status| shed(status) > 0));
    gateway.status_until("more telemetry to be shed", |status| shed(status) > first);
    link.open();
    let facts = plc.hold();
    let received = gateway.delivered("press-1", &facts, &subscriber);
    let shed = shed(&gateway.status().expect("it is running"));

    // What is missing is announced: `Proof` sees to that.
    let proof = Proof::of(&received);
    let gaps: Vec<&Event> = proof.events().iter().filter(|event| event.kind == "gateway.gap").collect();
    let count = |text: &serde_json::Value| {
        text.as_str().and_then(|digits| digits.parse::<u64>().ok()).expect("a place")
    };
    let (mut places, mut lost) = (0, 0);
    for gap in &gaps {
        let data = gap.data();
        assert_eq!(data["reason"], "buffer_full");
        assert!(
            data["stream"].as_str().is_some_and(|stream| stream.starts_with("edge-01/telemetry/")),
            "{data}"
        );
        places += count(&data["last"]) - count(&data["first"]) + 1;
        let by_type = data["lost"].as_object().expect("numbers by type");
        assert!(by_type.keys().eq(["telemetry.sampled"]), "{data}");
        lost += by_type["telemetry.sampled"].as_u64().expect("a number");
    }
    assert!(lost > 0 && lost == places && lost == shed, "{lost} told, {places} places, {shed} counted");
    let sampled = proof.events().iter().filter(|event| event.kind == "telemetry.sampled").count();
    assert!(sampled > 0, "the newest telemetry is kept");

    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.counts("press-1.scrap", 1 << 16, &[&facts.scrap]);
    proof.states("press-1.state", &facts.states);
}
