//! Tag lists from spreadsheets: the same tags, and problems with file, line and column.

use penstock_events::normalizer::{Deadband, Rule};

use super::{Plant, Severity, VALID, edited};

const IN_TOML: &str = r#"  { name = "state", at = "holding:100", type = "u16" },
  { name = "good", at = "holding:102", type = "u32" },
  { name = "scrap", at = "holding:104", type = "u32" },
  { name = "temp", at = "input:10", type = "i16", scale = 0.1 },
"#;
const AS_LIST: &str = "name,at,type,scale\nstate,holding:100,u16,\ngood,holding:102,u32,\n\
                       scrap,holding:104,u32,\ntemp,input:10,i16,0.1\n";

fn with_list(list: &str) -> Plant {
    let config = edited(&format!("tags = [\n{IN_TOML}]"), "tags_file = \"press-1.csv\"");
    Plant::with(config).and("press-1.csv", list)
}

#[test]
fn a_tag_list_means_the_same_as_tags_in_the_toml() {
    let from_toml = Plant::with(VALID).load().unwrap();
    for list in [
        AS_LIST.to_owned(),
        AS_LIST.replace('\n', "\r\n"),
        format!("\u{feff}{}", AS_LIST.replace(',', ";").replace("0.1", "0,1")),
        AS_LIST.replace(',', "\t"),
        AS_LIST.replace("temp,input:10", "\"temp\",\"input:10\"") + ",,,\n\n",
    ] {
        let from_list = with_list(&list).load().unwrap_or_else(|report| panic!("{list:?}\n{report}"));
        assert_eq!(from_list.modbus, from_toml.modbus);
    }
}

#[test]
fn problems_in_a_list_have_its_lines_and_columns() {
    let cases = [
        (
            "holding:104",
            "104",
            "4:7 modbus[0].tags_file[2].at: `at` is not allowed: \"104\" is not an address such as holding:100 (zero-based) or 40101 (classic, one-based)",
        ),
        ("0.1", "much", "5:19 modbus[0].tags_file[3].scale: `scale` must be a number"),
        (
            "temp,",
            "good,holding:200,u16,\ntemp,",
            "5:1 modbus[0].tags_file[3].name: tag `press-1.good` is already defined at press-1.csv:3",
        ),
        ("scale\n", "skale\n", "1:14 modbus[0].tags_file: unknown column `skale`; did you mean `scale`?"),
        ("scale\n", "type\n", "1:14 modbus[0].tags_file: the column `type` is there twice"),
        ("temp,", ",", "5:1 modbus[0].tags_file[3].name: `name` is missing"),
        ("input:10,", "input:10,\"", "5:15 modbus[0].tags_file: this quote is never closed"),
        (",at,", ",bytes,", "1:1 modbus[0].tags_file: the column `at` is missing"),
        ("0.1\n", "0.1,9\n", "5:23 modbus[0].tags_file[3]: the row has 5 cells and the header 4"),
    ];
    let mut told = String::new();
    for (piece, replacement, expected) in cases {
        let problems = with_list(&AS_LIST.replace(piece, replacement)).problems(Severity::Error);
        if problems != [expected] {
            told += &format!("{replacement}\n   gave {problems:#?}\n   and not {expected:?}\n");
        }
    }
    assert!(told.is_empty(), "{told}");
}

#[test]
fn a_list_that_is_not_there_or_no_utf_8_is_told_where_it_is_named() {
    let plant = with_list(AS_LIST);
    std::fs::remove_file(plant.folder.path().join("press-1.csv")).unwrap();
    let problems = plant.problems(Severity::Error);
    assert_eq!(
        problems,
        [
            "8:13 modbus[0].tags_file: the tag list press-1.csv cannot be read: No such file or directory (os error 2)"
        ]
    );
    let latin1 = plant.and("press-1.csv", b"name,at,type,unit\nt,input:10,i16,\xb0C\n");
    let problems = latin1.problems(Severity::Error);
    assert!(problems[0].contains("is not UTF-8 in line 2"), "{problems:#?}");
}

#[test]
fn a_list_can_make_a_tag_the_telemetry_of_an_asset() {
    let list = "name;at;type;unit;asset;deadband;heartbeat\n\
                state;holding:100;u16;;;;\ngood;holding:102;u32;;;;\nscrap;holding:104;u32;;;;\n\
                temp;input:10;i16;Cel;stamping/oven;0,5;60s\nload;input:11;u16;;stamping/oven;2 %;\n";
    let config = edited(&format!("tags = [\n{IN_TOML}]"), "tags_file = \"press-1.csv\"");
    let config =
        Plant::with(config).and("press-1.csv", list).load().unwrap_or_else(|report| panic!("{report}"));
    let Some(Rule::Telemetry(temp)) = config.plan.tags[3].rules.first() else {
        panic!("temp is not reported")
    };
    assert_eq!(
        (temp.asset.as_str(), temp.unit.as_deref(), temp.deadband),
        ("stamping/oven", Some("Cel"), Deadband::Absolute(0.5))
    );
    let Some(Rule::Telemetry(load)) = config.plan.tags[4].rules.first() else {
        panic!("load is not reported")
    };
    assert_eq!((load.deadband, load.heartbeat), (Deadband::Percent(2.0), None));
}

#[test]
fn telemetry_columns_without_an_asset_are_told() {
    let list = AS_LIST.replace("scale\n", "scale,heartbeat\n").replace("0.1\n", "0.1,60s\n");
    assert_eq!(
        with_list(&list).problems(Severity::Error),
        ["5:23 modbus[0].tags_file[3].heartbeat: `heartbeat` has no effect without an `asset`"]
    );
}
