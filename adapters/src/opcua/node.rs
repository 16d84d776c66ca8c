//! The address of a node: its namespace by URI or index, and its identifier (OPC 10000-6, section 5.3.1.11).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use opcua::types::{Identifier, NodeId};

/// A node as configuration names it: `nsu=http://plant.example/oven;s=Temp`, `ns=2;i=1001` or `i=2258`.
///
/// A namespace by URI is looked up in each session, since servers number namespaces as they like
/// and anew at every start.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct NodeAddress {
    namespace: Namespace,
    identifier: Identifier,
}

/// Which namespace an identifier belongs to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Namespace {
    /// Its URI.
    Uri(Arc<str>),
    /// Its index at the server. It may be another one after the server's next start.
    Index(u16),
}

/// The text is not the address of a node.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidNode {
    /// `ns=` without a number from 0 to 65535, or without an identifier after it.
    #[error("{text:?} does not begin with a namespace index such as ns=2;")]
    Index {
        /// The text as it was given.
        text: String,
    },
    /// `nsu=` without a URI, or without an identifier after it.
    #[error("{text:?} does not begin with a namespace URI such as nsu=http://plant.example/oven;")]
    Uri {
        /// The text as it was given.
        text: String,
    },
    /// The identifier is of none of the four kinds.
    #[error("{text:?} has no identifier: i=NUMBER, s=TEXT, g=GUID or b=BASE64")]
    Identifier {
        /// The text as it was given.
        text: String,
    },
}

impl NodeAddress {
    /// The address of the node `id` at a server whose namespace array is `namespaces`: by URI wherever it has one.
    pub(super) fn of(id: &NodeId, namespaces: &[String]) -> Self {
        let uri = namespaces.get(usize::from(id.namespace)).filter(|uri| id.namespace > 0 && !uri.is_empty());
        let namespace = match uri {
            Some(uri) => Namespace::Uri(uri.as_str().into()),
            None => Namespace::Index(id.namespace),
        };
        Self { namespace, identifier: id.identifier.clone() }
    }

    /// The namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The node id at a server whose namespace array is `namespaces`; none when it lacks the namespace.
    pub(super) fn resolve(&self, namespaces: &[String]) -> Option<NodeId> {
        let index = match &self.namespace {
            Namespace::Index(index) => *index,
            Namespace::Uri(uri) => {
                let at = namespaces.iter().position(|known| **known == **uri)?;
                u16::try_from(at).ok()?
            }
        };
        Some(NodeId::new(index, self.identifier.clone()))
    }
}

impl FromStr for NodeAddress {
    type Err = InvalidNode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, identifier) = if let Some(rest) = text.strip_prefix("nsu=") {
            let uri_missing = || InvalidNode::Uri { text: text.to_owned() };
            let (uri, identifier) = rest.split_once(';').ok_or_else(uri_missing)?;
            if uri.is_empty() {
                return Err(uri_missing());
            }
            // A URI in this form has its ';' and '%' escaped (OPC 10000-6, section 5.3.1.11).
            (Namespace::Uri(uri.replace("%3B", ";").replace("%25", "%").into()), identifier)
        } else if let Some(rest) = text.strip_prefix("ns=") {
            let index = rest.split_once(';').and_then(|(index, id)| Some((index.parse().ok()?, id)));
            let (index, identifier) = index.ok_or_else(|| InvalidNode::Index { text: text.to_owned() })?;
            (Namespace::Index(index), identifier)
        } else {
            (Namespace::Index(0), text)
        };
        let identifier = parse_identifier(identifier);
        let identifier = identifier.ok_or_else(|| InvalidNode::Identifier { text: text.to_owned() })?;
        Ok(Self { namespace, identifier })
    }
}

/// The library's parser panics on texts whose third byte is inside a character, so it only gets the four kinds.
fn parse_identifier(text: &str) -> Option<Identifier> {
    let is_known = ["i=", "s=", "g=", "b="].iter().any(|kind| text.starts_with(kind));
    (is_known && text.len() > 2).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Namespace::Index(0) => {}
            Namespace::Index(index) => write!(f, "ns={index};")?,
            Namespace::Uri(uri) => write!(f, "nsu={};", uri.replace('%', "%25").replace(';', "%3B"))?,
        }
        write!(f, "{}", self.identifier)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::NodeAddress;

    #[test]
    fn all_four_kinds_are_read_and_shown_again() {
        for text in [
            "i=2258",
            "ns=2;i=1001",
            "ns=2;s=Oven.Temp",
            "ns=3;s=\"DB1\".\"temp;x\"",
            "nsu=http://plant.example/oven;s=Temp",
            "nsu=urn:a%3Bb%25;i=1",
            "ns=1;g=09087e75-8e5e-499b-954f-f2a9603db28a",
            "ns=1;b=M/RbKBsRVkePCePcx24oRA==",
        ] {
            assert_eq!(text.parse::<NodeAddress>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_names_no_node_is_refused() {
        for text in [
            "",
            "Temp",
            "ns=2",
            "ns=x;i=1",
            "ns=70000;i=1",
            "nsu=;i=1",
            "nsu=urn:a",
            "ns=2;",
            "i=-1",
            "s=",
            "aé",
            "g=1",
        ] {
            assert!(text.parse::<NodeAddress>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_uri_finds_its_index_wherever_the_server_put_it() {
        let node: NodeAddress = "nsu=urn:plant;s=T".parse().expect("an address");
        let at = |uris: &[&str]| {
            let uris: Vec<String> = uris.iter().map(|uri| (*uri).to_owned()).collect();
            node.resolve(&uris).map(|id| id.namespace)
        };
        assert_eq!(at(&["http://opcfoundation.org/UA/", "urn:server", "urn:plant"]), Some(2));
        assert_eq!(at(&["http://opcfoundation.org/UA/", "urn:server", "urn:more", "urn:plant"]), Some(3));
        assert_eq!(at(&["http://opcfoundation.org/UA/", "urn:server"]), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_read_is_read_again(text in any::<String>()) {
            for text in [text.clone(), format!("ns=1;{text}"), format!("nsu={text}"), format!("s={text}")] {
                if let Ok(node) = text.parse::<NodeAddress>() {
                    assert_eq!(node.to_string().parse::<NodeAddress>().expect("own display"), node);
                }
            }
        }
    }
}
