//! Commissioning of OPC UA servers: `read`, `browse` and `check --probe` against asyncua.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::oven::toml;
use crate::harness::{Gateway, Library, Oven, Penstock, RegisterMap, Site, eventually, free_port};

/// EX_UNAVAILABLE and EX_NOPERM (sysexits.h).
const UNAVAILABLE: i32 = 69;
const NO_PERMISSION: i32 = 77;

/// A gateway that does not run, with the oven and these keys.
fn configured(oven: &Oven, keys: &str) -> Gateway {
    let site = Site::empty().device(&toml(oven.address(), keys));
    Gateway::stopped(&site.uplink(free_port()).toml())
}

/// Records by the name of their tag.
fn by_tag(records: Vec<Value>) -> BTreeMap<String, Value> {
    records.into_iter().map(|record| (record["tag"].as_str().expect("a tag").to_owned(), record)).collect()
}

#[test]
fn every_tag_is_read_once_with_its_quality_its_nodes_and_its_sources_time() {
    let oven = Oven::start();
    let gateway = configured(&oven, "security = \"None\"");
    let read = by_tag(gateway.json(&["read", "oven", "--json"]));
    assert_eq!(read.len(), 8, "{read:?}");
    assert_eq!(read["oven.still"]["value"], 7);
    assert_eq!(read["oven.still"]["time"], "2026-01-01T00:00:00.000000Z", "the source's own");
    assert_eq!(read["oven.still"]["at"], "nsu=urn:plant:oven;s=Still");
    assert_eq!(read["oven.zone"]["value"], 21.0);
    assert_eq!(read["oven.zone"]["at"], "nsu=urn:plant:oven;s=Zones[1]");
    assert_eq!(read["oven.name"]["value"], "oven");
    assert_eq!(read["oven.temp"]["unit"], "Cel");
    for (tag, record) in &read {
        let status = if tag == "oven.never" { "bad" } else { "good" };
        assert_eq!(record["quality"]["status"], status, "{record}");
    }
    assert_eq!(read["oven.never"]["quality"]["cause"], "opcua-0x80340000");
}

#[test]
fn a_table_has_devices_and_servers_together_and_says_in_words_what_is_bad() {
    let oven = Oven::start();
    let map = RegisterMap::serve(Library::Libmodbus, "1", &["holding:0-9"]);
    let plc = format!(
        "[[modbus]]\nname = \"plc\"\naddress = \"tcp://{}\"\nrequest_timeout = \"10s\"\n\
         tags = [{{ name = \"word\", at = \"holding:1\", type = \"u16\" }}]\n\
         [[asset]]\npath = \"a/plc\"\ntelemetry = [{{ tag = \"plc.*\" }}]\n",
        map.address()
    );
    let oven_toml = toml(oven.address(), "security = \"None\"");
    let gateway = Gateway::stopped(&Site::empty().device(&oven_toml).device(&plc).uplink(free_port()).toml());
    let both = gateway.command(&["read", "oven.never", "oven.still", "plc"]);
    assert_eq!(both.code(), 0, "{}", both.stderr());
    let table = both.stdout();
    let heading: Vec<&str> = table.lines().next().expect("a heading").split_whitespace().collect();
    assert_eq!(heading, ["TAG", "VALUE", "UNIT", "QUALITY", "TIME", "AT", "TYPE"]);
    assert!(table.contains("bad: BadNodeIdUnknown (no such node)"), "{table}");
    assert!(table.contains("2026-01-01 00:00:00.000Z  nsu=urn:plant:oven;s=Still"), "{table}");
    assert!(table.lines().any(|row| row.starts_with("plc.word") && row.ends_with("u16")), "{table}");
    let alone = gateway.command(&["read", "oven.still"]).stdout();
    let heading: Vec<&str> = alone.lines().next().expect("a heading").split_whitespace().collect();
    assert_eq!(heading, ["TAG", "VALUE", "UNIT", "QUALITY", "TIME", "AT"]);
}

#[test]
fn watching_a_server_tells_each_change_until_it_is_interrupted() {
    let oven = Oven::start();
    let gateway = configured(&oven, "security = \"None\"");
    let config = gateway.config().display().to_string();
    let watch = ["read", "oven.count", "--config", &config, "--watch", "--every", "50ms", "--json"];
    let mut watching = Penstock::start(&watch);
    let counts = eventually("five changes", || {
        let lines = watching.stdout(0);
        let records = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let counts: Vec<u64> = records.filter_map(|record| record["value"].as_u64()).collect();
        (counts.len() >= 5).then_some(counts)
    });
    assert!(counts.windows(2).all(|pair| pair[0] < pair[1]), "{counts:?}");
    watching.signal("INT");
    assert!(watching.wait().success(), "that is how watching ends");
}

#[test]
fn a_server_that_is_off_and_a_password_that_is_out_of_reach_are_said_and_nobody_is_shown_a_wrong_one() {
    let mut oven = Oven::with(&["--secure"]);
    let login =
        "security = \"Basic256Sha256/SignAndEncrypt\"\nusername = \"edge\"\npassword = { env = \"OVEN\" }";
    let gateway = configured(&oven, login);
    let refused = gateway.command(&["read", "oven"]);
    assert_eq!(refused.code(), NO_PERMISSION, "{}", refused.stderr());
    assert!(refused.stderr().contains("the password for oven is out of reach"), "{}", refused.stderr());

    oven.kill();
    let off = configured(&oven, "security = \"None\"").command(&["read", "oven.temp"]);
    assert_eq!(off.code(), UNAVAILABLE);
    assert!(off.stdout().contains("bad: disconnected"), "{}", off.stdout());
    assert!(off.stderr().contains("oven does not answer: cannot connect"), "{}", off.stderr());
}
