//! The text of a configuration file, spots in it, and the list of what was found wrong at them.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{Place, Problem, Severity};

/// The longest found text that is quoted, in characters.
const MAX_FOUND_CHARS: usize = 60;

/// The key whose text is not shown.
const PASSWORD: &str = "password";

/// How the values of a file are typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Typing {
    /// As TOML types them.
    Toml,
    /// Every cell is text until a type is asked of it. `decimal` is the file's decimal separator.
    Cells {
        /// `,` in a spreadsheet that separates its columns with `;`, else `.`.
        decimal: char,
    },
}

/// A file of the configuration.
#[derive(Debug)]
pub(super) struct SourceFile {
    name: String,
    text: String,
    typing: Typing,
    order: usize,
    line_starts: Vec<usize>,
    /// What must not be shown: passwords, which do not belong here.
    hidden: OnceCell<Vec<Range<usize>>>,
}

/// What was found wrong so far, in all files.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: RefCell<Vec<Problem>>,
    files: RefCell<usize>,
    #[cfg(test)]
    known_keys: RefCell<std::collections::BTreeSet<String>>,
}

/// A spot in a file that can be complained about.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    /// The TOML path.
    pub(super) path: String,
    file: Rc<SourceFile>,
    span: Range<usize>,
    findings: Rc<Findings>,
}

/// A problem that is being described.
#[must_use = "a problem that is not recorded is not reported"]
pub(super) struct Draft<'a> {
    spot: &'a Spot,
    problem: Problem,
}

impl SourceFile {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn typing(&self) -> Typing {
        self.typing
    }

    /// Hides what looks like a secret in `document`, the file's content: a `password` that is text,
    /// and a URL with user name and password. In a file that `is_broken` the content is a guess, so
    /// whatever follows the word on its line is hidden too.
    pub(super) fn hide_secrets(&self, document: &DeTable<'_>, is_broken: bool) {
        let mut hidden = Vec::new();
        collect_secrets(document, &mut hidden);
        if is_broken {
            let rest_of_line =
                |at: usize| at..self.text[at..].find('\n').map_or(self.text.len(), |end| at + end);
            let words = self.text.match_indices(PASSWORD);
            hidden.extend(words.map(|(at, word)| rest_of_line(at + word.len())));
        }
        self.hidden.get_or_init(|| hidden);
    }

    /// The text of a span, or as many dots where it is hidden.
    fn visible(&self, span: Range<usize>) -> String {
        let hidden = self.hidden.get().map_or(&[][..], Vec::as_slice);
        let part = self.text.get(span.clone()).unwrap_or_default();
        let is_hidden = |at: usize| hidden.iter().any(|secret| secret.contains(&at));
        part.char_indices().map(|(at, c)| if is_hidden(span.start + at) { '•' } else { c }).collect()
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let start = span.start.min(self.text.len());
        let line = self.line_starts.partition_point(|&line_start| line_start <= start);
        let line_start = self.line_starts[line - 1];
        let rest = &self.text[line_start..];
        let excerpt = rest.lines().next().unwrap_or_default();
        let within = span.end.min(line_start + excerpt.len()).max(start);
        let characters = |range: Range<usize>| self.text.get(range).map_or(0, |part| part.chars().count());
        Place {
            file: self.name.clone(),
            line,
            column: characters(line_start..start) + 1,
            excerpt: self.visible(line_start..line_start + excerpt.len()),
            width: if *span == (0..0) { 0 } else { characters(start..within).max(1) },
            file_order: self.order,
        }
    }
}

impl Findings {
    /// Takes a file into the report; `typing` says how its values are read.
    pub(super) fn open(self: &Rc<Self>, name: String, text: String, typing: Typing) -> Spot {
        let order = self.files.replace_with(|count| *count + 1);
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect::<Vec<_>>();
        let file = Rc::new(SourceFile { name, text, typing, order, line_starts, hidden: OnceCell::new() });
        Spot { path: String::new(), file, span: 0..0, findings: Rc::clone(self) }
    }

    /// Records a problem of a file as a whole: one that could not even be read.
    pub(super) fn unreadable(&self, file: &str, message: String, allowed: &str) {
        let place = Place {
            file: file.to_owned(),
            line: 0,
            column: 0,
            excerpt: String::new(),
            width: 0,
            file_order: *self.files.borrow(),
        };
        self.problems.borrow_mut().push(Problem {
            severity: Severity::Error,
            message,
            path: String::new(),
            place,
            found: None,
            allowed: Some(allowed.to_owned()),
            example: None,
        });
    }

