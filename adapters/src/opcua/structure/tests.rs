//! Structures of every kind, right and wrong, and any bytes for any type.

use opcua::types::{
    Array, BinaryEncodable, ByteString, ByteStringBody, ContextOwned, DataTypeId, ExtensionObject, NodeId,
    Range, StatusCode, StructureDefinition, StructureField, StructureType, Variant, VariantScalarTypeId,
    XmlBody,
};

use super::super::part::Part;
use super::{Fault, Told, Types, pick, unfold};

fn id(number: u32) -> NodeId {
    NodeId::new(2, number)
}

fn field(name: &str, data_type: impl Into<NodeId>, value_rank: i32) -> StructureField {
    StructureField { name: name.into(), data_type: data_type.into(), value_rank, ..StructureField::default() }
}

fn optional(field: StructureField) -> StructureField {
    StructureField { is_optional: true, ..field }
}

fn structure(number: u32, kind: StructureType, fields: Vec<StructureField>) -> (NodeId, Told) {
    let definition = StructureDefinition {
        default_encoding_id: id(number + 1000),
        base_data_type: DataTypeId::Structure.into(),
        structure_type: kind,
        fields: Some(fields),
    };
    (id(number), Told::Structure { name: format!("T{number}"), is_abstract: false, definition })
}

fn types(told: Vec<(NodeId, Told)>) -> Types {
    let mut types = Types::default();
    for (data_type, told) in told {
        types.tell(data_type, told);
    }
    types.conclude();
    types
}

/// An oven: zones, each with a temperature and perhaps a name, a grid, a mode, and what is a kind of a number.
fn oven() -> Types {
    types(vec![
        structure(
            1,
            StructureType::Structure,
            vec![
                field("Mode", id(3), -1),
                field("Zones", id(2), 1),
                field("Grid", DataTypeId::Int16, 2),
                field("Main", id(2), -1),
                field("Any", DataTypeId::BaseDataType, -1),
                field("Object", DataTypeId::Structure, -1),
                field("Span", id(4), -1),
            ],
        ),
        structure(
            2,
            StructureType::StructureWithOptionalFields,
            vec![
                field("Temp", DataTypeId::Double, -1),
                optional(field("Name", DataTypeId::String, -1)),
                optional(field("Limit", DataTypeId::Double, -1)),
            ],
        ),
        (id(3), Told::KindOf { parent: DataTypeId::Enumeration.into(), is_abstract: false }),
        (id(4), Told::KindOf { parent: id(5), is_abstract: false }),
        (id(5), Told::KindOf { parent: DataTypeId::Double.into(), is_abstract: true }),
    ])
}

fn bytes(values: &[&dyn Encoded]) -> Vec<u8> {
    values.iter().flat_map(|value| value.bytes()).collect()
}

trait Encoded {
    fn bytes(&self) -> Vec<u8>;
}

impl<T: BinaryEncodable> Encoded for T {
    fn bytes(&self) -> Vec<u8> {
        self.encode_to_vec(&ContextOwned::default().context())
    }
}

fn object(encoding: u32, body: Vec<u8>) -> Variant {
    let body = ByteStringBody::new(ByteString::from(body), id(encoding));
    Variant::from(ExtensionObject::from_message(body))
}

fn zone(temp: f64, name: Option<&str>) -> Vec<u8> {
    match name {
        None => bytes(&[&0_u32, &temp]),
        Some(name) => bytes(&[&1_u32, &temp, &opcua::types::UAString::from(name)]),
    }
}

fn oven_value() -> Variant {
    let inner = object(1002, zone(99.0, Some("inner")));
    let Variant::ExtensionObject(object_field) = &inner else { panic!("it is one") };
    let mut body = bytes(&[&7_i32, &2_i32]);
    body.extend(zone(20.5, Some("front")));
    body.extend(zone(21.5, None));
    body.extend(bytes(&[&2_i32, &2_i32, &3_i32, &1_i16, &2_i16, &3_i16, &4_i16, &5_i16, &6_i16]));
    body.extend(zone(30.0, None));
    body.extend(bytes(&[&Variant::from(vec![4_u8, 5]), object_field, &0.25_f64]));
    object(1001, body)
}

fn at(value: &Variant, types: &Types, path: &str) -> Result<Variant, Fault> {
    let (node, unlearned) = unfold(value, types);
    assert_eq!(unlearned, None);
    let part: Part = path.parse().expect("a path");
    pick(&node, part.steps()).cloned()
}

fn status(value: &Variant, types: &Types, path: &str) -> String {
    at(value, types, path).expect_err("there is no value").cause().to_string()
}

