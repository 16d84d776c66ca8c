//! The press of `tests/peers/plc.py` as the gateway's configuration describes it.

/// How a press is polled.
#[derive(Clone, Debug)]
pub(crate) struct Polling {
    /// `poll`.
    pub(crate) interval: &'static str,
    /// `request_timeout`.
    pub(crate) timeout: &'static str,
}

/// What a state of the press is called.
pub(crate) fn state_name(state: u64) -> &'static str {
    ["stopped", "running", "faulted"][usize::try_from(state).expect("a small number")]
}

/// The device and the asset `name`.
pub(crate) fn toml(name: &str, url: &str, Polling { interval, timeout }: &Polling) -> String {
    format!(
        r#"
[[modbus]]
name = "{name}"
address = "{url}"
poll = "{interval}"
request_timeout = "{timeout}"
tags = [
  {{ name = "state",   at = "40101",       type = "u16" }},
  {{ name = "good",    at = "holding:102", type = "u32", order = "CDAB" }},
  {{ name = "scrap",   at = "holding:104", type = "u16" }},
  {{ name = "name",    at = "holding:110", type = "string", bytes = 8 }},
  {{ name = "temp",    at = "input:10",    type = "f32", scale = 0.5, offset = 3.0, unit = "Cel" }},
  {{ name = "reads",   at = "input:20",    type = "u32" }},
  {{ name = "alarm",   at = "coil:3",      type = "bool" }},
  {{ name = "tripped", at = "10008",       type = "bool" }},
]

[[asset]]
path = "stamping/line-1/{name}"
state = {{ tag = "{name}.state", map = {{ 0 = "stopped", 1 = "running", 2 = "faulted" }} }}
produced = {{ good = "{name}.good", scrap = "{name}.scrap" }}
telemetry = [
  {{ tag = "{name}.temp" }},
  {{ tag = "{name}.reads" }},
  {{ tag = "{name}.name" }},
  {{ tag = "{name}.alarm" }},
  {{ tag = "{name}.tripped" }},
]
"#
    )
}
