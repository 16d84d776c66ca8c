//! Where events are published: topic names (MQTT 5.0, section 4.7) made from a template.
//!
//! Everything is checked when the configuration is read, so a [`Topic`] is always one that can be
//! published to. What a template cannot express, such as a wildcard, has no representation here.

use std::fmt;
use std::str::FromStr;

use penstock_events::Event;
use penstock_events::cloudevent::Origin;

/// The longest template or prefix, in bytes. Names are bounded too, so every topic stays far below
/// the 65,535 bytes that MQTT allows (section 1.5.4).
pub const MAX_TEMPLATE_BYTES: usize = 1024;

/// A topic name that can be published to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topic(String);

impl Topic {
    /// The topic name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The retained status of a gateway: `{prefix}/{site}/gateways/{gateway}/status`.
    pub fn of_status(prefix: &TopicPrefix, origin: &Origin) -> Self {
        Self(format!("{prefix}/{}/gateways/{}/status", origin.site, origin.gateway))
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first levels of all topics of a destination: `penstock` or `acme/edge`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopicPrefix(String);

impl FromStr for TopicPrefix {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_length(text)?;
        if text.starts_with('$') {
            return Err(InvalidTemplate::Reserved);
        }
        text.split('/').try_for_each(check_level)?;
        match text.find(['{', '}']) {
            Some(_) => Err(InvalidTemplate::PlaceholderInPrefix),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for TopicPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the topic of an event is made: text with placeholders, such as `{prefix}/{site}/{asset}/{type}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TopicTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Prefix,
    Site,
    Gateway,
    Asset,
    Type,
    Lane,
}

impl Field {
    const ALL: [(&'static str, Self); 6] = [
        ("prefix", Self::Prefix),
        ("site", Self::Site),
        ("gateway", Self::Gateway),
        ("asset", Self::Asset),
        ("type", Self::Type),
        ("lane", Self::Lane),
    ];
}

/// Why a text is not a topic template or prefix.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidTemplate {
    /// It is longer than [`MAX_TEMPLATE_BYTES`].
    #[error("it has {bytes} bytes; at most {MAX_TEMPLATE_BYTES} are taken")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Nothing stands between two slashes, before the first or after the last.
    #[error("it has an empty level; take out the leading, trailing or doubled '/'")]
    EmptyLevel,
    /// `+` and `#` are for subscribers.
    #[error("it holds the wildcard {0:?}, which only a subscription may")]
    Wildcard(char),
    /// A control character, which brokers may refuse (MQTT 5.0, section 1.5.4).
    #[error("it holds the control character {0:?}")]
    Control(char),
    /// Topics that start with `$` belong to the broker (MQTT 5.0, section 4.7.2).
    #[error("it starts with '$', which is reserved for the broker")]
    Reserved,
    /// No such placeholder.
    #[error(
        "it holds {{{0}}}, which is no placeholder; use {{prefix}}, {{site}}, {{gateway}}, {{asset}}, {{type}} or {{lane}}"
    )]
    UnknownPlaceholder(String),
    /// A brace without its partner.
    #[error("it holds a brace without its partner; a placeholder is written {{asset}}")]
    UnbalancedBrace,
    /// A prefix is plain text.
    #[error("a prefix is plain text and takes no placeholders")]
    PlaceholderInPrefix,
}

impl TopicTemplate {
    /// The topic of `event`.
    pub fn expand(&self, prefix: &TopicPrefix, origin: &Origin, event: &Event) -> Topic {
        let mut topic = String::with_capacity(128);
        for part in &self.parts {
            topic.push_str(match part {
                Part::Text(text) => text,
                Part::Field(Field::Prefix) => &prefix.0,
                Part::Field(Field::Site) => origin.site.as_str(),
                Part::Field(Field::Gateway) => origin.gateway.as_str(),
                Part::Field(Field::Asset) => event.asset.as_str(),
                Part::Field(Field::Type) => event.kind().as_str(),
                Part::Field(Field::Lane) => event.lane().as_str(),
            });
        }
        Topic(topic)
    }
}

impl Default for TopicTemplate {
    /// `{prefix}/{site}/{asset}/{type}`
    fn default() -> Self {
        "{prefix}/{site}/{asset}/{type}".parse().expect("the default template is valid")
    }
}

impl FromStr for TopicTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_length(text)?;
        if text.starts_with('$') {
            return Err(InvalidTemplate::Reserved);
        }
        text.split('/').try_for_each(check_level)?;
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(brace);
            let inside = from_brace.strip_prefix('{').ok_or(InvalidTemplate::UnbalancedBrace)?;
            let (name, after) = inside.split_once('}').ok_or(InvalidTemplate::UnbalancedBrace)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Field(field(name)?));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }
}

