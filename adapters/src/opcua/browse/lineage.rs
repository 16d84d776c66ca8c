//! The names of data types, and what their values are: one value, or a structure of several.

use std::collections::HashMap;

use opcua::types::{
    AttributeId, BrowseDescription, BrowseDirection, BrowseResultMask, NodeId, ReferenceTypeId, Variant,
};

use super::Look;
use super::attributes::attribute_of;
use super::walk::{cut, target};
use crate::opcua::failure::Failure;

/// Types derive from types derive from types; real ones a few levels.
const MOST_LEVELS: usize = 10;
/// The most data types that are looked up.
const MOST_TYPES: usize = 2_000;

/// What is known of data types.
#[derive(Debug, Default)]
pub(super) struct DataTypes(HashMap<NodeId, DataType>);

#[derive(Debug)]
struct DataType {
    name: String,
    above: Option<NodeId>,
}

/// What values of a data type are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    One,
    Structure,
    Any,
}

impl DataTypes {
    /// The name of a data type.
    pub(super) fn name(&self, id: &NodeId) -> String {
        let known = self.0.get(id).map(|known| known.name.clone());
        known
            .or_else(|| id.as_data_type_id().ok().map(|id| format!("{id:?}")))
            .unwrap_or_else(|| id.to_string())
    }

    /// What its values are, by the built-in type that it derives from.
    pub(super) fn kind(&self, id: &NodeId) -> Kind {
        let mut id = id;
        for _ in 0..MOST_LEVELS {
            if let Some(kind) = built_in(id) {
                return kind;
            }
            match self.0.get(id).and_then(|known| known.above.as_ref()) {
                Some(above) => id = above,
                None => break,
            }
        }
        Kind::Any
    }

    fn lacks(&self, id: &NodeId) -> bool {
        !id.is_null() && built_in(id).is_none() && !self.0.contains_key(id)
    }
}

/// The built-in types (OPC 10000-6, section 5.1.2) and the abstract ones above them.
fn built_in(id: &NodeId) -> Option<Kind> {
    match id.as_data_type_id().ok()? as u32 {
        1..=21 | 26..=29 => Some(Kind::One),
        22 | 23 | 25 => Some(Kind::Structure),
        24 => Some(Kind::Any),
        _ => None,
    }
}

impl Look<'_> {
    /// Looks up the data types among `ids` that are not built in, and those that they derive from.
    pub(super) async fn read_data_types(&self, ids: Vec<NodeId>) -> Result<DataTypes, Failure> {
        let mut known = DataTypes::default();
        let mut wanted = ids;
        for _ in 0..MOST_LEVELS {
            wanted.retain(|id| known.lacks(id));
            wanted.sort_by_key(ToString::to_string);
            wanted.dedup();
            wanted.truncate(MOST_TYPES.saturating_sub(known.0.len()));
            if wanted.is_empty() {
                break;
            }
            let mut above = Vec::new();
            for part in wanted.chunks(self.browse_size.min(self.read_size).max(1)) {
                self.look_up(part, &mut known).await?;
                above.extend(part.iter().filter_map(|id| known.0.get(id)?.above.clone()));
            }
            wanted = above;
        }
        Ok(known)
    }

    async fn look_up(&self, ids: &[NodeId], known: &mut DataTypes) -> Result<(), Failure> {
        let names: Vec<_> = ids.iter().map(|id| attribute_of(id.clone(), AttributeId::BrowseName)).collect();
        let names =
            self.values(&names).await.map_err(|status| super::failed("reading data types", status))?;
        let asked: Vec<_> = ids.iter().map(derived_from).collect();
        let results = self.session.browse(&asked, 1, None).await;
        let results = results.map_err(|error| super::failed("browsing data types", error.status()))?;
        let mut points = Vec::new();
        for ((id, name), result) in ids.iter().zip(names).zip(results) {
            let name = match name {
                Some(Variant::QualifiedName(name)) => cut(name.name.as_ref()),
                _ => id.to_string(),
            };
            let first = result.references.unwrap_or_default().into_iter().next();
            let above = first.and_then(|one| target(&one.node_id, &self.namespaces));
            known.0.insert(id.clone(), DataType { name, above });
            if !result.continuation_point.is_null_or_empty() {
                points.push(result.continuation_point);
            }
        }
        if !points.is_empty() {
            let released = self.session.browse_next(true, &points).await;
            released.map_err(|error| super::failed("browsing data types", error.status()))?;
        }
        Ok(())
    }
}

fn derived_from(node_id: &NodeId) -> BrowseDescription {
    BrowseDescription {
        node_id: node_id.clone(),
        browse_direction: BrowseDirection::Inverse,
        reference_type_id: ReferenceTypeId::HasSubtype.into(),
        include_subtypes: true,
        node_class_mask: 0,
        result_mask: BrowseResultMask::None as u32,
    }
}
