//! Which requests read all tags of a device: the fewest blocks within its limits. Pure.
//!
//! A block is one request: neighbouring places of one table. Tags share a block when the places
//! that nobody wants between them are no more than the allowed gap, and no tag is split over two
//! blocks, since its halves could then be of different moments.
//!
//! The way: per table, in order of place, a block takes every tag until one does not fit, which
//! begins the next block. That is the fewest: the first unread place has to begin a block, and what
//! a block leaves for the next never reaches further than what it took.

use std::fmt;

use super::address::{Cell, Table};
use super::device::Limits;
use super::tag::Tag;

/// One request: `count` places of `table` from `start`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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

/// The fewest requests that read all `tags` within `limits`, whatever the order of the tags.
///
/// Every tag [fits](Tag::fits) the limits; one that does not gets a block of its own width.
pub(super) fn plan(tags: &[Tag], limits: &Limits) -> Plan {
    let mut by_place: Vec<usize> = (0..tags.len()).collect();
    by_place.sort_unstable_by_key(|&index| (tags[index].at().table, tags[index].at().start));

    let mut blocks: Vec<Block> = Vec::new();
    let mut homes = vec![Home { block: 0, offset: 0 }; tags.len()];
    for index in by_place {
        let tag = &tags[index];
        match blocks.last_mut().and_then(|block| Some((block.extended(tag, limits)?, block))) {
            Some((count, block)) => block.count = count,
            None => blocks.push(Block { table: tag.at().table, start: tag.at().start, count: tag.width() }),
        }
        let block = blocks.len() - 1;
        homes[index] = Home { block, offset: tag.at().start - blocks[block].start };
    }
    Plan { blocks, homes }
}

impl Block {
    /// What one of its places holds.
    pub(super) const fn cell(&self) -> Cell {
        self.table.cell()
    }

    /// How many places the block has once it reads `tag` too, which does not begin before it; none
    /// when the tag is of another table, too far away or too much.
    fn extended(&self, tag: &Tag, limits: &Limits) -> Option<u16> {
        if tag.at().table != self.table {
            return None;
        }
        let offset = tag.at().start.checked_sub(self.start)?;
        let gap = offset.saturating_sub(self.count);
        let count = self.count.max(offset.checked_add(tag.width())?);
        (gap <= limits.gap(self.cell()) && count <= limits.size(self.cell())).then_some(count)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = u32::from(self.start) + u32::from(self.count) - 1;
        write!(f, "{}:{}-{last}", self.table, self.start)
    }
}

#[cfg(test)]
mod tests {
    use penstock_events::TagId;
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
    use proptest::{collection, sample};

    use super::{Block, Home, Plan, plan};
    use crate::modbus::{Address, Encoding, FirstByte, Limits, Order, Table, Tag};

    fn tag(at: &str, encoding: Encoding) -> Tag {
        let at = at.parse::<Address>().expect(at);
        Tag::new(TagId(0), "plc.tag".parse().expect("a tag path"), at, encoding).expect("a valid tag")
    }

    fn limits(registers: u16, gap_registers: u16) -> Limits {
        Limits::new(registers, registers, gap_registers, gap_registers).expect("valid limits")
    }

    #[test]
    fn no_tags_need_no_requests() {
        assert_eq!(plan(&[], &Limits::default()), Plan::default());
    }

    #[test]
    fn tags_of_one_table_share_a_request_whatever_their_order() {
        let tags = [
            tag("holding:104", Encoding::F32(Order::Abcd)),
            tag("coil:7", Encoding::Bool),
            tag("holding:100", Encoding::U16),
            tag("holding:100.3", Encoding::Bool),
        ];
        let made = plan(&tags, &Limits::default());
        let coils = Block { table: Table::Coil, start: 7, count: 1 };
        let registers = Block { table: Table::HoldingRegister, start: 100, count: 6 };
        assert_eq!(made.blocks, [coils, registers]);
        let home = |block, offset| Home { block, offset };
        assert_eq!(made.homes, [home(1, 4), home(0, 0), home(1, 0), home(1, 0)]);
    }

    #[test]
    fn a_gap_is_bridged_up_to_its_limit() {
        let tags = [tag("input:0", Encoding::U16), tag("input:4", Encoding::U16)];
        assert_eq!(plan(&tags, &limits(125, 3)).blocks.len(), 1);
        assert_eq!(plan(&tags, &limits(125, 2)).blocks.len(), 2);
    }

    #[test]
    fn a_full_request_is_not_extended() {
        let tags = [tag("input:0", Encoding::U16), tag("input:124", Encoding::U16)];
        assert_eq!(plan(&tags, &limits(125, 125)).blocks.len(), 1);
        assert_eq!(plan(&tags, &limits(124, 125)).blocks.len(), 2);
    }

    #[test]
    fn the_last_place_of_a_table_can_be_read() {
        let tags = [tag("holding:65535", Encoding::U16), tag("holding:65534", Encoding::U16)];
        let all = Block { table: Table::HoldingRegister, start: 65_534, count: 2 };
        assert_eq!(plan(&tags, &Limits::default()).blocks, [all]);
    }

