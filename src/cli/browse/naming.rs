//! Names of tags from the paths of nodes: short, unique, and such that a configuration takes them. Pure.

use std::collections::HashMap;

use penstock_events::MAX_NAME_BYTES;

/// Room for a number that tells two names apart.
const NUMBER_BYTES: usize = 8;

/// A name for each path: its last part, and as much before that as tells it from the others.
pub(super) fn names(paths: &[Vec<&str>]) -> Vec<String> {
    let mut parts = vec![1; paths.len()];
    let name = |index: usize, parts: usize| -> String {
        let path = &paths[index];
        let last = &path[path.len().saturating_sub(parts)..];
        safe(&last.iter().map(|part| safe(part)).collect::<Vec<_>>().join("."))
    };
    loop {
        let mut alike: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, parts) in parts.iter().enumerate() {
            alike.entry(name(index, *parts)).or_default().push(index);
        }
        let can_grow = |index: &usize| parts[*index] < paths[*index].len();
        let grown: Vec<usize> =
            alike.into_values().filter(|alike| alike.len() > 1).flatten().filter(can_grow).collect();
        if grown.is_empty() {
            break;
        }
        grown.into_iter().for_each(|index| parts[index] += 1);
    }
    let mut taken = HashMap::new();
    (0..paths.len()).map(|index| numbered(name(index, parts[index]), &mut taken)).collect()
}

/// The name, or with the first number that makes it another one than those that are taken, each with its last number.
fn numbered(name: String, taken: &mut HashMap<String, usize>) -> String {
    let Some(&last) = taken.get(&name) else {
        taken.insert(name.clone(), 1);
        return name;
    };
    let begin = &name[..name.len().min(MAX_NAME_BYTES - NUMBER_BYTES)];
    let with = |number: usize| (number, format!("{begin}-{number}"));
    let free = (last + 1..).map(with).find(|(_, other)| !taken.contains_key(other));
    let (number, numbered) = free.expect("there are more numbers than nodes");
    taken.insert(name, number);
    taken.insert(numbered.clone(), 1);
    numbered
}

/// What a name may hold of a text: letters, digits, `_`, `-` and `.`, beginning with a letter or a digit.
fn safe(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars().filter(|c| !matches!(c, '"' | '\'')) {
        if c.is_ascii_alphanumeric() || c == '_' || (c == '.' && !safe.is_empty()) {
            safe.push(c);
        } else if !safe.is_empty() && !safe.ends_with('-') {
            safe.push('-');
        }
    }
    let trimmed = safe.trim_start_matches(['_', '-', '.']).trim_end_matches(['-', '.']);
    let cut = &trimmed[..trimmed.len().min(MAX_NAME_BYTES)];
    if cut.is_empty() { "tag".to_owned() } else { cut.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use penstock_events::TagName;
    use proptest::prelude::{any, prop};
    use proptest::proptest;

    use super::names;

    #[test]
    fn a_name_is_as_short_as_it_can_be_and_tells_its_node_from_the_others() {
        let paths = [
            vec!["Oven", "Zone 1", "Temp"],
            vec!["Oven", "Zone 2", "Temp"],
            vec!["Oven", "Count"],
            vec!["Größe (mm)"],
            vec!["\"DB1\".\"speed\""],
            vec!["温度"],
            vec!["压力"],
        ];
        let expected = ["Zone-1.Temp", "Zone-2.Temp", "Count", "Gr-e-mm", "DB1.speed", "tag", "tag-2"];
        assert_eq!(names(&paths), expected);
    }

    proptest! {
        #[test]
        fn whatever_a_server_calls_its_nodes_names_are_valid_and_unique(
            paths in prop::collection::vec(prop::collection::vec(any::<String>(), 1..4), 0..40),
            long in prop::collection::vec("[a-c]{60,80}", 0..20),
        ) {
            let paths: Vec<Vec<&str>> = paths
                .iter()
                .map(|path| path.iter().map(String::as_str).collect())
                .chain(long.iter().map(|name| vec![name.as_str()]))
                .collect();
            let names = names(&paths);
            assert_eq!(names.len(), paths.len());
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
            for name in &names {
                assert!(name.parse::<TagName>().is_ok(), "{name:?}");
            }
        }
    }
}
