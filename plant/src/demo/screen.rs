//! The terminal: headers, a line that lives, and tables. Colours and a carriage return only where a
//! person looks on; plain lines once a second otherwise. It knows nothing of the story.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the live line becomes a line of its own where nothing can be overwritten.
const PLAIN_INTERVAL: Duration = Duration::from_secs(1);

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) enum Look {
    /// A header.
    Strong,
    /// Less important than the rest.
    Faint,
    /// All is well.
    Good,
    /// Something is down on purpose.
    Warning,
    /// Something is wrong.
    Bad,
}

impl Look {
    const fn code(self) -> &'static str {
        match self {
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Warning => "\x1b[33m",
            Self::Bad => "\x1b[1;31m",
        }
    }
}

/// Standard output.
pub(super) struct Screen {
    terminal: Terminal,
    colours: Colours,
    has_live_line: bool,
    last_plain: Option<Instant>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Terminal {
    Interactive,
    Plain,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Colours {
    On,
    Off,
}

impl Screen {
    /// Looks at standard output and at `NO_COLOR` (<https://no-color.org>).
    pub(super) fn new() -> Self {
        let interactive = io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            terminal: if interactive { Terminal::Interactive } else { Terminal::Plain },
            colours: if interactive && !unwanted { Colours::On } else { Colours::Off },
            has_live_line: false,
            last_plain: None,
        }
    }

    /// The text in a look, where looks can be shown.
    pub(super) fn paint(&self, look: Look, text: &str) -> String {
        match self.colours {
            Colours::On => format!("{}{text}\x1b[0m", look.code()),
            Colours::Off => text.to_owned(),
        }
    }

    /// A line that stays.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.settle()?;
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Shows the live line: in place on a terminal, else at most once a second.
    pub(super) fn live(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match self.terminal {
            Terminal::Interactive => {
                self.has_live_line = true;
                write!(out, "\r\x1b[2K{text}")?;
            }
            Terminal::Plain => {
                if self.last_plain.is_some_and(|last| last.elapsed() < PLAIN_INTERVAL) {
                    return Ok(());
                }
                self.last_plain = Some(Instant::now());
                writeln!(out, "{text}")?;
            }
        }
        out.flush()
    }

    /// Ends the live line: what it shows stays.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.has_live_line) {
            writeln!(io::stdout())?;
        }
        Ok(())
    }
}

/// A number with its thousands apart: 1,234,567.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_apart() {
        let shown = [0, 999, 1_000, 65_536, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "65,536", "1,234,567"]);
    }
}
