//! Which tags and limits are possible, and what is said about those that are not.

use penstock_events::TagId;

use super::{Limits, Tag};
use crate::modbus::{Address, Encoding, InvalidTag, Names, Number, Scaling};
use crate::modbus::{FirstByte, Order};

fn tag(at: &str, encoding: Encoding) -> Result<Tag, InvalidTag> {
    let at = at.parse::<Address>().expect(at);
    Tag::new(TagId(0), "plc.tag".parse().expect("a tag path"), at, encoding)
}

fn valid(at: &str, encoding: Encoding) -> Tag {
    tag(at, encoding).expect("a valid tag")
}

#[test]
fn a_bool_is_a_coil_an_input_or_one_bit_of_a_register() {
    for at in ["coil:0", "discrete:65535", "input:7.0", "holding:65535.15"] {
        assert!(tag(at, Encoding::Bool).is_ok(), "{at}");
    }
    let error = tag("holding:7", Encoding::Bool).expect_err("which bit");
    assert!(matches!(error, InvalidTag::BitMissing { .. }));
    assert!(error.to_string().ends_with("such as holding:7.0"), "{error}");
}

#[test]
fn one_bit_is_nothing_but_a_bool() {
    for at in ["coil:0", "discrete:0", "holding:7.3"] {
        for encoding in
            [Encoding::U16, Encoding::F32(Order::Abcd), Encoding::Text { bytes: 1, first: FirstByte::High }]
        {
            let refused = tag(at, encoding);
            assert!(matches!(refused, Err(InvalidTag::BitIsBool { .. })), "{at} gave {refused:?}");
        }
    }
}

#[test]
fn bits_that_the_parser_would_refuse_are_refused_here_too() {
    let path = || "plc.tag".parse().expect("a tag path");
    for (at, bit) in [("coil:0", 0), ("holding:0", 16)] {
        let at = Address { bit: Some(bit), ..at.parse().expect(at) };
        assert_eq!(Tag::new(TagId(0), path(), at, Encoding::Bool), Err(InvalidTag::NoSuchBit { at }));
    }
}

#[test]
fn a_value_ends_within_its_table() {
    for (last, encoding) in [
        (65_535, Encoding::I16),
        (65_534, Encoding::U32(Order::Dcba)),
        (65_532, Encoding::F64(Order::Abcd)),
        (65_533, Encoding::Text { bytes: 5, first: FirstByte::High }),
    ] {
        assert!(tag(&format!("input:{last}"), encoding).is_ok(), "{encoding}");
        if last < 65_535 {
            let refused = tag(&format!("input:{}", last + 1), encoding);
            assert!(matches!(refused, Err(InvalidTag::PastEnd { end: 65_536, .. })), "{refused:?}");
        }
    }
}

#[test]
fn a_string_has_room() {
    assert_eq!(
        tag("holding:0", Encoding::Text { bytes: 0, first: FirstByte::High }),
        Err(InvalidTag::EmptyText)
    );
}

#[test]
fn a_tag_fits_when_one_request_can_read_it() {
    let limits = Limits::new(3, 1).expect("small limits");
    assert_eq!(valid("holding:0", Encoding::Text { bytes: 6, first: FirstByte::High }).fits(&limits), Ok(()));
    assert_eq!(valid("coil:0", Encoding::Bool).fits(&limits), Ok(()));
    let wide = valid("holding:0", Encoding::U64(Order::Abcd));
    assert!(matches!(wide.fits(&limits), Err(InvalidTag::WiderThanRequest { width: 4, limit: 3, .. })));
    let text =
        |bytes| valid("holding:0", Encoding::Text { bytes, first: FirstByte::High }).fits(&Limits::default());
    assert_eq!(text(250), Ok(()));
    assert!(text(251).is_err());
}

#[test]
fn numbers_can_be_scaled_and_nothing_else() {
    let tenth = Scaling { factor: 0.1, offset: 0.0 };
    let number = || valid("holding:0", Encoding::I16);
    assert_eq!(number().scaled(tenth).expect("a number").scaling(), Some(tenth));
    for not_a_number in [
        valid("coil:0", Encoding::Bool),
        valid("input:0", Encoding::Text { bytes: 2, first: FirstByte::High }),
    ] {
        assert!(matches!(not_a_number.scaled(tenth), Err(InvalidTag::ScaledNotANumber { .. })));
    }
    for (factor, offset) in [(0.0, 1.0), (f64::NAN, 0.0), (f64::INFINITY, 0.0), (1.0, f64::NAN)] {
        let refused = number().scaled(Scaling { factor, offset });
        assert!(matches!(refused, Err(InvalidTag::Scaling { .. })), "{factor} and {offset}");
    }
}

