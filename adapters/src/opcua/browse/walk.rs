//! Which node is looked into next, and what was found so far. Pure.
//!
//! Level by level, so that a limit cuts off what is deepest. A node that is found again stands where it was found
//! first, so there are no circles.

use std::collections::{HashMap, VecDeque};

use opcua::types::{
    ExpandedNodeId, NodeClass, NodeId, ObjectId, QualifiedName, ReferenceDescription, ReferenceTypeId,
    StatusCode,
};

use super::attributes::Attributes;
use super::found::{Class, Found, FoundNode};
use crate::opcua::node::NodeAddress;

/// The property that tells a variable's unit (OPC 10000-8, section 5.6.3).
const UNIT: &str = "EngineeringUnits";
/// Names are cut after so many characters: a hostile server could send megabytes.
const LONGEST_NAME: usize = 200;

/// How far it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Levels below the start.
    pub(super) depth: usize,
    /// Nodes.
    pub(super) nodes: usize,
}

/// The first node.
pub(super) struct Start {
    pub(super) id: NodeId,
    pub(super) class: NodeClass,
    pub(super) name: QualifiedName,
    pub(super) display_name: String,
}

/// A reference to a node below another.
pub(super) struct Reference {
    /// None when the node is at another server, or in a namespace that the server does not list.
    target: Option<NodeId>,
    is_property: bool,
    class: NodeClass,
    name: QualifiedName,
    display_name: String,
}

/// The way so far.
pub(super) struct Walk {
    limits: Limits,
    places: Vec<Place>,
    known: HashMap<NodeId, usize>,
    /// Nodes that are to be looked into.
    queue: VecDeque<usize>,
    looked_into: u64,
    repeated: usize,
    elsewhere: usize,
    is_full: bool,
}

/// A node that was found.
struct Place {
    parent: Option<usize>,
    depth: usize,
    id: NodeId,
    name: QualifiedName,
    display_name: String,
    class: NodeClass,
    /// The property that tells its unit.
    unit: Option<NodeId>,
    note: Option<String>,
}

impl Reference {
    /// The reference that a server told, whose namespaces are `namespaces`.
    pub(super) fn of(told: ReferenceDescription, namespaces: &[String]) -> Self {
        let is_forward = told.is_forward;
        Self {
            target: target(&told.node_id, namespaces).filter(|_| is_forward),
            is_property: told.reference_type_id == ReferenceTypeId::HasProperty,
            class: told.node_class,
            name: told.browse_name,
            display_name: told.display_name.text.as_ref().to_owned(),
        }
    }
}

/// The node that a reference leads to, if it is at this server.
pub(super) fn target(told: &ExpandedNodeId, namespaces: &[String]) -> Option<NodeId> {
    let uri = told.namespace_uri.as_ref();
    let namespace = if uri.is_empty() {
        told.node_id.namespace
    } else {
        u16::try_from(namespaces.iter().position(|known| known == uri)?).ok()?
    };
    (told.server_index == 0).then(|| NodeId::new(namespace, told.node_id.identifier.clone()))
}

