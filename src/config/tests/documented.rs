//! The repository's `config.toml` documents the configuration, and cannot fall behind it.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use super::Plant;
use crate::config::opcua_tag::LIST;
use crate::config::source::{Findings, Typing};
use crate::config::tag::COLUMNS;
use crate::config::{Config, Purpose, load, read};

const DOCUMENTED: &str = include_str!("../../../config.toml");

/// The documentation with its defaults in force: `#poll = "1s"` becomes `poll = "1s"`.
fn with_defaults_in_force() -> String {
    let is_default =
        |line: &&str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
    assert!(DOCUMENTED.lines().filter(is_default).count() > 20, "the defaults are no longer found");
    DOCUMENTED
        .lines()
        .map(|line| if is_default(&line) { &line[1..] } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

fn shown(config: &Config) -> String {
    format!("{:#?}", Config { warnings: super::Report::new(String::new(), Vec::new()), ..config.clone() })
}

#[test]
fn it_loads_without_an_error() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let config = load(&path, Purpose::Check).unwrap_or_else(|report| panic!("{report}"));
    assert!(
        config
            .warnings
            .to_string()
            .ends_with("config.toml is in order: 2 sources with 9 tags, 1 destination")
    );
}

#[test]
fn the_defaults_that_it_tells_are_the_defaults() {
    let plain = Plant::with(DOCUMENTED).load().unwrap_or_else(|report| panic!("{report}"));
    let told = Plant::with(with_defaults_in_force()).load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(shown(&plain), shown(&told));
}

#[test]
fn it_mentions_every_key_that_a_schema_knows() {
    let findings = Rc::new(Findings::default());
    // With both forms of every alternative, so that every schema is asked.
    let text = with_defaults_in_force()
        .replace("#   password = { file", "password = { file")
        .replace("deadband = { percent = 2 }", "deadband = { percent = 2, absolute = 1 }");
    drop(read(
        findings.open("config.toml".to_owned(), text, Typing::Toml),
        Path::new("/nowhere"),
        Purpose::Check,
    ));
    let known = findings.known_keys();
    assert!(known.contains("asset.telemetry.deadband.percent") && known.contains("mqtt.password.credential"));
    for path in known {
        let key = path.rsplit('.').next().unwrap();
        let is_mentioned = DOCUMENTED
            .lines()
            .any(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == key));
        assert!(is_mentioned, "config.toml does not explain {path}");
    }
}

/// The columns of a tag list that the schema of `[[kind]]` asks for.
fn columns_asked(kind: &str, place: &str, list: &str) -> BTreeSet<String> {
    let findings = Rc::new(Findings::default());
    let plant = Plant::with("").and("tags.csv", list);
    let text = format!("[[{kind}]]\nname = \"a\"\n{place}\ntags_file = \"tags.csv\"\n");
    let spot = findings.open("config.toml".to_owned(), text, Typing::Toml);
    drop(read(spot, plant.folder.path(), Purpose::Check));
    let prefix = format!("{kind}.tags_file.");
    findings.known_keys().iter().filter_map(|path| path.strip_prefix(&prefix)).map(str::to_owned).collect()
}

#[test]
fn a_tag_list_has_exactly_the_columns_that_the_schema_of_a_tag_knows() {
    let modbus = columns_asked(
        "modbus",
        "address = \"tcp://127.0.0.1\"",
        "name,at,type,asset\na,holding:1,u16,area/machine\n",
    );
    assert_eq!(modbus, COLUMNS.map(str::to_owned).into());
    let opcua = columns_asked(
        "opcua",
        "endpoint = \"opc.tcp://127.0.0.1\"\nsecurity = \"None\"",
        "name,node,asset\na,i=1,area/machine\n",
    );
    assert_eq!(opcua, LIST.known.iter().map(|column| (*column).to_owned()).collect());
}
