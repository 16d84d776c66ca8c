//! What a report looks like, to people and to programs.

use super::{Plant, VALID, edited};
use crate::terminal::Style;

fn broken() -> Plant {
    Plant::with(
        edited("holding:104", "holding:103")
            .replace("absolute", "absolut")
            .replace("name = \"enterprise\"", "name = \"enterprise\"\ninflight = 0"),
    )
}

#[test]
fn a_report_shows_each_problem_under_its_line_and_counts_them_at_the_end() {
    let expected = r#"error: tag `press-1.scrap` (u32 ABCD at holding:103) overlaps `press-1.good` (u32 ABCD at holding:102) at config.toml:10
  --> config.toml:11:26 (modbus[0].tags[2].at)
   |
11 |   { name = "scrap", at = "holding:103", type = "u32" },
   |                          ^^^^^^^^^^^^^
   = found:   "holding:103"
   = allowed: registers that no other tag of the device reads; different bits of one register are fine

error: unknown key `absolut`; did you mean `absolute`?
  --> config.toml:19:51 (asset[0].telemetry[0].deadband.absolut)
   |
19 | telemetry = [{ tag = "press-1.temp", deadband = { absolut = 0.5 } }]
   |                                                   ^^^^^^^
   = found:   absolut
   = allowed: absolute, percent

error: `inflight` is less than 1
  --> config.toml:26:12 (mqtt[0].inflight)
   |
26 | inflight = 0
   |            ^
   = found:   0
   = allowed: a whole number, from 1 to 1000
   = example: inflight = 250

3 problems in config.toml; nothing was started"#;
    assert_eq!(broken().report(), expected);
}

#[test]
fn a_report_on_a_right_configuration_says_what_is_configured_and_how_many_warnings_there_are() {
    let in_order = "config.toml is in order: 1 source with 4 tags, 1 destination";
    assert_eq!(Plant::with(VALID).report(), in_order);
    let hasty = Plant::with(edited("tags = [\n", "poll = \"100ms\"\ntags = [\n"));
    assert!(hasty.report().ends_with(&format!("{in_order}; 1 warning")));
}

#[test]
fn colours_are_for_terminals_and_change_no_word() {
    let report = broken().load().unwrap_err();
    let coloured = report.render(Style::Coloured);
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, escape)) = rest.split_once('\u{1b}') {
        plain += before;
        rest = escape.split_once('m').unwrap().1;
    }
    assert_eq!(plain + rest, report.render(Style::Plain));
    assert!(coloured.contains("\u{1b}[1;31merror\u{1b}[0m"));
}

#[test]
fn a_report_for_programs_has_every_part_of_a_problem() {
    let plant = broken();
    let json = plant.load().unwrap_err().to_json();
    assert_eq!((&json["valid"], &json["errors"], &json["warnings"]), (&false.into(), &3.into(), &0.into()));
    let mut last = json["problems"][2].clone();
    assert_eq!(last["file"].take(), plant.folder.path().join("config.toml").display().to_string());
    let expected = serde_json::json!({
        "severity": "error",
        "message": "`inflight` is less than 1",
        "path": "mqtt[0].inflight",
        "file": null,
        "line": 26,
        "column": 12,
        "found": "0",
        "allowed": "a whole number, from 1 to 1000",
        "example": "inflight = 250",
    });
    assert_eq!(last, expected);
}

#[test]
fn foreign_text_cannot_move_the_cursor_and_long_lines_are_cut_around_the_mark() {
    let long = format!("\"{}\u{1b}[2J\"", "x".repeat(500));
    let report = Plant::with(edited("\"press-1\"\naddress", &format!("{long}\naddress"))).report();
    assert!(!report.contains('\u{1b}'), "{report:?}");
    let excerpts = report.lines().filter(|line| line.contains(" | "));
    assert!(
        excerpts.clone().count() > 0 && excerpts.clone().all(|line| line.chars().count() < 120),
        "{report}"
    );
}
