//! Several units behind one address, served by foreign libraries of which one takes a single client.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Event, Library, Mosquitto, Proof, RegisterMap, Site, Subscriber};

/// Holding registers count as table 3.
const HOLDING: u32 = 3;
const SERVED: [u16; 3] = [0, 5, 9];
/// Between the served ones and not served itself.
const HOLE: u16 = 7;

fn device(name: &str, map: &RegisterMap, unit: u8) -> String {
    let tags: Vec<String> = SERVED
        .iter()
        .chain([&HOLE])
        .map(|at| format!("{{ name = \"r{at}\", at = \"holding:{at}\", type = \"u16\" }}"))
        .collect();
    format!(
        "\n[[modbus]]\nname = \"{name}\"\naddress = \"tcp://{}\"\nunit = {unit}\npoll = \"100ms\"\n\
         request_timeout = \"10s\"\ntags = [{}]\n\n\
         [[asset]]\npath = \"lab/{name}\"\ntelemetry = [{{ tag = \"{name}.*\" }}]\n",
        map.address(),
        tags.join(", ")
    )
}

/// What each register of the device was told to be, and with which quality.
fn told(events: &[Event], name: &str) -> BTreeMap<u16, (Value, Value)> {
    let mut told = BTreeMap::new();
    for at in SERVED.iter().chain([&HOLE]) {
        let tag = format!("{name}.r{at}");
        for event in events.iter().filter(|event| event.is("telemetry.sampled", &tag)) {
            told.insert(*at, (event.data()["value"].clone(), event.data()["quality"].clone()));
        }
    }
    told
}

#[test]
fn units_behind_one_address_share_a_connection_and_only_what_is_refused_is_bad() {
    for library in Library::ALL {
        let map = RegisterMap::serve(library, "1,7", &["holding:0-6", "holding:8-9"]);
        let broker = Mosquitto::start();
        let subscriber = Subscriber::of(&broker);
        let site = Site::empty().device(&device("first", &map, 1)).device(&device("seventh", &map, 7));
        // pymodbus 3.16 answers for a unit that it does not have with a failure of its own.
        let tells_of_the_dead = library == Library::Libmodbus;
        let site = if tells_of_the_dead { site.device(&device("nobody", &map, 9)) } else { site };
        let mut gateway = site.uplink(broker.address()).start();

        subscriber.wait_until(
            "every register of two units, and the third to be down if it is there to be",
            |events| {
                let all = SERVED.len() + 1;
                told(events, "first").len() == all
                    && told(events, "seventh").len() == all
                    && tells_of_the_dead
                        == events.iter().any(|event| event.is("gateway.source_down", "nobody"))
            },
        );
        let status = gateway.status_until("ten polls", |status| {
            status["sources"].as_array().is_some_and(|sources| {
                sources.iter().filter(|source| source["polls"].as_u64() >= Some(10)).count() == 2
            })
        });
        let connects: Option<u64> =
            status["sources"].as_array().map(|all| all.iter().flat_map(|one| one["connects"].as_u64()).sum());
        assert_eq!(connects, Some(1), "{library:?}: {status}");
        assert!(gateway.stop().success());
        subscriber.flush();

        let proof = Proof::of(&subscriber.events());
        for name in ["first", "seventh"] {
            proof.outages(name, 0, 0);
            for (at, (value, quality)) in told(proof.events(), name) {
                let register = RegisterMap::register(HOLDING, at.into());
                let expected = match at {
                    HOLE => (Value::Null, json!({ "status": "bad", "cause": "modbus-exception-2" })),
                    _ => (json!(register), json!({ "status": "good" })),
                };
                assert_eq!((value, quality), expected, "{library:?}: {name}.r{at}");
            }
        }
        let down = proof.about("gateway.source_down", "nobody");
        assert_eq!(down.len(), usize::from(tells_of_the_dead));
        assert!(down.iter().all(|event| event.data()["cause"] == "modbus-exception-11"));
        map.was_only_read();
    }
}