impl Walk {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: Vec::new(),
            known: HashMap::new(),
            queue: VecDeque::new(),
            looked_into: 0,
            repeated: 0,
            elsewhere: 0,
            is_full: false,
        }
    }

    /// Begins at `start`.
    pub(super) fn begin(&mut self, start: Start) {
        let Start { id, class, name, display_name } = start;
        let place = Place { parent: None, depth: 0, id, name, display_name, class, unit: None, note: None };
        self.add(place);
    }

    /// The next nodes to look into, at most so many.
    pub(super) fn next(&mut self, most: usize) -> Vec<usize> {
        let count = if self.is_full { 0 } else { self.queue.len().min(most) };
        self.looked_into += count as u64;
        self.queue.drain(..count).collect()
    }

    /// The server could not answer for these nodes at once: they are looked into again.
    pub(super) fn again(&mut self, indexes: &[usize]) {
        self.looked_into -= indexes.len() as u64;
        for index in indexes.iter().rev() {
            self.queue.push_front(*index);
        }
    }

    /// Takes what stands below the node at `index`.
    pub(super) fn take(&mut self, index: usize, references: impl Iterator<Item = Reference>) {
        for reference in references {
            let Reference { target, is_property, class, name, display_name } = reference;
            let Some(id) = target else {
                self.elsewhere += 1;
                continue;
            };
            let above = &mut self.places[index];
            // What describes a variable or a method is no part of the plant.
            if is_property && matches!(above.class, NodeClass::Variable | NodeClass::Method) {
                if name.namespace_index == 0 && name.name.as_ref() == UNIT {
                    above.unit = Some(id);
                }
                continue;
            }
            let depth = above.depth + 1;
            if depth > self.limits.depth {
                continue;
            }
            if self.known.contains_key(&id) {
                self.repeated += 1;
                continue;
            }
            if self.places.len() >= self.limits.nodes {
                self.is_full = true;
                return;
            }
            let parent = Some(index);
            self.add(Place { parent, depth, id, name, display_name, class, unit: None, note: None });
        }
    }

    /// The server does not tell what stands below the node at `index`.
    pub(super) fn refused(&mut self, index: usize, status: StatusCode) {
        self.places[index].note = Some(status.to_string());
    }

    /// The id of the node at `index`.
    pub(super) fn id(&self, index: usize) -> &NodeId {
        &self.places[index].id
    }

    /// Whether as many nodes were found as there may be, and there are more.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// How many nodes were looked into, of how many that are to be.
    pub(super) fn progress(&self) -> (u64, u64) {
        (self.looked_into, self.looked_into + self.queue.len() as u64)
    }

    /// The variables, each with the property that tells its unit.
    pub(super) fn variables(&self) -> impl Iterator<Item = (usize, &NodeId, Option<&NodeId>)> {
        let variables =
            self.places.iter().enumerate().filter(|(_, place)| place.class == NodeClass::Variable);
        variables.map(|(index, place)| (index, &place.id, place.unit.as_ref()))
    }

    /// All that was found.
    pub(super) fn found(
        self,
        namespaces: &[String],
        mut attributes: Attributes,
        cut_short: Option<String>,
    ) -> Found {
        let full = self.is_full.then(|| format!("there are more than {} nodes", self.limits.nodes));
        let node = |(index, place): (usize, Place)| FoundNode {
            parent: place.parent,
            depth: place.depth,
            address: NodeAddress::of(&place.id, namespaces),
            name: cut(place.name.name.as_ref()),
            display_name: cut(&place.display_name),
            class: class(place.class),
            variable: attributes.variable(index),
            note: place.note,
        };
        Found {
            nodes: self.places.into_iter().enumerate().map(node).collect(),
            repeated: self.repeated,
            elsewhere: self.elsewhere,
            cut_short: cut_short.or(full),
        }
    }

    fn add(&mut self, mut place: Place) {
        let index = self.places.len();
        let is_worth_it = match place.class {
            // Its unit is wanted, be it the last level.
            NodeClass::Variable => true,
            NodeClass::Method => false,
            _ => place.depth < self.limits.depth,
        };
        let describes_itself = place.parent.is_some() && place.id == ObjectId::Server;
        if describes_itself {
            place.note = Some("the server's own state: look with --from i=2253".to_owned());
        } else if is_worth_it {
            self.queue.push_back(index);
        }
        self.known.insert(place.id.clone(), index);
        self.places.push(place);
    }
}

fn class(class: NodeClass) -> Class {
    match class {
        NodeClass::Object => Class::Object,
        NodeClass::Variable => Class::Variable,
        NodeClass::Method => Class::Method,
        NodeClass::View => Class::View,
        NodeClass::ObjectType | NodeClass::VariableType | NodeClass::ReferenceType | NodeClass::DataType => {
            Class::Type
        }
        NodeClass::Unspecified => Class::Unknown,
    }
}

/// A name that is not too long to be shown.
pub(super) fn cut(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests;
