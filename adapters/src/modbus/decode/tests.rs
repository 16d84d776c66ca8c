//! Values are laid out by an encoder of the tests' own: bytes moved one by one as the order's name
//! spells them, never words shifted as the decoder does it.

use penstock_events::{Cause, Sample, TagId, Timestamp, Value};
use proptest::prelude::{Strategy, any, proptest};
use proptest::{collection, sample};

use super::{Answer, readings, sample as decode};
use crate::modbus::plan::plan;
use crate::modbus::{Address, Encoding, FirstByte, Limits, Names, Number, Order, Scaling, Table, Tag};

fn tag(at: &str, encoding: Encoding) -> Tag {
    let at = at.parse::<Address>().expect(at);
    Tag::new(TagId(7), "plc.tag".parse().expect("a tag path"), at, encoding).expect("a valid tag")
}

fn register_tag(encoding: Encoding) -> Tag {
    tag("holding:0", encoding)
}

/// Where each byte of the wire comes from in the big-endian value, as the order's name spells it.
fn wire_order(order: Order, bytes: usize) -> &'static [usize] {
    match (order, bytes) {
        (Order::Abcd, 4) => &[0, 1, 2, 3],
        (Order::Cdab, 4) => &[2, 3, 0, 1],
        (Order::Badc, 4) => &[1, 0, 3, 2],
        (Order::Dcba, 4) => &[3, 2, 1, 0],
        (Order::Abcd, 8) => &[0, 1, 2, 3, 4, 5, 6, 7],
        (Order::Cdab, 8) => &[6, 7, 4, 5, 2, 3, 0, 1],
        (Order::Badc, 8) => &[1, 0, 3, 2, 5, 4, 7, 6],
        (Order::Dcba, 8) => &[7, 6, 5, 4, 3, 2, 1, 0],
        _ => panic!("only values of 4 and 8 bytes have an order"),
    }
}

