//! What a clone must not carry from the machine it was written on.
//!
//! The forbidden words are put together from pieces here, so that this file does not contain them.

use super::tree::{File, Offence, Tree};
use crate::Rule;

/// Where packages come from is each machine's own setting; only Cargo's lock file names its default.
const REGISTRIES: [&str; 8] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("deb.", "debian.org"),
    concat!("security.", "debian.org"),
    concat!("proxy.", "golang.org"),
];
/// Folders that another machine does not have.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];

pub(crate) const RULES: &[Rule] = &[
    Rule {
        claim: "no file names a package registry's host",
        remedy: "write the package's name; the machine's own settings say where it comes from",
        offences: registries,
        refuses: || REGISTRIES.map(|host| ("docs/build.md", format!("From https://{host}/x.\n"))).into(),
        allows: || {
            let source =
                format!("source = \"registry+https://github.com/rust-lang/{}-index\"\n", REGISTRIES[0]);
            vec![("Cargo.lock", source), ("Makefile", "cargo install cargo-deny\n".to_owned())]
        },
    },
    Rule {
        claim: "no file names a path of one machine",
        remedy: "make it relative to the repository, or an argument",
        offences: machine_paths,
        refuses: || MACHINE_PATHS.map(|path| ("Makefile", format!("run:\n\tcd {path}x && make\n"))).into(),
        allows: || {
            let topic = format!("plant-7/line-1{}done\n", MACHINE_PATHS[0]);
            vec![("docs/topics.md", topic), ("config.toml", "path = \"/var/lib/penstock\"\n".to_owned())]
        },
    },
];

fn registries(tree: &Tree) -> Vec<Offence> {
    lines_with(tree, &REGISTRIES, |file, _, host| file.name() != "Cargo.lock" || host != REGISTRIES[0])
}

fn machine_paths(tree: &Tree) -> Vec<Offence> {
    lines_with(tree, &MACHINE_PATHS, |_, before, _| {
        !before.ends_with(|c: char| c.is_alphanumeric() || "_-.}/".contains(c))
    })
}

/// The lines with one of `words`, where `offends` agrees, given the file, the text before and the word.
fn lines_with(tree: &Tree, words: &[&str], offends: fn(&File, &str, &str) -> bool) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in &tree.files {
        for (number, line) in file.text.lines().enumerate() {
            let said = words
                .iter()
                .find(|word| line.match_indices(**word).any(|(at, _)| offends(file, &line[..at], word)));
            offences.extend(said.map(|word| file.offence_at(number, format!("`{word}`"))));
        }
    }
    offences
}
