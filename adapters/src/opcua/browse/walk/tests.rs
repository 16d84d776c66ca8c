//! Circles, limits, what is left out, and what stands aside.

use opcua::types::{NodeClass, NodeId, ObjectId, QualifiedName, StatusCode};

use super::super::attributes::Attributes;
use super::super::found::Found;
use super::{Limits, Reference, Start, Walk};

fn id(number: u32) -> NodeId {
    NodeId::new(1, number)
}

fn reference(number: u32, class: NodeClass) -> Reference {
    Reference {
        target: Some(id(number)),
        is_property: false,
        class,
        name: QualifiedName::new(1, format!("n{number}")),
        display_name: String::new(),
    }
}

fn unit_property(number: u32) -> Reference {
    let name = QualifiedName::new(0, "EngineeringUnits");
    Reference { is_property: true, name, ..reference(number, NodeClass::Variable) }
}

fn walk(depth: usize, nodes: usize) -> Walk {
    let mut walk = Walk::new(Limits { depth, nodes });
    let name = QualifiedName::new(0, "Objects");
    walk.begin(Start { id: id(0), class: NodeClass::Object, name, display_name: String::new() });
    walk
}

/// Looks into everything: below each object of number `n` stand what `below` says.
fn run(walk: &mut Walk, below: impl Fn(u32) -> Vec<Reference>) {
    loop {
        let batch = walk.next(3);
        if batch.is_empty() {
            return;
        }
        for index in batch {
            let number = walk.id(index).as_u32().expect("ids are numbers here");
            walk.take(index, below(number).into_iter());
        }
    }
}

fn found(walk: Walk) -> Found {
    let namespaces = ["http://opcfoundation.org/UA/".to_owned(), "urn:plant".to_owned()];
    walk.found(&namespaces, Attributes::default(), None)
}

#[test]
fn circles_end_and_a_node_stands_where_it_was_found_first() {
    let mut walk = walk(usize::MAX, 100);
    run(&mut walk, |number| match number {
        0 => vec![reference(1, NodeClass::Object), reference(2, NodeClass::Object)],
        1 => vec![reference(3, NodeClass::Variable), reference(0, NodeClass::Object)],
        2 => vec![reference(3, NodeClass::Variable), reference(1, NodeClass::Object)],
        _ => vec![reference(1, NodeClass::Object)],
    });
    let found = found(walk);
    assert_eq!(found.paths(), ["Objects", "n1", "n2", "n1/n3"]);
    assert_eq!((found.repeated, found.cut_short), (4, None));
    assert_eq!(found.nodes[3].address.to_string(), "nsu=urn:plant;i=3");
}

#[test]
fn no_level_is_found_below_the_last_and_no_node_beyond_the_limit() {
    let deeper = |number: u32| vec![reference(number + 1, NodeClass::Object)];
    let mut shallow = walk(2, 100);
    run(&mut shallow, deeper);
    let shallow = found(shallow);
    assert_eq!(shallow.paths(), ["Objects", "n1", "n1/n2"]);
    assert_eq!(shallow.cut_short, None, "it is what was asked for");

    let mut endless = walk(usize::MAX, 50);
    run(&mut endless, deeper);
    let endless = found(endless);
    assert_eq!(endless.nodes.len(), 50);
    assert_eq!(endless.cut_short.as_deref(), Some("there are more than 50 nodes"));
}

#[test]
fn what_describes_a_variable_stands_aside_also_at_the_last_level() {
    let mut walk = walk(1, 100);
    run(&mut walk, |number| match number {
        0 => vec![reference(1, NodeClass::Variable), reference(2, NodeClass::Method)],
        1 => vec![unit_property(11), Reference { is_property: true, ..reference(12, NodeClass::Variable) }],
        _ => panic!("methods are not looked into"),
    });
    let units: Vec<_> =
        walk.variables().map(|(index, id, unit)| (index, id.clone(), unit.cloned())).collect();
    assert_eq!(units, [(1, id(1), Some(id(11)))]);
    assert_eq!(found(walk).nodes.len(), 3);
}

#[test]
fn the_servers_own_state_is_only_looked_into_when_it_is_the_start() {
    let server = || Reference { target: Some(ObjectId::Server.into()), ..reference(0, NodeClass::Object) };
    let mut walk = walk(9, 100);
    run(&mut walk, |number| if number == 0 { vec![server()] } else { panic!("it was looked into") });
    assert!(found(walk).nodes[1].note.as_ref().is_some_and(|note| note.contains("i=2253")));
}

#[test]
fn a_node_that_is_asked_for_again_or_refused_is_lost_to_nobody() {
    let mut walk = walk(9, 100);
    let first = walk.next(1);
    walk.again(&first);
    assert_eq!(walk.next(1), first);
    walk.refused(0, StatusCode::BadUserAccessDenied);
    let other_server = Reference { target: None, ..reference(1, NodeClass::Object) };
    walk.take(0, [other_server].into_iter());
    let found = found(walk);
    assert_eq!((found.elsewhere, found.nodes.len()), (1, 1));
    assert_eq!(found.nodes[0].note.as_deref(), Some("BadUserAccessDenied"));
}
