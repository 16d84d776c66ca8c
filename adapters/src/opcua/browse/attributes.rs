//! What the variables are: their types, who may read them, their units and, if wanted, their values.

use std::collections::HashMap;

use opcua::types::{
    AttributeId, DataValue, EUInformation, NodeId, ReadValueId, StatusCode, TimestampsToReturn, Variant,
};
use penstock_events::{Sample, Value};

use super::found::{FoundVariable, Shape, Shown};
use super::lineage::{DataTypes, Kind};
use super::{BrowseProgress, Look, unit};
use crate::opcua::decode::Received;
use crate::opcua::failure::Failure;
use crate::opcua::part::Part;
use crate::opcua::request;

/// How many attributes are read at once: a reply comes soon, also with values among them.
const MOST_READS: usize = 500;
/// How many elements of an array are kept to be shown.
const ELEMENTS: usize = 8;
/// The bits of an access level (OPC 10000-3, section 8.57).
const READ: u8 = 1;
const WRITE: u8 = 2;

/// What was read of the variables.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    read: HashMap<usize, Read>,
    types: DataTypes,
}

/// What was read of one.
#[derive(Debug, Default)]
struct Read {
    data_type: NodeId,
    rank: Option<i32>,
    access: Option<u8>,
    is_historizing: Option<bool>,
    unit: Option<String>,
    value: Option<DataValue>,
}

/// One thing to read of a variable.
#[derive(Clone, Copy)]
enum What {
    DataType,
    Rank,
    Access,
    Historizing,
    Unit,
    Value,
}

impl Attributes {
    /// What the variable at `index` is.
    pub(super) fn variable(&mut self, index: usize) -> Option<FoundVariable> {
        let Read { data_type, rank, access, is_historizing, unit, value } = self.read.remove(&index)?;
        Some(FoundVariable {
            data_type: if data_type.is_null() { String::new() } else { self.types.name(&data_type) },
            shape: shape(self.types.kind(&data_type), rank),
            is_readable: access.map(|access| access & READ != 0),
            is_writable: access.map(|access| access & WRITE != 0),
            is_historizing,
            unit,
            value: value.as_ref().map(shown),
        })
    }
}

impl Read {
    fn take(&mut self, what: What, told: DataValue) {
        if let What::Value = what {
            self.value = Some(told);
            return;
        }
        match (what, told.value) {
            (What::DataType, Some(Variant::NodeId(id))) => self.data_type = *id,
            (What::Rank, Some(Variant::Int32(rank))) => self.rank = Some(rank),
            (What::Access, Some(Variant::Byte(access))) => self.access = Some(access),
            (What::Historizing, Some(Variant::Boolean(is))) => self.is_historizing = Some(is),
            (What::Unit, Some(Variant::ExtensionObject(object))) => {
                self.unit = object.inner_as::<EUInformation>().and_then(unit::of);
            }
            _ => {}
        }
    }
}

/// The shape of values by their kind and rank (OPC 10000-3, section 8.6).
fn shape(kind: Kind, rank: Option<i32>) -> Shape {
    match (kind, rank) {
        (Kind::Structure, _) => Shape::Structure,
        (_, Some(dimensions @ 1..)) => Shape::Array { dimensions: dimensions.unsigned_abs() },
        (_, Some(0)) => Shape::Array { dimensions: 1 },
        (Kind::One, None | Some(-1)) => Shape::One,
        _ => Shape::Any,
    }
}

/// A value as it is shown.
fn shown(value: &DataValue) -> Shown {
    match &value.value {
        Some(Variant::Array(array)) if value.status.is_none_or(|status| !status.is_bad()) => {
            let element = |element: &Variant| match sample(&DataValue {
                value: Some(element.clone()),
                ..DataValue::default()
            }) {
                Sample::Good(value) | Sample::Uncertain(value, _) => value,
                Sample::Bad(_) => Value::Text("…".into()),
            };
            let first = array.values.iter().take(ELEMENTS).map(element).collect();
            Shown::Array { first, count: array.values.len() }
        }
        Some(Variant::ExtensionObject(_)) => Shown::Structure,
        _ => Shown::One(sample(value)),
    }
}

fn sample(value: &DataValue) -> Sample {
    Received { value, unfolded: None }.sample(&Part::default()).0
}

