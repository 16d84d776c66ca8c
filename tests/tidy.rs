//! The house rules that a command can find: what CONVENTIONS.md asks for and rustc and clippy do not hold.
//!
//! A rule comes with what it must refuse and what it must let pass, so no rule can rot into one that
//! never bites. It judges text: what needs types belongs to clippy, what needs the dependency graph's
//! licences and advisories to deny.toml.

mod tidy {
    pub(crate) mod border;
    pub(crate) mod habit;
    pub(crate) mod manifest;
    pub(crate) mod origin;
    pub(crate) mod rust_text;
    pub(crate) mod shape;
    pub(crate) mod tree;
}

use std::fmt::Write;

use tidy::tree::{Offence, Tree};

/// One claim about every file of the tree.
struct Rule {
    /// What holds, as a sentence.
    claim: &'static str,
    /// What to do about an offence.
    remedy: &'static str,
    /// Where the claim does not hold.
    offences: fn(&Tree) -> Vec<Offence>,
    /// Files of which each one, alone, is an offence.
    refuses: fn() -> Vec<(&'static str, String)>,
    /// Files which together are none.
    allows: fn() -> Vec<(&'static str, String)>,
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    tidy::shape::RULES
        .iter()
        .chain(tidy::habit::RULES)
        .chain(tidy::border::RULES)
        .chain(tidy::manifest::RULES)
        .chain(tidy::origin::RULES)
}

#[test]
fn the_house_is_tidy() {
    let tree = Tree::of_this_repository();
    let mut report = String::new();
    for rule in rules() {
        let offences = (rule.offences)(&tree);
        if !offences.is_empty() {
            writeln!(report, "\n{}; {}:", rule.claim, rule.remedy).expect("a String takes every write");
        }
        for offence in offences {
            writeln!(report, "  {offence}").expect("a String takes every write");
        }
    }
    assert!(report.is_empty(), "{report}");
}

#[test]
fn every_rule_refuses_each_of_its_bad_examples() {
    for rule in rules() {
        let examples = (rule.refuses)();
        assert!(!examples.is_empty(), "a rule without a bad example proves nothing: {}", rule.claim);
        for (path, text) in examples {
            let offences = (rule.offences)(&Tree::of([(path, text.clone())]));
            assert!(!offences.is_empty(), "`{}` let {path} pass:\n{text}", rule.claim);
        }
    }
}

#[test]
fn every_rule_lets_its_good_examples_pass() {
    for rule in rules() {
        let offences = (rule.offences)(&Tree::of((rule.allows)()));
        let said: Vec<String> = offences.iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "`{}` refused what it should allow: {said:#?}", rule.claim);
    }
}

#[test]
fn the_tree_holds_what_the_rules_are_about() {
    let tree = Tree::of_this_repository();
    for path in ["Cargo.toml", "Cargo.lock", "events/src/lib.rs", "tests/tidy.rs", ".ci/run"] {
        assert!(tree.files.iter().any(|file| file.path == path), "{path} was not read");
    }
    assert!(tree.files.iter().all(|file| !file.path.starts_with("target/")), "build output was read");
}
