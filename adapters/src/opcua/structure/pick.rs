//! The way from a value to the part of it that a tag is.

use opcua::types::Variant;

use super::super::part::Step;
use super::definitions::Field;
use super::fault::{Fault, NoField};
use super::unfold::Node;

/// The value at the end of the way.
pub(in super::super) fn pick<'n>(mut node: &'n Node, steps: &[Step]) -> Result<&'n Variant, Fault> {
    for step in steps {
        node = match (node, step) {
            (Node::Structure { shape, fields }, Step::Field(name)) => {
                let at = shape.find(name).ok_or_else(|| {
                    let has = shape.fields.iter().map(shown).collect();
                    let structure = format!("the structure {}", shape.name);
                    Fault::NoField(Box::new(NoField { structure, field: name.clone(), has }))
                })?;
                &fields[at]
            }
            (Node::Array { nodes, dimensions }, Step::Element(indexes)) => {
                let at = place(indexes, dimensions.as_deref()).ok_or(Fault::NoElement)?;
                nodes.get(at).ok_or(Fault::NoElement)?
            }
            (Node::Nothing(fault), _) => return Err(fault.clone()),
            (Node::Array { .. }, Step::Field(_)) => return Err(Fault::WholeArray),
            (Node::Value(_), Step::Field(_)) => return Err(Fault::NotAStructure),
            (Node::Structure { .. } | Node::Value(_), Step::Element(_)) => return Err(Fault::NoElement),
        };
    }
    match node {
        Node::Value(value) => Ok(value),
        Node::Nothing(fault) => Err(fault.clone()),
        Node::Structure { .. } => Err(Fault::WholeStructure),
        Node::Array { .. } => Err(Fault::WholeArray),
    }
}

/// A field as one would have to name it.
fn shown(field: &Field) -> String {
    match field.dimensions {
        0 => field.name.clone(),
        more => format!("{}[{}]", field.name, ",".repeat(more - 1)),
    }
}

/// The place of an element among all, row by row: none when the array has not so many dimensions, or not so many
/// elements in one of them. A single index counts row by row itself.
pub(in super::super) fn place(indexes: &[u32], dimensions: Option<&[u32]>) -> Option<usize> {
    if let [index] = indexes {
        return usize::try_from(*index).ok();
    }
    let dimensions = dimensions.filter(|dimensions| dimensions.len() == indexes.len())?;
    indexes.iter().zip(dimensions).try_fold(0_usize, |before, (index, size)| {
        let (index, size) = (usize::try_from(*index).ok()?, usize::try_from(*size).ok()?);
        (index < size).then(|| before.checked_mul(size)?.checked_add(index)).flatten()
    })
}
