//! Learning the data types of structures from the server: those of the tags' own variables and what these refer to,
//! not its whole tree of types, which may have thousands. A session learns anew: a server's next start may number
//! its namespaces, and so its types, otherwise.

use opcua::types::{
    AttributeId, BrowseDescription, BrowseDirection, DataValue, NodeId, ReadValueId, ReferenceTypeId,
    StatusCode, StructureDefinition, TimestampsToReturn, Variant,
};

use super::Visit;
use crate::opcua::decode::Received;
use crate::opcua::failure::is_of_connection;
use crate::opcua::structure::{Told, unfold};

/// The attributes that tell what a type is.
const ATTRIBUTES: [AttributeId; 3] =
    [AttributeId::DataTypeDefinition, AttributeId::IsAbstract, AttributeId::BrowseName];
/// Types in a call, so that an answer with all their fields is no large message.
const TYPES_IN_A_CALL: usize = 50;
/// Types that mention types that mention types: the standard's own go five deep.
const MOST_ROUNDS: usize = 64;
/// Encodings that are learnt for a single value, which may have objects of any type within.
const MOST_ENCODINGS: usize = 64;
/// A type or an encoding has one parent.
const MOST_PARENTS: u32 = 10;

impl Visit<'_> {
    /// Learns the types of all variables of which some tag is a field.
    pub(super) async fn learn_all(&mut self) -> Result<(), StatusCode> {
        let firsts = self.sharing.firsts().filter(|first| self.sharing.has_fields(*first));
        let nodes: Vec<NodeId> = firsts.filter_map(|first| self.nodes[first].clone()).collect();
        self.learn_types_of(&nodes).await
    }

    /// A value as those who share it take it: unfolded, if any of them is a field. What that takes is learnt.
    pub(super) async fn received<'v>(
        &mut self,
        first: usize,
        value: &'v DataValue,
    ) -> Result<Received<'v>, StatusCode> {
        let Some(whole) = value.value.as_ref().filter(|_| self.sharing.has_fields(first)) else {
            return Ok(Received { value, unfolded: None });
        };
        let (mut node, mut unlearned) = unfold(whole, &self.types);
        for lesson in 0..MOST_ENCODINGS {
            let Some(encoding) = unlearned else { break };
            if lesson == 0 {
                // The variable may not have been there at the start.
                let variable: Vec<NodeId> = self.nodes[first].iter().cloned().collect();
                self.learn_types_of(&variable).await?;
            }
            if !self.types.knows(&encoding) {
                self.learn_encoding(encoding).await?;
            }
            (node, unlearned) = unfold(whole, &self.types);
        }
        Ok(Received { value, unfolded: Some(node) })
    }

    /// The same by what is known, when nobody can be asked any more.
    pub(super) fn received_as_known<'v>(&self, first: usize, value: &'v DataValue) -> Received<'v> {
        let whole = value.value.as_ref().filter(|_| self.sharing.has_fields(first));
        Received { value, unfolded: whole.map(|whole| unfold(whole, &self.types).0) }
    }

    /// Learns the types that these variables are declared to be of.
    async fn learn_types_of(&mut self, variables: &[NodeId]) -> Result<(), StatusCode> {
        for part in variables.chunks(self.read_size) {
            let asked: Vec<_> =
                part.iter().map(|node| ReadValueId::new(node.clone(), AttributeId::DataType)).collect();
            for value in self.read_of_types(&asked).await? {
                if let Some(Variant::NodeId(data_type)) = value.value {
                    self.types.mention(*data_type);
                }
            }
        }
        self.learn_mentioned().await
    }

    /// Learns of which type the values with an encoding are.
    async fn learn_encoding(&mut self, encoding: NodeId) -> Result<(), StatusCode> {
        let parents = self.parents(std::slice::from_ref(&encoding), ReferenceTypeId::HasEncoding).await?;
        let data_type = parents.into_iter().next().unwrap_or(Err(StatusCode::BadUnexpectedError));
        let data_type = data_type.map_err(|status| {
            format!("the server does not tell of which type the encoding {encoding} is: {status}")
        });
        self.types.tell_encoding(encoding, data_type);
        self.learn_mentioned().await
    }

    async fn learn_mentioned(&mut self) -> Result<(), StatusCode> {
        for _ in 0..MOST_ROUNDS {
            let mentioned = self.types.questions();
            if mentioned.is_empty() {
                break;
            }
            let size = TYPES_IN_A_CALL.min(self.read_size / ATTRIBUTES.len()).max(1);
            for part in mentioned.chunks(size) {
                self.learn_some(part).await?;
            }
        }
        self.types.conclude();
        Ok(())
    }

    async fn learn_some(&mut self, data_types: &[NodeId]) -> Result<(), StatusCode> {
        let asked = data_types
            .iter()
            .flat_map(|id| ATTRIBUTES.map(|attribute| ReadValueId::new(id.clone(), attribute)));
        let asked: Vec<_> = asked.collect();
        let values = self.read_of_types(&asked).await?;
        let mut kinds = Vec::new();
        for (data_type, values) in data_types.iter().zip(values.chunks_exact(ATTRIBUTES.len())) {
            let [definition, is_abstract, name] = values else { continue };
            let is_abstract = matches!(is_abstract.value, Some(Variant::Boolean(true)));
            let definition = match &definition.value {
                Some(Variant::ExtensionObject(object)) => object.inner_as::<StructureDefinition>(),
                _ => None,
            };
            match (definition, &name.value) {
                (Some(definition), name) => {
                    let name = match name {
                        Some(Variant::QualifiedName(name)) => name.name.to_string(),
                        _ => data_type.to_string(),
                    };
                    let definition = definition.clone();
                    self.types.tell(data_type.clone(), Told::Structure { name, is_abstract, definition });
                }
                (None, _) => kinds.push((data_type.clone(), is_abstract)),
            }
        }
        let asked: Vec<NodeId> = kinds.iter().map(|(data_type, _)| data_type.clone()).collect();
        let parents = self.parents(&asked, ReferenceTypeId::HasSubtype).await?;
        for ((data_type, is_abstract), parent) in kinds.into_iter().zip(parents) {
            let told = match parent {
                Ok(parent) => Told::KindOf { parent, is_abstract },
                Err(status) => Told::Nothing(status),
            };
            self.types.tell(data_type, told);
        }
        Ok(())
    }

    /// What refers to each of the nodes in this way.
    async fn parents(
        &mut self,
        nodes: &[NodeId],
        reference: ReferenceTypeId,
    ) -> Result<Vec<Result<NodeId, StatusCode>>, StatusCode> {
        if nodes.is_empty() {
            return Ok(Vec::new());
        }
        let asked = nodes.iter().map(|node| BrowseDescription {
            node_id: node.clone(),
            browse_direction: BrowseDirection::Inverse,
            reference_type_id: reference.into(),
            include_subtypes: false,
            node_class_mask: 0,
            result_mask: 0,
        });
        let asked: Vec<_> = asked.collect();
        let found = match self.session.browse(&asked, MOST_PARENTS, None).await {
            Ok(found) => found,
            Err(error) => return refused(error.status(), nodes.len(), Err),
        };
        let parents = found.into_iter().map(|found| {
            let parent = found.references.into_iter().flatten().next().map(|parent| parent.node_id.node_id);
            let status = if found.status_code.is_bad() { found.status_code } else { StatusCode::BadNotFound };
            parent.ok_or(status)
        });
        let missing = std::iter::repeat(Err(StatusCode::BadUnknownResponse));
        Ok(parents.chain(missing).take(nodes.len()).collect())
    }

    async fn read_of_types(&mut self, asked: &[ReadValueId]) -> Result<Vec<DataValue>, StatusCode> {
        match self.session.read(asked, TimestampsToReturn::Neither, 0.0).await {
            Ok(mut values) => {
                values.resize(asked.len(), DataValue::default());
                Ok(values)
            }
            Err(error) => refused(error.status(), asked.len(), |status| DataValue {
                status: Some(status),
                ..DataValue::default()
            }),
        }
    }
}

/// A call that fails for want of a connection fails. One that the server refuses leaves the types unknown, and
/// their tags bad.
fn refused<T: Clone>(
    status: StatusCode,
    asked: usize,
    answer: impl Fn(StatusCode) -> T,
) -> Result<Vec<T>, StatusCode> {
    if status == StatusCode::BadTimeout || is_of_connection(status) {
        return Err(status);
    }
    Ok(vec![answer(status); asked])
}
