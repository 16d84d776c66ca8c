//! What was found, in rows for people and in lines of JSON.

use penstock_adapters::opcua::{Found, FoundNode, FoundVariable, Shape, Shown};
use penstock_events::{Sample, Value};
use serde_json::json;

use super::{View, tree};
use crate::cli::{cause, print};
use crate::exit::Exit;
use crate::terminal::{Align, Table};

/// How long a text may be before the rest of it is left out.
const LONGEST_TEXT: usize = 40;

/// The columns behind the name; those that nothing stands in are left out.
const COLUMNS: [(&str, Align); 5] = [
    ("TYPE", Align::Left),
    ("ACCESS", Align::Left),
    ("VALUE", Align::Right),
    ("UNIT", Align::Left),
    ("NODE", Align::Left),
];

/// Shows a tree.
pub(super) fn tree(view: &View<'_>) -> Result<(), Exit> {
    let rows = tree::branches(view);
    let rows = rows
        .into_iter()
        .map(|line| (line.index, format!("{}{}", line.twigs, name(&view.found.nodes[line.index]))));
    rows_of(view.found, "NAME", rows.collect())
}

/// Shows a table of what was looked for.
pub(super) fn table(view: &View<'_>) -> Result<(), Exit> {
    rows_of(view.found, "PATH", view.wanted().map(|index| (index, view.paths[index].clone())).collect())
}

/// The same for programs.
pub(super) fn json(view: &View<'_>) -> Result<(), Exit> {
    view.wanted().try_for_each(|index| print::json(&record(&view.found.nodes[index], &view.paths[index])))
}

fn rows_of(found: &Found, first: &'static str, rows: Vec<(usize, String)>) -> Result<(), Exit> {
    let rows: Vec<(String, [String; 5])> =
        rows.into_iter().map(|(index, name)| (name, cells(&found.nodes[index]))).collect();
    let is_used: Vec<bool> =
        (0..COLUMNS.len()).map(|column| rows.iter().any(|(_, cells)| !cells[column].is_empty())).collect();
    let used = |column: &usize| is_used[*column];
    let columns = (0..COLUMNS.len()).filter(used).map(|column| COLUMNS[column]);
    let columns: Vec<_> = [(first, Align::Left)].into_iter().chain(columns).collect();
    let mut table = Table::stdout(&columns);
    for (name, cells) in rows {
        let cells = cells.into_iter().enumerate().filter(|(column, _)| is_used[*column]);
        let cells = std::iter::once(name).chain(cells.map(|(_, cell)| cell));
        table.row(cells).map_err(|error| print::broken(&error))?;
    }
    table.flush().map_err(|error| print::broken(&error))
}

/// Its name, with the one for people where that says more.
fn name(node: &FoundNode) -> String {
    let FoundNode { name, display_name, .. } = node;
    if display_name.is_empty() || display_name == name {
        name.clone()
    } else {
        format!("{name} ({display_name})")
    }
}

fn cells(node: &FoundNode) -> [String; 5] {
    let mut address = node.address.to_string();
    if let Some(note) = &node.note {
        address = format!("{address}   {note}");
    }
    match &node.variable {
        None => [node.class.as_str().to_owned(), String::new(), String::new(), String::new(), address],
        Some(variable) => [
            type_of(variable),
            access(variable),
            variable.value.as_ref().map_or_else(String::new, value),
            variable.unit.clone().unwrap_or_default(),
            address,
        ],
    }
}

/// `Double`, `Double[]`, `Double[,]`.
pub(super) fn type_of(variable: &FoundVariable) -> String {
    let name = if variable.data_type.is_empty() { "variable" } else { &variable.data_type };
    match variable.shape {
        Shape::Array { dimensions } => {
            format!("{name}[{}]", ",".repeat(usize::try_from(dimensions).unwrap_or(1).clamp(1, 8) - 1))
        }
        Shape::Structure => format!("{name} {{…}}"),
        Shape::One | Shape::Any => name.to_owned(),
    }
}

fn access(variable: &FoundVariable) -> String {
    let words = [
        (variable.is_readable == Some(true), "read"),
        (variable.is_writable == Some(true), "write"),
        (variable.is_historizing == Some(true), "history"),
    ];
    let words: Vec<&str> = words.into_iter().filter(|(has, _)| *has).map(|(_, word)| word).collect();
    if words.is_empty() && variable.is_readable == Some(false) { "none".to_owned() } else { words.join(" ") }
}

fn value(shown: &Shown) -> String {
    match shown {
        Shown::One(Sample::Good(value) | Sample::Uncertain(value, _)) => in_short(value),
        Shown::One(Sample::Bad(cause)) => format!("– {}", cause::in_words(*cause)),
        Shown::Structure => "{…}".to_owned(),
        Shown::Array { first, count } => {
            let more = if first.len() < *count { format!(", … {count}") } else { String::new() };
            format!("[{}{more}]", first.iter().map(in_short).collect::<Vec<_>>().join(", "))
        }
    }
}

fn in_short(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(text) if text.chars().count() > LONGEST_TEXT => {
            format!("{:?}…", text.chars().take(LONGEST_TEXT).collect::<String>())
        }
        Value::Text(text) => format!("{text:?}"),
    }
}

fn record(node: &FoundNode, path: &str) -> serde_json::Value {
    let mut record = json!({
        "path": path,
        "name": node.name,
        "display_name": node.display_name,
        "node": node.address.to_string(),
        "class": node.class.as_str(),
        "depth": node.depth,
        "note": node.note,
    });
    let Some(variable) = &node.variable else { return record };
    record["type"] = variable.data_type.as_str().into();
    record["shape"] = shape(variable.shape).into();
    record["dimensions"] = match variable.shape {
        Shape::Array { dimensions } => dimensions.into(),
        _ => serde_json::Value::Null,
    };
    record["readable"] = variable.is_readable.into();
    record["writable"] = variable.is_writable.into();
    record["historizing"] = variable.is_historizing.into();
    record["unit"] = variable.unit.clone().into();
    match &variable.value {
        None => {}
        Some(Shown::One(sample)) => {
            let (value, status, cause) = match sample {
                Sample::Good(value) => (json!(value), "good", None),
                Sample::Uncertain(value, cause) => (json!(value), "uncertain", Some(cause)),
                Sample::Bad(cause) => (serde_json::Value::Null, "bad", Some(cause)),
            };
            record["value"] = value;
            record["quality"] = json!({ "status": status });
            if let Some(cause) = cause {
                record["quality"]["cause"] = cause.to_string().into();
            }
        }
        Some(Shown::Array { first, count }) => {
            record["first_elements"] = json!(first);
            record["elements"] = json!(count);
        }
        Some(Shown::Structure) => {}
    }
    record
}

const fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::One => "one",
        Shape::Array { .. } => "array",
        Shape::Structure => "structure",
        Shape::Any => "any",
    }
}
