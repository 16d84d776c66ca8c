//! The names of things in a plant. Each is checked where it is made, so that a name that exists is
//! safe in an MQTT topic, a URN, a file name and an event id.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// The longest single name, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// The deepest asset path, in segments (ISA-95: enterprise to equipment module leaves room).
pub const MAX_PATH_SEGMENTS: usize = 8;

/// Why a text is not a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing was given.
    #[error("a name must not be empty")]
    Empty,
    /// A name or a path segment is longer than [`MAX_NAME_BYTES`].
    #[error("{name:?} is longer than {MAX_NAME_BYTES} bytes")]
    TooLong {
        /// The text as it was given.
        name: String,
    },
    /// A character that would be unsafe in a topic, a URN or a file name.
    #[error(
        "{name:?} holds {character:?}; use letters a-z A-Z, digits, '_' and '-', and start with a letter or digit"
    )]
    Character {
        /// The text as it was given.
        name: String,
        /// The first offending character.
        character: char,
    },
    /// An asset path of too many segments.
    #[error("{path:?} has more than {MAX_PATH_SEGMENTS} segments")]
    TooDeep {
        /// The text as it was given.
        path: String,
    },
    /// A tag path without the dot between its source and its tag.
    #[error("{path:?} is not SOURCE.TAG, such as press-1.state")]
    NotATagPath {
        /// The text as it was given.
        path: String,
    },
}

fn check(name: &str, extra: &[char]) -> Result<(), InvalidName> {
    if name.is_empty() {
        return Err(InvalidName::Empty);
    }
    if name.len() > MAX_NAME_BYTES {
        return Err(InvalidName::TooLong { name: name.to_owned() });
    }
    let allowed = |(at, c): (usize, char)| {
        c.is_ascii_alphanumeric() || (at > 0 && (c == '_' || c == '-' || extra.contains(&c)))
    };
    match name.char_indices().find(|&place| !allowed(place)) {
        Some((_, character)) => Err(InvalidName::Character { name: name.to_owned(), character }),
        None => Ok(()),
    }
}

fn check_path(path: &str) -> Result<(), InvalidName> {
    if path.split('/').count() > MAX_PATH_SEGMENTS {
        return Err(InvalidName::TooDeep { path: path.to_owned() });
    }
    path.split('/').try_for_each(|segment| check(segment, &[]))
}

fn check_tag_path(path: &str) -> Result<(), InvalidName> {
    let (source, tag) =
        path.split_once('.').ok_or_else(|| InvalidName::NotATagPath { path: path.to_owned() })?;
    check(source, &[])?;
    check(tag, &['.'])
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The checked text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> Result<(), InvalidName> = $check;
                check(text).map(|()| Self(text.into()))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// The site, the second level of ISA-95's role-based equipment hierarchy: `plant-7`.
    Site,
    |text| check(text, &[])
);
name!(
    /// One gateway of a site: `edge-01`.
    GatewayId,
    |text| check(text, &[])
);
name!(
    /// A device or server that is read: `press-1`.
    SourceName,
    |text| check(text, &[])
);
name!(
    /// One value of one source, unique within it: `temp` or `zone1.temp`.
    TagName,
    |text| check(text, &['.'])
);
name!(
    /// A tag with its source: `press-1.temp`.
    TagPath,
    check_tag_path
);
name!(
    /// An asset below its site, from area to equipment (ISA-95): `stamping/line-1/press-1`.
    AssetPath,
    check_path
);
name!(
    /// A machine state: `running`.
    StateName,
    |text| check(text, &[])
);
name!(
    /// One of the places that events are delivered to: `enterprise`.
    DestinationName,
    |text| check(text, &[])
);

impl TagPath {
    /// The path of `tag` of `source`.
    pub fn new(source: &SourceName, tag: &TagName) -> Self {
        Self(format!("{source}.{tag}").into())
    }
}

impl AssetPath {
    /// The asset that stands for the gateway itself in the events that it raises about itself.
    pub fn of_gateway(gateway: &GatewayId) -> Self {
        Self(format!("gateways/{gateway}").into())
    }

    /// Whether `other` is this asset or stands below it.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.strip_prefix(self.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_escape_a_topic_a_urn_or_a_folder_are_refused() {
        for bad in ["", "a b", "a/b", "a+b", "#", "..", "-a", "ä", "a:b", "a|b", &"x".repeat(65)] {
            assert!(bad.parse::<SourceName>().is_err(), "{bad:?} was taken");
        }
        for good in ["a", "press-1", "Press_1", "7"] {
            assert_eq!(good.parse::<SourceName>().expect(good).as_str(), good);
        }
    }

    #[test]
    fn asset_paths_have_up_to_eight_names() {
        assert!("stamping/line-1/press-1".parse::<AssetPath>().is_ok());
        assert!("a/b/c/d/e/f/g/h".parse::<AssetPath>().is_ok());
        for bad in ["a/b/c/d/e/f/g/h/i", "/a", "a/", "a//b", "a/../b"] {
            assert!(bad.parse::<AssetPath>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn an_asset_covers_itself_and_what_is_below_it() {
        let path = |text: &str| text.parse::<AssetPath>().expect("a path");
        let line = path("stamping/line-1");
        assert!(line.covers(&line) && line.covers(&path("stamping/line-1/press-1")));
        assert!(!line.covers(&path("stamping")) && !line.covers(&path("stamping/line-10")));
    }

    #[test]
    fn tag_paths_split_at_their_first_dot() {
        let path = "oven.zone1.temp".parse::<TagPath>().expect("source oven, tag zone1.temp");
        let made =
            TagPath::new(&"oven".parse().expect("a source name"), &"zone1.temp".parse().expect("a tag name"));
        assert_eq!(path, made);
        assert!("oven".parse::<TagPath>().is_err());
        assert!(".temp".parse::<TagPath>().is_err());
    }
}
