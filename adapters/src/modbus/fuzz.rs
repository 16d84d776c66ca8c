//! What fuzzing feeds with any bytes, and what must hold whatever they are. Compiled only for
//! fuzzing (`adapters/fuzz`) and for the test that replays its corpus.

use penstock_events::{Cause, Sample, TagId, Value};

use super::decode::{Answer, sample};
use super::encoding::{Encoding, Layout, Number, Order};
use super::framing::passes;
use super::tag::{Scaling, Tag};
use super::{Address, Names, Places};
use crate::feed::Feed;

/// A tag of any type, scaled and doubted in any way, decoded from any registers at any offset.
///
/// # Panics
///
/// When a value comes out that the tag cannot have.
pub fn decode(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    let Some(tag) = tag(&mut feed) else { return };
    let offset = u16::from(feed.byte());
    let words = feed.words();
    let is_there = usize::from(offset) + usize::from(tag.width()) <= words.len();
    match sample(&tag, &Answer::Registers(words), offset) {
        Sample::Bad(Cause::Malformed) => assert!(!is_there, "{tag:?} is in the answer"),
        Sample::Bad(_) => assert!(is_there, "{tag:?} is not in the answer"),
        Sample::Good(value) => {
            assert!(is_there, "{tag:?} is not in the answer");
            assert!(can_be(&tag, &value), "{tag:?} is never {value:?}");
        }
        Sample::Uncertain(..) => panic!("a device's own registers are never uncertain"),
    }
}

fn tag(feed: &mut Feed<'_>) -> Option<Tag> {
    let name = Encoding::NAMES[usize::from(feed.byte()) % Encoding::NAMES.len()];
    let (order, size, bit) = (feed.byte(), feed.byte(), feed.byte());
    let layout = Layout {
        order: (order < 4).then(|| Order::ALL[usize::from(order)]),
        bytes: (name == "string").then_some(size.into()),
        bits: (name == "bits").then_some(size % 17),
    };
    let encoding = Encoding::new(name, layout).ok()?;
    let bit = matches!(name, "bool" | "bits").then_some(bit % 16);
    let at = Address { bit, .."holding:0".parse().expect("an address") };
    let mut tag = Tag::new(TagId(0), "plc.tag".parse().expect("a tag path"), at, encoding).ok()?;
    let options = feed.byte();
    if options & 1 != 0 {
        tag = tag.scaled(Scaling { factor: feed.float(), offset: feed.float() }).ok()?;
    }
    if options & 2 != 0 {
        tag = tag.marked_invalid(Number::Whole(feed.byte().into())).ok()?;
    }
    if options & 4 != 0 {
        tag = tag.within(feed.float(), feed.float()).ok()?;
    }
    if options & 8 != 0 {
        tag = tag.named("0=off, 1=on".parse::<Names>().expect("names")).ok()?;
    }
    Some(tag)
}

fn can_be(tag: &Tag, value: &Value) -> bool {
    let in_range = |number: f64| tag.range().contains(&number);
    let whole = |number: i128| {
        let (lowest, highest) = tag.encoding().whole_range().expect("its type has whole numbers");
        tag.scaling().is_none()
            && (i128::from(lowest)..=i128::from(highest)).contains(&number)
            && in_range(number as f64)
            && tag.invalid() != Some(value)
    };
    match value {
        Value::Bool(_) => tag.encoding() == Encoding::Bool && tag.names().is_none(),
        Value::Int(int) => whole((*int).into()),
        Value::UInt(uint) => whole((*uint).into()),
        Value::Float(float) => float.is_finite() && in_range(*float),
        Value::Text(text) if tag.names().is_some() => matches!(text.as_ref(), "off" | "on"),
        Value::Text(text) => text.len() <= 255 && !text.contains('\0') && !text.ends_with(' '),
    }
}

/// A stream of any bytes, which is Modbus TCP or not however it is cut into pieces.
///
/// # Panics
///
/// When the pieces are judged otherwise than the whole.
pub fn frames(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    let cut = usize::from(feed.byte());
    let whole = passes(&[feed.0]);
    let (first, second) = feed.0.split_at(cut.min(feed.0.len()));
    assert_eq!(passes(&[first, second]), whole, "cut after {cut}");
    assert_eq!(passes(&feed.0.chunks(1).collect::<Vec<_>>()), whole, "cut everywhere");
}

/// Any text as an address, as places and as names.
///
/// # Panics
///
/// When what was read does not read back as what it displays.
pub fn texts(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse(), Ok(address));
    }
    if let Ok(places) = text.parse::<Places>() {
        assert_eq!(places.to_string().parse(), Ok(places));
    }
    if let Ok(names) = text.parse::<Names>() {
        assert_eq!(names.to_string().parse(), Ok(names));
    }
}

#[cfg(test)]
mod tests {
    use crate::feed::replay;

    #[test]
    fn everything_that_fuzzing_found_interesting_still_holds() {
        replay("decode", super::decode);
        replay("frames", super::frames);
        replay("texts", super::texts);
    }
}