    fn tags(table: Table, places: u16, count: usize) -> impl Strategy<Value = Vec<Tag>> {
        let encoding = match table {
            Table::Coil | Table::DiscreteInput => Just(Encoding::Bool).boxed(),
            _ => prop_oneof![
                Just(Encoding::U16),
                Just(Encoding::F32(Order::Abcd)),
                Just(Encoding::I64(Order::Abcd)),
                (1_u16..=16).prop_map(|bytes| Encoding::Text { bytes, first: FirstByte::High })
            ]
            .boxed(),
        };
        let at = (0..places).prop_map(move |start| Address { table, start, bit: None });
        let tag = (at, encoding).prop_filter_map("past the end", |(at, encoding)| {
            Tag::new(TagId(0), "plc.tag".parse().expect("a tag path"), at, encoding).ok()
        });
        collection::vec(tag, 0..count)
    }

    fn maps() -> impl Strategy<Value = Vec<Tag>> {
        let of = |table| tags(table, 400, 40);
        (of(Table::Coil), of(Table::InputRegister), of(Table::HoldingRegister))
            .prop_map(|(a, b, c)| [a, b, c].concat())
            .prop_shuffle()
    }

    /// The fewest blocks for up to six tags of one table, found by trying every way to group them.
    fn fewest_by_trying(tags: &[Tag], limits: &Limits) -> usize {
        fn try_all(rest: &[Tag], groups: &mut Vec<Vec<Tag>>, limits: &Limits) -> usize {
            let Some((tag, rest)) = rest.split_first() else {
                let fits = groups.iter().all(|group| is_one_request(group, limits));
                return if fits { groups.len() } else { usize::MAX };
            };
            let mut best = usize::MAX;
            for at in 0..=groups.len() {
                match groups.get_mut(at) {
                    Some(group) => group.push(tag.clone()),
                    None => groups.push(vec![tag.clone()]),
                }
                best = best.min(try_all(rest, groups, limits));
                groups[at].pop();
                groups.retain(|group| !group.is_empty());
            }
            best
        }
        try_all(tags, &mut Vec::new(), limits)
    }

    /// Whether one request may read the whole group: by marking each place that a tag wants.
    fn is_one_request(group: &[Tag], limits: &Limits) -> bool {
        let mut wanted = [false; 64];
        for tag in group {
            let start = usize::from(tag.at().start);
            wanted[start..start + usize::from(tag.width())].fill(true);
        }
        let first = wanted.iter().position(|&w| w).expect("a group has a tag");
        let last = wanted.iter().rposition(|&w| w).expect("a group has a tag");
        let widest_gap = wanted[first..=last].split(|&w| w).map(<[bool]>::len).max().unwrap_or(0);
        let cell = group[0].at().table.cell();
        last - first < usize::from(limits.size(cell)) && widest_gap <= usize::from(limits.gap(cell))
    }

    proptest! {
        #[test]
        fn every_tag_lies_whole_in_its_block(map in maps(), size in 8_u16..=125, gap in 0_u16..=20) {
            let made = plan(&map, &limits(size, gap));
            assert_eq!(made.homes.len(), map.len());
            for (tag, home) in map.iter().zip(&made.homes) {
                let block = made.blocks[home.block];
                assert_eq!((block.table, block.start + home.offset), (tag.at().table, tag.at().start));
                assert!(home.offset + tag.width() <= block.count);
            }
        }

        #[test]
        fn every_block_is_within_the_limits_and_wanted(map in maps(), size in 8_u16..=125, gap in 0_u16..=20) {
            let made = plan(&map, &limits(size, gap));
            for (index, block) in made.blocks.iter().enumerate() {
                assert!((1..=size).contains(&block.count));
                assert!(made.homes.iter().any(|home| home.block == index && home.offset == 0));
            }
        }

        #[test]
        fn no_two_blocks_could_be_one(map in maps(), size in 8_u16..=125, gap in 0_u16..=20) {
            let made = plan(&map, &limits(size, gap));
            for pair in made.blocks.windows(2) {
                let [a, b] = [pair[0], pair[1]];
                let reach = a.start + a.count;
                let mergeable = a.table == b.table
                    && b.start.saturating_sub(reach) <= gap
                    && reach.max(b.start + b.count) - a.start <= size;
                assert!(!mergeable, "{a:?} and {b:?} could be one");
            }
        }

        #[test]
        fn the_requests_do_not_depend_on_the_order_of_the_tags(map in maps(), seed in any::<sample::Index>()) {
            let mut turned = map.clone();
            if !map.is_empty() {
                turned.rotate_left(seed.index(map.len()));
            }
            assert_eq!(plan(&map, &limits(60, 4)).blocks, plan(&turned, &limits(60, 4)).blocks);
        }

        #[test]
        fn no_way_to_group_the_tags_needs_fewer_requests(
            map in tags(Table::HoldingRegister, 40, 7),
            size in 8_u16..=24,
            gap in 0_u16..=6,
        ) {
            let limits = limits(size, gap);
            assert_eq!(plan(&map, &limits).blocks.len(), fewest_by_trying(&map, &limits));
        }
    }
}