#[test]
fn tags_overlap_when_they_share_a_bit() {
    let word = |at| valid(at, Encoding::U16);
    let bit = |at| valid(at, Encoding::Bool);
    let double = |at| valid(at, Encoding::U32(Order::Abcd));
    for (a, b, overlap) in [
        (word("holding:5"), word("holding:5"), true),
        (word("holding:5"), word("input:5"), false),
        (double("holding:4"), word("holding:5"), true),
        (double("holding:4"), word("holding:6"), false),
        (double("holding:65534"), word("holding:65535"), true),
        (bit("holding:5.1"), bit("holding:5.2"), false),
        (bit("holding:5.1"), bit("holding:5.1"), true),
        (bit("holding:5.1"), word("holding:5"), true),
        (bit("coil:5"), bit("coil:5"), true),
        (bit("coil:5"), bit("coil:6"), false),
    ] {
        assert_eq!((a.overlaps(&b), b.overlaps(&a)), (overlap, overlap), "{} and {}", a.at(), b.at());
    }
}

#[test]
fn a_bit_field_lies_within_one_register_and_overlaps_only_the_bits_that_it_reads() {
    let bits = |at: &str, count| tag(at, Encoding::Bits { count });
    assert!(matches!(bits("holding:7", 3), Err(InvalidTag::BitMissing { .. })));
    assert!(matches!(bits("holding:7.14", 3), Err(InvalidTag::PastRegister { .. })));
    let field = bits("holding:7.4", 3).expect("bits 4 to 6");
    for (bit, overlaps) in [(3, false), (4, true), (6, true), (7, false)] {
        assert_eq!(field.overlaps(&valid(&format!("holding:7.{bit}"), Encoding::Bool)), overlaps, "{bit}");
    }
    assert!(field.overlaps(&valid("holding:7", Encoding::U16)));
    assert!(!field.overlaps(&bits("holding:7.7", 9).expect("bits 7 to 15")));
    assert!(bits("holding:7.0", 16).expect("all").overlaps(&field));
}

#[test]
fn only_numbers_have_a_range_and_only_what_a_device_can_send_is_invalid() {
    let text = valid("holding:0", Encoding::Text { bytes: 2, first: FirstByte::High });
    assert!(matches!(text.clone().within(0.0, 1.0), Err(InvalidTag::RangeOfNoNumber { .. })));
    assert!(matches!(text.marked_invalid(Number::Whole(0)), Err(InvalidTag::NeverInvalid { .. })));
    let number = valid("holding:0", Encoding::U16);
    assert!(matches!(number.clone().within(2.0, 1.0), Err(InvalidTag::EmptyRange { .. })));
    assert!(matches!(number.marked_invalid(Number::Whole(-1)), Err(InvalidTag::NeverInvalid { .. })));
}

#[test]
fn only_what_a_device_can_send_has_a_name_and_is_then_no_number() {
    let names = |text: &str| text.parse::<Names>().expect(text);
    let word = || valid("holding:0", Encoding::U16);
    assert!(word().named(names("0=off, 65535=lost")).is_ok());
    assert!(valid("coil:0", Encoding::Bool).named(names("0=open, 1=closed")).is_ok());
    for (tag, text) in [
        (word(), "65536=lost"),
        (valid("coil:0", Encoding::Bool), "2=stuck"),
        (valid("holding:0", Encoding::F32(Order::Abcd)), "0=off"),
        (valid("holding:0", Encoding::Text { bytes: 2, first: FirstByte::High }), "0=off"),
    ] {
        assert!(matches!(tag.named(names(text)), Err(InvalidTag::NeverNamed { .. })), "{text}");
    }
    let scaled = word().scaled(Scaling { factor: 0.1, offset: 0.0 }).expect("a number");
    let ranged = word().within(0.0, 1.0).expect("a number");
    for numeric in [scaled, ranged] {
        assert_eq!(numeric.named(names("0=off")), Err(InvalidTag::NamedNumber));
    }
}