#[test]
fn every_field_is_found_however_deep_it_is() {
    let (value, types) = (oven_value(), oven());
    for (path, expected) in [
        ("Mode", Variant::Int32(7)),
        ("Zones[0].Temp", Variant::Double(20.5)),
        ("Zones[0].Name", Variant::from("front")),
        ("Zones[1].Temp", Variant::Double(21.5)),
        ("Grid[1,0]", Variant::Int16(4)),
        ("Grid[5]", Variant::Int16(6)),
        ("Main.Temp", Variant::Double(30.0)),
        ("Any[1]", Variant::Byte(5)),
        ("Object.Name", Variant::from("inner")),
        ("Span", Variant::Double(0.25)),
    ] {
        assert_eq!(at(&value, &types, path), Ok(expected), "{path}");
    }
    let two = vec![oven_value(), oven_value()];
    let array = Array::new(VariantScalarTypeId::ExtensionObject, two).expect("they are of one type");
    assert_eq!(at(&Variant::from(array), &types, "[1].Zones[1].Temp"), Ok(Variant::Double(21.5)));
}

#[test]
fn a_path_that_leads_nowhere_says_what_there_is() {
    let (value, types) = (oven_value(), oven());
    let reason = |path: &str| at(&value, &types, path).expect_err(path).to_string();
    assert_eq!(
        reason("Zone[0].Temp"),
        "the structure T1 has no field \"Zone\"; it has Mode, Zones[], Grid[,], Main, Any, Object, Span"
    );
    assert_eq!(reason("Zones[0].Tmp"), "the structure T2 has no field \"Tmp\"; it has Temp, Name, Limit");
    assert_eq!(reason("Zones.Temp"), "the value is an array: say which element");
    assert_eq!(reason("Main"), "the value is a structure: say which field");
    assert_eq!(reason("Mode.Temp"), "the value is no structure, but the tag has a field");
    assert_eq!(status(&value, &types, "Zone"), "opcua-0x803E0000");
    for path in ["Zones[2].Temp", "Grid[1,3]", "Grid[0,0,0]", "Grid[6]", "Mode[0]"] {
        assert_eq!(status(&value, &types, path), "opcua-0x80370000", "{path}");
    }
    assert_eq!(status(&Variant::Int32(1), &types, "Temp"), "opcua-0x80740000");
}

#[test]
fn what_is_left_out_is_no_data_and_no_fault_of_anybody() {
    let (value, types) = (oven_value(), oven());
    for (value, path) in [
        (&value, "Zones[1].Name"),
        (&value, "Main.Limit"),
        (&Variant::from(ExtensionObject::null()), "Mode"),
        (&Variant::Empty, "Mode"),
    ] {
        let fault = at(value, &types, path).expect_err(path);
        assert_eq!(fault.cause().to_string(), "opcua-0x809B0000");
        assert!(!fault.is_lasting());
    }
}

#[test]
fn a_union_has_the_field_that_it_has() {
    let fields = || vec![field("Whole", DataTypeId::Int32, -1), field("Text", DataTypeId::String, -1)];
    let types = types(vec![structure(1, StructureType::Union, fields())]);
    let value = object(1001, bytes(&[&2_u32, &opcua::types::UAString::from("on")]));
    assert_eq!(at(&value, &types, "Text"), Ok(Variant::from("on")));
    assert_eq!(status(&value, &types, "Whole"), "opcua-0x809B0000");
    assert_eq!(status(&object(1001, bytes(&[&0_u32])), &types, "Text"), "opcua-0x809B0000");
    assert_eq!(at(&object(1001, bytes(&[&3_u32])), &types, "Text"), Err(Fault::Misfit));
}

#[test]
fn a_field_that_may_be_of_a_kind_of_its_type_says_what_it_is() {
    let types = types(vec![
        structure(
            1,
            StructureType::StructureWithSubtypedValues,
            vec![optional(field("Part", id(2), -1)), optional(field("Size", DataTypeId::Number, -1))],
        ),
        structure(2, StructureType::Structure, vec![field("Temp", DataTypeId::Double, -1)]),
        structure(3, StructureType::Structure, vec![field("Speed", DataTypeId::Double, -1)]),
    ]);
    let Variant::ExtensionObject(part) = object(1003, bytes(&[&1.5_f64])) else { panic!("it is one") };
    let value = object(1001, bytes(&[&part, &Variant::UInt16(9)]));
    assert_eq!(at(&value, &types, "Part.Speed"), Ok(Variant::Double(1.5)));
    assert_eq!(at(&value, &types, "Size"), Ok(Variant::UInt16(9)));
}

#[test]
fn a_type_of_the_standard_that_the_library_decodes_is_read_like_any_other() {
    let mut types = Types::default();
    let (_, told) = structure(
        1,
        StructureType::Structure,
        vec![field("Low", DataTypeId::Double, -1), field("High", DataTypeId::Double, -1)],
    );
    types.tell(DataTypeId::Range.into(), told);
    types.tell_encoding(
        opcua::types::ObjectId::Range_Encoding_DefaultBinary.into(),
        Ok(DataTypeId::Range.into()),
    );
    types.conclude();
    let range = Variant::from(ExtensionObject::from_message(Range { low: 1.0, high: 2.0 }));
    assert_eq!(at(&range, &types, "High"), Ok(Variant::Double(2.0)));
}

