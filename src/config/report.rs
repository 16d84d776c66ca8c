//! The report on a configuration: every problem with its place, what was found, what is allowed and
//! an example, for people or for programs. It judges nothing itself.

use std::fmt;

use serde::Serialize;

use crate::terminal::{Style, counted, printable};

/// The widest piece of a source line that is shown, in characters: a terminal's line.
const MAX_EXCERPT_CHARS: usize = 100;

/// Whether a problem keeps the gateway from starting.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// It does.
    Error,
    /// It does not, but is probably not meant.
    Warning,
}

/// Where in the files a problem is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Place {
    /// The file, as the operator named it.
    pub(crate) file: String,
    /// The line, from 1; 0 when the problem is the file as a whole.
    pub(crate) line: usize,
    /// The column in characters, from 1.
    pub(crate) column: usize,
    /// The source line.
    #[serde(skip)]
    pub(crate) excerpt: String,
    /// How many characters of the line the problem covers.
    #[serde(skip)]
    pub(crate) width: usize,
    /// Files in the order of reading, so that a report follows the files.
    #[serde(skip)]
    pub(crate) file_order: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Problem {
    /// Whether it keeps the gateway from starting.
    pub(crate) severity: Severity,
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// The TOML path: `modbus[0].tags[3].at`; empty for the file as a whole.
    pub(crate) path: String,
    /// Where it stands.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The text that was found.
    pub(crate) found: Option<String>,
    /// What is allowed.
    pub(crate) allowed: Option<String>,
    /// An example that would be right.
    pub(crate) example: Option<String>,
}

/// Everything that was noticed about a configuration, in the order of its files and lines.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Report {
    file: String,
    problems: Vec<Problem>,
    /// What is configured, in a line; none when something is wrong.
    summary: Option<String>,
}

impl Report {
    /// A report on the configuration `file`.
    pub(super) fn new(file: String, mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| {
            let order = |problem: &Problem| {
                (problem.place.file_order, problem.place.line, problem.place.column, problem.severity)
            };
            order(a).cmp(&order(b)).then_with(|| a.message.cmp(&b.message))
        });
        problems.dedup();
        Self { file, problems, summary: None }
    }

    /// The report on a configuration that can be run, and is this.
    pub(super) fn in_order(self, summary: String) -> Self {
        Self { summary: Some(summary), ..self }
    }

    /// Everything that was noticed.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many problems keep the gateway from starting.
    pub(crate) fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many do not.
    pub(crate) fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }

    /// The report for people: each problem under its source line, and a last line that counts them.
    pub(crate) fn render(&self, style: Style) -> String {
        let paint = Paint(style);
        let mut text = String::new();
        for problem in &self.problems {
            text.push_str(&Rendered { problem, paint }.to_string());
            text.push('\n');
        }
        text.push_str(&self.last_line());
        text
    }

    fn last_line(&self) -> String {
        let (errors, warnings, file) = (self.errors(), self.warnings(), &self.file);
        if let Some(summary) = &self.summary {
            let warnings =
                if warnings > 0 { format!("; {}", counted(warnings, "warning")) } else { String::new() };
            return format!("{file} is in order: {summary}{warnings}");
        }
        match (errors, warnings) {
            (_, 0) => format!("{} in {file}; nothing was started", counted(errors, "problem")),
            _ => format!(
                "{} and {} in {file}; nothing was started",
                counted(errors, "problem"),
                counted(warnings, "warning")
            ),
        }
    }

    /// The report for programs: one JSON object.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "file": self.file,
            "valid": self.errors() == 0,
            "errors": self.errors(),
            "warnings": self.warnings(),
            "summary": self.summary,
            "problems": self.problems,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::Plain))
    }
}

impl std::error::Error for Report {}

#[derive(Clone, Copy)]
struct Paint(Style);

impl Paint {
    fn severity(self, severity: Severity, text: &str) -> String {
        self.0.wrap(if severity == Severity::Error { "1;31" } else { "1;33" }, text)
    }

    fn frame(self, text: &str) -> String {
        self.0.wrap("34", text)
    }

    fn bold(self, text: &str) -> String {
        self.0.wrap("1", text)
    }
}

struct Rendered<'a> {
    problem: &'a Problem,
    paint: Paint,
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problem, paint } = self;
        let word = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let head = paint.severity(problem.severity, word);
        writeln!(f, "{head}: {}", paint.bold(&printable(&problem.message)))?;
        let gutter = if problem.place.line == 0 { 1 } else { problem.place.line.to_string().len() };
        self.location(f, gutter)?;
        for (label, text) in
            [("found", &problem.found), ("allowed", &problem.allowed), ("example", &problem.example)]
        {
            let Some(text) = text else { continue };
            let label = format!("{label}:");
            writeln!(f, "{:gutter$} {} {label:<8} {}", "", paint.frame("="), printable(text))?;
        }
        Ok(())
    }
}

impl Rendered<'_> {
    fn location(&self, f: &mut fmt::Formatter<'_>, gutter: usize) -> fmt::Result {
        let Self { problem, paint } = self;
        let place = &problem.place;
        write!(f, "{:gutter$}{} {}", "", paint.frame("-->"), place.file)?;
        if place.line > 0 {
            write!(f, ":{}:{}", place.line, place.column)?;
        }
        if problem.path.is_empty() {
            writeln!(f)?;
        } else {
            writeln!(f, " ({})", printable(&problem.path))?;
        }
        if place.line == 0 || place.width == 0 {
            return Ok(());
        }
        let (excerpt, before) = clipped(&place.excerpt, place.column - 1);
        let shown = excerpt.chars().count();
        let carets = place.width.min(shown.saturating_sub(before)).max(1);
        let bar = paint.frame("|");
        writeln!(f, "{:gutter$} {bar}", "")?;
        writeln!(f, "{} {bar} {excerpt}", paint.frame(&place.line.to_string()))?;
        let marks = paint.severity(problem.severity, &"^".repeat(carets));
        writeln!(f, "{:gutter$} {bar} {:before$}{marks}", "", "")
    }
}

/// The part of `line` to show around the character `column`, and how many characters of it come before.
fn clipped(line: &str, column: usize) -> (String, usize) {
    let skip = if line.chars().count() <= MAX_EXCERPT_CHARS { 0 } else { column.saturating_sub(30) };
    let shown: String = line.chars().skip(skip).take(MAX_EXCERPT_CHARS).collect();
    (printable(shown.trim_end()), column - skip)
}
