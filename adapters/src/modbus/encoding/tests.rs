//! Which types, orders and sizes make an encoding.

use penstock_events::Value;

use super::{Encoding, FirstByte, InvalidEncoding, Layout, Number, Order};

const PLAIN: Layout = Layout { order: None, bytes: None, bits: None };

#[test]
fn every_type_is_found_by_its_name() {
    for (name, width) in [
        ("bool", 1),
        ("u16", 1),
        ("i16", 1),
        ("u32", 2),
        ("i32", 2),
        ("f32", 2),
        ("u64", 4),
        ("i64", 4),
        ("f64", 4),
        ("bcd16", 1),
        ("bcd32", 2),
    ] {
        let encoding = Encoding::new(name, PLAIN).expect(name);
        assert_eq!((encoding.name(), encoding.width()), (name, width));
    }
    assert_eq!(
        Encoding::new("string", Layout { bytes: Some(5), ..PLAIN }),
        Ok(Encoding::Text { bytes: 5, first: FirstByte::High })
    );
    assert_eq!(Encoding::Text { bytes: 5, first: FirstByte::High }.width(), 3);
}

#[test]
fn an_order_belongs_to_types_that_span_registers() {
    assert_eq!(
        Encoding::new("f32", Layout { order: Some(Order::Cdab), ..PLAIN }),
        Ok(Encoding::F32(Order::Cdab))
    );
    for name in ["bool", "u16", "i16", "bcd16"] {
        let refused = Encoding::new(name, Layout { order: Some(Order::Cdab), ..PLAIN });
        assert!(matches!(refused, Err(InvalidEncoding::OrderNotUsed { .. })), "{name} gave {refused:?}");
    }
}

#[test]
fn a_size_belongs_to_strings_and_strings_need_one() {
    assert_eq!(Encoding::new("string", PLAIN), Err(InvalidEncoding::BytesMissing));
    let refused = Encoding::new("u32", Layout { bytes: Some(4), ..PLAIN });
    assert_eq!(refused, Err(InvalidEncoding::BytesNotUsed { name: "u32" }));
}

#[test]
fn orders_read_back_what_they_display() {
    for order in Order::ALL {
        assert_eq!(order.to_string().parse(), Ok(order));
    }
    assert!("ACBD".parse::<Order>().is_err());
}

#[test]
fn a_bit_field_needs_its_size_and_nothing_else_has_one() {
    let sized = |bits| Layout { bits: Some(bits), ..PLAIN };
    assert_eq!(Encoding::new("bits", PLAIN), Err(InvalidEncoding::BitsMissing));
    assert_eq!(Encoding::new("bits", sized(16)), Ok(Encoding::Bits { count: 16 }));
    for bits in [0, 17] {
        assert_eq!(Encoding::new("bits", sized(bits)), Err(InvalidEncoding::BitsOutOfRange { bits }));
    }
    assert_eq!(Encoding::new("u16", sized(3)), Err(InvalidEncoding::BitsNotUsed { name: "u16" }));
}

#[test]
fn the_registers_of_a_string_are_always_in_order() {
    let text = |order| Encoding::new("string", Layout { order: Some(order), bytes: Some(4), ..PLAIN });
    assert_eq!(text(Order::Abcd), Ok(Encoding::Text { bytes: 4, first: FirstByte::High }));
    assert_eq!(text(Order::Badc), Ok(Encoding::Text { bytes: 4, first: FirstByte::Low }));
    for order in [Order::Cdab, Order::Dcba] {
        assert_eq!(text(order), Err(InvalidEncoding::TextOrder { order }));
    }
}

#[test]
fn a_raw_number_is_one_that_the_type_can_hold() {
    let whole = |encoding: Encoding, number| encoding.raw(Number::Whole(number));
    assert_eq!(whole(Encoding::I16, -32_768), Some(Value::Int(-32_768)));
    assert_eq!(whole(Encoding::I16, 0x8000), None);
    assert_eq!(whole(Encoding::U16, 0x8000), Some(Value::UInt(0x8000)));
    assert_eq!(whole(Encoding::U64(Order::Abcd), u64::MAX.into()), Some(Value::UInt(u64::MAX)));
    assert_eq!(whole(Encoding::Bcd16, 10_000), None);
    assert_eq!(whole(Encoding::Bits { count: 3 }, 8), None);
    assert_eq!(whole(Encoding::Bool, 1), None);
    assert_eq!(Encoding::U16.raw(Number::Real(1.5)), None);
    let nearest = f64::from(-999.9_f32);
    assert_eq!(Encoding::F32(Order::Abcd).raw(Number::Real(-999.9)), Some(Value::Float(nearest)));
}
