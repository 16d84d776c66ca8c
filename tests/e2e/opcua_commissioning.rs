//! Commissioning of OPC UA servers: `read`, `browse` and `check --probe` against asyncua.

use std::collections::BTreeMap;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::harness::oven::{Kind, toml};
use crate::harness::{Gateway, Library, Oven, Penstock, RegisterMap, Site, eventually, free_port};

/// EX_USAGE, EX_NOINPUT, EX_UNAVAILABLE and EX_NOPERM (sysexits.h).
const USAGE: i32 = 64;
const NO_INPUT: i32 = 66;
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

/// Runs `browse` at the oven, without a configuration.
#[track_caller]
fn browse(oven: &Oven, arguments: &[&str]) -> Penstock {
    let endpoint = format!("opc.tcp://{}/oven", oven.address());
    Penstock::run(&[&["browse", &endpoint], arguments].concat())
}

#[test]
fn a_server_is_browsed_as_a_tree_that_ends_though_nodes_lead_back() {
    let oven = Oven::with(&["--zones"]);
    let browsed = browse(&oven, &[]);
    assert_eq!(browsed.code(), 0, "{}", browsed.stderr());
    let tree = browsed.stdout();
    let names: Vec<String> = tree
        .lines()
        .filter(|line| line.contains('─') || line.starts_with("Objects"))
        .map(|line| {
            line.split("  ").find(|part| part.contains(char::is_alphanumeric)).expect("a name").to_owned()
        })
        .collect();
    for name in
        ["Objects", "├─ Server", "└─ Oven", "├─ Count", "├─ Zone 1", "├─ Temp", "└─ Reset", "└─ Zone 2"]
    {
        assert!(names.iter().any(|line| line.ends_with(name)), "no {name} in:\n{tree}");
    }
    assert!(!names.iter().any(|line| line.contains("EngineeringUnits")), "properties stand aside:\n{tree}");
    assert!(tree.contains("the server's own state: look with --from i=2253"), "{tree}");
    assert!(tree.contains("2 more references to nodes that stand elsewhere in the tree"), "{tree}");
    let temp =
        tree.lines().find(|line| line.contains("─ Temp  ") && line.contains("Zone1")).expect("it is there");
    for word in ["Double", "read", "Cel", "nsu=urn:plant:oven;s=\"Zone1\".\"Temp\""] {
        assert!(temp.contains(word), "no {word} in {temp}");
    }

    let shallow = browse(&oven, &["--depth", "1"]).stdout();
    assert!(shallow.contains("└─ Oven") && !shallow.contains("Count"), "{shallow}");
    let server = browse(&oven, &["--from", "i=2253", "--depth", "2"]).stdout();
    assert!(server.contains("ServerStatus") && server.contains("NamespaceArray"), "{server}");
}

#[test]
fn what_is_looked_for_comes_as_a_table_or_as_json_with_its_value() {
    let oven = Oven::with(&["--zones"]);
    let table = browse(&oven, &["--filter", "*zone ?/TEMP", "--values", "--table"]);
    assert_eq!(table.code(), 0, "{}", table.stderr());
    let rows = table.stdout();
    let rows: Vec<Vec<&str>> = rows.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["PATH", "TYPE", "ACCESS", "VALUE", "UNIT", "NODE"]);
    let second =
        ["Oven/Zone", "2/Temp", "Double", "read", "802", "Cel", "nsu=urn:plant:oven;s=\"Zone2\".\"Temp\""];
    assert_eq!(rows[2], second);

    let lines = browse(&oven, &["--filter", "zones", "--values", "--json"]).json();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for (key, value) in [
        ("path", json!("Oven/Zones")),
        ("node", json!("nsu=urn:plant:oven;s=Zones")),
        ("class", json!("variable")),
        ("type", json!("Double")),
        ("readable", json!(true)),
        ("historizing", json!(false)),
        ("elements", json!(3)),
        ("first_elements", json!([20.0, 21.0, 22.0])),
    ] {
        assert_eq!(lines[0][key], value, "{key} of {}", lines[0]);
    }
    let nothing = browse(&oven, &["--filter", "furnace"]);
    assert_eq!(nothing.code(), NO_INPUT);
    let cut = browse(&oven, &["--most", "5", "--json"]);
    assert_eq!((cut.code(), cut.json().len()), (UNAVAILABLE, 5));
    assert!(cut.stderr().contains("there are more than 5 nodes"), "{}", cut.stderr());
}

