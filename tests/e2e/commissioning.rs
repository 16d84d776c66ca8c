//! Commissioning: `read`, `probe`, `check --probe` and `check --plan` against two foreign libraries and a broker.

use std::fs;
use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Library, Mosquitto, Penstock, Plc, RegisterMap, Site, eventually, free_port};

/// EX_NOINPUT and EX_UNAVAILABLE (sysexits.h).
const NO_INPUT: i32 = 66;
const UNAVAILABLE: i32 = 69;
const PLACES: [&str; 5] = ["holding:0-9", "holding:100-139", "input:50-59", "coil:0-15", "discrete:16-31"];

/// A configuration in a folder of its own.
struct Configuration {
    folder: TempDir,
}

impl Configuration {
    fn of(site: &Site) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("config.toml"), site.toml()).unwrap();
        Self { folder }
    }

    fn path(&self) -> String {
        self.folder.path().join("config.toml").to_str().unwrap().to_owned()
    }

    fn read(&self, arguments: &[&str]) -> Penstock {
        Penstock::run(&[&["read", "--config", &self.path()], arguments].concat())
    }

    fn check(&self, arguments: &[&str]) -> Penstock {
        Penstock::run(&[&["check", &self.path()], arguments].concat())
    }
}

/// A device with tags of many kinds, and one that is not there.
fn device(name: &str, address: SocketAddr, unit: u8) -> String {
    format!(
        r#"
[[modbus]]
name = "{name}"
address = "tcp://{address}"
unit = {unit}
request_timeout = "10s"
tags = [
  {{ name = "word",   at = "holding:1",     type = "u16" }},
  {{ name = "double", at = "holding:2",     type = "u32", order = "CDAB" }},
  {{ name = "tenths", at = "input:50",      type = "i16", scale = 0.1, unit = "Cel" }},
  {{ name = "bit",    at = "holding:5.2",   type = "bool" }},
  {{ name = "mode",   at = "holding:139",   type = "u16", names = "4330=heating" }},
  {{ name = "coil",   at = "coil:3",        type = "bool" }},
  {{ name = "input",  at = "discrete:16",   type = "bool" }},
  {{ name = "absent", at = "holding:60000", type = "u16" }},
]
[[asset]]
path = "hall/line/{name}"
telemetry = [{{ tag = "{name}.*" }}]
"#
    )
}

fn records(read: &Penstock) -> Vec<Value> {
    read.stdout().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn one_map_reads_the_same_from_both_libraries_with_quality_and_exception() {
    for library in Library::ALL {
        let map = RegisterMap::serve(library, "1,7", &PLACES);
        let site = Site::empty().device(&device("plc", map.address(), 7)).uplink(free_port());
        let read = Configuration::of(&site).read(&["plc", "--json"]);
        assert_eq!(read.code(), 0, "{library:?}: {}", read.stderr());
        let register = RegisterMap::register;
        let double = register(3, 3) << 16 | register(3, 2);
        let tenths = register(2, 50) as f64 * 0.1;
        let expected: [(&str, Value); 8] = [
            ("word", register(3, 1).into()),
            ("double", double.into()),
            ("tenths", tenths.into()),
            ("bit", (register(3, 5) & 4 != 0).into()),
            ("mode", "heating".into()),
            ("coil", true.into()),
            ("input", false.into()),
            ("absent", Value::Null),
        ];
        let records = records(&read);
        assert_eq!(records.len(), expected.len(), "{library:?}");
        for (record, (tag, value)) in records.iter().zip(expected) {
            assert_eq!(record["tag"], format!("plc.{tag}"), "{library:?}");
            assert_eq!(record["value"], value, "{library:?} {record}");
            let is_absent = value.is_null();
            assert_eq!(record["quality"]["status"], if is_absent { "bad" } else { "good" });
            assert_eq!(record["quality"]["cause"] == "modbus-exception-2", is_absent, "{record}");
        }
        map.was_only_read();
    }
}

#[test]
fn a_table_shows_one_tag_or_all_and_a_device_that_is_not_there() {
    let map = RegisterMap::serve(Library::Libmodbus, "1", &PLACES);
    let site = Site::empty().device(&device("plc", map.address(), 1)).device(&device("gone", free_port(), 1));
    let configuration = Configuration::of(&site.uplink(free_port()));

    let one = configuration.read(&["plc.tenths"]);
    let text = one.stdout();
    let words: Vec<&str> = text.split_whitespace().collect();
    let (heading, row) = words.split_at(6);
    assert_eq!(heading, ["TAG", "VALUE", "UNIT", "QUALITY", "AT", "TYPE"]);
    assert_eq!(row, ["plc.tenths", "156.4", "Cel", "good", "input:50", "i16"]);

    let both = configuration.read(&["plc", "gone"]);
    assert_eq!(both.code(), UNAVAILABLE);
    assert_eq!(both.stdout().lines().count(), 17, "{}", both.stdout());
    assert!(both.stdout().contains("bad: modbus-exception-2 (illegal data address)"), "{}", both.stdout());
    assert!(both.stdout().contains("bad: disconnected"), "{}", both.stdout());
    assert!(both.stderr().contains("gone does not answer: cannot connect"), "{}", both.stderr());

    let unknown = configuration.read(&["plc.wrod"]);
    assert_eq!((unknown.code(), unknown.stdout().as_str()), (NO_INPUT, ""));
    assert!(unknown.stderr().contains("plc.word, plc.double"), "{}", unknown.stderr());
}

#[test]
fn watching_tells_each_change_until_it_is_ended() {
    let plc = Plc::start("press-1");
    let configuration = Configuration::of(&Site::empty().press(&plc).uplink(free_port()));
    let watching = Penstock::start(&[
        "read",
        "--config",
        &configuration.path(),
        "press-1.reads",
        "--watch",
        "--every",
        "50ms",
        "--json",
    ]);
    let values = eventually("five changes", || {
        let lines = watching.stdout(0);
        let values: Vec<u64> = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["value"].as_u64())
            .collect();
        (values.len() >= 5).then_some(values)
    });
    assert!(
        values.windows(2).all(|pair| pair[0] < pair[1]),
        "the PLC counts how often it is read: {values:?}"
    );
}