#[test]
fn an_encoding_that_was_not_learnt_is_named_and_then_known_or_known_not_to_be() {
    let mut types = oven();
    let value = object(77, zone(1.0, None));
    assert_eq!(unfold(&value, &types).1, Some(id(77)));
    types.tell_encoding(id(77), Ok(id(2)));
    types.conclude();
    assert_eq!(at(&value, &types, "Temp"), Ok(Variant::Double(1.0)));
    types.tell_encoding(id(77), Err("nobody knows".to_owned()));
    types.conclude();
    assert_eq!(at(&value, &types, "Temp"), Err(Fault::Untold("nobody knows".into())));
}

#[test]
fn a_server_without_definitions_costs_only_the_tags_that_need_them() {
    let types = types(vec![
        (id(1), Told::KindOf { parent: DataTypeId::Structure.into(), is_abstract: false }),
        (id(2), Told::Nothing(StatusCode::BadNodeIdUnknown)),
        structure(
            3,
            StructureType::Structure,
            vec![field("Temp", DataTypeId::Double, -1), field("Odd", id(2), -1)],
        ),
    ]);
    let mut types = types;
    types.tell_encoding(id(1001), Ok(id(1)));
    types.conclude();
    let reason = |value: &Variant| at(value, &types, "Temp").expect_err("no type").to_string();
    assert!(reason(&object(1001, vec![0])).contains("ns=2;i=1: it has no DataTypeDefinition"));
    assert!(reason(&object(1003, zone(1.0, None))).contains("what the type ns=2;i=2 is"));
    assert_eq!(status(&object(1001, vec![0]), &types, "Temp"), "opcua-0x80110000");
}

#[test]
fn types_are_asked_for_once_and_only_those_that_are_needed() {
    let mut types = Types::default();
    types.mention(id(1));
    types.mention(DataTypeId::Double.into());
    assert_eq!(types.questions(), [id(1)]);
    let fields = vec![field("A", id(1), -1), field("B", id(2), -1), field("C", id(2), 1)];
    let (data_type, told) = structure(1, StructureType::Structure, fields);
    types.tell(data_type, told);
    assert_eq!(types.questions(), [id(2)]);
    types.tell(id(2), Told::KindOf { parent: DataTypeId::UInt16.into(), is_abstract: false });
    assert!(types.questions().is_empty());
}

#[test]
fn bytes_that_do_not_fit_are_told_and_nothing_is_taken_from_them() {
    let types = oven();
    let whole = zone(1.0, Some("a"));
    for cut in 0..whole.len() {
        assert_eq!(at(&object(1002, whole[..cut].to_vec()), &types, "Temp"), Err(Fault::Misfit), "at {cut}");
    }
    let longer = [whole, vec![0]].concat();
    assert_eq!(at(&object(1002, longer), &types, "Temp"), Err(Fault::Misfit));
    let xml = XmlBody::new(b"<Zone/>".to_vec(), id(1002), "Zone".to_owned());
    let xml = Variant::from(ExtensionObject::from_message(xml));
    assert_eq!(at(&xml, &types, "Temp"), Err(Fault::NotBinary));
}

#[test]
fn a_value_cannot_be_made_larger_or_deeper_than_is_bounded() {
    let types = types(vec![
        structure(1, StructureType::Structure, vec![field("All", id(2), 1)]),
        structure(2, StructureType::Structure, vec![]),
        structure(3, StructureType::Structure, vec![field("All", id(2), 3)]),
        structure(4, StructureType::Structure, vec![field("Next", id(4), -1)]),
        structure(5, StructureType::Structure, vec![field("Any", DataTypeId::BaseDataType, -1)]),
    ]);
    let many = |body: Vec<u8>, encoding| at(&object(encoding, body), &types, "All[0]");
    assert_eq!(many(bytes(&[&i32::MAX]), 1001), Err(Fault::TooLarge));
    assert_eq!(many(bytes(&[&3_i32, &i32::MAX, &i32::MAX, &i32::MAX]), 1003), Err(Fault::TooLarge));
    assert_eq!(many(bytes(&[&3_i32, &1000_i32, &1000_i32, &1000_i32]), 1003), Err(Fault::TooLarge));
    assert_eq!(many(bytes(&[&3_i32, &-1_i32, &1000_i32, &1000_i32]), 1003), Err(Fault::NoElement));
    assert_eq!(at(&object(1004, vec![]), &types, "Next"), Err(Fault::TooLarge));
    // Variants in data values in variants, and diagnostics in diagnostics, each two bytes or one.
    for nest in [[24_u8, 24], [23, 1], [25, 0x40]] {
        let deep: Vec<u8> = nest.into_iter().chain(std::iter::repeat_n(nest, 100_000).flatten()).collect();
        assert!(at(&object(1005, deep), &types, "Any").is_err());
    }
}
