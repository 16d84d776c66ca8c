//! How deep a message can nest. Pure.
//!
//! A DiagnosticInfo may hold another, and a DataValue a Variant that holds a DataValue (OPC 10000-6, 5.2.2.12 and
//! 5.2.2.16 f.), for a byte or two a level. The library decodes both by recursion and counts neither, so a message of a few
//! kilobytes runs over the stack of its thread, which ends the process. What else may nest it bounds itself.
//!
//! Where a message has values depends on its type. Here any byte may begin one: that finds every nesting that there is,
//! and takes some bytes for one that are none, but hardly ever so many on end.

mod flat;

/// The deepest nesting of diagnostics that is decoded; a decoder "shall support at least 100" levels (OPC 10000-6, 5.2.2.16).
const MOST_DIAGNOSTICS: u8 = 100;
/// The deepest nesting of values. The library lets ten Variants, each with as many, stand in each other.
const MOST_VALUES: u8 = 32;

/// Mask of a DiagnosticInfo: one 32-bit field for each of these bits, before …
const NUMBERS: u8 = 0x0F;
/// … a string, …
const ADDITIONAL_INFO: u8 = 0x10;
/// … a status, …
const INNER_STATUS: u8 = 0x20;
/// … and the inner one.
const INNER: u8 = 0x40;

/// Mask of a DataValue: it begins with a Variant.
const HAS_VALUE: u8 = 0x01;
/// Mask of a Variant: its type, …
const TYPE: u8 = 0x3F;
const TYPE_DATA_VALUE: u8 = 23;
/// … and whether it is an array.
const IS_ARRAY: u8 = 0x80;

/// A message in which something may nest deeper than is decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum TooDeep {
    #[error("diagnostics in it nest deeper than {MOST_DIAGNOSTICS} levels")]
    Diagnostics,
    #[error("values in it nest deeper than {MOST_VALUES} levels")]
    Values,
}

/// Looks at the body of a message, whose arrays have `most_elements` at most.
///
/// # Errors
/// [`TooDeep`] when something in it may nest too deep to be decoded.
pub(super) fn check(body: &[u8], most_elements: usize) -> Result<(), TooDeep> {
    if flat::is_flat(body) { Ok(()) } else { check_any(body, most_elements) }
}

/// The same of a message of any type.
fn check_any(body: &[u8], most_elements: usize) -> Result<(), TooDeep> {
    // How many levels of each kind are below one that begins at a byte. What begins behind the body has none.
    let mut diagnostics = vec![0; body.len() + 1];
    let mut values = vec![0; body.len() + 1];
    let mut deepest = Deepest::default();
    for (at, &mask) in body.iter().enumerate().rev() {
        if mask & INNER != 0 {
            let below = inner(body, at).map_or(0, |inner| diagnostics[inner]);
            if below == MOST_DIAGNOSTICS {
                return Err(TooDeep::Diagnostics);
            }
            diagnostics[at] = below + 1;
        }
        if mask & HAS_VALUE != 0
            && let Some(variant) = body.get(at + 1)
            && variant & TYPE == TYPE_DATA_VALUE
        {
            let below = match variant & IS_ARRAY {
                0 => values.get(at + 2).copied(),
                _ => number(body, at + 2)
                    .filter(|count| (1..=most_elements).contains(count))
                    .map(|_| deepest.from(at + 6)),
            };
            let below = below.unwrap_or_default();
            if below == MOST_VALUES {
                return Err(TooDeep::Values);
            }
            values[at] = below + 1;
            deepest.note(at, below + 1);
        }
    }
    Ok(())
}

/// Where the inner one of a DiagnosticInfo begins, if that can be decoded as far.
fn inner(body: &[u8], at: usize) -> Option<usize> {
    let mask = body[at];
    let mut next = at + 1 + 4 * (mask & NUMBERS).count_ones() as usize;
    if mask & ADDITIONAL_INFO != 0 {
        next += 4 + number(body, next)?;
    }
    if mask & INNER_STATUS != 0 {
        next += 4;
    }
    (next <= body.len()).then_some(next)
}

/// The Int32 at a byte, of how many follow: −1 is none.
fn number(body: &[u8], at: usize) -> Option<usize> {
    let bytes = body.get(at..)?.first_chunk()?;
    match i32::from_le_bytes(*bytes) {
        -1 => Some(0),
        number => usize::try_from(number).ok(),
    }
}

/// How deep what begins behind a byte nests at most: an element of an array may be any of them.
#[derive(Default)]
struct Deepest {
    /// The last places where one level begins, where two do, and so on.
    last: Vec<usize>,
}

impl Deepest {
    /// Each place comes before all that were noted.
    fn note(&mut self, at: usize, levels: u8) {
        if self.last.len() < usize::from(levels) {
            self.last.push(at);
        }
    }

    fn from(&self, place: usize) -> u8 {
        let levels = self.last.partition_point(|&last| last >= place);
        u8::try_from(levels).expect("no more levels than are let through")
    }
}

#[cfg(test)]
mod tests;