#[test]
fn a_probe_finds_units_and_places_and_a_configuration_that_reads_them() {
    for (library, units) in [(Library::Pymodbus, "1,7"), (Library::Libmodbus, "1-20")] {
        let map = RegisterMap::serve(library, "1,7", &PLACES);
        let address = format!("tcp://{}", map.address());
        let probe = |form: &str| {
            let probe = [
                "probe",
                "modbus",
                &address,
                "--units",
                units,
                "--places",
                "0-299",
                "--pause",
                "0ms",
                "--timeout",
                "10s",
                form,
            ];
            let found = Penstock::run(&probe);
            assert_eq!(found.code(), 0, "{library:?}: {}", found.stderr());
            found.stdout()
        };
        let found: Value = serde_json::from_str(&probe("--json")).expect("JSON");
        assert_eq!(found["units"].as_array().unwrap().len(), 2, "{library:?}: {found}");
        for unit in found["units"].as_array().unwrap() {
            let readable: Vec<&str> = unit["tables"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|table| table["readable"].as_array().unwrap())
                .map(|places| places.as_str().unwrap())
                .collect();
            assert_eq!(readable, PLACES, "{library:?}");
        }

        let toml = probe("--toml");
        assert!(toml.contains("never_read = [\"holding:10-99\"]"), "{toml}");
        let site =
            Site::empty().device(&toml).device("[[asset]]\npath = \"a/b\"\ntelemetry = [{ tag = \"*\" }]\n");
        let configuration = Configuration::of(&site.uplink(free_port()));
        let read = configuration.read(&["unit-7", "--json"]);
        assert_eq!(read.code(), 0, "{}", read.stderr());
        let records = records(&read);
        assert_eq!(records.len(), 92);
        assert!(records.iter().all(|record| record["quality"]["status"] == "good"), "{library:?}");
        map.was_only_read();
    }
}