impl Look<'_> {
    /// Reads what the variables are.
    pub(super) async fn read_variables(
        &mut self,
        progress: &mut impl FnMut(BrowseProgress),
    ) -> Result<(), Failure> {
        let asked = self.questions();
        let total = asked.len() as u64;
        let mut size = self.read_size.min(MOST_READS);
        let mut rest = &asked[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(size));
            let requests: Vec<ReadValueId> = part.iter().map(|(.., request)| request.clone()).collect();
            match self.read(&requests).await {
                Ok(values) => {
                    for ((index, what, _), value) in part.iter().zip(values) {
                        self.attributes.read.entry(*index).or_default().take(*what, value);
                    }
                    rest = after;
                }
                Err(status) if request::is_too_large(status) && part.len() > 1 => {
                    size = part.len().div_ceil(2);
                }
                Err(status) => return Err(super::failed("reading the variables", status)),
            }
            progress(BrowseProgress::Attributes { done: total - rest.len() as u64, total });
        }
        let types = self.attributes.read.values().map(|read| read.data_type.clone()).collect();
        self.attributes.types = self.read_data_types(types).await?;
        Ok(())
    }

    fn questions(&self) -> Vec<(usize, What, ReadValueId)> {
        let mut asked = Vec::new();
        for (index, id, unit) in self.walk.variables() {
            let mut ask = |what, id: &NodeId, attribute| {
                asked.push((index, what, attribute_of(id.clone(), attribute)));
            };
            ask(What::DataType, id, AttributeId::DataType);
            ask(What::Rank, id, AttributeId::ValueRank);
            ask(What::Access, id, AttributeId::UserAccessLevel);
            ask(What::Historizing, id, AttributeId::Historizing);
            if let Some(unit) = unit {
                ask(What::Unit, unit, AttributeId::Value);
            }
            if self.browse.with_values {
                ask(What::Value, id, AttributeId::Value);
            }
        }
        asked
    }

    /// The values of attributes, as many as were asked for.
    async fn read(&self, asked: &[ReadValueId]) -> Result<Vec<DataValue>, StatusCode> {
        let values = self.session.read(asked, TimestampsToReturn::Both, 0.0).await;
        let values = values.map_err(|error| error.status())?;
        if values.len() == asked.len() { Ok(values) } else { Err(StatusCode::BadUnknownResponse) }
    }

    pub(super) async fn values(&self, asked: &[ReadValueId]) -> Result<Vec<Option<Variant>>, StatusCode> {
        Ok(self.read(asked).await?.into_iter().map(|value| value.value).collect())
    }
}

/// An attribute of a node.
pub(super) fn attribute_of(node_id: NodeId, attribute: AttributeId) -> ReadValueId {
    ReadValueId { attribute_id: attribute as u32, ..request::value_of(node_id) }
}

#[cfg(test)]
mod tests {
    use opcua::types::{DataValue, ExtensionObject, StatusCode, Variant};
    use penstock_events::{Cause, Sample, Value};

    use super::{Kind, Shape, Shown, shape, shown};

    #[test]
    fn a_shape_follows_from_the_type_and_its_rank() {
        assert_eq!(shape(Kind::One, Some(-1)), Shape::One);
        assert_eq!(shape(Kind::One, None), Shape::One);
        assert_eq!(shape(Kind::One, Some(-2)), Shape::Any);
        assert_eq!(shape(Kind::One, Some(2)), Shape::Array { dimensions: 2 });
        assert_eq!(shape(Kind::One, Some(i32::MIN)), Shape::Any);
        assert_eq!(shape(Kind::Structure, Some(1)), Shape::Structure);
        assert_eq!(shape(Kind::Any, Some(-1)), Shape::Any);
    }

    #[test]
    fn long_arrays_are_cut_and_what_is_bad_or_no_value_is_said() {
        let many: Vec<i32> = (0..100).collect();
        let first = (0..8).map(Value::Int).collect();
        assert_eq!(shown(&DataValue::new_now(many)), Shown::Array { first, count: 100 });
        let structure = DataValue {
            value: Some(Variant::ExtensionObject(ExtensionObject::null())),
            ..DataValue::default()
        };
        assert_eq!(shown(&structure), Shown::Structure);
        let bad = DataValue { status: Some(StatusCode::BadNotReadable), ..DataValue::default() };
        assert_eq!(shown(&bad), Shown::One(Sample::Bad(Cause::OpcUaStatus(0x803A_0000))));
    }
}
