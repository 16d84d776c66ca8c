//! The files under judgement: this repository's, or an example's. It reads, and judges nothing.

use std::fmt;
use std::path::Path;

use super::rust_text;

/// Folders that hold no source: build output and what the peers leave.
const NOT_OURS: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// What git keeps of a working tree beside the repository's own: a file and not a folder.
const OF_GIT: &str = ".git";
/// The hidden folders that are part of the source.
const OUR_HIDDEN: [&str; 2] = [".cargo", ".ci"];

/// A set of files, sorted by path.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

/// A file with its views for the rules.
pub(crate) struct File {
    /// Relative to the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Of Rust, the text with comments and literals blanked out; empty for every other file.
    pub(crate) code: String,
    test_lines: Vec<bool>,
}

/// Something that a rule refuses, and where.
pub(crate) struct Offence {
    place: String,
    what: String,
}

impl Tree {
    /// Every text file of this repository.
    pub(crate) fn of_this_repository() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = Vec::new();
        read_folder(root, root, &mut found);
        Self::of(found)
    }

    /// Files given by path and text.
    pub(crate) fn of<P: Into<String>>(files: impl IntoIterator<Item = (P, String)>) -> Self {
        let mut files: Vec<File> =
            files.into_iter().map(|(path, text)| File::new(path.into(), text)).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let test_modules: Vec<String> = files.iter().flat_map(File::test_modules).collect();
        for file in &mut files {
            if test_modules.iter().any(|module| is_within(&file.path, module)) {
                file.test_lines.fill(true);
            }
        }
        Self { files }
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }
}

impl File {
    fn new(path: String, text: String) -> Self {
        let code = if path.ends_with(".rs") { rust_text::code_of(&text) } else { String::new() };
        let in_test_folder =
            path.split('/').rev().skip(1).any(|folder| folder == "tests" || folder == "benches");
        let mut test_lines = vec![in_test_folder; text.lines().count() + 1];
        for item in rust_text::test_items(&code) {
            test_lines[item.first_line..=item.last_line].fill(true);
        }
        Self { path, text, code, test_lines }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The name without its folders.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether a line, counted from 0, is only ever compiled for tests or benches.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.test_lines.get(line).copied().unwrap_or(false)
    }

    /// The lines of code that ship, with their numbers from 0.
    pub(crate) fn shipped_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().filter(|(line, _)| !self.is_test(*line))
    }

    /// An offence of the file as a whole.
    pub(crate) fn offence(&self, what: impl Into<String>) -> Offence {
        Offence { place: self.path.clone(), what: what.into() }
    }

    /// An offence at a line, counted from 0.
    pub(crate) fn offence_at(&self, line: usize, what: impl Into<String>) -> Offence {
        Offence { place: format!("{}:{}", self.path, line + 1), what: what.into() }
    }

    /// The paths, without extension, of modules that this file declares for tests only.
    fn test_modules(&self) -> Vec<String> {
        let stem = self.path.trim_end_matches(".rs");
        let folder = match stem.rsplit_once('/') {
            Some((folder, "lib" | "main")) => folder,
            _ => stem,
        };
        rust_text::test_items(&self.code)
            .iter()
            .filter_map(|item| self.code.lines().nth(item.last_line))
            .filter_map(|line| line.trim().strip_suffix(';'))
            .filter_map(|declaration| declaration.rsplit_once("mod "))
            .map(|(_, module)| format!("{folder}/{module}"))
            .collect()
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.what)
    }
}

/// Whether `path` is the module at `module` (a path without extension) or lies below it.
fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn read_folder(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    let entries = folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let kind = entry.file_type().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if kind.is_dir() {
            let hidden = name.starts_with('.') && !OUR_HIDDEN.contains(&name.as_str());
            if !hidden && !NOT_OURS.contains(&name.as_str()) {
                read_folder(root, &path, found);
            }
        } else if name != OF_GIT
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            // What is not UTF-8 (a golden fixture, a picture) is no source.
            let relative = path.strip_prefix(root).expect("the walk started at the root");
            found.push((relative.to_string_lossy().replace('\\', "/"), text));
        }
    }
}

#[test]
fn a_module_declared_for_tests_is_test_code_wherever_its_file_lies() {
    let tree = Tree::of([
        ("buffer/src/lib.rs", "#[cfg(test)]\nmod model;\nmod store;\n".to_owned()),
        ("buffer/src/model.rs", "fn check() {}\n".to_owned()),
        (
            "buffer/src/store.rs",
            "fn put() {}\n\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\nfn get() {}\n".to_owned(),
        ),
        ("src/forward/tests.rs", "fn t() {}\n".to_owned()),
        ("src/forward.rs", "#[cfg(test)]\nmod tests;\n".to_owned()),
    ]);
    let shipped: Vec<String> = tree
        .rust()
        .flat_map(|file| file.shipped_lines().map(|(line, _)| format!("{}:{}", file.path, line + 1)))
        .collect();
    assert_eq!(
        shipped,
        ["buffer/src/lib.rs:3", "buffer/src/store.rs:1", "buffer/src/store.rs:2", "buffer/src/store.rs:7"]
    );
}
