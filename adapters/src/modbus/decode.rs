//! From what a device answered to readings. Pure, and total: no answer can make it panic.

use std::ops::Range;
use std::sync::Arc;

use penstock_events::{Cause, Reading, Sample, Timestamp, Value};

use super::device::{Scaling, Tag};
use super::encoding::{Encoding, Order};
use super::plan::{Home, Plan};

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
fn sample(tag: &Tag, answer: &Answer, offset: u16) -> Sample {
    let places = places(offset, tag.width());
    let value = match answer {
        Answer::Exception(code) => Err(Cause::ModbusException(*code)),
        Answer::Bits(bits) => match bits.get(places) {
            Some([bit]) => Ok(Value::Bool(*bit)),
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
        Encoding::Bool => return Ok(Value::Bool(bit(words, tag.at().bit.unwrap_or(0)))),
        Encoding::Text { bytes } => return text(words, bytes),
        Encoding::U16 => Value::UInt(unsigned(words, Order::Abcd)),
        Encoding::U32(order) | Encoding::U64(order) => Value::UInt(unsigned(words, order)),
        Encoding::I16 => Value::Int(signed(words, Order::Abcd)),
        Encoding::I32(order) | Encoding::I64(order) => Value::Int(signed(words, order)),
        Encoding::F32(order) => Value::Float(float32(words, order)),
        Encoding::F64(order) => Value::Float(f64::from_bits(unsigned(words, order))),
    };
    match tag.scaling().map_or_else(|| number.clone(), |scaling| scaled(&number, scaling)) {
        Value::Float(float) if !float.is_finite() => Err(Cause::NotFinite),
        finite => Ok(finite),
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

fn bit(words: &[u16], bit: u8) -> bool {
    words.first().is_some_and(|word| word >> bit & 1 == 1)
}

/// Text ends at its first NUL, since what follows is often left from a longer text before, and
/// sheds the spaces that pad it.
fn text(words: &[u16], room_bytes: u16) -> Result<Value, Cause> {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.to_be_bytes()).take(usize::from(room_bytes)).collect();
    let terminated = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = str::from_utf8(terminated).map_err(|_| Cause::NotText)?;
    Ok(Value::Text(Arc::from(text.trim_end_matches(' '))))
}

fn scaled(number: &Value, Scaling { factor, offset }: Scaling) -> Value {
    let raw = match number {
        Value::Int(int) => *int as f64,
        Value::UInt(uint) => *uint as f64,
        Value::Float(float) => *float,
        Value::Bool(_) | Value::Text(_) => return number.clone(),
    };
    Value::Float(raw * factor + offset)
}

#[cfg(test)]
mod tests;
