//! How far a long command is, on standard error while that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::grouped;

const CELLS: u64 = 30;
/// Goes to the beginning of the line and clears it (ECMA-48, section 8.3.41).
const WIPE: &str = "\r\u{1b}[2K";
/// Work that takes less needs no bar.
const AFTER: Duration = Duration::from_millis(300);

/// A bar, perhaps invisible.
pub(crate) struct Bar {
    what: &'static str,
    noun: &'static str,
    began: Instant,
    is_visible: bool,
    /// What is on the screen, or was until it made way.
    drawn: Option<String>,
}

impl Bar {
    /// A bar for `what` is done to so many of a `noun`.
    pub(crate) fn new(what: &'static str, noun: &'static str) -> Self {
        let is_visible = io::stderr().is_terminal();
        Self { what, noun, began: Instant::now(), is_visible, drawn: None }
    }

    /// No bar, for what is quick or would be disturbed.
    pub(crate) fn hidden() -> Self {
        Self { is_visible: false, ..Self::new("", "") }
    }

    /// Draws how far it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn draw(&mut self, done: u64, total: u64) -> io::Result<()> {
        if !self.is_visible || self.began.elapsed() < AFTER {
            return Ok(());
        }
        let line = self.line(done, total);
        self.put(&line)?;
        self.drawn = Some(line);
        Ok(())
    }

    /// Makes way for what is about to be written to standard output, where both are on one screen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn hide(&self) -> io::Result<()> {
        if self.drawn.is_some() && io::stdout().is_terminal() { self.put("") } else { Ok(()) }
    }

    /// Comes back after that.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn show(&self) -> io::Result<()> {
        match &self.drawn {
            Some(line) if io::stdout().is_terminal() => self.put(line),
            _ => Ok(()),
        }
    }

    /// Takes it from the screen at the end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        if self.drawn.take().is_some() { self.put("") } else { Ok(()) }
    }

    fn put(&self, line: &str) -> io::Result<()> {
        write!(io::stderr(), "{WIPE}{line}")?;
        io::stderr().flush()
    }

    fn line(&self, done: u64, total: u64) -> String {
        let Self { what, noun, .. } = self;
        let done = done.min(total);
        let part = |of: u64| u128::from(done) * u128::from(of) / u128::from(total.max(1));
        let filled = part(CELLS);
        let bar: String = (0..CELLS).map(|cell| if u128::from(cell) < filled { '█' } else { '░' }).collect();
        let left = (done > 0).then(|| self.began.elapsed().as_secs().saturating_mul(total - done) / done);
        let left = left.filter(|&seconds| seconds > 1).map_or_else(String::new, |s| format!(", {s} s left"));
        format!("{what} {bar} {:>3} %  {} of {} {noun}{left}", part(100), grouped(done), grouped(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_and_never_beyond_its_end() {
        let bar = Bar::new("verifying", "events");
        assert_eq!(bar.line(0, 0), format!("verifying {}   0 %  0 of 0 events", "░".repeat(30)));
        let half = format!("verifying {}{}  50 %  500 of 1,000 events", "█".repeat(15), "░".repeat(15));
        assert_eq!(bar.line(500, 1_000), half);
        assert!(bar.line(u64::MAX, 10).contains("100 %  10 of 10 events"));
    }
}
