//! Which part of a variable's value a tag is: all of it, an element of an array, a field of a structure, or what
//! such a path leads to.

use std::fmt;
use std::iter::Peekable;
use std::str::{Chars, FromStr};

/// A path into a value: `Zone.Temp`, `Zones[1].Temp`, `[3]`, `Grid[1,2]`. The empty one is the value itself.
///
/// A name with one of `.[]"` in it stands in double quotes, and a double quote within is doubled.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Part(Vec<Step>);

/// One step into a value.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Step {
    /// Into the field of a structure.
    Field(String),
    /// To an element of an array, counted from 0: in each dimension, or row by row if there is but one number.
    Element(Vec<u32>),
}

/// The text is no path into a value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPart {
    /// Brackets without whole numbers in them, or without an end.
    #[error("{text:?} has brackets that are no element such as [1], or [1,2] in two dimensions")]
    Element {
        /// The text as it was given.
        text: String,
    },
    /// A name is missing, or one that needs quotes has none.
    #[error(
        "{text:?} is no path of fields such as Zones[1].Temp; a name with one of .[]\" in it needs double quotes"
    )]
    Field {
        /// The text as it was given.
        text: String,
    },
    /// An element is named twice, by itself and at the begin of the path.
    #[error("{text:?} begins with an element, which is given already")]
    ElementTwice {
        /// The text as it was given.
        text: String,
    },
}

impl Part {
    /// An element of an array, counted from 0.
    pub fn element(element: u32) -> Self {
        Self(vec![Step::Element(vec![element])])
    }

    /// What `path` leads to from here.
    ///
    /// # Errors
    /// [`InvalidPart::ElementTwice`]: no array has arrays as elements.
    pub fn then(mut self, path: Self) -> Result<Self, InvalidPart> {
        if let (Some(Step::Element(_)), Some(Step::Element(_))) = (self.0.last(), path.0.first()) {
            return Err(InvalidPart::ElementTwice { text: path.to_string() });
        }
        self.0.extend(path.0);
        Ok(self)
    }

    /// The way to it.
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether it is in a structure, whose type the server must tell first.
    pub(super) fn is_in_structure(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Field(_)))
    }
}

impl FromStr for Part {
    type Err = InvalidPart;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let no_field = || InvalidPart::Field { text: text.to_owned() };
        let mut rest = text.chars().peekable();
        let mut steps = Vec::new();
        loop {
            // An element stands behind what it is an element of, which at the begin is the value.
            let is_value = steps.is_empty() && rest.peek() == Some(&'[');
            if !is_value {
                steps.push(Step::Field(name(&mut rest).ok_or_else(no_field)?));
            }
            if rest.next_if_eq(&'[').is_some() {
                let element = element(&mut rest);
                steps.push(element.ok_or_else(|| InvalidPart::Element { text: text.to_owned() })?);
            }
            match rest.next() {
                None => return Ok(Self(steps)),
                Some('.') => {}
                Some(_) => return Err(no_field()),
            }
        }
    }
}

fn name(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut name = String::new();
    if rest.next_if_eq(&'"').is_some() {
        loop {
            match rest.next()? {
                '"' if rest.next_if_eq(&'"').is_none() => break,
                letter => name.push(letter),
            }
        }
    } else {
        while let Some(letter) = rest.next_if(|letter| !is_special(*letter)) {
            name.push(letter);
        }
    }
    (!name.is_empty()).then_some(name)
}

/// What stands behind an opening bracket, up to the closing one.
fn element(rest: &mut Peekable<Chars<'_>>) -> Option<Step> {
    let mut inside = String::new();
    loop {
        match rest.next()? {
            ']' => break,
            letter => inside.push(letter),
        }
    }
    let indexes = inside.split(',').map(|index| index.trim().parse().ok());
    Some(Step::Element(indexes.collect::<Option<_>>()?))
}

const fn is_special(letter: char) -> bool {
    matches!(letter, '.' | '[' | ']' | '"')
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) => {
                    f.write_str(if index == 0 { "" } else { "." })?;
                    if name.contains(is_special) {
                        write!(f, "\"{}\"", name.replace('"', "\"\""))?;
                    } else {
                        f.write_str(name)?;
                    }
                }
                Step::Element(indexes) => {
                    let indexes: Vec<String> = indexes.iter().map(u32::to_string).collect();
                    write!(f, "[{}]", indexes.join(","))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::{InvalidPart, Part, Step};

    #[test]
    fn a_path_is_read_and_shown_again() {
        let field = |name: &str| Step::Field(name.to_owned());
        let element = |at: &[u32]| Step::Element(at.to_vec());
        for (text, steps) in [
            ("Temp", vec![field("Temp")]),
            ("Zone.Temp", vec![field("Zone"), field("Temp")]),
            ("Zones[1].Temp", vec![field("Zones"), element(&[1]), field("Temp")]),
            ("[3].Temp", vec![element(&[3]), field("Temp")]),
            ("[1,2]", vec![element(&[1, 2])]),
            ("Grid[1,2]", vec![field("Grid"), element(&[1, 2])]),
            ("\"a.b[\"\"0\"\"]\".c d", vec![field("a.b[\"0\"]"), field("c d")]),
        ] {
            let part: Part = text.parse().expect(text);
            assert_eq!(part.steps(), steps);
            assert_eq!(part.to_string(), text);
        }
        assert_eq!("Grid[1, 2]".parse::<Part>().expect("a path").to_string(), "Grid[1,2]");
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "a]", "a\"b", "\"a", "\"\"", "a[0]b", "a[0][1]"] {
            assert_eq!(text.parse::<Part>(), Err(InvalidPart::Field { text: text.to_owned() }), "{text:?}");
        }
        for text in ["a[", "a[]", "a[x]", "a[-1]", "a[1,]", "[4294967296]"] {
            assert_eq!(text.parse::<Part>(), Err(InvalidPart::Element { text: text.to_owned() }), "{text:?}");
        }
    }

    #[test]
    fn an_element_and_a_path_are_one_way_unless_both_name_the_element() {
        let part = |text: &str| text.parse::<Part>().expect("a path");
        assert_eq!(Part::element(3).then(part("Temp")), Ok(part("[3].Temp")));
        assert_eq!(Part::default().then(part("[3].Temp")), Ok(part("[3].Temp")));
        let twice = Err(InvalidPart::ElementTwice { text: "[1].Temp".to_owned() });
        assert_eq!(Part::element(3).then(part("[1].Temp")), twice);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_is_read_again(text in any::<String>(), path in "[a\".\\[\\]0,]{0,12}") {
            for text in [text, path] {
                if let Ok(part) = text.parse::<Part>() {
                    assert_eq!(part.to_string().parse::<Part>().expect("own display"), part);
                }
            }
        }
    }
}
