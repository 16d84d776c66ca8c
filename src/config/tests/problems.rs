//! Every kind of problem is told where it stands.

use super::{Plant, Severity, VALID, edited};

const ERRORS: &str = include_str!("errors.txt");
const WARNINGS: &str = include_str!("warnings.txt");

/// A break of the valid configuration, and the one problem that follows from it.
#[derive(Debug)]
struct Case {
    piece: String,
    replacement: String,
    /// `line:column path: message`
    problem: String,
}

/// The cases of a table: `-` what is taken out, `+` what is put in its place, `=` what is told.
fn cases(table: &str) -> Vec<Case> {
    let part = |case: &str, mark: char| {
        let lines = case.lines().filter_map(|line| line.strip_prefix(mark));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    };
    let cases = table.split("\n\n");
    cases
        .map(|case| Case { piece: part(case, '-'), replacement: part(case, '+'), problem: part(case, '=') })
        .collect()
}

fn assert_told(table: &str, severity: Severity) {
    let mut told = String::new();
    for Case { piece, replacement, problem } in cases(table) {
        let problems = Plant::with(edited(&piece, &replacement)).problems(severity);
        if problems != [problem.as_str()] {
            told += &format!("{replacement}\n   gave {problems:#?}\n   and not {problem:?}\n");
        }
    }
    assert!(told.is_empty(), "{told}");
}

#[test]
fn each_mistake_is_told_once_at_its_line_column_and_path() {
    assert_told(ERRORS, Severity::Error);
}

#[test]
fn what_is_probably_not_meant_is_a_warning_and_does_not_stop_anything() {
    assert_told(WARNINGS, Severity::Warning);
    for case in cases(WARNINGS) {
        assert!(Plant::with(edited(&case.piece, &case.replacement)).load().is_ok(), "{case:?}");
    }
}

#[test]
fn a_configuration_without_a_source_or_a_destination_is_told_so() {
    let bare = "[gateway]\nid = \"edge-01\"\nsite = \"plant-7\"\n";
    assert_eq!(
        Plant::with(bare).problems(Severity::Error),
        ["1:1 modbus: `modbus` is missing", "1:1 mqtt: `mqtt` is missing"]
    );
}

#[test]
fn every_problem_of_a_file_is_in_one_report_in_the_order_of_its_lines() {
    let mut text = VALID.to_owned();
    for (piece, replacement) in [
        ("id = \"edge-01\"", "id = \"edge 01\""),
        ("site = ", "sight = "),
        ("tcp://127.0.0.1:1502", "udp://127.0.0.1"),
        ("holding:104", "holding:103"),
        ("i16", "int16"),
        ("press-1.state", "press-1.stat"),
        ("absolute = 0.5", "absolut = 0.5"),
        ("mqtt://127.0.0.1", "mqtt:/127.0.0.1"),
    ] {
        text = text.replace(piece, replacement);
    }
    let lines: Vec<String> = Plant::with(text)
        .problems(Severity::Error)
        .iter()
        .map(|problem| {
            problem.split(':').next().unwrap().to_owned() + " " + problem.split(' ').nth(1).unwrap()
        })
        .collect();
    let expected = [
        "1 gateway.site:",
        "2 gateway.id:",
        "3 gateway.sight:",
        "7 modbus[0].address:",
        "11 modbus[0].tags[2].at:",
        "12 modbus[0].tags[3].type:",
        "17 asset[0].state.tag:",
        "19 asset[0].telemetry[0].deadband.absolut:",
        "26 mqtt[0].url:",
    ];
    assert_eq!(lines, expected);
}
