//! What polling will ask of the devices and what that costs: for `penstock check --plan`.

use std::time::Duration;

use penstock_adapters::modbus::{Device, Line, PollForecast};
use serde_json::{Value, json};

use super::super::print;
use crate::config;
use crate::exit::Exit;
use crate::terminal::{Align, Table, grouped};

const REQUESTS: [(&str, Align); 9] = [
    ("SOURCE", Align::Left),
    ("UNIT", Align::Right),
    ("EVERY", Align::Left),
    ("REQUEST", Align::Left),
    ("TAGS", Align::Right),
    ("WANTED", Align::Right),
    ("READ", Align::Right),
    ("BYTES", Align::Right),
    ("ON LINE", Align::Right),
];
const LINES: [(&str, Align); 6] = [
    ("LINE", Align::Left),
    ("SOURCES", Align::Right),
    ("TAGS", Align::Right),
    ("REQUESTS/S", Align::Right),
    ("BYTES/S", Align::Right),
    ("BUSY", Align::Right),
];

/// A serial line that is busier has little time left for devices that think before they reply.
const HEAVY: f64 = 0.7;

/// A line with what is asked on it.
struct Load<'c> {
    line: &'c Line,
    devices: Vec<(&'c Device, Vec<PollForecast>)>,
}

/// Prints the plan as tables: every request, then what each line has to bear.
pub(super) fn print(lines: &[Line]) -> Result<(), Exit> {
    let loads: Vec<Load<'_>> = lines.iter().map(Load::of).collect();
    let mut requests = Table::stdout(&REQUESTS);
    for load in &loads {
        for row in load.rows() {
            requests.row(row).map_err(|error| print::broken(&error))?;
        }
    }
    requests.flush().map_err(|error| print::broken(&error))?;
    drop(requests);
    print::line("")?;
    let mut table = Table::stdout(&LINES);
    for load in &loads {
        table.row(load.row()).map_err(|error| print::broken(&error))?;
    }
    table.flush().map_err(|error| print::broken(&error))?;
    drop(table);
    print::line("")?;
    for load in &loads {
        load.warn()?;
    }
    Ok(())
}

/// The plan for programs.
pub(super) fn to_json(lines: &[Line]) -> Value {
    lines.iter().map(|line| Load::of(line).to_json()).collect()
}

impl<'c> Load<'c> {
    fn of(line: &'c Line) -> Self {
        let devices = line.devices.iter().map(|device| (&**device, device.forecast())).collect();
        Self { line, devices }
    }

    fn polls(&self) -> impl Iterator<Item = &PollForecast> {
        self.devices.iter().flat_map(|(_, polls)| polls)
    }

    fn tags(&self) -> usize {
        self.polls().map(|poll| poll.tags).sum()
    }

    fn requests_per_s(&self) -> f64 {
        self.polls().map(|poll| poll.requests.len() as f64 / poll.poll.as_secs_f64()).sum()
    }

    fn bytes_per_s(&self) -> f64 {
        let bytes = |poll: &PollForecast| -> u32 {
            poll.requests.iter().map(|request| request.bytes_over(&self.line.transport)).sum()
        };
        self.polls().map(|poll| f64::from(bytes(poll)) / poll.poll.as_secs_f64()).sum()
    }

    /// The part of its time that a serial line is busy at least: with bytes and the silence between them.
    fn busy(&self) -> Option<f64> {
        let mut part = 0.0;
        for poll in self.polls() {
            for request in &poll.requests {
                part += request.time_on(&self.line.transport)?.as_secs_f64() / poll.poll.as_secs_f64();
            }
        }
        Some(part)
    }

    fn rows(&self) -> impl Iterator<Item = [String; 9]> {
        let polls =
            self.devices.iter().flat_map(|(device, polls)| polls.iter().map(move |poll| (device, poll)));
        polls.flat_map(move |(device, poll)| {
            poll.requests.iter().map(move |request| {
                [
                    device.name.to_string(),
                    device.unit.to_string(),
                    every(poll.poll),
                    request.places.to_string(),
                    request.tags.to_string(),
                    request.wanted.to_string(),
                    request.places.count().to_string(),
                    request.bytes_over(&self.line.transport).to_string(),
                    request.time_on(&self.line.transport).map_or_else(unknown, milliseconds),
                ]
            })
        })
    }

    /// Says so when the line cannot do what is asked of it.
    fn warn(&self) -> Result<(), Exit> {
        let Some(busy) = self.busy().filter(|busy| *busy > HEAVY) else { return Ok(()) };
        let line = config::modbus_address(&self.line.transport);
        let what = if busy > 1.0 {
            "cannot keep up, and polls will be skipped"
        } else {
            "has little time left for slow replies"
        };
        let advice = "poll less often, read less, or use a higher baud rate";
        print::line(&format!("{line} {what}: {advice}\n"))
    }

    fn row(&self) -> [String; 6] {
        [
            config::modbus_address(&self.line.transport),
            self.devices.len().to_string(),
            grouped(self.tags() as u64),
            rate(self.requests_per_s()),
            rate(self.bytes_per_s()),
            self.busy().map_or_else(unknown, |part| format!("{:.0} %", part * 100.0)),
        ]
    }

    fn to_json(&self) -> Value {
        let transport = &self.line.transport;
        let request = |request: &penstock_adapters::modbus::RequestForecast| {
            json!({
                "places": request.places.to_string(),
                "tags": request.tags,
                "wanted": request.wanted,
                "read": request.places.count(),
                "bytes": request.bytes_over(transport),
                "line_us": request.time_on(transport).map(|time| time.as_micros() as u64),
            })
        };
        let poll = |poll: &PollForecast| {
            json!({
                "every_ms": poll.poll.as_millis() as u64,
                "tags": poll.tags,
                "requests": poll.requests.iter().map(request).collect::<Vec<_>>(),
            })
        };
        let device = |(device, polls): &(&Device, Vec<PollForecast>)| {
            json!({
                "source": device.name.as_str(),
                "unit": device.unit,
                "polls": polls.iter().map(poll).collect::<Vec<_>>(),
            })
        };
        json!({
            "line": config::modbus_address(transport),
            "tags": self.tags(),
            "requests_per_s": self.requests_per_s(),
            "bytes_per_s": self.bytes_per_s(),
            "busy": self.busy(),
            "sources": self.devices.iter().map(device).collect::<Vec<_>>(),
        })
    }
}

fn unknown() -> String {
    "–".to_owned()
}

/// `12.3 ms`.
fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// `250ms`, `1s`, `1m 30s`.
fn every(poll: Duration) -> String {
    jiff::SignedDuration::try_from(poll).map_or_else(|_| format!("{poll:?}"), |poll| format!("{poll:#}"))
}

/// `0.25`, `12`, `1,234`.
fn rate(per_s: f64) -> String {
    if per_s < 10.0 { format!("{per_s:.2}") } else { grouped(per_s.round() as u64) }
}
