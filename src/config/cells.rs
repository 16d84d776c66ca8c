//! A spreadsheet's text file as rows of cells, each with its place (RFC 4180, and what spreadsheets
//! make of it: a byte order mark, `;` or tabs between columns, CRLF). It knows nothing of tags.

use std::ops::Range;

/// The byte order mark that spreadsheets write.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// A cell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cell {
    /// Its text, without quotes.
    pub(super) text: String,
    /// Where it stands in the file, quotes included.
    pub(super) span: Range<usize>,
}

/// A quoted cell that never ends, and where it begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct UnclosedQuote {
    /// From the quote to the end of the file.
    pub(super) span: Range<usize>,
}

/// What separates the columns: whatever of `;`, tab and `,` comes first in the header row.
pub(super) fn separator(text: &str) -> char {
    let header = text.lines().next().unwrap_or_default();
    header.chars().find(|c| matches!(c, ';' | '\t' | ',')).unwrap_or(',')
}

/// The rows of `text`; lines without any cell are left out.
///
/// # Errors
/// [`UnclosedQuote`], as nothing after it can be told apart.
pub(super) fn rows(text: &str, separator: char) -> Result<Vec<Vec<Cell>>, UnclosedQuote> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut at = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    while at < text.len() || !row.is_empty() {
        let cell = cell(text, at, separator)?;
        at = cell.span.end;
        row.push(cell);
        let rest = &text[at..];
        if rest.starts_with(separator) {
            at += separator.len_utf8();
            continue;
        }
        at +=
            rest.len() - rest.strip_prefix("\r\n").or(rest.strip_prefix(['\n', '\r'])).unwrap_or(rest).len();
        let finished = std::mem::take(&mut row);
        let is_blank = finished.len() == 1 && finished[0].span.is_empty();
        if !is_blank {
            rows.push(finished);
        }
    }
    Ok(rows)
}

fn cell(text: &str, start: usize, separator: char) -> Result<Cell, UnclosedQuote> {
    let ends = |c: char| c == separator || c == '\n' || c == '\r';
    let rest = &text[start..];
    let (quoted, mut at) = match rest.strip_prefix('"') {
        Some(rest) => {
            let (quoted, length) = unquoted(rest).ok_or(UnclosedQuote { span: start..text.len() })?;
            (quoted, start + 1 + length)
        }
        None => (String::new(), start),
    };
    // What follows a closing quote, if anything, belongs to the cell: no spreadsheet writes it.
    let plain = &text[at..];
    let plain = &plain[..plain.find(ends).unwrap_or(plain.len())];
    at += plain.len();
    Ok(Cell { text: quoted + plain, span: start..at })
}

/// The text up to the closing quote, and how many bytes it took with that quote.
fn unquoted(text: &str) -> Option<(String, usize)> {
    let mut inside = String::new();
    let mut at = 0;
    loop {
        let quote = at + text[at..].find('"')?;
        inside.push_str(&text[at..quote]);
        at = quote + 1;
        if !text[at..].starts_with('"') {
            return Some((inside, at));
        }
        inside.push('"');
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop};
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    fn texts(text: &str) -> Vec<Vec<String>> {
        let rows = rows(text, separator(text)).expect("quotes are closed");
        rows.into_iter().map(|row| row.into_iter().map(|cell| cell.text).collect()).collect()
    }

    #[test]
    fn a_spreadsheets_marks_line_ends_and_separators_are_taken() {
        let plain = vec![vec!["name".to_owned(), "at".to_owned()], vec!["a".to_owned(), "40001".to_owned()]];
        for text in [
            "name,at\na,40001\n",
            "name,at\r\na,40001",
            "\u{feff}name;at\r\na;40001\r\n",
            "name\tat\n\na\t40001\n",
            "\"name\",\"at\"\n\"a\",40001\n",
        ] {
            assert_eq!(texts(text), plain, "{text:?}");
        }
    }

    #[test]
    fn an_unclosed_quote_is_refused_where_it_begins() {
        assert_eq!(rows("a,b\n1,\"x\n2,y\n", ','), Err(UnclosedQuote { span: 6..13 }));
    }

    #[test]
    fn cells_say_where_they_stand() {
        let rows = rows("\u{feff}a,\"b\"\"c\"\n", ',').expect("quotes are closed");
        assert_eq!(rows[0][1], Cell { text: "b\"c".to_owned(), span: 5..11 });
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_back(
            table in prop::collection::vec(prop::collection::vec("[a-z0-9\",; \n\r]{0,6}", 2..4), 1..5),
        ) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &table {
                writer.write_record(row).expect("written to memory");
            }
            let text = String::from_utf8(writer.into_inner().expect("written to memory")).expect("was UTF-8");
            let read = rows(&text, ',').expect("the writer closes its quotes");
            let read: Vec<Vec<String>> =
                read.into_iter().map(|row| row.into_iter().map(|cell| cell.text).collect()).collect();
            prop_assert_eq!(read, table);
        }

        #[test]
        fn no_text_makes_it_panic_and_spans_are_on_characters(text in any::<String>()) {
            for row in rows(&text, separator(&text)).unwrap_or_default() {
                for cell in row {
                    prop_assert_eq!(text.is_char_boundary(cell.span.start), true);
                    prop_assert_eq!(text.is_char_boundary(cell.span.end), true);
                }
            }
        }
    }
}
