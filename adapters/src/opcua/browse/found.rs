//! What was found, in words of our own.

use penstock_events::{Sample, Value};

use crate::opcua::node::NodeAddress;

/// The part of a server's address space that was looked through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The nodes, each after the one that it stands below; the first is the start.
    pub nodes: Vec<FoundNode>,
    /// How many references led to nodes that had been found before: they stand where they were found first.
    pub repeated: usize,
    /// How many references led to other servers.
    pub elsewhere: usize,
    /// Why not everything was looked at.
    pub cut_short: Option<String>,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundNode {
    /// The index of the node that it stands below; none for the start.
    pub parent: Option<usize>,
    /// How many levels it is below the start.
    pub depth: usize,
    /// Its address, with the URI of its namespace.
    pub address: NodeAddress,
    /// Its browse name, without its namespace. From the server: escape before showing.
    pub name: String,
    /// Its name for people, which may be the same.
    pub display_name: String,
    /// What it is.
    pub class: Class,
    /// More about it, if it is a variable.
    pub variable: Option<FoundVariable>,
    /// Why what stands below it is missing.
    pub note: Option<String>,
}

/// What a node is (OPC 10000-3, section 5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// A thing, or a folder.
    Object,
    /// A value.
    Variable,
    /// A function, which is never called.
    Method,
    /// A view.
    View,
    /// A type of something.
    Type,
    /// The server does not say.
    Unknown,
}

/// A variable.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundVariable {
    /// The name of its data type.
    pub data_type: String,
    /// What its values are.
    pub shape: Shape,
    /// Whether this user may read it; none when the server does not say.
    pub is_readable: Option<bool>,
    /// Whether this user may write it, which penstock never does.
    pub is_writable: Option<bool>,
    /// Whether the server keeps its history.
    pub is_historizing: Option<bool>,
    /// Its unit: a UCUM code where one is known, else the server's word.
    pub unit: Option<String>,
    /// Its value, if that was asked for.
    pub value: Option<Shown>,
}

/// What values are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// One value that a tag can have.
    One,
    /// An array of so many dimensions, whose elements can be tags.
    Array {
        /// How many.
        dimensions: u32,
    },
    /// A structure, or an array of structures.
    Structure,
    /// Anything: the server does not say.
    Any,
}

/// A value as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// One value, or why there is none.
    One(Sample),
    /// An array.
    Array {
        /// Its first elements.
        first: Vec<Value>,
        /// How many it has.
        count: usize,
    },
    /// A structure.
    Structure,
}

impl Found {
    /// The path of each node from below the start on, and the start's own name for itself.
    pub fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let above = node.parent.filter(|parent| self.nodes[*parent].parent.is_some());
            paths.push(match above.and_then(|parent| paths.get(parent)) {
                Some(above) => format!("{above}/{}", node.name),
                None => node.name.clone(),
            });
        }
        paths
    }
}

impl Class {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Variable => "variable",
            Self::Method => "method",
            Self::View => "view",
            Self::Type => "type",
            Self::Unknown => "unknown",
        }
    }
}