/// The registers in which a device with `order` sends the value with these big-endian bytes.
fn encode(big_endian: &[u8], order: Order) -> Answer {
    let wire: Vec<u8> = wire_order(order, big_endian.len()).iter().map(|&from| big_endian[from]).collect();
    Answer::Registers(wire.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
}

fn good(value: Value) -> Sample {
    Sample::Good(value)
}

fn float(value: f64) -> Sample {
    if value.is_finite() { good(Value::Float(value)) } else { Sample::Bad(Cause::NotFinite) }
}

fn orders() -> impl Strategy<Value = Order> {
    sample::select(Order::ALL.to_vec())
}

proptest! {
    #[test]
    fn unsigned_integers_of_every_width_and_order_come_back(bits in any::<u64>(), order in orders()) {
        let (half, word) = (bits as u32, bits as u16);
        let u64_tag = register_tag(Encoding::U64(order));
        assert_eq!(decode(&u64_tag, &encode(&bits.to_be_bytes(), order), 0), good(Value::UInt(bits)));
        let u32_tag = register_tag(Encoding::U32(order));
        assert_eq!(decode(&u32_tag, &encode(&half.to_be_bytes(), order), 0), good(Value::UInt(half.into())));
        let u16_tag = register_tag(Encoding::U16);
        assert_eq!(decode(&u16_tag, &Answer::Registers(vec![word]), 0), good(Value::UInt(word.into())));
    }

    #[test]
    fn signed_integers_of_every_width_and_order_come_back(bits in any::<i64>(), order in orders()) {
        let (half, word) = (bits as i32, bits as i16);
        let i64_tag = register_tag(Encoding::I64(order));
        assert_eq!(decode(&i64_tag, &encode(&bits.to_be_bytes(), order), 0), good(Value::Int(bits)));
        let i32_tag = register_tag(Encoding::I32(order));
        assert_eq!(decode(&i32_tag, &encode(&half.to_be_bytes(), order), 0), good(Value::Int(half.into())));
        let i16_tag = register_tag(Encoding::I16);
        assert_eq!(decode(&i16_tag, &Answer::Registers(vec![word as u16]), 0), good(Value::Int(word.into())));
    }

    #[test]
    fn floats_of_every_width_and_order_come_back_or_are_not_finite(bits in any::<u64>(), order in orders()) {
        let (double, single) = (f64::from_bits(bits), f32::from_bits(bits as u32));
        let f64_tag = register_tag(Encoding::F64(order));
        assert_eq!(decode(&f64_tag, &encode(&double.to_be_bytes(), order), 0), float(double));
        let f32_tag = register_tag(Encoding::F32(order));
        assert_eq!(decode(&f32_tag, &encode(&single.to_be_bytes(), order), 0), float(single.into()));
    }

    #[test]
    fn every_bit_of_a_register_is_its_own_tag(word in any::<u16>(), bit in 0_u8..16) {
        let tag = tag(&format!("input:0.{bit}"), Encoding::Bool);
        let digits: Vec<char> = format!("{word:016b}").chars().rev().collect();
        let expected = good(Value::Bool(digits[usize::from(bit)] == '1'));
        assert_eq!(decode(&tag, &Answer::Registers(vec![word]), 0), expected);
    }

    #[test]
    fn text_comes_back_without_its_padding(text in "[ -~äöüß€]{0,20}", padding in 0_usize..10, nul in any::<bool>()) {
        let mut bytes = text.clone().into_bytes();
        bytes.resize(bytes.len() + padding, if nul { 0 } else { b' ' });
        let room = u16::try_from(bytes.len().max(1)).expect("short");
        bytes.resize(usize::from(room).next_multiple_of(2), b'x');
        let words = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let tag = register_tag(Encoding::Text { bytes: room, first: FirstByte::High });
        let expected = text.trim_end_matches(' ');
        let expected = if text.is_empty() && padding == 0 { "x" } else { expected };
        assert_eq!(decode(&tag, &Answer::Registers(words), 0), good(Value::Text(expected.into())));
    }

    #[test]
    fn no_answer_makes_decoding_panic(
        words in collection::vec(any::<u16>(), 0..6),
        bits in collection::vec(any::<bool>(), 0..6),
        offset in any::<u16>(),
        order in orders(),
    ) {
        let encodings = [Encoding::U16, Encoding::I32(order), Encoding::F32(order), Encoding::F64(order)];
        for encoding in encodings.into_iter().chain([Encoding::Text { bytes: 5, first: FirstByte::High }]) {
            let tag = register_tag(encoding);
            let end = usize::from(offset) + usize::from(tag.width());
            let from_words = decode(&tag, &Answer::Registers(words.clone()), offset);
            assert_eq!(from_words == Sample::Bad(Cause::Malformed), end > words.len());
            decode(&tag, &Answer::Bits(bits.clone()), offset);
        }
    }
}

#[test]
fn text_ends_at_its_first_nul() {
    let tag = register_tag(Encoding::Text { bytes: 6, first: FirstByte::High });
    let words = vec![u16::from_be_bytes(*b"OK"), u16::from_be_bytes([0, b'L']), u16::from_be_bytes(*b"D!")];
    assert_eq!(decode(&tag, &Answer::Registers(words), 0), good(Value::Text("OK".into())));
}

#[test]
fn bytes_that_are_not_utf8_are_not_text() {
    let tag = register_tag(Encoding::Text { bytes: 2, first: FirstByte::High });
    assert_eq!(decode(&tag, &Answer::Registers(vec![0xff41]), 0), Sample::Bad(Cause::NotText));
}

#[test]
fn scaling_makes_floats_of_integers() {
    let scale = |encoding, factor, offset| {
        register_tag(encoding).scaled(Scaling { factor, offset }).expect("a number can be scaled")
    };
    let halves = scale(Encoding::I16, 0.5, -40.0);
    assert_eq!(decode(&halves, &Answer::Registers(vec![0xffff]), 0), good(Value::Float(-40.5)));
    let huge = scale(Encoding::F64(Order::Abcd), f64::MAX, 0.0);
    let two = encode(&2.0_f64.to_be_bytes(), Order::Abcd);
    assert_eq!(decode(&huge, &two, 0), Sample::Bad(Cause::NotFinite));
}

#[test]
fn an_exception_spoils_the_tags_of_its_block_and_no_others() {
    let tags =
        [tag("holding:900", Encoding::U16), tag("coil:3", Encoding::Bool), tag("coil:1", Encoding::Bool)];
    let plan = plan(&tags, &Limits::default());
    assert_eq!(
        plan.blocks.iter().map(|block| block.table).collect::<Vec<_>>(),
        [Table::Coil, Table::HoldingRegister]
    );
    let answers = [Answer::Bits(vec![true, false, false]), Answer::Exception(2)];
    let slot = Timestamp::from_micros(5_000_000);
    let read = readings(&tags, &plan, &answers, slot);
    let samples: Vec<_> = read.iter().map(|reading| reading.sample.clone()).collect();
    let refused = Sample::Bad(Cause::ModbusException(2));
    assert_eq!(samples, [refused, good(Value::Bool(false)), good(Value::Bool(true))]);
    assert!(read.iter().all(|reading| reading.time == slot && reading.tag == TagId(7)));
}

#[test]
fn a_number_that_stands_for_no_value_is_bad_before_it_is_scaled() {
    let scaling = Scaling { factor: 0.1, offset: 0.0 };
    let tag = register_tag(Encoding::I16).scaled(scaling).expect("a number");
    let tag = tag.marked_invalid(Number::Whole(-32_768)).expect("an i16 can be that");
    assert_eq!(decode(&tag, &Answer::Registers(vec![0x8000]), 0), Sample::Bad(Cause::MarkedInvalid));
    assert_eq!(decode(&tag, &Answer::Registers(vec![100]), 0), good(Value::Float(10.0)));
    let single = register_tag(Encoding::F32(Order::Abcd)).marked_invalid(Number::Real(-999.9));
    let answer = encode(&(-999.9_f32).to_be_bytes(), Order::Abcd);
    assert_eq!(decode(&single.expect("an f32"), &answer, 0), Sample::Bad(Cause::MarkedInvalid));
}

#[test]
fn a_scaled_number_outside_its_range_is_bad_and_its_limits_are_good() {
    let scaling = Scaling { factor: 0.5, offset: 0.0 };
    let tag =
        register_tag(Encoding::U16).scaled(scaling).expect("a number").within(1.0, 2.0).expect("a range");
    for (raw, expected) in [
        (1, Sample::Bad(Cause::OutOfRange)),
        (2, good(Value::Float(1.0))),
        (4, good(Value::Float(2.0))),
        (5, Sample::Bad(Cause::OutOfRange)),
    ] {
        assert_eq!(decode(&tag, &Answer::Registers(vec![raw]), 0), expected, "{raw}");
    }
}

#[test]
fn a_number_of_an_enumeration_is_read_as_its_name_and_without_one_is_bad() {
    let names: Names = "0=off, 1=heating".parse().expect("names");
    let mode =
        tag("holding:0.4", Encoding::Bits { count: 2 }).named(names.clone()).expect("possible numbers");
    for (word, expected) in [
        (0xffcf, good(Value::Text("off".into()))),
        (0x0010, good(Value::Text("heating".into()))),
        (0x0020, Sample::Bad(Cause::OutOfRange)),
    ] {
        assert_eq!(decode(&mode, &Answer::Registers(vec![word]), 0), expected, "{word:04x}");
    }
    let coil = tag("coil:0", Encoding::Bool).named(names).expect("possible numbers");
    assert_eq!(decode(&coil, &Answer::Bits(vec![true]), 0), good(Value::Text("heating".into())));
}