#[test]
fn browsing_makes_a_configuration_that_a_check_takes_and_that_reads_what_was_found() {
    let oven = Oven::with(&["--zones", "--many", "30"]);
    let browsed = browse(&oven, &["--from", "nsu=urn:plant:oven;s=Nowhere", "--toml"]);
    assert_eq!(browsed.code(), UNAVAILABLE);
    let toml = browse(&oven, &["--toml"]).stdout();
    assert!(toml.contains("{ name = \"Zone-1.Temp\", node = \"nsu=urn:plant:oven;s=\\\"Zone1\\\".\\\"Temp\\\"\", unit = \"Cel\" },"), "{toml}");
    assert!(
        toml.contains("# { name = \"Zones.0\", node = \"nsu=urn:plant:oven;s=Zones\", element = 0 },"),
        "{toml}"
    );
    for why in ["Range {…}: one tag for each field", "this user may not read it"] {
        assert!(toml.contains(why), "no {why:?} in:\n{toml}");
    }
    let name = format!("name = \"{}\"", oven.address().ip().to_string().replace('.', "-"));
    assert!(toml.contains(&name), "{toml}");
    let named = toml.replace(&name, "name = \"oven\"");
    let asset = "[[asset]]\npath = \"a/oven\"\ntelemetry = [{ tag = \"oven.*\" }]\n";
    let site = Site::empty().device(&format!("\n{named}")).device(asset).uplink(free_port());
    let gateway = Gateway::stopped(&site.toml());
    let read = by_tag(gateway.json(&["read", "oven", "--json"]));
    assert_eq!(read.len(), 5 + 30 + 2, "all but what is a comment: {read:?}");
    assert!(read.values().all(|record| record["quality"]["status"] == "good"), "{read:?}");
    assert_eq!(read["oven.Zone-2.Temp"]["value"], 802.0);
    let again = gateway.command(&["browse", "oven", "--filter", "still"]);
    assert!(again.stdout().contains("─ Still"), "a source is browsed by its name: {}", again.stderr());
}

#[test]
fn the_oven_of_the_tour_shows_its_variables() {
    let browsed = browse(&Oven::of(Kind::PenstockPlant, &[]), &["--filter", "count"]);
    assert!(browsed.stdout().contains("─ Count"), "{}{}", browsed.stdout(), browsed.stderr());
}

#[test]
fn a_secured_server_is_browsed_once_it_is_trusted_by_a_user_whose_password_is_on_no_command_line() {
    let oven = Oven::with(&["--secure"]);
    let gateway = configured(&oven, "security = \"Basic256Sha256/SignAndEncrypt\"");
    gateway.write("password", "hunter2\n");
    gateway.write("wrong", "not-this-one\n");
    let endpoint = format!("opc.tcp://{}/oven", oven.address());
    let browse = |security: &[&str], password: &str| {
        let file = gateway.path(password).display().to_string();
        let user = ["--username", "edge", "--password-file", &file, "--filter", "still"];
        gateway.command(&[&["browse", &endpoint], security, &user[..]].concat())
    };
    let secured = ["--security", "Aes256-Sha256-RsaPss/SignAndEncrypt"];
    let over_none = browse(&[], "password");
    assert_eq!(over_none.code(), USAGE);
    assert!(over_none.stderr().contains("add --security"), "{}", over_none.stderr());

    let refused = browse(&secured, "password");
    assert_eq!(refused.code(), UNAVAILABLE);
    let listed = gateway.json(&["trust", "list", "--json"]);
    let server = listed.iter().find(|one| one["standing"] == "refused").expect("it was kept");
    let fingerprint = server["fingerprint"].as_str().expect("a fingerprint");
    assert!(
        refused.stderr().contains(&format!("penstock trust accept {fingerprint}")),
        "{}",
        refused.stderr()
    );
    assert_eq!(gateway.command(&["trust", "accept", fingerprint, "--yes"]).code(), 0);

    let wrong = browse(&secured, "wrong");
    assert!(wrong.stderr().contains("mend username and password"), "{}", wrong.stderr());
    let trusted = browse(&secured, "password");
    assert_eq!(trusted.code(), 0, "{}", trusted.stderr());
    assert!(trusted.stdout().contains("─ Still"), "{}", trusted.stdout());
}

/// The oven's row of `check --probe --json`, and how the command ended.
fn probed(gateway: &Gateway) -> (Value, i32) {
    let config = gateway.config().display().to_string();
    let done = Penstock::run(&["check", &config, "--probe", "--json"]);
    let report: Value = serde_json::from_str(&done.stdout()).expect("JSON");
    let rows = report["reached"].as_array().expect("a list");
    (rows.iter().find(|row| row["name"] == "oven").expect("the oven").clone(), done.code())
}

/// What `check --probe` tells people.
fn told(gateway: &Gateway) -> String {
    let config = gateway.config().display().to_string();
    Penstock::run(&["check", &config, "--probe"]).stdout()
}

