//! Tag lists: spreadsheets saved as CSV beside the TOML, a row for each tag. Rows become tables, so
//! that a tag has one schema wherever it stands.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::cells::{BYTE_ORDER_MARK, Cell, rows, separator};
use super::source::{Spot, Typing};
use super::table::{Table, nearest};

/// The largest list that is read: some 100,000 tags; more is a wrong file.
const MAX_LIST_BYTES: u64 = 16 * 1024 * 1024;

/// The columns of a kind of list.
pub(super) struct Columns {
    /// Those that it may have: every key of its schema.
    pub(super) known: &'static [&'static str],
    /// Those that it must have.
    pub(super) required: &'static [&'static str],
    /// A header that would be right.
    pub(super) example: &'static str,
}

/// Some rows of the list could not be read at all.
pub(super) struct Incomplete;

/// Reads the list `path`, whose name stands at `named_at`, and gives each row to `schema`.
///
/// # Errors
/// [`Incomplete`] when tags may be missing; everything has been reported.
pub(super) fn read(
    path: &Path,
    named_at: &Spot,
    expected: &Columns,
    mut schema: impl FnMut(&Table<'_>),
) -> Result<(), Incomplete> {
    let text = text_of(path, named_at)?;
    let separator = separator(&text);
    let decimal = if separator == ';' { ',' } else { '.' };
    let list = named_at.findings().open(path.display().to_string(), text, Typing::Cells { decimal });
    let list = list.at(named_at.path.clone(), 0..0);
    let mut rows = rows(list.file().text(), separator)
        .map_err(|quote| {
            let from = list.at(named_at.path.clone(), quote.span);
            from.error("this quote is never closed")
                .allowed("a quote inside a quoted cell is doubled: \"\"")
                .record();
            Incomplete
        })?
        .into_iter();
    let columns = columns(&rows.next().unwrap_or_default(), &list, expected)?;
    let mut result = Ok(());
    let rows = rows.filter(|row| row.iter().any(|cell| !cell.text.trim().is_empty()));
    for (index, row) in rows.enumerate() {
        let span = row[0].span.start..row[row.len() - 1].span.end;
        let spot = list.at(format!("{}[{index}]", named_at.path), span);
        if row.len() > columns.len() {
            let surplus = spot.narrowed(row[columns.len()].span.clone());
            surplus
                .error(format!("the row has {} cells and the header {}", row.len(), columns.len()))
                .allowed("a cell that holds a separator stands in quotes")
                .record();
            result = Err(Incomplete);
            continue;
        }
        Table::read(&table_of(&columns, row), spot, &mut schema);
    }
    result
}

fn text_of(path: &Path, named_at: &Spot) -> Result<String, Incomplete> {
    let refuse = |problem: String| {
        named_at
            .error(format!("the tag list {} {problem}", path.display()))
            .allowed("a CSV file in UTF-8, in the folder of the configuration file or below")
            .record();
        Incomplete
    };
    let size = fs::metadata(path).map_err(|error| refuse(format!("cannot be read: {error}")))?.len();
    if size > MAX_LIST_BYTES {
        return Err(refuse(format!("is too large: {size} bytes of at most {MAX_LIST_BYTES}")));
    }
    let bytes = fs::read(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        refuse(format!("is not UTF-8 in line {line}; save it as \"CSV UTF-8\""))
    })
}

/// The known column that each cell of the header names; none for one that has been reported.
fn columns(
    header: &[Cell],
    list: &Spot,
    expected: &Columns,
) -> Result<Vec<Option<&'static str>>, Incomplete> {
    let mut columns = Vec::with_capacity(header.len());
    let mut all_there = Ok(());
    for cell in header {
        let name = cell.text.trim_matches([' ', BYTE_ORDER_MARK]);
        let known = expected.known.iter().copied().find(|column| *column == name);
        let problem = match known {
            Some(column) if columns.contains(&Some(column)) => {
                Some(format!("the column `{column}` is there twice"))
            }
            Some(_) => None,
            None => Some(match nearest(name, expected.known.iter().copied()) {
                Some(column) => format!("unknown column `{name}`; did you mean `{column}`?"),
                None => format!("unknown column `{name}`"),
            }),
        };
        columns.push(known.filter(|_| problem.is_none()));
        if let Some(problem) = problem {
            list.narrowed(cell.span.clone()).error(problem).allowed(expected.known.join(", ")).record();
        }
    }
    for missing in expected.required.iter().filter(|column| !columns.contains(&Some(**column))) {
        let header =
            header.first().zip(header.last()).map_or(0..0, |(first, last)| first.span.start..last.span.end);
        list.narrowed(header)
            .error(format!("the column `{missing}` is missing"))
            .allowed(format!("a first row that names the columns: {}", expected.known.join(", ")))
            .example(expected.example)
            .record();
        all_there = Err(Incomplete);
    }
    all_there.map(|()| columns)
}

fn table_of(columns: &[Option<&'static str>], row: Vec<Cell>) -> DeTable<'static> {
    let mut table = DeTable::new();
    for (column, Cell { text, span }) in columns.iter().zip(row) {
        if let Some(column) = column {
            let value = DeValue::String(Cow::Owned(text));
            table.insert(Spanned::new(span.clone(), Cow::Borrowed(*column)), Spanned::new(span, value));
        }
    }
    table
}
