//! What a server told of its data types (OPC 10000-3, sections 8.48 to 8.51), and what follows from it.

use std::collections::HashMap;
use std::sync::Arc;

use opcua::types::{
    ContextOwned, Identifier, NodeId, StatusCode, StructureDefinition, StructureField, StructureType,
    VariantScalarTypeId,
};

/// The most types of one server: whole companion specifications have some hundred.
const MOST_TYPES: usize = 10_000;
/// A type is a kind of another, which is a kind of another; the standard's own go six deep.
const MOST_ANCESTORS: usize = 32;

/// What the server told of a data type.
#[derive(Clone, Debug)]
pub(in super::super) enum Told {
    /// It is a structure of these fields.
    Structure {
        /// Its name, for people.
        name: String,
        /// Whether values are of a type that is a kind of it.
        is_abstract: bool,
        /// Its fields.
        definition: StructureDefinition,
    },
    /// It is a kind of another.
    KindOf {
        /// That one.
        parent: NodeId,
        /// Whether values are of a type that is a kind of it.
        is_abstract: bool,
    },
    /// Nothing.
    Nothing(StatusCode),
}

/// The types of a server, as far as they were asked for.
#[derive(Default)]
pub(in super::super) struct Types {
    told: HashMap<NodeId, Told>,
    /// Types that others mention, and of which the server is to be asked.
    mentioned: Vec<NodeId>,
    /// The data type of an encoding, where the types do not say themselves which is theirs; or why there is none.
    encodings: HashMap<NodeId, Result<NodeId, Arc<str>>>,
    kinds: HashMap<NodeId, Kind>,
    shapes: Vec<Arc<Shape>>,
    pub(super) context: ContextOwned,
}

/// How values of a type stand in a structure.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// As a built-in type.
    BuiltIn(VariantScalarTypeId),
    /// As the fields of the shape at this place.
    Structure(usize),
    /// Nobody knows, and why.
    Untold(Arc<str>),
}

/// The fields of a structure.
#[derive(Debug)]
pub(in super::super) struct Shape {
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) fields: Vec<Field>,
    index: HashMap<String, usize>,
}

/// Which of its fields a structure has (OPC 10000-6, sections 5.2.6 to 5.2.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// All.
    All,
    /// All but optional ones that are left out.
    SomeOptional,
    /// One.
    One,
}

/// A field of a structure.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// How many dimensions it has; a single value has none.
    pub(super) dimensions: usize,
    pub(super) is_optional: bool,
}

impl Types {
    /// Takes note of a type that is needed.
    pub(in super::super) fn mention(&mut self, data_type: NodeId) {
        let is_news = built_in(&data_type).is_none() && !self.told.contains_key(&data_type);
        if is_news && !data_type.is_null() && !self.mentioned.contains(&data_type) {
            self.mentioned.push(data_type);
        }
    }

    /// The types of which the server is to be asked next.
    pub(in super::super) fn questions(&mut self) -> Vec<NodeId> {
        self.mentioned.truncate(MOST_TYPES.saturating_sub(self.told.len()));
        std::mem::take(&mut self.mentioned)
    }

    /// Takes what the server told of a type; the types that it mentions are to be asked for in turn.
    pub(in super::super) fn tell(&mut self, data_type: NodeId, told: Told) {
        self.told.insert(data_type, told.clone());
        match told {
            Told::Structure { definition, .. } => {
                for field in definition.fields.into_iter().flatten() {
                    self.mention(field.data_type);
                }
            }
            Told::KindOf { parent, .. } => self.mention(parent),
            Told::Nothing(_) => {}
        }
    }

    /// Takes which type an encoding is of, or why that cannot be known.
    pub(in super::super) fn tell_encoding(&mut self, encoding: NodeId, data_type: Result<NodeId, String>) {
        if let Ok(data_type) = &data_type {
            self.mention(data_type.clone());
        }
        self.encodings.insert(encoding, data_type.map_err(Arc::from));
    }

    /// Draws the conclusions from what was told. Until then it changes nothing.
    pub(in super::super) fn conclude(&mut self) {
        let structures = self.told.iter().filter_map(|(id, told)| match told {
            Told::Structure { name, definition, .. } => Some((id, name, definition)),
            Told::KindOf { .. } | Told::Nothing(_) => None,
        });
        let structures: Vec<_> = structures.collect();
        let places: HashMap<&NodeId, usize> =
            structures.iter().enumerate().map(|(place, (id, ..))| (*id, place)).collect();
        let shapes = structures.iter().map(|(_, name, definition)| {
            let kind_of = |field: &StructureField| self.kind_of(&field.data_type, &places);
            Arc::new(Shape::new(name, definition, kind_of))
        });
        let shapes = shapes.collect();
        let mut kinds = HashMap::new();
        for (id, _, definition) in &structures {
            // Some servers name the type where its encoding belongs.
            for encoding in [&definition.default_encoding_id, *id] {
                kinds.insert(encoding.clone(), Kind::Structure(places[*id]));
            }
        }
        for (encoding, data_type) in &self.encodings {
            let kind = match data_type {
                Ok(data_type) => self.kind_of(data_type, &places),
                Err(reason) => Kind::Untold(Arc::clone(reason)),
            };
            kinds.entry(encoding.clone()).or_insert(kind);
        }
        (self.kinds, self.shapes) = (kinds, shapes);
    }

