//! How it is: what the gateway tells its broker, and who asks it on its machine.

use serde_json::Value;

use crate::harness::{Gateway, Mosquitto, Penstock, Plc, Relay, Site, Subscriber, eventually};

fn latest(subscriber: &Subscriber) -> Option<Value> {
    subscriber.statuses().pop()
}

fn status_text(gateway: &Gateway) -> Penstock {
    Penstock::run(&["status", "--config", gateway.config().to_str().unwrap()])
}

#[test]
fn the_broker_keeps_whether_the_gateway_is_there() {
    let plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    let said = |status: &str| latest(&subscriber).filter(|latest| latest["status"] == status);

    let online = eventually("online", || said("online"));
    assert_eq!(online["gateway"], "edge-01");
    gateway.kill();
    let lost = eventually("the will", || said("offline"));
    assert_eq!(lost["reason"], "connection lost");
    gateway.restart();
    eventually("online again", || said("online"));
    assert!(gateway.stop().success());
    let stopped = eventually("goodbye", || said("offline"));
    assert_eq!(stopped["reason"], "stopped");

    // Who comes later is told too.
    let latecomer = Subscriber::named("latecomer", &broker, &[]);
    let retained: Vec<_> = latecomer.messages().into_iter().filter(|message| message.is_retained).collect();
    assert_eq!(retained.len(), 1, "{retained:?}");
    assert_eq!(retained[0].topic, "penstock/plant-7/gateways/edge-01/status");
    assert!(retained[0].payload.contains("stopped"));
}

#[test]
fn the_running_gateway_is_asked_for_sources_lanes_and_destinations() {
    let plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let link = Relay::to(broker.address());
    let gateway = Site::empty().press(&plc).uplink(link.address()).start();

    let delivered = |status: &Value| {
        let lanes = status["destinations"][0]["lanes"].as_array().expect("a list of lanes");
        lanes.len() == 2 && lanes.iter().all(|lane| lane["cursor"].as_u64() > Some(0))
    };
    let status = gateway.status_until("deliveries in both lanes", delivered);
    assert_eq!(status["sources"][0]["name"], "press-1");
    assert_eq!(status["destinations"][0]["name"], "enterprise");
    let lanes: Vec<_> =
        status["lanes"].as_array().unwrap().iter().map(|lane| lane["lane"].as_str()).collect();
    assert_eq!(lanes, [Some("business"), Some("telemetry")]);

    link.cut();
    gateway.backlog_until("a backlog", |backlog| backlog > 20);
    let text = status_text(&gateway);
    assert_eq!(text.code(), 0, "{}", text.stderr());
    for word in ["press-1", "enterprise", "business", "telemetry"] {
        assert!(text.stdout().contains(word), "no {word} in:\n{}", text.stdout());
    }
}

#[test]
fn a_gateway_that_does_not_run_is_said_not_to_run() {
    let plc = Plc::start("press-1");
    let broker = Mosquitto::start();
    let mut gateway = Site::empty().press(&plc).uplink(broker.address()).start();
    gateway.status_until("an answer", |_| true);

    for end in [Gateway::kill, |gateway: &mut Gateway| assert!(gateway.stop().success())] {
        end(&mut gateway);
        let answer = status_text(&gateway);
        assert_eq!(answer.code(), 69, "EX_UNAVAILABLE (sysexits.h)");
        assert!(answer.stderr().contains("no gateway is running"), "{}", answer.stderr());
        assert_eq!(answer.stdout(), "");
        gateway.restart();
        gateway.status_until("an answer", |_| true);
    }
}
