//! Habits of the hand: what a line of Rust must not say, wherever it stands.

use super::rust_text;
use super::tree::{File, Offence, Tree};
use crate::Rule;

/// The crates whose tasks someone must account for; the plant, benches and tests end with their process.
const SHIPPED: [&str; 5] = ["src/", "events/src/", "adapters/src/", "buffer/src/", "uplink/src/"];

pub(crate) const RULES: &[Rule] = &[
    Rule {
        claim: "nothing is imported by glob outside tests",
        remedy: "name what is used, so that a reader finds where it comes from",
        offences: globs,
        refuses: || {
            vec![
                rust("src/api.rs", "use std::io::*;"),
                rust("src/cli.rs", "pub use a::{b, c::*};"),
                rust("uplink/src/lib.rs", "use a::{\n    b,\n    c::*,\n};"),
            ]
        },
        allows: || {
            vec![
                rust("src/api.rs", "use std::io;\nfn f(a: u8) -> u8 {\n    a * 2\n}"),
                rust("src/cli.rs", "#[cfg(test)]\nmod tests {\n    use super::*;\n}"),
            ]
        },
    },
    Rule {
        claim: "nothing is unwrapped outside tests",
        remedy: "return the error, or `expect(\"why this cannot fail\")`",
        offences: unwraps,
        refuses: || vec![rust("plant/src/press.rs", "fn f() { g().unwrap() }")],
        allows: || {
            vec![
                rust("src/api.rs", "fn f() { g().unwrap_or(0) } // .unwrap()"),
                rust("tests/outage.rs", "fn f() { g().unwrap() }"),
                rust("src/cli.rs", "#[cfg(test)]\nmod tests;"),
                rust("src/cli/tests.rs", "fn f() { g().unwrap() }"),
            ]
        },
    },
    Rule {
        claim: "no result is swallowed outside tests",
        remedy: "return it, log it, or count it; if it cannot matter, match on it and say why",
        offences: swallowed,
        refuses: || {
            vec![
                rust("src/api.rs", "fn f() {\n    let _ = g();\n}"),
                rust("src/cli.rs", "fn f() {\n    _ = g();\n}"),
                rust("src/log.rs", "fn f() {\n    g().ok();\n}"),
                rust("uplink/src/lib.rs", "fn f() {\n    g()\n        .h()\n        .ok();\n}"),
                rust("buffer/src/lib.rs", "fn f() {\n    g(|| {\n        x = y;\n    })\n    .ok();\n}"),
            ]
        },
        allows: || {
            vec![
                rust("src/api.rs", "fn f() {\n    let _guard = g();\n    let x = h().ok();\n}"),
                rust("src/log.rs", "fn f() {\n    x = g(|| {\n        y;\n    })\n    .ok();\n}"),
                rust("src/cli.rs", "fn f() {\n    select! {\n        _ = g() => {}\n    }\n}"),
            ]
        },
    },
    Rule {
        claim: "every queue is bounded",
        remedy: "give the channel a named limit with its reason",
        offences: unbounded,
        refuses: || {
            vec![
                rust("src/api.rs", "let (a, b) = mpsc::unbounded_channel();"),
                rust("tests/outage.rs", "let (a, b) = flume::unbounded();"),
                rust("plant/src/lib.rs", "fn f(a: UnboundedSender<u8>) {}"),
            ]
        },
        allows: || {
            vec![rust("src/api.rs", "let (a, b) = mpsc::channel(QUEUED_BATCHES);\nwatch::channel(0);")]
        },
    },
    Rule {
        claim: "every task is started by `supervise`",
        remedy: "give it a name and a policy there; a library hands out the future and lets the binary run it",
        offences: spawns,
        refuses: || {
            vec![
                rust("src/forward.rs", "fn f() { tokio::spawn(g()); }"),
                rust("uplink/src/mqtt.rs", "use tokio::task::JoinSet;"),
                rust("adapters/src/lib.rs", "use tokio::{net::TcpStream, spawn};"),
                rust("buffer/src/lib.rs", "fn f() { std::thread::spawn(g); }"),
                rust("src/api.rs", "fn f() { thread::Builder::new() }"),
            ]
        },
        allows: || {
            vec![
                rust("src/supervise.rs", "fn f() { tokio::spawn(g()); }"),
                rust("src/supervise/task.rs", "fn f() { tokio::spawn(g()); }"),
                rust("plant/src/broker.rs", "fn f() { tokio::spawn(g()); }"),
                rust("src/gateway.rs", "fn f() { supervise.spawn(name, g()); spawn_blocking(h); }"),
                rust("buffer/src/writer.rs", "fn f() { thread::Builder::new().name(n).spawn(g) }"),
            ]
        },
    },
    Rule {
        claim: "no test is ignored",
        remedy: "make it run everywhere, or delete it",
        offences: ignored,
        refuses: || vec![rust("tests/outage.rs", "#[test]\n#[ignore]\nfn f() {}")],
        allows: || vec![rust("tests/outage.rs", "#[test]\nfn f() {}")],
    },
];

