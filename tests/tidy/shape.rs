//! Size, names and openings of files and functions.

use super::rust_text;
use super::tree::{File, Offence, Tree};
use crate::Rule;

/// 300 lines is long; at this one a reader no longer holds the file in mind.
const MAX_FILE_LINES: usize = 400;
/// What fits on a screen, signature and closing brace included.
const MAX_FUNCTION_LINES: usize = 60;
/// Names that say nothing of what is inside, so that anything ends up inside.
const GRAB_BAGS: [&str; 11] =
    ["common", "helper", "helpers", "manager", "managers", "misc", "mod", "type", "types", "util", "utils"];

pub(crate) const RULES: &[Rule] = &[
    Rule {
        claim: "no Rust file is longer than 400 lines",
        remedy: "a file is one noun: move a second noun into a module of its own",
        offences: long_files,
        refuses: || vec![("src/api.rs", lines(MAX_FILE_LINES + 1))],
        allows: || vec![("src/api.rs", lines(MAX_FILE_LINES)), ("docs/guide.md", lines(MAX_FILE_LINES + 1))],
    },
    Rule {
        claim: "no function is longer than 60 lines",
        remedy: "name its steps as functions, or its cases as data",
        offences: long_functions,
        refuses: || {
            vec![
                ("src/api.rs", function(MAX_FUNCTION_LINES + 1)),
                ("src/cli.rs", format!("impl A {{\n{}}}\n", function(MAX_FUNCTION_LINES + 1))),
            ]
        },
        allows: || {
            let two = function(MAX_FUNCTION_LINES) + &function(MAX_FUNCTION_LINES);
            vec![("src/api.rs", two)]
        },
    },
    Rule {
        claim: "no file, folder or module has a name that fits everything",
        remedy: "name it after what it owns; `foo.rs` beside `foo/` takes the place of `foo/mod.rs`",
        offences: grab_bags,
        refuses: || {
            vec![
                ("src/utils.rs", String::new()),
                ("src/api/mod.rs", String::new()),
                ("tests/common/broker.rs", String::new()),
                ("buffer/src/segment_manager.rs", String::new()),
                ("src/api.rs", "pub(crate) mod helpers {\n}\n".to_owned()),
            ]
        },
        allows: || vec![("src/supervise.rs", "mod policy;\n// mod utils {\nmod modbus;\n".to_owned())],
    },
    Rule {
        claim: "every Rust file opens with `//!`",
        remedy: "say in its first line what it owns, and what it refuses",
        offences: unopened,
        refuses: || {
            vec![("src/api.rs", "use std::fmt;\n//! Late.\n".to_owned()), ("src/cli.rs", String::new())]
        },
        allows: || vec![("src/api.rs", "//! The local API: read-only.\n".to_owned())],
    },
];

fn long_files(tree: &Tree) -> Vec<Offence> {
    tree.rust()
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, count)| *count > MAX_FILE_LINES)
        .map(|(file, count)| file.offence(format!("{count} lines")))
        .collect()
}

fn long_functions(tree: &Tree) -> Vec<Offence> {
    let too_long = |file: &File| -> Vec<Offence> {
        rust_text::functions(&file.code)
            .into_iter()
            .map(|function| (function.last_line - function.first_line + 1, function))
            .filter(|(length, _)| *length > MAX_FUNCTION_LINES)
            .map(|(length, function)| {
                file.offence_at(function.first_line, format!("`{}` has {length} lines", function.name))
            })
            .collect()
    };
    tree.rust().flat_map(too_long).collect()
}

fn grab_bags(tree: &Tree) -> Vec<Offence> {
    let says_nothing = |name: &str| name.split(['_', '-']).any(|word| GRAB_BAGS.contains(&word));
    let mut offences = Vec::new();
    for file in tree.rust() {
        let path = file.path.trim_end_matches(".rs");
        offences.extend(
            path.split('/').filter(|name| says_nothing(name)).map(|name| file.offence(format!("`{name}`"))),
        );
        for (number, line) in file.code.lines().enumerate() {
            let declared = line.split_once("mod ").and_then(|(_, rest)| rest.strip_suffix(" {"));
            if let Some(name) = declared.filter(|name| says_nothing(name)) {
                offences.push(file.offence_at(number, format!("`mod {name}`")));
            }
        }
    }
    offences
}

fn unopened(tree: &Tree) -> Vec<Offence> {
    tree.rust()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.offence(format!("opens with `{}`", file.text.lines().next().unwrap_or(""))))
        .collect()
}

fn lines(count: usize) -> String {
    "//! A line.\n".repeat(count)
}

fn function(lines: usize) -> String {
    format!("fn drain() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
}