impl fmt::Display for TopicTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Field(field) => {
                let named = Field::ALL.iter().find(|(_, known)| known == field);
                write!(f, "{{{}}}", named.map_or("", |(name, _)| name))
            }
        })
    }
}

fn field(name: &str) -> Result<Field, InvalidTemplate> {
    Field::ALL
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, field)| *field)
        .ok_or_else(|| InvalidTemplate::UnknownPlaceholder(name.to_owned()))
}

fn check_length(text: &str) -> Result<(), InvalidTemplate> {
    match text.len() {
        bytes if bytes > MAX_TEMPLATE_BYTES => Err(InvalidTemplate::TooLong { bytes }),
        _ => Ok(()),
    }
}

fn check_level(level: &str) -> Result<(), InvalidTemplate> {
    if level.is_empty() {
        return Err(InvalidTemplate::EmptyLevel);
    }
    match level.chars().find(|c| matches!(c, '+' | '#') || c.is_control()) {
        Some(wildcard @ ('+' | '#')) => Err(InvalidTemplate::Wildcard(wildcard)),
        Some(control) => Err(InvalidTemplate::Control(control)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use penstock_events::{Fact, Quality, Timestamp};
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn origin() -> Origin {
        Origin { gateway: "edge-01".parse().expect("a name"), site: "plant-7".parse().expect("a name") }
    }

    fn event() -> Event {
        Event {
            asset: "stamping/line-1/press-1".parse().expect("a path"),
            time: Timestamp::EPOCH,
            observed: Timestamp::EPOCH,
            quality: Quality::Good,
            fact: Fact::GatewayStarted { version: Arc::from("1") },
        }
    }

    fn expand(template: &str) -> String {
        let template: TopicTemplate = template.parse().expect("a template");
        template.expand(&"acme/edge".parse().expect("a prefix"), &origin(), &event()).to_string()
    }

    #[test]
    fn every_placeholder_expands() {
        assert_eq!(
            expand("{prefix}/{site}/{asset}/{type}"),
            "acme/edge/plant-7/stamping/line-1/press-1/gateway.started"
        );
        assert_eq!(expand("v1/{lane}-of-{gateway}/x"), "v1/business-of-edge-01/x");
        assert_eq!(expand("{site}{site}"), "plant-7plant-7");
        assert_eq!(expand("all"), "all");
    }

    #[test]
    fn the_status_topic_stands_beside_the_gateways_own_events() {
        let prefix = "acme".parse().expect("a prefix");
        assert_eq!(Topic::of_status(&prefix, &origin()).as_str(), "acme/plant-7/gateways/edge-01/status");
    }

    #[test]
    fn what_cannot_be_published_to_is_refused_with_the_reason() {
        use InvalidTemplate::{
            Control, EmptyLevel, Reserved, TooLong, UnbalancedBrace, UnknownPlaceholder, Wildcard,
        };
        let cases = [
            ("", EmptyLevel),
            ("/a", EmptyLevel),
            ("a/", EmptyLevel),
            ("a//b", EmptyLevel),
            ("a/#", Wildcard('#')),
            ("a/+/b", Wildcard('+')),
            ("a\0", Control('\0')),
            ("$SYS/a", Reserved),
            ("a/{asse}", UnknownPlaceholder("asse".into())),
            ("a/{}", UnknownPlaceholder(String::new())),
            ("a/{asset", UnbalancedBrace),
            ("a/asset}", UnbalancedBrace),
            (&"x".repeat(1025), TooLong { bytes: 1025 }),
        ];
        for (template, error) in cases {
            assert_eq!(template.parse::<TopicTemplate>(), Err(error), "{template:?}");
        }
        for prefix in ["", "a/", "{site}", "a+", "$share/a"] {
            assert!(prefix.parse::<TopicPrefix>().is_err(), "{prefix:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_displays_as_itself_and_expands_to_a_publishable_topic(text in "[a-z${}/+#\\PC]{0,12}(\\{(prefix|site|gateway|asset|type|lane)\\})?[a-z/]{0,3}") {
            if let Ok(template) = text.parse::<TopicTemplate>() {
                prop_assert_eq!(template.to_string(), text.as_str());
                let topic = template.expand(&"p".parse().expect("a prefix"), &origin(), &event()).into_string();
                prop_assert!(!topic.is_empty() && topic.len() <= usize::from(u16::MAX));
                prop_assert!(!topic.contains(['+', '#', '\0']) && topic.split('/').all(|level| !level.is_empty()));
            }
        }
    }
}
