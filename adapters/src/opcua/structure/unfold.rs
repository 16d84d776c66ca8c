//! A value as a tree: the bytes of structures are read by their types (OPC 10000-6, section 5.2).

use std::io::Read;
use std::sync::Arc;

use opcua::types::{
    Array, BinaryDecodable, ByteStringBody, Context, ExtensionObject, NodeId, StatusCode, Variant,
    VariantScalarTypeId, XmlBody,
};

use super::super::decode;
use super::definitions::{Field, Form, Kind, Shape, Types};
use super::fault::Fault;

/// The most values in a tree. A tree of them takes some megabytes, and is gone with the message that it came in.
const MOST_VALUES: usize = 100_000;
/// The most parts in parts.
const MOST_DEPTH: usize = 32;

/// A value, or what it is made of.
#[derive(Debug)]
pub(in super::super) enum Node {
    /// A value of a built-in type.
    Value(Variant),
    /// A structure.
    Structure {
        /// Its fields.
        shape: Arc<Shape>,
        /// Their values, in the same order.
        fields: Vec<Node>,
    },
    /// An array.
    Array {
        /// Its elements, row by row.
        nodes: Vec<Node>,
        /// Its size in each dimension, where there are several.
        dimensions: Option<Vec<u32>>,
    },
    /// None, and why.
    Nothing(Fault),
}

/// Unfolds a value, and says which encoding must be learnt for what could not be.
pub(in super::super) fn unfold(value: &Variant, types: &Types) -> (Node, Option<NodeId>) {
    let context = types.context.context();
    let mut unfolder = Unfolder { types, context, values: 0, depth: 0, unlearned: None };
    let node = unfolder.variant(value).unwrap_or_else(Node::Nothing);
    (node, unfolder.unlearned)
}

struct Unfolder<'t> {
    types: &'t Types,
    context: Context<'t>,
    values: usize,
    depth: usize,
    unlearned: Option<NodeId>,
}

/// Bytes that are still to be read.
type Rest<'b> = &'b [u8];

