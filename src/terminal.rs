//! What people see in a terminal: colours, numbers, times, tables and progress.

mod progress;
mod secret;
mod table;

use std::io::IsTerminal;

use penstock_events::Timestamp;
pub(crate) use progress::Bar;
pub(crate) use secret::ask_secretly;
pub(crate) use table::{Align, Mark, Table};

/// How text is decorated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    /// Text only.
    Plain,
    /// ANSI colours.
    Coloured,
}

impl Style {
    /// Colours when `stream` is a terminal and the user has not asked for none (<https://no-color.org>).
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if stream.is_terminal() && !refused { Self::Coloured } else { Self::Plain }
    }

    /// `text` in the colours of an ANSI code (ECMA-48, section 8.3.117).
    pub(crate) fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    /// What stands out.
    pub(crate) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What is in order.
    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// What an operator should know.
    pub(crate) fn doubtful(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// What an operator must mend.
    pub(crate) fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }
}

/// Foreign text: what could move a terminal's cursor is shown as a space.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `1 problem`, `2 problems`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `1 event`, `12,345 events`.
pub(crate) fn many(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `412 B`, `1.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// A time to the second, in UTC: `2026-01-31 06:00:00Z`.
pub(crate) fn moment(time: Timestamp) -> String {
    let text = time.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(date), Some(clock)) => format!("{date} {clock}Z"),
        _ => text,
    }
}

/// A time to the millisecond, in UTC: `2026-01-31 06:00:00.250Z`.
pub(crate) fn instant(time: Timestamp) -> String {
    let text = time.to_string();
    match (text.get(..10), text.get(11..23)) {
        (Some(date), Some(clock)) => format!("{date} {clock}Z"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (bytes, text) in [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (64 << 20, "64.0 MiB")] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(5_000 << 40), "5000.0 TiB");
        assert_eq!(moment(Timestamp::from_micros(1_767_225_600_000_250)), "2026-01-01 00:00:00Z");
        assert_eq!(instant(Timestamp::from_micros(1_767_225_600_250_999)), "2026-01-01 00:00:00.250Z");
    }

    #[test]
    fn foreign_text_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2J\r\nb"), "a [2J  b");
    }
}
