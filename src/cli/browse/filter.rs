//! What is looked for, by name, path or node id. Pure.

use std::convert::Infallible;
use std::str::FromStr;

use penstock_adapters::opcua::FoundNode;

/// A text that is somewhere in it, or a pattern that it has as a whole. The case does not matter.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pattern: Vec<char>,
    is_glob: bool,
}

impl FromStr for Filter {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_glob = text.contains(['*', '?']);
        let around = if is_glob { "" } else { "*" };
        let pattern = format!("{around}{}{around}", text.to_lowercase());
        Ok(Self { pattern: pattern.chars().collect(), is_glob })
    }
}

impl Filter {
    /// Whether it is what is looked for.
    pub(super) fn takes(&self, node: &FoundNode, path: &str) -> bool {
        [&node.name, &node.display_name, path, &node.address.to_string()]
            .into_iter()
            .any(|text| self.matches(text))
    }

    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.to_lowercase().chars().collect();
        let is_any = |c: char| c == '*' || (self.is_glob && c == '?');
        let (mut at, mut in_text) = (0, 0);
        // Where the last star stands, and how much of the text it has taken.
        let mut star: Option<(usize, usize)> = None;
        while in_text < text.len() {
            match self.pattern.get(at) {
                Some('*') => {
                    star = Some((at, in_text));
                    at += 1;
                }
                Some(&c) if c == text[in_text] || is_any(c) => (at, in_text) = (at + 1, in_text + 1),
                _ => {
                    let Some((star_at, taken)) = star else { return false };
                    star = Some((star_at, taken + 1));
                    (at, in_text) = (star_at + 1, taken + 1);
                }
            }
        }
        self.pattern[at..].iter().all(|c| *c == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn a_text_is_found_anywhere_and_a_pattern_must_be_all_of_it() {
        let matches = |filter: &str, text| filter.parse::<Filter>().expect("any text").matches(text);
        assert!(matches("TEMP", "Oven/temperature"));
        assert!(matches("", "anything"));
        assert!(!matches("temp", "Count"));
        assert!(matches("*/zone?", "Oven/Zone1"));
        assert!(!matches("zone?", "Oven/Zone1"));
        assert!(!matches("zone?", "Zone12"));
        assert!(matches("*a*b*", "xxaxxbxx"));
        assert!(!matches("*a*b", "xxaxxbxx"));
        assert!(matches("Ä*", "ärger"));
        assert!(matches("*", ""));
        assert!(!matches("?", ""));
    }
}