#[test]
fn a_serial_line_is_probed_and_read() {
    let plc = Plc::on_serial_line("press-1");
    let probe =
        ["probe", "modbus", &plc.url(), "--units", "1,2", "--places", "0-249", "--tables", "holding,coil"];
    let found = Penstock::run(&[&probe[..], &["--pause", "0ms", "--timeout", "1s", "--json"]].concat());
    assert_eq!(found.code(), 0, "{}", found.stderr());
    let found: Value = serde_json::from_str(&found.stdout()).expect("JSON");
    assert_eq!(found["address"], plc.url(), "a configuration can have it as it is");
    assert_eq!(found["units"].as_array().map(Vec::len), Some(1), "{found}");
    let tables = &found["units"][0]["tables"];
    assert_eq!(tables[0]["readable"], serde_json::json!(["holding:0-199"]), "{found}");

    let configuration = Configuration::of(&Site::empty().press(&plc).uplink(free_port()));
    let read = configuration.read(&["press-1.name", "--json"]);
    assert_eq!(read.code(), 0, "{}", read.stderr());
    assert_eq!(records(&read)[0]["value"], "Press A");
    let plan = configuration.check(&["--plan", "--json"]);
    let plan: Value = serde_json::from_str(&plan.stdout()).expect("JSON");
    assert!(plan["plan"][0]["busy"].as_f64().is_some_and(|busy| busy > 0.0), "{plan}");
}

#[test]
fn nobody_at_an_address_is_said_with_what_to_do() {
    let found = Penstock::run(&["probe", "modbus", &format!("tcp://{}", free_port())]);
    assert_eq!(found.code(), UNAVAILABLE);
    assert!(
        found.stderr().contains("cannot connect") && found.stderr().contains("is it on"),
        "{}",
        found.stderr()
    );
}

/// The row of `name` in the report of `check --probe --json`.
fn reached<'r>(report: &'r Value, name: &str) -> &'r Value {
    let rows = report["reached"].as_array().expect("a list");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

#[test]
fn a_check_that_probes_tells_who_can_be_used_and_what_to_do_about_the_others() {
    let map = RegisterMap::serve(Library::Libmodbus, "1", &PLACES);
    let broker = Mosquitto::start();
    let good = Site::empty().device(&device("plc", map.address(), 1)).uplink(broker.address());
    let all_well = Configuration::of(&good).check(&["--probe"]);
    assert_eq!(all_well.code(), 0, "{}{}", all_well.stdout(), all_well.stderr());
    assert!(
        all_well
            .stdout()
            .contains("1 of 8 tags not good: plc.absent: modbus-exception-2 (illegal data address)")
    );

    let bad = good.device(&device("wrong-unit", map.address(), 9)).device(&device("gone", free_port(), 1));
    let configuration = Configuration::of(&bad);
    let told = configuration.check(&["--probe", "--json"]);
    assert_eq!(told.code(), UNAVAILABLE, "{}", told.stderr());
    let report: Value = serde_json::from_str(&told.stdout()).expect("JSON");
    for (name, is_reached, answers, lets_in) in [
        ("plc", true, Value::from(true), Value::Null),
        ("wrong-unit", true, Value::from(false), Value::Null),
        ("gone", false, Value::Null, Value::Null),
        ("enterprise", true, Value::from(true), Value::from(true)),
    ] {
        let row = reached(&report, name);
        assert_eq!(
            (&row["reached"], &row["answers"], &row["lets_in"]),
            (&is_reached.into(), &answers, &lets_in),
            "{row}"
        );
    }
    let advice = reached(&report, "wrong-unit")["advice"].as_str().unwrap().to_owned();
    assert!(advice.contains(&format!("penstock probe modbus 'tcp://{}'", map.address())), "{advice}");

    let table = configuration.check(&["--probe"]);
    assert_eq!(table.code(), UNAVAILABLE);
    assert!(table.stdout().contains(&advice), "{}", table.stdout());
    assert!(table.stderr().contains("2 of 4 sources and destinations cannot be used"), "{}", table.stderr());
    map.was_only_read();
}

#[test]
fn a_plan_tells_every_request_and_touches_nobody() {
    let site = Site::empty().device(&device("plc", free_port(), 1)).uplink(free_port());
    let configuration = Configuration::of(&site);
    let plan = configuration.check(&["--plan"]);
    assert_eq!(plan.code(), 0, "{}", plan.stderr());
    for row in ["holding:1-5", "holding:139", "input:50", "coil:3", "discrete:16", "REQUESTS/S"] {
        assert!(plan.stdout().contains(row), "{row} is not in:\n{}", plan.stdout());
    }
    let report: Value =
        serde_json::from_str(&configuration.check(&["--plan", "--json"]).stdout()).expect("JSON");
    let line = &report["plan"][0];
    assert_eq!((&line["tags"], &line["requests_per_s"]), (&8.into(), &6.0.into()), "{line}");
}
