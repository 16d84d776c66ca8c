//! What fuzzing feeds with any bytes, and what must hold whatever they are. Compiled only for fuzzing
//! (`adapters/fuzz`) and for the test that replays its corpus.

use opcua::types::{
    ByteString, ByteStringBody, DataValue, ExtensionObject, NodeId, StructureDefinition, StructureField,
    StructureType, Variant,
};
use penstock_events::{Cause, Sample};

use super::decode::Received;
use super::part::Part;
use super::structure::{Node, Told, Types, unfold};
use crate::feed::Feed;

/// The most nodes of a value: what a tree may have, and as many again for the last array and for nulls.
const MOST_NODES: usize = 300_000;
const FORMS: [StructureType; 5] = [
    StructureType::Structure,
    StructureType::StructureWithOptionalFields,
    StructureType::Union,
    StructureType::StructureWithSubtypedValues,
    StructureType::UnionWithSubtypedValues,
];

/// A structure of types of any kind, which may contain themselves, from any bytes.
///
/// # Panics
///
/// When it has more values than a tree may have, or a field that it has is said not to be there.
pub fn structures(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    let mut types = Types::default();
    let count = 1 + u32::from(feed.byte() % 4);
    for number in 1..=count {
        types.tell(id(number), told(&mut feed, number, count));
    }
    types.conclude();
    let body = ByteStringBody::new(ByteString::from(feed.0), id(1));
    let value = Variant::from(ExtensionObject::from_message(body));
    let (node, unlearned) = unfold(&value, &types);
    assert!(nodes(&node) <= MOST_NODES, "it has {} nodes", nodes(&node));
    assert!(unlearned.is_none_or(|encoding| encoding != id(1)), "it was told");
    let is_structure = matches!(node, Node::Structure { .. });
    let value = DataValue { value: Some(value), ..DataValue::default() };
    let received = Received { value: &value, unfolded: Some(node) };
    for path in ["F0", "F1.F0", "F0[0].F0[0].F1", "F0[0,1]"] {
        let part: Part = path.parse().expect("a path");
        let (sample, fault) = received.sample(&part);
        assert_eq!(fault.map(|fault| Sample::Bad(fault.cause())).is_some(), matches!(sample, Sample::Bad(_)));
        let is_missing = sample == Sample::Bad(Cause::OpcUaStatus(0x803E_0000));
        assert!(path != "F0" || !is_structure || !is_missing, "each structure has that field");
    }
}

fn told(feed: &mut Feed<'_>, number: u32, count: u32) -> Told {
    let form = FORMS[usize::from(feed.byte()) % FORMS.len()];
    let fields = (0..=feed.byte() % 6).map(|field| {
        let (kind, shape) = (feed.byte(), feed.byte());
        // A built-in type, an abstract one, one of these structures, or one that nobody told.
        let data_type = match u32::from(kind % 40) {
            kind @ 0..=29 => NodeId::new(0, kind),
            kind => id(1 + kind % (count + 1)),
        };
        StructureField {
            name: format!("F{field}").into(),
            data_type,
            value_rank: i32::from(shape % 5) - 1,
            is_optional: shape & 0x80 != 0,
            ..StructureField::default()
        }
    });
    let definition = StructureDefinition {
        default_encoding_id: NodeId::null(),
        base_data_type: NodeId::null(),
        structure_type: form,
        fields: Some(fields.collect()),
    };
    Told::Structure { name: format!("T{number}"), is_abstract: feed.byte().is_multiple_of(16), definition }
}

fn id(number: u32) -> NodeId {
    NodeId::new(2, number)
}

fn nodes(node: &Node) -> usize {
    match node {
        Node::Value(_) | Node::Nothing(_) => 1,
        Node::Structure { fields: within, .. } | Node::Array { nodes: within, .. } => {
            1 + within.iter().map(nodes).sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{collection, proptest};

    use crate::feed::replay;

    #[test]
    fn everything_that_fuzzing_found_interesting_still_holds() {
        replay("structures", super::structures);
    }

    proptest! {
        #[test]
        fn no_bytes_of_any_type_make_it_panic_or_grow(bytes in collection::vec(any::<u8>(), 0..400)) {
            super::structures(&bytes);
        }
    }
}