    /// Whether it was learnt what values with this encoding are, or that this cannot be learnt.
    pub(in super::super) fn knows(&self, encoding: &NodeId) -> bool {
        self.kinds.contains_key(encoding)
    }

    pub(super) fn of_encoding(&self, encoding: &NodeId) -> Option<&Kind> {
        self.kinds.get(encoding)
    }

    pub(super) fn shape(&self, place: usize) -> &Arc<Shape> {
        &self.shapes[place]
    }

    fn kind_of(&self, data_type: &NodeId, places: &HashMap<&NodeId, usize>) -> Kind {
        const OBJECT: Kind = Kind::BuiltIn(VariantScalarTypeId::ExtensionObject);
        let untold = |reason: &str| Kind::Untold(format!("the server does not tell {reason}").into());
        let mut ancestor = data_type;
        for _ in 0..MOST_ANCESTORS {
            match built_in(ancestor) {
                // What is a kind of Structure has fields.
                Some(VariantScalarTypeId::ExtensionObject) if ancestor != data_type => {
                    return untold(&format!(
                        "the fields of the type {data_type}: it has no DataTypeDefinition, as servers before \
                         OPC UA 1.04 have none"
                    ));
                }
                Some(built_in) => return Kind::BuiltIn(built_in),
                None => {}
            }
            match self.told.get(ancestor) {
                Some(Told::Structure { is_abstract: true, .. }) => return OBJECT,
                Some(Told::KindOf { is_abstract: true, parent }) if *parent == STRUCTURE => return OBJECT,
                Some(Told::Structure { .. }) => return Kind::Structure(places[ancestor]),
                Some(Told::KindOf { parent, .. }) => ancestor = parent,
                Some(Told::Nothing(status)) => {
                    return untold(&format!("what the type {ancestor} is: {status}"));
                }
                None => return untold(&format!("as many types as are needed for {data_type}")),
            }
        }
        untold(&format!("of which built-in type {data_type} is"))
    }
}

/// The type of which each structure is a kind.
const STRUCTURE: NodeId = NodeId { namespace: 0, identifier: Identifier::Numeric(22) };

/// The built-in type as which values of a type of the standard stand in a structure (OPC 10000-6, section 5.1.2).
fn built_in(data_type: &NodeId) -> Option<VariantScalarTypeId> {
    let NodeId { namespace: 0, identifier: Identifier::Numeric(number) } = data_type else { return None };
    match number {
        // Number, Integer and UInteger are abstract: the value says what it is.
        26..=28 => Some(VariantScalarTypeId::Variant),
        29 => Some(VariantScalarTypeId::Int32),
        50 => Some(VariantScalarTypeId::ExtensionObject),
        1..=25 => VariantScalarTypeId::try_from(*number).ok(),
        _ => None,
    }
}

impl Shape {
    fn new(name: &str, definition: &StructureDefinition, kind_of: impl Fn(&StructureField) -> Kind) -> Self {
        let (form, has_subtypes) = match definition.structure_type {
            StructureType::Structure => (Form::All, false),
            StructureType::StructureWithOptionalFields => (Form::SomeOptional, false),
            StructureType::Union => (Form::One, false),
            StructureType::StructureWithSubtypedValues => (Form::All, true),
            StructureType::UnionWithSubtypedValues => (Form::One, true),
        };
        let fields = definition.fields.iter().flatten().map(|field| {
            let mut kind = kind_of(field);
            // Such a structure has no optional fields, and the mark says that a value may be of a kind of the type.
            if has_subtypes && field.is_optional {
                kind = match kind {
                    Kind::BuiltIn(VariantScalarTypeId::ExtensionObject) | Kind::Structure(_) => {
                        Kind::BuiltIn(VariantScalarTypeId::ExtensionObject)
                    }
                    Kind::BuiltIn(_) => Kind::BuiltIn(VariantScalarTypeId::Variant),
                    untold @ Kind::Untold(_) => untold,
                };
            }
            let name = field.name.as_ref().to_owned();
            let dimensions = usize::try_from(field.value_rank).unwrap_or(0);
            Field { name, kind, dimensions, is_optional: form == Form::SomeOptional && field.is_optional }
        });
        let fields: Vec<Field> = fields.collect();
        let index = fields.iter().enumerate().map(|(at, field)| (field.name.clone(), at)).collect();
        Self { name: name.to_owned(), form, fields, index }
    }

    /// The place of a field.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }
}