impl Unfolder<'_> {
    fn variant(&mut self, value: &Variant) -> Result<Node, Fault> {
        self.count()?;
        match value {
            Variant::Empty => Ok(null()),
            Variant::Variant(inner) => self.deeper(|within| within.variant(inner)),
            Variant::ExtensionObject(object) => self.deeper(|within| Ok(within.object(object))),
            Variant::Array(array) => self.deeper(|within| within.array(array)),
            value => Ok(Node::Value(value.clone())),
        }
    }

    fn array(&mut self, array: &Array) -> Result<Node, Fault> {
        let nodes = array.values.iter().map(|value| self.variant(value)).collect::<Result<_, _>>()?;
        Ok(Node::Array { nodes, dimensions: array.dimensions.clone() })
    }

    /// An object that the library has decoded, or has left alone since it does not know its type.
    fn object(&mut self, object: &ExtensionObject) -> Node {
        let Some(body) = &object.body else { return null() };
        if let Some(raw) = object.inner_as::<ByteStringBody>() {
            return self.body(raw.encoding_id(), raw.raw_body().as_ref());
        }
        if object.inner_is::<XmlBody>() {
            return Node::Nothing(Fault::NotBinary);
        }
        let mut bytes = Vec::new();
        match body.encode_binary(&mut bytes, &self.context) {
            Ok(()) => self.body(&object.binary_type_id().node_id, &bytes),
            Err(_unlike_what_came) => Node::Nothing(Fault::Misfit),
        }
    }

    /// What the bytes of an object are. They are its own, so what is wrong with them is nobody else's trouble.
    fn body(&mut self, encoding: &NodeId, mut bytes: Rest<'_>) -> Node {
        let read = match self.types.of_encoding(encoding) {
            Some(Kind::Structure(place)) => match self.structure(*place, &mut bytes) {
                Ok(_) if !bytes.is_empty() => Err(Fault::Misfit),
                read => read,
            },
            Some(Kind::BuiltIn(_)) => Err(Fault::Misfit),
            Some(Kind::Untold(reason)) => Err(Fault::Untold(Arc::clone(reason))),
            None => {
                self.unlearned.get_or_insert_with(|| encoding.clone());
                Err(Fault::Unlearned(encoding.clone()))
            }
        };
        read.unwrap_or_else(Node::Nothing)
    }

    fn structure(&mut self, place: usize, rest: &mut Rest<'_>) -> Result<Node, Fault> {
        let shape = Arc::clone(self.types.shape(place));
        let fields = self.deeper(|within| match shape.form {
            Form::All => shape.fields.iter().map(|field| within.field(field, rest)).collect(),
            Form::SomeOptional => within.optional_fields(&shape, rest),
            Form::One => within.union(&shape, rest),
        })?;
        Ok(Node::Structure { shape, fields })
    }

    /// The bits of the mask are those of the optional fields, in their order.
    fn optional_fields(&mut self, shape: &Shape, rest: &mut Rest<'_>) -> Result<Vec<Node>, Fault> {
        let mask = u32::from_le_bytes(take(rest)?);
        let mut bits = (0..).map(|bit| mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1));
        let read = shape.fields.iter().map(|field| {
            let is_there = !field.is_optional || bits.next().unwrap_or(false);
            if is_there { self.field(field, rest) } else { Ok(null()) }
        });
        read.collect()
    }

    /// The number is that of the one field, counted from 1, or 0 for none.
    fn union(&mut self, shape: &Shape, rest: &mut Rest<'_>) -> Result<Vec<Node>, Fault> {
        let number = usize::try_from(u32::from_le_bytes(take(rest)?)).map_err(|_| Fault::Misfit)?;
        if number > shape.fields.len() {
            return Err(Fault::Misfit);
        }
        let read = shape
            .fields
            .iter()
            .enumerate()
            .map(|(at, field)| if at + 1 == number { self.field(field, rest) } else { Ok(null()) });
        read.collect()
    }

    fn field(&mut self, field: &Field, rest: &mut Rest<'_>) -> Result<Node, Fault> {
        match field.dimensions {
            0 => self.one(&field.kind, rest),
            1 => {
                let length = length(rest)?;
                self.many(&field.kind, length, None, rest)
            }
            several => {
                let (dimensions, length) = dimensions(rest)?;
                if dimensions.len() != several && !dimensions.is_empty() {
                    return Err(Fault::Misfit);
                }
                self.many(&field.kind, length, Some(dimensions), rest)
            }
        }
    }

    fn many(
        &mut self,
        kind: &Kind,
        length: usize,
        dimensions: Option<Vec<u32>>,
        rest: &mut Rest<'_>,
    ) -> Result<Node, Fault> {
        if length > MOST_VALUES - self.values {
            return Err(Fault::TooLarge);
        }
        let nodes = (0..length).map(|_| self.one(kind, rest)).collect::<Result<_, _>>()?;
        Ok(Node::Array { nodes, dimensions })
    }

    fn one(&mut self, kind: &Kind, rest: &mut Rest<'_>) -> Result<Node, Fault> {
        self.count()?;
        match kind {
            Kind::Structure(place) => self.structure(*place, rest),
            Kind::Untold(reason) => Err(Fault::Untold(Arc::clone(reason))),
            Kind::BuiltIn(VariantScalarTypeId::ExtensionObject) => {
                self.deeper(|within| within.encoded_object(rest))
            }
            Kind::BuiltIn(VariantScalarTypeId::Variant) => self.deeper(|within| within.encoded_variant(rest)),
            Kind::BuiltIn(VariantScalarTypeId::DataValue) => self.deeper(|within| within.data_value(rest)),
            Kind::BuiltIn(VariantScalarTypeId::DiagnosticInfo) => {
                self.deeper(|within| within.diagnostic_info(rest))
            }
            Kind::BuiltIn(scalar) => self.scalar(*scalar, rest),
        }
    }

    /// A value that has no values within, which the library can read: it could be made to recurse without end.
    fn scalar(&self, scalar: VariantScalarTypeId, rest: &mut Rest<'_>) -> Result<Node, Fault> {
        let mask = [scalar.encoding_mask()];
        let read = Variant::decode(&mut mask.as_slice().chain(rest), &self.context);
        read.map(Node::Value).map_err(|_unlike_its_type| Fault::Misfit)
    }

    fn encoded_object(&mut self, rest: &mut Rest<'_>) -> Result<Node, Fault> {
        let encoding = NodeId::decode(rest, &self.context).map_err(|_unlike_its_type| Fault::Misfit)?;
        let [form] = take(rest)?;
        if form == 0 {
            return Ok(null());
        }
        let size = length(rest)?;
        let bytes = split(rest, size)?;
        match form {
            1 if bytes.is_empty() => Ok(null()),
            1 => Ok(self.body(&encoding, bytes)),
            2 => Ok(Node::Nothing(Fault::NotBinary)),
            _ => Err(Fault::Misfit),
        }
    }

    /// OPC 10000-6, section 5.2.2.16.
    fn encoded_variant(&mut self, rest: &mut Rest<'_>) -> Result<Node, Fault> {
        let [mask] = take(rest)?;
        let scalar = match mask & 0x3F {
            0 => return Ok(null()),
            // Reserved types are to be read as byte strings.
            26..=31 => VariantScalarTypeId::ByteString,
            number @ 1..=25 => {
                VariantScalarTypeId::try_from(u32::from(number)).map_err(|_unlisted| Fault::Misfit)?
            }
            _ => return Err(Fault::Misfit),
        };
        let kind = Kind::BuiltIn(scalar);
        if mask & 0x80 == 0 {
            return self.one(&kind, rest);
        }
        let length = length(rest)?;
        let mut array = self.many(&kind, length, None, rest)?;
        if mask & 0x40 != 0 {
            let (sizes, product) = dimensions(rest)?;
            if product != length {
                return Err(Fault::Misfit);
            }
            if let Node::Array { dimensions, .. } = &mut array {
                *dimensions = Some(sizes);
            }
        }
        Ok(array)
    }

    /// OPC 10000-6, section 5.2.2.17: the value, unless its status is bad.
    fn data_value(&mut self, rest: &mut Rest<'_>) -> Result<Node, Fault> {
        let [mask] = take(rest)?;
        let has = |bit: u8| mask & bit != 0;
        let value = if has(0x01) { self.encoded_variant(rest)? } else { null() };
        let status =
            if has(0x02) { StatusCode::from(u32::from_le_bytes(take(rest)?)) } else { StatusCode::Good };
        for (bit, size) in [(0x04, 8), (0x10, 2), (0x08, 8), (0x20, 2)] {
            if has(bit) {
                split(rest, size)?;
            }
        }
        Ok(if status.is_bad() { Node::Nothing(Fault::Plain(decode::cause(status))) } else { value })
    }

    /// OPC 10000-6, section 5.2.2.12: nothing that a tag could be.
    fn diagnostic_info(&mut self, rest: &mut Rest<'_>) -> Result<Node, Fault> {
        let [mask] = take(rest)?;
        let has = |bit: u8| mask & bit != 0;
        for bit in [0x01, 0x02, 0x08, 0x04] {
            if has(bit) {
                split(rest, 4)?;
            }
        }
        if has(0x10) {
            let text = length(rest)?;
            split(rest, text)?;
        }
        if has(0x20) {
            split(rest, 4)?;
        }
        if has(0x40) {
            self.count()?;
            self.deeper(|within| within.diagnostic_info(rest))?;
        }
        Ok(Node::Nothing(Fault::Plain(decode::cause(StatusCode::BadTypeMismatch))))
    }

    fn count(&mut self) -> Result<(), Fault> {
        self.values += 1;
        if self.values > MOST_VALUES { Err(Fault::TooLarge) } else { Ok(()) }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.depth == MOST_DEPTH {
            return Err(Fault::TooLarge);
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }
}

