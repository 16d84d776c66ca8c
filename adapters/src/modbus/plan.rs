//! Which requests read all tags of a device at the least cost within its limits. Pure.
//!
//! A block is one request: neighbouring places of one table. No tag is split over two blocks, since
//! its halves could then be of different moments, and no block touches a forbidden place.
//!
//! The cost of a block is that of a request ([`Limits::request_cost_bytes`]) and of the places that
//! it reads, wanted or not. Where the operator says how wide a gap may be, requests count before
//! anything else: then it is the fewest requests, and of those the ones that read the least.
//!
//! The way, per table: tags that lie within another are read with it. Of the others, in order of
//! place, both first and last places grow; so some cheapest plan cuts that order into runs, and the
//! run that ends at a tag begins at the earliest possible one or behind it. The cheapest cut before
//! each tag is the least of a window that only moves forwards: sorting aside, this takes linear time.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;

use super::address::{Cell, Table};
use super::limits::Limits;
use super::tag::Tag;

/// More than all places of a table together can cost, so that one request less is always worth it.
const DEAREST_REQUEST_BITS: i64 = 1 << 32;

/// One request: `count` places of `table` from `start`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Block {
    /// The table.
    pub(super) table: Table,
    /// The first place, zero-based as on the wire.
    pub(super) start: u16,
    /// How many places.
    pub(super) count: u16,
}

/// Where the answers hold a tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Home {
    /// The index of its block.
    pub(super) block: usize,
    /// Its first place within the block.
    pub(super) offset: u16,
}

/// What to ask, and where in the answers each tag is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Plan {
    /// The requests, by table and place.
    pub(super) blocks: Vec<Block>,
    /// One home per tag, in the tags' own order.
    pub(super) homes: Vec<Home>,
}

/// The cheapest requests that read all `tags` within `limits`, whatever the order of the tags.
///
/// Every tag [fits](Tag::fits) the limits; one that does not gets a block of its own.
pub(super) fn plan(tags: &[Tag], limits: &Limits) -> Plan {
    let mut by_place: Vec<usize> = (0..tags.len()).collect();
    // Of tags that begin together the widest comes first, so that those within it follow it.
    by_place.sort_unstable_by_key(|&index| {
        (tags[index].at().table, tags[index].at().start, u16::MAX - tags[index].width())
    });
    let mut made = Plan { blocks: Vec::new(), homes: vec![Home { block: 0, offset: 0 }; tags.len()] };
    for of_table in by_place.chunk_by(|&a, &b| tags[a].at().table == tags[b].at().table) {
        made.add_table(tags, of_table, limits);
    }
    made
}

impl Plan {
    /// Plans the tags of one table, in order of place.
    fn add_table(&mut self, tags: &[Tag], by_place: &[usize], limits: &Limits) {
        let Some(table) = by_place.first().map(|&index| tags[index].at().table) else { return };
        let first_block = self.blocks.len();
        let spans = Span::outermost(by_place.iter().map(|&index| Span::of(&tags[index])));
        for run in cheapest_runs(&spans, table, limits) {
            let (start, last) = (spans[run.start].first, spans[run.end - 1].last);
            // A tag that fits no request keeps its width, which the device may refuse.
            self.blocks.push(Block { table, start, count: last - start + 1 });
        }
        let mut block = first_block;
        for &index in by_place {
            let start = tags[index].at().start;
            while self.blocks.get(block + 1).is_some_and(|next| next.start <= start) {
                block += 1;
            }
            self.homes[index] = Home { block, offset: start - self.blocks[block].start };
        }
    }
}

/// The places of a tag.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u16,
    last: u16,
}

impl Span {
    const fn of(tag: &Tag) -> Self {
        let first = tag.at().start;
        Self { first, last: first + (tag.width() - 1) }
    }

    /// Those that lie within no other. Of spans in order, first and last places grow from one to the next.
    fn outermost(in_order: impl Iterator<Item = Self>) -> Vec<Self> {
        let mut outermost: Vec<Self> = Vec::new();
        for span in in_order {
            if outermost.last().is_none_or(|known| known.last < span.last) {
                outermost.push(span);
            }
        }
        outermost
    }

    /// Whether one request may read both and what lies between them. `next` is the next one.
    fn may_join(self, next: Self, table: Table, limits: &Limits) -> bool {
        let (Some(after), Some(before)) = (self.last.checked_add(1), next.first.checked_sub(1)) else {
            return true;
        };
        let gap = next.first.saturating_sub(after);
        gap == 0
            || limits.max_gap(table.cell()).is_none_or(|most| gap <= most)
                && limits.forbidden(table, after, before).is_none()
    }
}

/// What it costs to read the spans before some place: bits on the line, then requests.
type Cost = (i64, usize);

/// The cuts of `spans` into runs of one request each that cost the least.
fn cheapest_runs(spans: &[Span], table: Table, limits: &Limits) -> Vec<Range<usize>> {
    let place = place_bits(table.cell());
    let request = match limits.max_gap(table.cell()) {
        Some(_) => DEAREST_REQUEST_BITS,
        None => 8 * i64::from(limits.request_cost_bytes()),
    };
    let mut cost: Cost = (0, 0);
    // For each span, where the last run of the cheapest cut that ends with it begins.
    let mut begins = Vec::with_capacity(spans.len());
    // Where that run can begin, with the cost before and less the places before: whoever costs more
    // than one behind it will never be chosen, so the cheapest is in front.
    let mut window: VecDeque<(usize, Cost)> = VecDeque::new();
    for (index, span) in spans.iter().enumerate() {
        if index > 0 && !spans[index - 1].may_join(*span, table, limits) {
            window.clear();
        }
        let begun = (cost.0 - place * i64::from(span.first), cost.1);
        while window.pop_back_if(|(_, other)| *other > begun).is_some() {}
        window.push_back((index, begun));
        let is_too_much = |begin: usize| span.last - spans[begin].first >= limits.size(table.cell());
        while window.pop_front_if(|(begin, _)| *begin < index && is_too_much(*begin)).is_some() {}
        let (begin, begun) = window[0];
        begins.push(begin);
        cost = (begun.0 + request + place * (i64::from(span.last) + 1), begun.1 + 1);
    }
    runs(&begins)
}

/// The runs from their beginnings, of which only those that lead back from the last one count.
fn runs(begins: &[usize]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut end = begins.len();
    while end > 0 {
        let begin = begins[end - 1];
        runs.push(begin..end);
        end = begin;
    }
    runs.reverse();
    runs
}

/// What a place adds to an answer.
const fn place_bits(cell: Cell) -> i64 {
    match cell {
        Cell::Bit => 1,
        Cell::Register => 16,
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = u32::from(self.start) + u32::from(self.count) - 1;
        write!(f, "{}:{}-{last}", self.table, self.start)
    }
}

#[cfg(test)]
mod tests;
