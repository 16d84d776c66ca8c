//! Cargo manifests and the lock file: everything stated once, and nothing banned.

use super::tree::{File, Offence, Tree};
use crate::Rule;

/// What a package takes from the workspace, as `key.workspace = true`.
const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];
/// TLS is rustls on ring. `openssl-probe`, which only looks for the host's certificates, is no OpenSSL.
const BANNED: [&str; 8] = [
    "aws-lc-fips-sys",
    "aws-lc-rs",
    "aws-lc-sys",
    "native-tls",
    "openssl",
    "openssl-src",
    "openssl-sys",
    "tokio-native-tls",
];

/// One entry under a manifest's dependencies.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) section: Section,
    /// Counted from 0.
    pub(crate) line: usize,
    inherits: bool,
}

/// What a dependency is for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Section {
    Product,
    Tests,
}

pub(crate) const RULES: &[Rule] = &[
    Rule {
        claim: "versions, edition, licence and lints are stated once, in the root manifest",
        remedy: "state it under [workspace.dependencies], [workspace.package] or [workspace.lints] and write `workspace = true`",
        offences: stated_twice,
        refuses: || {
            vec![
                member("[dependencies]\nserde = \"1\"\n[lints]\nworkspace = true"),
                member("[dependencies]\nserde = { version = \"1\" }\n[lints]\nworkspace = true"),
                member("[dev-dependencies.serde]\nversion = \"1\"\n[lints]\nworkspace = true"),
                member("[dependencies]\nserde.workspace = true"),
                ("buffer/Cargo.toml", "[package]\nname = \"a\"\nversion = \"1.0.0\"\n".to_owned()),
            ]
        },
        allows: || {
            vec![
                member(
                    "[dependencies]\nserde.workspace = true\n\n# Simulated devices.\ntokio = { workspace = true, features = [\"fs\"] }\n[lints]\nworkspace = true",
                ),
                ("Cargo.toml", "[workspace.dependencies]\nserde = \"1\"\n".to_owned()),
                (
                    "fuzz/Cargo.toml",
                    "[package]\nname = \"a\"\nversion = \"0.0.0\"\n\n[workspace]\n".to_owned(),
                ),
            ]
        },
    },
    Rule {
        claim: "a panic unwinds",
        remedy: "remove it: `supervise` and the buffer's `catch_unwind` around sled stand on unwinding",
        offences: aborting,
        refuses: || vec![("Cargo.toml", "[profile.release]\npanic=\"abort\"\n".to_owned())],
        allows: || {
            vec![("Cargo.toml", "# Never panic = \"abort\".\n[profile.release]\nlto = true\n".to_owned())]
        },
    },
    Rule {
        claim: "no banned crate is in the lock file",
        remedy: "find who asks for it with `cargo tree -i NAME`, and turn off the feature that does",
        offences: banned,
        refuses: || vec![locked("openssl-sys"), locked("aws-lc-rs"), locked("native-tls")],
        allows: || vec![locked("openssl-probe"), ("docs/tls.md", "name = \"openssl\"\n".to_owned())],
    },
];

impl File {
    /// The package that this manifest is of; `None` for every other file.
    pub(crate) fn package(&self) -> Option<&str> {
        if self.name() != "Cargo.toml" {
            return None;
        }
        self.entries()
            .find(|entry| entry.section == "package" && entry.key == "name")
            .map(|entry| entry.value.trim_matches('"'))
    }

    /// This manifest's dependencies of every kind, those of the workspace excepted.
    pub(crate) fn dependencies(&self) -> Vec<Dependency> {
        self.entries().filter_map(|entry| entry.dependency()).collect()
    }

    /// Whether this manifest is of a workspace of its own, which can inherit nothing from ours.
    fn is_apart(&self) -> bool {
        self.path != "Cargo.toml" && self.text.lines().any(|line| line.trim() == "[workspace]")
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut section = "";
        self.text.lines().enumerate().filter_map(move |(line, text)| {
            let text = text.trim();
            if let Some(header) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = header.trim_matches(['[', ']']);
                return None;
            }
            let (key, value) = text.split_once('=').filter(|_| !text.starts_with('#'))?;
            Some(Entry { section, key: key.trim(), value: value.trim(), line })
        })
    }
}

/// One `key = value` of a TOML file. A value over several lines is cut at the first.
struct Entry<'a> {
    section: &'a str,
    key: &'a str,
    value: &'a str,
    line: usize,
}

impl Entry<'_> {
    fn dependency(&self) -> Option<Dependency> {
        let (table, of_one) = match self.section.rsplit_once('.') {
            Some((table, name)) if table.ends_with("dependencies") => (table, Some(name)),
            _ => (self.section, None),
        };
        let kind = table.rsplit('.').next().filter(|_| !table.starts_with("workspace"))?;
        let section = match kind {
            "dependencies" | "build-dependencies" => Section::Product,
            "dev-dependencies" => Section::Tests,
            _ => return None,
        };
        let (name, field) = match (of_one, self.key.split_once('.')) {
            (Some(name), _) => (name, Some(self.key)),
            (None, Some((name, field))) => (name, Some(field)),
            (None, None) => (self.key, None),
        };
        let inherits = match field {
            Some(field) => field != "version" && field != "path",
            None => self.value.replace(' ', "").contains("workspace=true"),
        };
        Some(Dependency { name: name.to_owned(), section, line: self.line, inherits })
    }
}

fn stated_twice(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    let ours = tree.files.iter().filter(|file| !file.is_apart());
    for (file, package) in ours.filter_map(|file| Some((file, file.package()?))) {
        for dependency in file.dependencies().iter().filter(|dependency| !dependency.inherits) {
            offences.push(
                file.offence_at(
                    dependency.line,
                    format!("`{}` has its own version or path", dependency.name),
                ),
            );
        }
        for entry in
            file.entries().filter(|entry| entry.section == "package" && INHERITED.contains(&entry.key))
        {
            offences.push(file.offence_at(entry.line, format!("`{}` of its own", entry.key)));
        }
        let lints = file.entries().any(|entry| entry.section == "lints" && entry.key == "workspace");
        if !lints {
            offences.push(file.offence(format!("`{package}` does not take the workspace's lints")));
        }
    }
    offences
}

fn aborting(tree: &Tree) -> Vec<Offence> {
    tree.files
        .iter()
        .filter(|file| file.path.ends_with(".toml"))
        .flat_map(|file| file.entries().map(move |entry| (file, entry)))
        .filter(|(_, entry)| entry.key == "panic" && entry.value.starts_with("\"abort"))
        .map(|(file, entry)| file.offence_at(entry.line, "a panic aborts"))
        .collect()
}

fn banned(tree: &Tree) -> Vec<Offence> {
    tree.files
        .iter()
        .filter(|file| file.name() == "Cargo.lock")
        .flat_map(|file| file.entries().map(move |entry| (file, entry)))
        .filter(|(_, entry)| entry.key == "name" && BANNED.contains(&entry.value.trim_matches('"')))
        .map(|(file, entry)| file.offence_at(entry.line, entry.value))
        .collect()
}

fn member(rest: &str) -> (&'static str, String) {
    (
        "buffer/Cargo.toml",
        format!("[package]\nname = \"penstock-buffer\"\nversion.workspace = true\n{rest}\n"),
    )
}

fn locked(name: &str) -> (&'static str, String) {
    ("Cargo.lock", format!("version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n"))
}
