//! Records on standard output: as lines of JSON, or as events for people.

use std::io::{self, Write};

use penstock_events::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::exit::Exit;
use crate::terminal::{Align, Table, grouped, moment};

/// The columns of a table of events.
const EVENT: [(&str, Align); 6] = [
    ("TIME", Align::Left),
    ("LANE", Align::Left),
    ("SEQUENCE", Align::Right),
    ("TYPE", Align::Left),
    ("ASSET", Align::Left),
    ("WHAT", Align::Left),
];

/// Writes a line to standard output.
pub(super) fn line(text: &str) -> Result<(), Exit> {
    writeln!(io::stdout(), "{text}").map_err(|error| broken(&error))
}

/// Writes a record as a line of JSON.
pub(super) fn json(record: &impl Serialize) -> Result<(), Exit> {
    line(&serde_json::to_string(record).expect("its keys are texts and a String takes every byte"))
}

/// Standard output cannot be written.
pub(super) fn broken(error: &io::Error) -> Exit {
    Exit::cannot_write("standard output", error)
}

/// A table of events on standard output.
pub(super) fn event_table() -> Table<io::StdoutLock<'static>> {
    Table::stdout(&EVENT)
}

/// The row of an event in it.
pub(super) fn event_row(event: &Value) -> [String; 6] {
    let text = |key: &str| event[key].as_str().unwrap_or("?").to_owned();
    let stream = text("stream");
    let lane = stream.split('/').nth(1).unwrap_or("?").to_owned();
    let sequence = text("sequence").parse().map_or_else(|_| text("sequence"), grouped);
    [time_of(&event["time"]), lane, sequence, text("type"), text("partitionkey"), gist(event)]
}

/// What an event says, in a few words.
pub(super) fn gist(event: &Value) -> String {
    let data = &event["data"];
    let text = |key: &str| data[key].as_str().unwrap_or("?");
    match event["type"].as_str().unwrap_or_default() {
        "telemetry.sampled" => {
            let unit = data["unit"].as_str().map_or_else(String::new, |unit| format!(" {unit}"));
            match (&data["value"], data["quality"]["cause"].as_str()) {
                (Value::Null, cause) => format!("{} is bad: {}", text("tag"), cause.unwrap_or("?")),
                (value, _) => format!("{} = {value}{unit}", text("tag")),
            }
        }
        "machine.state_changed" => {
            let previous = &data["previous"];
            let before = previous["state"].as_str().map_or_else(String::new, |state| {
                format!(", was {state} for {}", duration(&previous["duration_ms"]))
            });
            format!("{}{before}", text("state"))
        }
        "production.completed" => {
            let number = |value: &Value| value.as_u64().map_or("?".to_owned(), grouped);
            let (quantity, counter) = (number(&data["quantity"]), number(&data["counter"]["to"]));
            format!("{quantity} {}, {} stands at {counter}", text("output"), text("tag"))
        }
        "gateway.source_down" => format!("{} does not answer: {}", text("source"), text("cause")),
        "gateway.source_up" => {
            format!("{} answers, down since {}", text("source"), time_of(&data["down_since"]))
        }
        "gateway.gap" => {
            let place = |key| text(key).trim_start_matches('0').to_owned();
            format!(
                "{} to {} of {} are lost: {}",
                place("first"),
                place("last"),
                text("stream"),
                text("reason")
            )
        }
        "gateway.started" => format!("version {}", text("version")),
        _ => data.to_string(),
    }
}

fn duration(ms: &Value) -> String {
    let ms = ms.as_u64().unwrap_or_default();
    format!("{}.{} s", grouped(ms / 1_000), ms % 1_000 / 100)
}

fn time_of(value: &Value) -> String {
    let text = value.as_str().unwrap_or("?");
    text.parse::<Timestamp>().map_or_else(|_| text.to_owned(), moment)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_has_its_gist_and_an_unknown_one_is_shown_as_it_is() {
        let said = |kind: &str, data: Value| gist(&json!({ "type": kind, "data": data }));
        let sample =
            json!({ "tag": "press-1.temp", "value": 21.5, "unit": "Cel", "quality": { "status": "good" } });
        assert_eq!(said("telemetry.sampled", sample), "press-1.temp = 21.5 Cel");
        let bad = json!({ "tag": "press-1.temp", "value": null, "quality": { "cause": "timeout" } });
        assert_eq!(said("telemetry.sampled", bad), "press-1.temp is bad: timeout");
        let state = json!({ "state": "running", "previous": { "state": "stopped", "duration_ms": 12_500 } });
        assert_eq!(said("machine.state_changed", state), "running, was stopped for 12.5 s");
        let gap =
            json!({ "stream": "e/telemetry/1", "first": "00012", "last": "00340", "reason": "expired" });
        assert_eq!(said("gateway.gap", gap), "12 to 340 of e/telemetry/1 are lost: expired");
        assert_eq!(said("robot.danced", json!({ "steps": 3 })), r#"{"steps":3}"#);
    }

    #[test]
    fn an_event_without_what_it_should_have_is_still_a_row() {
        assert_eq!(event_row(&json!({}))[..3], ["?", "?", "?"]);
    }
}