#[test]
fn a_check_tells_what_a_server_offers_and_the_line_to_write_for_it() {
    let oven = Oven::with(&["--secure"]);
    let gateway = configured(&oven, "security = \"Aes128-Sha256-RsaOaep/Sign\"");
    let (row, code) = probed(&gateway);
    assert_eq!(code, UNAVAILABLE);
    assert_eq!((&row["answers"], &row["lets_in"]), (&json!(true), &json!(false)), "{row}");
    assert_eq!(row["advice"], "Write  security = \"Aes256-Sha256-RsaPss/SignAndEncrypt\"", "{row}");
    let offers: Vec<&str> = row["opcua"]["offers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["security"].as_str().unwrap())
        .collect();
    let expected = [
        "Aes256-Sha256-RsaPss/SignAndEncrypt",
        "Basic256Sha256/SignAndEncrypt",
        "Aes128-Sha256-RsaOaep/SignAndEncrypt",
        "Basic256Sha256/Sign",
    ];
    assert_eq!(offers, expected);
    assert_eq!(row["opcua"]["offers"][0]["users"], json!(["anonymous", "user name", "user certificate"]));
    let table = told(&gateway);
    assert!(table.contains("  Basic256Sha256/Sign  ") && table.contains("anonymous, user name"), "{table}");
}

#[test]
fn a_check_judges_the_certificate_and_logs_in_and_reads_every_tag_once() {
    let oven = Oven::with(&["--secure", "--ends-in", "20"]);
    let login = "username = \"edge\"\npassword = { file = \"password\" }";
    let security = "security = \"Basic256Sha256/SignAndEncrypt\"";
    let gateway = configured(&oven, security);
    gateway.write(
        "config.toml",
        &Site::empty()
            .device(&toml(oven.address(), &format!("{security}\n{login}")))
            .uplink(free_port())
            .toml(),
    );
    gateway.write("password", "not-this-one\n");

    let (row, _) = probed(&gateway);
    let certificate = &row["opcua"]["certificate"];
    assert_eq!(certificate["trusted"], false, "{row}");
    assert!(
        certificate["against"][0].as_str().is_some_and(|why| why.contains("nobody has accepted it")),
        "{row}"
    );
    let fingerprint = certificate["fingerprint"].as_str().expect("a fingerprint").to_owned();
    let advice = row["advice"].as_str().expect("advice");
    assert!(advice.contains(&format!("penstock trust accept {}", &fingerprint[..16])), "{advice}");
    assert_eq!(gateway.command(&["trust", "accept", &fingerprint[..16], "--yes"]).code(), 0);

    let (row, code) = probed(&gateway);
    assert_eq!((code, &row["lets_in"]), (UNAVAILABLE, &json!(false)), "{row}");
    assert!(row["reason"].as_str().is_some_and(|why| why.contains("mend username and password")), "{row}");
    gateway.write("password", "hunter2\n");

    let (row, _) = probed(&gateway);
    assert_eq!((&row["usable"], &row["lets_in"]), (&json!(true), &json!(true)), "{row}");
    let bad = json!([{ "tag": "oven.never", "cause": "opcua-0x80340000", "detail": "BadNodeIdUnknown (no such node)" }]);
    assert_eq!((&row["opcua"]["tags"], &row["opcua"]["bad_tags"]), (&json!(8), &bad), "{row}");
    let table = told(&gateway);
    for words in
        ["1 of 8 tags not good", "BadNodeIdUnknown (no such node)", "trusted", "expires soon, at ", "our own"]
    {
        assert!(table.contains(words), "no {words:?} in:\n{table}");
    }
}

#[test]
fn a_check_tells_of_a_server_that_is_off_and_of_one_that_is_something_else() {
    let mut oven = Oven::start();
    let gateway = configured(&oven, "security = \"None\"");
    let (row, _) = probed(&gateway);
    assert_eq!(row["lets_in"], true, "{row}");
    assert_eq!(row["opcua"]["slower"], Value::Null, "{row}");
    oven.kill();
    let (row, code) = probed(&gateway);
    assert_eq!((code, &row["reached"], &row["answers"]), (UNAVAILABLE, &json!(false), &Value::Null), "{row}");
    assert!(row["reason"].as_str().is_some_and(|why| why.contains("cannot connect")), "{row}");
    assert!(row["advice"].as_str().is_some_and(|what| what.contains("Is it on")), "{row}");

    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let toml = toml(mute.local_addr().expect("it is bound"), "security = \"None\"\nconnect_timeout = \"1s\"");
    let (row, code) = probed(&Gateway::stopped(&Site::empty().device(&toml).uplink(free_port()).toml()));
    assert_eq!((code, &row["reached"], &row["answers"]), (UNAVAILABLE, &json!(true), &json!(false)), "{row}");
    assert!(row["advice"].as_str().is_some_and(|what| what.contains("Is it an OPC UA server")), "{row}");
}
