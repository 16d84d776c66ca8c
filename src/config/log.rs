//! The schema of `[log]`: where log lines go and how many.

use super::table::Table;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LogFormat {
    /// Journald when systemd started the gateway, else text.
    Auto,
    /// Lines for people, on stderr.
    Text,
    /// One JSON object a line, on stderr.
    Json,
    /// Journald's own protocol, with fields.
    Journald,
}

/// What is logged, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LogSettings {
    /// How lines are written.
    pub(crate) format: LogFormat,
    /// The least severity: `error`, `warn`, `info`, `debug` or `trace`.
    pub(crate) level: String,
}

const FORMATS: [(&str, LogFormat); 4] = [
    ("auto", LogFormat::Auto),
    ("text", LogFormat::Text),
    ("json", LogFormat::Json),
    ("journald", LogFormat::Journald),
];
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

impl LogSettings {
    /// Reads `[log]`.
    pub(super) fn read(table: &Table<'_>) -> Self {
        let default = Self::default();
        let format = table.key("format", "json").choice(&FORMATS).unwrap_or(default.format);
        let level = table.key("level", "info").choice(&LEVELS.map(|level| (level, level)));
        Self { format, level: level.map_or(default.level, str::to_owned) }
    }
}