fn null() -> Node {
    Node::Nothing(Fault::Plain(decode::cause(StatusCode::BadNoData)))
}

/// A length, of which a negative one is that of nothing.
fn length(rest: &mut Rest<'_>) -> Result<usize, Fault> {
    Ok(usize::try_from(i32::from_le_bytes(take(rest)?)).unwrap_or(0))
}

/// The sizes of an array in its dimensions, and how many elements that makes.
fn dimensions(rest: &mut Rest<'_>) -> Result<(Vec<u32>, usize), Fault> {
    let count = length(rest)?;
    if count > MOST_DEPTH {
        return Err(Fault::TooLarge);
    }
    let sizes = (0..count).map(|_| Ok(u32::try_from(i32::from_le_bytes(take(rest)?)).unwrap_or(0)));
    let sizes = sizes.collect::<Result<Vec<_>, Fault>>()?;
    let none = usize::from(!sizes.is_empty());
    let product =
        sizes.iter().try_fold(none, |product, size| product.checked_mul(usize::try_from(*size).ok()?));
    Ok((sizes, product.ok_or(Fault::TooLarge)?))
}

fn split<'b>(rest: &mut Rest<'b>, size: usize) -> Result<Rest<'b>, Fault> {
    let (part, after) = rest.split_at_checked(size).ok_or(Fault::Misfit)?;
    *rest = after;
    Ok(part)
}

fn take<const N: usize>(rest: &mut Rest<'_>) -> Result<[u8; N], Fault> {
    let (part, after) = rest.split_first_chunk().ok_or(Fault::Misfit)?;
    *rest = after;
    Ok(*part)
}