fn globs(tree: &Tree) -> Vec<Offence> {
    let of_file = |file: &File| -> Vec<Offence> {
        rust_text::words(&file.code, "use")
            .filter(|at| file.code[at + 3..].starts_with(char::is_whitespace))
            .filter(|at| file.code[*at..].split(';').next().is_some_and(|import| import.contains("::*")))
            .map(|at| rust_text::line_of(&file.code, at))
            .filter(|line| !file.is_test(*line))
            .map(|line| file.offence_at(line, "a glob import"))
            .collect()
    };
    tree.rust().flat_map(of_file).collect()
}

fn unwraps(tree: &Tree) -> Vec<Offence> {
    shipped_lines_that(tree, "`.unwrap()`", |line| line.contains(".unwrap()"))
}

fn swallowed(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.rust() {
        for (number, line) in file.shipped_lines() {
            let line = line.trim();
            let discards = ["let _ =", "let _:"].iter().any(|start| line.starts_with(start))
                || (line.starts_with("_ = ") && !line.contains("=>"));
            let forgets = line.ends_with(".ok();") && !is_used(statement_head(file, number));
            if discards || forgets {
                offences.push(file.offence_at(number, "a value thrown away"));
            }
        }
    }
    offences
}

/// The line on which rustfmt started the statement that ends at `end`.
fn statement_head(file: &File, end: usize) -> &str {
    let lines: Vec<&str> = file.code.lines().take(end + 1).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let goes_on = |line: &str| line.trim().is_empty() || line.trim_start().starts_with(['.', ')', '}', ']']);
    let of_end = indent(lines[end]);
    lines.iter().rev().find(|line| indent(line) <= of_end && !goes_on(line)).map_or("", |line| line.trim())
}

fn is_used(head: &str) -> bool {
    head.contains(" = ") || head.ends_with(" =") || head.starts_with("return")
}

/// `std::sync::mpsc::channel` is clippy's (clippy.toml), where a queue bounded by permits can say so in an `expect`.
fn unbounded(tree: &Tree) -> Vec<Offence> {
    let limitless = ["unbounded_channel", "UnboundedSender", "UnboundedReceiver", "::unbounded"];
    tree.rust()
        .flat_map(|file| file.code.lines().enumerate().map(move |(number, line)| (file, number, line)))
        .filter(|(_, _, line)| limitless.iter().any(|word| line.contains(word)))
        .map(|(file, number, _)| file.offence_at(number, "a queue without a limit"))
        .collect()
}

fn spawns(tree: &Tree) -> Vec<Offence> {
    let starts_a_task = |file: &File, line: &str| {
        let imported = line.trim_start().starts_with("use tokio") && has_word(line, "spawn");
        let called = ["tokio::spawn", "task::spawn", "thread::spawn"]
            .iter()
            .any(|call| rust_text::words(line, call).next().is_some());
        let kept = ["JoinSet", "TaskTracker", "spawn_local"].iter().any(|word| has_word(line, word));
        // The buffer's one writer thread: sled blocks, and never on an async worker.
        let thread = has_word(line, "thread::Builder") && !file.path.starts_with("buffer/src/");
        imported || called || kept || thread
    };
    tree.rust()
        .filter(|file| SHIPPED.iter().any(|folder| file.path.starts_with(folder)))
        .filter(|file| !file.path.starts_with("src/supervise"))
        .flat_map(|file| file.shipped_lines().map(move |(number, line)| (file, number, line)))
        .filter(|(file, _, line)| starts_a_task(file, line))
        .map(|(file, number, line)| file.offence_at(number, format!("`{}`", line.trim())))
        .collect()
}

fn ignored(tree: &Tree) -> Vec<Offence> {
    tree.rust()
        .flat_map(|file| file.code.lines().enumerate().map(move |(number, line)| (file, number, line)))
        .filter(|(_, _, line)| line.contains("#[ignore"))
        .map(|(file, number, _)| file.offence_at(number, "an ignored test"))
        .collect()
}

fn shipped_lines_that(tree: &Tree, what: &str, offends: fn(&str) -> bool) -> Vec<Offence> {
    tree.rust()
        .flat_map(|file| file.shipped_lines().map(move |(number, line)| (file, number, line)))
        .filter(|(_, _, line)| offends(line))
        .map(|(file, number, _)| file.offence_at(number, what))
        .collect()
}

fn has_word(line: &str, word: &str) -> bool {
    rust_text::words(line, word).next().is_some()
}

fn rust(path: &'static str, code: &str) -> (&'static str, String) {
    (path, format!("{code}\n"))
}
