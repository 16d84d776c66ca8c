//! A PLC on a serial line, beside a unit that is dead.

use crate::harness::{Mosquitto, Plc, Proof, Site, Subscriber};

const STATES: usize = 20;

#[test]
fn every_fact_of_a_plc_on_a_serial_line_arrives_beside_a_dead_unit() {
    let mut plc = Plc::on_serial_line("press-1");
    let dead = format!(
        "\n[[modbus]]\nname = \"press-2\"\naddress = \"{}\"\nunit = 2\npoll = \"50ms\"\nrequest_timeout = \"50ms\"\n\
         tags = [{{ name = \"state\", at = \"holding:100\", type = \"u16\" }}]\n",
        plc.url()
    );
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let gateway = Site::empty().press(&plc).device(&dead).uplink(broker.address()).start();

    subscriber.wait_until("states of the one and the outage of the other", |events| {
        let states = events.iter().filter(|event| event.is("machine.state_changed", "press-1.state")).count();
        states >= STATES && events.iter().any(|event| event.is("gateway.source_down", "press-2"))
    });
    let facts = plc.hold();

    let proof = Proof::of(&gateway.delivered("press-1", &facts, &subscriber));
    proof.counts("press-1.good", 1 << 32, &[&facts.good]);
    proof.states("press-1.state", &facts.states);
    proof.outages("press-1", 0, 0);
    proof.outages("press-2", 1, 0);
    let down = proof.about("gateway.source_down", "press-2");
    assert!(down.iter().all(|event| event.data()["cause"] == "timeout"));
}
