//! From what a device answered to readings. Pure, and total: no answer can make it panic.

use std::ops::Range;
use std::sync::Arc;

use penstock_events::{Cause, Reading, Sample, Timestamp, Value};

use super::encoding::{Encoding, FirstByte, Order};
use super::plan::{Home, Plan};
use super::tag::Tag;

/// What a device answered to one block's request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// Coils or discrete inputs, one per place.
    Bits(Vec<bool>),
    /// Registers, one per place.
    Registers(Vec<u16>),
    /// A refusal with the device's own code (Application Protocol V1.1b3, section 7).
    Exception(u8),
}

/// One reading per tag, in the order of the tags, from the answers to the plan's blocks.
pub(super) fn readings(tags: &[Tag], plan: &Plan, answers: &[Answer], slot: Timestamp) -> Vec<Reading> {
    let read = |(tag, home): (&Tag, &Home)| {
        let sample = match answers.get(home.block) {
            Some(answer) => sample(tag, answer, home.offset),
            None => Sample::Bad(Cause::Malformed),
        };
        Reading { tag: tag.id(), sample, time: slot }
    };
    tags.iter().zip(&plan.homes).map(read).collect()
}

/// The tag's sample from its block's answer, in which it begins at `offset`.
pub(super) fn sample(tag: &Tag, answer: &Answer, offset: u16) -> Sample {
    let places = places(offset, tag.width());
    let value = match answer {
        Answer::Exception(code) => Err(Cause::ModbusException(*code)),
        Answer::Bits(bits) => match bits.get(places) {
            Some([bit]) => named(tag, Value::Bool(*bit)),
            _ => Err(Cause::Malformed),
        },
        Answer::Registers(registers) => match registers.get(places) {
            Some(words) => value(tag, words),
            None => Err(Cause::Malformed),
        },
    };
    value.map_or_else(Sample::Bad, Sample::Good)
}

fn places(offset: u16, width: u16) -> Range<usize> {
    let start = usize::from(offset);
    start..start + usize::from(width)
}

/// The value in the registers of one tag.
fn value(tag: &Tag, words: &[u16]) -> Result<Value, Cause> {
    let number = match tag.encoding() {
        Encoding::Bool => return named(tag, Value::Bool(bit(words, tag.at().bit.unwrap_or(0)))),
        Encoding::Text { bytes, first } => return text(words, bytes, first),
        Encoding::U16 => Value::UInt(unsigned(words, Order::Abcd)),
        Encoding::Bcd16 => Value::UInt(decimal(unsigned(words, Order::Abcd))?),
        Encoding::Bcd32(order) => Value::UInt(decimal(unsigned(words, order))?),
        Encoding::Bits { count } => Value::UInt(field(words, tag.at().bit.unwrap_or(0), count)),
        Encoding::U32(order) | Encoding::U64(order) => Value::UInt(unsigned(words, order)),
        Encoding::I16 => Value::Int(signed(words, Order::Abcd)),
        Encoding::I32(order) | Encoding::I64(order) => Value::Int(signed(words, order)),
        Encoding::F32(order) => Value::Float(float32(words, order)),
        Encoding::F64(order) => Value::Float(f64::from_bits(unsigned(words, order))),
    };
    if tag.invalid() == Some(&number) {
        return Err(Cause::MarkedInvalid);
    }
    let value = match tag.scaling() {
        Some(scaling) => Value::Float(as_f64(&number) * scaling.factor + scaling.offset),
        None => number,
    };
    match as_f64(&value) {
        quantity if !quantity.is_finite() => Err(Cause::NotFinite),
        quantity if !tag.range().contains(&quantity) => Err(Cause::OutOfRange),
        _ => named(tag, value),
    }
}

/// The name of an enumeration's number; the value itself where the tag has no names.
fn named(tag: &Tag, value: Value) -> Result<Value, Cause> {
    match tag.names() {
        Some(names) => names.of(&value).cloned().map(Value::Text).ok_or(Cause::OutOfRange),
        None => Ok(value),
    }
}

/// The bits of a value that spans the registers.
fn unsigned(words: &[u16], order: Order) -> u64 {
    let push = |bits: u64, word: &u16| bits << 16 | u64::from(*word);
    let push_swapped = |bits: u64, word: &u16| bits << 16 | u64::from(word.swap_bytes());
    match order {
        Order::Abcd => words.iter().fold(0, push),
        Order::Cdab => words.iter().rev().fold(0, push),
        Order::Badc => words.iter().fold(0, push_swapped),
        Order::Dcba => words.iter().rev().fold(0, push_swapped),
    }
}

/// The same bits as two's complement of the registers' width, which is one to four.
fn signed(words: &[u16], order: Order) -> i64 {
    let unused_bits = 64_usize.saturating_sub(16 * words.len());
    (unsigned(words, order) << unused_bits).cast_signed() >> unused_bits
}

fn float32(words: &[u16], order: Order) -> f64 {
    let bits = u32::try_from(unsigned(words, order)).expect("an f32 has two registers");
    f64::from(f32::from_bits(bits))
}

/// The number whose decimal digits are the nibbles of `bits`.
fn decimal(bits: u64) -> Result<u64, Cause> {
    let mut digits = (0..16).rev().map(|nibble| bits >> (4 * nibble) & 0xf);
    digits.try_fold(0, |number, digit| if digit > 9 { Err(Cause::NotBcd) } else { Ok(number * 10 + digit) })
}

/// `count` bits of the register from `lowest` on.
fn field(words: &[u16], lowest: u8, count: u8) -> u64 {
    unsigned(words, Order::Abcd) >> lowest & ((1 << count) - 1)
}

fn bit(words: &[u16], bit: u8) -> bool {
    words.first().is_some_and(|word| word >> bit & 1 == 1)
}

/// Text ends at its first NUL, since what follows is often left from a longer text before, and
/// sheds the spaces that pad it.
fn text(words: &[u16], room_bytes: u16, first: FirstByte) -> Result<Value, Cause> {
    let pair = |word: &u16| match first {
        FirstByte::High => word.to_be_bytes(),
        FirstByte::Low => word.to_le_bytes(),
    };
    let bytes: Vec<u8> = words.iter().flat_map(pair).take(usize::from(room_bytes)).collect();
    let terminated = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = str::from_utf8(terminated).map_err(|_| Cause::NotText)?;
    Ok(Value::Text(Arc::from(text.trim_end_matches(' '))))
}

fn as_f64(number: &Value) -> f64 {
    match number {
        Value::Int(int) => *int as f64,
        Value::UInt(uint) => *uint as f64,
        Value::Float(float) => *float,
        Value::Bool(_) | Value::Text(_) => f64::NAN,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
