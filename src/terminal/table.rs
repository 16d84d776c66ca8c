//! A table: a heading and aligned columns. On a terminal each line is cut to its width.

use std::io::{self, IsTerminal, Write};

use super::{Style, printable};

/// Rows that are held to find the widths of columns; those of a longer table follow the first.
const PAGE: usize = 500;
const GAP: &str = "  ";
/// The last character of a line that was cut.
const CUT: char = '…';

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// What a row stands out by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    /// Nothing.
    None,
    /// Something that an operator must mend.
    Bad,
}

/// A table under way to `out`.
pub(crate) struct Table<W: Write> {
    out: W,
    style: Style,
    /// How long a line may be.
    width: Option<usize>,
    columns: Vec<(&'static str, Align)>,
    /// Set with the first page.
    widths: Vec<usize>,
    rows: Vec<(Mark, Vec<String>)>,
    has_heading: bool,
}

impl Table<io::StdoutLock<'static>> {
    /// A table on standard output.
    pub(crate) fn stdout(columns: &[(&'static str, Align)]) -> Self {
        let out = io::stdout();
        let width = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten();
        let width = width.map(|size| usize::from(size.ws_col)).filter(|&columns| columns > 0);
        Self::new(out.lock(), Style::of(&io::stdout()), width, columns)
    }
}

impl<W: Write> Table<W> {
    fn new(out: W, style: Style, width: Option<usize>, columns: &[(&'static str, Align)]) -> Self {
        let (columns, widths) = (columns.to_vec(), Vec::new());
        Self { out, style, width, columns, widths, rows: Vec::new(), has_heading: false }
    }

    /// Adds a row: a text for each column.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) -> io::Result<()> {
        self.marked_row(Mark::None, cells)
    }

    /// Adds a row that stands out.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn marked_row(
        &mut self,
        mark: Mark,
        cells: impl IntoIterator<Item = String>,
    ) -> io::Result<()> {
        self.rows.push((mark, cells.into_iter().map(|cell| printable(&cell)).collect()));
        if self.rows.len() >= PAGE { self.flush() } else { Ok(()) }
    }

    /// Writes a line between rows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn text(&mut self, line: &str) -> io::Result<()> {
        self.flush()?;
        writeln!(self.out, "{line}")
    }

    /// Writes what is left. A table without rows is nothing, not even a heading.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if self.widths.is_empty() {
            self.widths = self.columns.iter().map(|(heading, _)| heading.len()).collect();
        }
        for (_, row) in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if !rows.is_empty() && !std::mem::replace(&mut self.has_heading, true) {
            let heading: Vec<String> = self.columns.iter().map(|(text, _)| (*text).to_owned()).collect();
            let line = self.line(&heading);
            writeln!(self.out, "{}", self.style.bold(&line))?;
        }
        for (mark, row) in &rows {
            let line = match mark {
                Mark::None => self.line(row),
                Mark::Bad => self.style.bad(&self.line(row)),
            };
            writeln!(self.out, "{line}")?;
        }
        self.out.flush()
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for ((cell, &width), (_, align)) in cells.iter().zip(&self.widths).zip(&self.columns) {
            if !line.is_empty() {
                line.push_str(GAP);
            }
            match align {
                Align::Left => line.push_str(&format!("{cell:<width$}")),
                Align::Right => line.push_str(&format!("{cell:>width$}")),
            }
        }
        let line = line.trim_end();
        match self.width {
            Some(width) if line.chars().count() > width => {
                line.chars().take(width.saturating_sub(1)).chain([CUT]).collect()
            }
            _ => line.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: Option<usize>, rows: &[[&str; 2]]) -> String {
        let mut out = Vec::new();
        let columns = [("LANE", Align::Left), ("EVENTS", Align::Right)];
        let mut table = Table::new(&mut out, Style::Plain, width, &columns);
        for row in rows {
            table.row(row.iter().map(|&cell| cell.to_owned())).expect("a Vec takes every byte");
        }
        table.flush().expect("a Vec takes every byte");
        drop(table);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn columns_are_aligned_and_lines_are_cut_where_the_terminal_ends() {
        let rows = [["telemetry", "12"], ["b", "1,234,567"]];
        assert_eq!(drawn(None, &rows), "LANE          EVENTS\ntelemetry         12\nb          1,234,567\n");
        assert_eq!(drawn(Some(8), &rows), "LANE   …\ntelemet…\nb      …\n");
        assert_eq!(drawn(None, &[]), "");
    }
}