    /// Whether anything so far keeps the gateway from starting.
    pub(super) fn has_errors(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(super) fn take(&self) -> Vec<Problem> {
        self.problems.take()
    }

    /// Every key that a schema asked for, as `modbus.tags.at`.
    #[cfg(test)]
    pub(super) fn known_keys(&self) -> std::collections::BTreeSet<String> {
        self.known_keys.borrow().clone()
    }
}

impl Spot {
    /// The file that the spot is in.
    pub(super) fn file(&self) -> &Rc<SourceFile> {
        &self.file
    }

    /// The list that problems go to.
    pub(super) fn findings(&self) -> &Rc<Findings> {
        &self.findings
    }

    /// The spot at `span` of the same file, with the path `path`.
    pub(super) fn at(&self, path: String, span: Range<usize>) -> Self {
        Self { path, file: Rc::clone(&self.file), span, findings: Rc::clone(&self.findings) }
    }

    /// The spot `span` of the same path.
    pub(super) fn narrowed(&self, span: Range<usize>) -> Self {
        self.at(self.path.clone(), span)
    }

    /// The same place under another path: the table that lacks the key of that path.
    pub(super) fn renamed(&self, path: String) -> Self {
        self.at(path, self.span.clone())
    }

    /// The path of the key `name` below this one.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The text at the spot, shortened for a report.
    pub(super) fn found(&self) -> String {
        let text = self.file.visible(self.span.clone());
        let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match one_line.char_indices().nth(MAX_FOUND_CHARS) {
            Some((cut, _)) => format!("{}…", &one_line[..cut]),
            None => one_line,
        }
    }

    /// `config.toml:12`, for a problem elsewhere that refers to this spot.
    pub(super) fn reference(&self) -> String {
        let place = self.file.place(&self.span);
        format!("{}:{}", place.file, place.line)
    }

    /// Something here keeps the gateway from starting.
    pub(super) fn error(&self, message: impl Into<String>) -> Draft<'_> {
        self.draft(Severity::Error, message.into())
    }

    /// Something here is probably not meant.
    pub(super) fn warning(&self, message: impl Into<String>) -> Draft<'_> {
        self.draft(Severity::Warning, message.into())
    }

    fn draft(&self, severity: Severity, message: String) -> Draft<'_> {
        let found = Some(self.found()).filter(|found| !found.is_empty());
        let place = self.file.place(&self.span);
        let path = self.path.clone();
        Draft {
            spot: self,
            problem: Problem { severity, message, path, place, found, allowed: None, example: None },
        }
    }

    /// Remembers that a schema knows the key `path`, for the test that the documentation is complete.
    #[cfg(test)]
    pub(super) fn note_known(&self, path: &str) {
        let mut inside_index = false;
        let plain = path.chars().filter(|&c| {
            inside_index = (inside_index || c == '[') && c != ']';
            !inside_index && c != ']'
        });
        self.findings.known_keys.borrow_mut().insert(plain.collect());
    }
}

impl Draft<'_> {
    /// Says what is allowed.
    pub(super) fn allowed(mut self, text: impl Into<String>) -> Self {
        self.problem.allowed = Some(text.into());
        self
    }

    /// Gives an example that would be right.
    pub(super) fn example(mut self, text: impl Into<String>) -> Self {
        self.problem.example = Some(text.into());
        self
    }

    /// Says what was found, where the text at the spot does not.
    pub(super) fn found(mut self, text: impl Into<String>) -> Self {
        self.problem.found = Some(text.into());
        self
    }

    /// Puts the problem into the report.
    pub(super) fn record(self) {
        self.spot.findings.problems.borrow_mut().push(self.problem);
    }
}

fn collect_secrets(table: &DeTable<'_>, hidden: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let is_password = key.get_ref() == PASSWORD;
        collect_secrets_of(value, is_password, hidden);
    }
}

fn collect_secrets_of(value: &Spanned<DeValue<'_>>, is_password: bool, hidden: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::String(text) if is_password || (text.contains("://") && text.contains('@')) => {
            hidden.push(value.span());
        }
        DeValue::Array(items) => items.iter().for_each(|item| collect_secrets_of(item, is_password, hidden)),
        DeValue::Table(table) => collect_secrets(table, hidden),
        _ => {}
    }
}
