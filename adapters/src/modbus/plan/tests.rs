//! A plan reads every tag, keeps to the limits, and nothing cheaper does.

use std::ops::RangeInclusive;

use penstock_events::TagId;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::{collection, sample};

use super::{Block, Home, Plan, plan};
use crate::modbus::{Address, Encoding, FirstByte, Limits, Order, Places, Table, Tag};

fn tag(at: &str, encoding: Encoding) -> Tag {
    let at = at.parse::<Address>().expect(at);
    Tag::new(TagId(0), "plc.tag".parse().expect("a tag path"), at, encoding).expect("a valid tag")
}

/// Requests of at most so many places, over gaps of at most so many.
fn limits(size: u16, gap: u16) -> Limits {
    by_cost(size, 0).with_gaps(Some(gap), Some(gap))
}

/// Requests of at most so many places, of which each costs as much as so many bytes.
fn by_cost(size: u16, request_cost_bytes: u32) -> Limits {
    Limits::new(size, size).expect("valid limits").with_request_cost(request_cost_bytes)
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
fn a_gap_is_bridged_where_that_is_cheaper_than_another_request() {
    let tags = [tag("input:0", Encoding::U16), tag("input:4", Encoding::U16)];
    assert_eq!(plan(&tags, &by_cost(125, 6)).blocks.len(), 1, "three registers are six bytes");
    assert_eq!(plan(&tags, &by_cost(125, 5)).blocks.len(), 2);
    let coils = [tag("coil:0", Encoding::Bool), tag("coil:49", Encoding::Bool)];
    assert_eq!(plan(&coils, &by_cost(125, 6)).blocks.len(), 1, "48 coils are six bytes");
    assert_eq!(plan(&coils, &by_cost(125, 5)).blocks.len(), 2);
}

#[test]
fn requests_are_cut_where_the_gap_is_widest() {
    let places = [0, 10, 20, 60, 70, 80].map(|place| tag(&format!("holding:{place}"), Encoding::U16));
    let made = plan(&places, &by_cost(70, 100));
    let blocks: Vec<_> = made.blocks.iter().map(ToString::to_string).collect();
    assert_eq!(
        blocks,
        ["holding:0-20", "holding:60-80"],
        "taking all that fits would read 60-69 with the first"
    );
}

#[test]
fn no_request_touches_a_forbidden_place() {
    let tags = [tag("holding:0", Encoding::U16), tag("holding:4", Encoding::U16)];
    for (forbidden, requests) in
        [("holding:2", 2), ("holding:1-3", 2), ("holding:5-65535", 1), ("input:0-65535", 1)]
    {
        let limits = limits(125, 100).never_reading(vec![forbidden.parse().expect(forbidden)]);
        assert_eq!(plan(&tags, &limits).blocks.len(), requests, "{forbidden}");
    }
}

#[test]
fn a_tag_within_another_is_read_with_it() {
    let text = Encoding::Text { bytes: 20, first: FirstByte::High };
    let tags = [tag("holding:9", Encoding::U16), tag("holding:0", text), tag("holding:0.5", Encoding::Bool)];
    let made = plan(&tags, &limits(10, 0));
    let whole = Block { table: Table::HoldingRegister, start: 0, count: 10 };
    assert_eq!(made.blocks, [whole]);
    assert_eq!(made.homes.iter().map(|home| home.offset).collect::<Vec<_>>(), [9, 0, 0]);
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

/// What the requests cost, as the plan is meant to count it: bits on the line, then requests.
fn cost(blocks: impl IntoIterator<Item = (Table, u16)>, limits: &Limits) -> (u64, u64, u64) {
    blocks.into_iter().fold((0, 0, 0), |(by_rule, bits, requests), (table, count)| {
        let is_by_cost = limits.max_gap(table.cell()).is_none();
        let bit_table = matches!(table, Table::Coil | Table::DiscreteInput);
        let request = if is_by_cost { 8 * u64::from(limits.request_cost_bytes()) } else { 0 };
        let read = u64::from(count) * if bit_table { 1 } else { 16 };
        (by_rule + u64::from(!is_by_cost), bits + request + read, requests + 1)
    })
}

/// The least cost for a few tags of one table, found by trying every way to group them.
fn least_by_trying(tags: &[Tag], limits: &Limits) -> (u64, u64, u64) {
    fn try_all(rest: &[Tag], groups: &mut Vec<Vec<Tag>>, limits: &Limits) -> Option<(u64, u64, u64)> {
        let Some((tag, rest)) = rest.split_first() else {
            let requests: Option<Vec<_>> = groups.iter().map(|group| one_request(group, limits)).collect();
            return Some(cost(requests?, limits));
        };
        let mut best = None;
        for at in 0..=groups.len() {
            match groups.get_mut(at) {
                Some(group) => group.push(tag.clone()),
                None => groups.push(vec![tag.clone()]),
            }
            let tried = try_all(rest, groups, limits);
            best = [best, tried].into_iter().flatten().min();
            groups[at].pop();
            groups.retain(|group| !group.is_empty());
        }
        best
    }
    try_all(tags, &mut Vec::new(), limits).expect("a request for each tag is possible")
}

/// The one request that reads the whole group, if it may: by marking each place that a tag wants.
fn one_request(group: &[Tag], limits: &Limits) -> Option<(Table, u16)> {
    let mut wanted = [false; 64];
    for tag in group {
        let start = usize::from(tag.at().start);
        wanted[start..start + usize::from(tag.width())].fill(true);
    }
    let first = wanted.iter().position(|&w| w).expect("a group has a tag");
    let last = wanted.iter().rposition(|&w| w).expect("a group has a tag");
    let widest_gap = wanted[first..=last].split(|&w| w).map(<[bool]>::len).max().unwrap_or(0);
    let table = group[0].at().table;
    let is_allowed = |place: usize| {
        let place = u16::try_from(place).expect("a small place");
        limits.forbidden(table, place, place).is_none()
    };
    let may = last - first < usize::from(limits.size(table.cell()))
        && limits.max_gap(table.cell()).is_none_or(|most| widest_gap <= usize::from(most))
        && (first..=last).all(is_allowed);
    may.then(|| (table, u16::try_from(last - first + 1).expect("a small block")))
}

/// Limits of every kind with requests of these sizes. Only tags that fit them are planned.
fn all_limits(sizes: RangeInclusive<u16>) -> impl Strategy<Value = Limits> {
    let gap = || proptest::option::of(0_u16..=20);
    let forbidden = (prop_oneof![Just(Table::Coil), Just(Table::HoldingRegister)], 0_u16..60, 0_u16..6)
        .prop_map(|(table, first, more)| Places::new(table, first, first + more).expect("the right way"));
    (sizes, gap(), gap(), 0_u32..60, collection::vec(forbidden, 0..4)).prop_map(
        |(size, registers, bits, cost, forbidden)| {
            by_cost(size, cost).with_gaps(registers, bits).never_reading(forbidden)
        },
    )
}

fn fitting(map: Vec<Tag>, limits: &Limits) -> Vec<Tag> {
    map.into_iter().filter(|tag| tag.fits(limits).is_ok()).collect()
}

proptest! {
    #[test]
    fn every_tag_lies_whole_in_its_block(map in maps(), limits in all_limits(8..=125)) {
        let map = fitting(map, &limits);
        let made = plan(&map, &limits);
        assert_eq!(made.homes.len(), map.len());
        for (tag, home) in map.iter().zip(&made.homes) {
            let block = made.blocks[home.block];
            assert_eq!((block.table, block.start + home.offset), (tag.at().table, tag.at().start));
            assert!(home.offset + tag.width() <= block.count);
        }
    }

    #[test]
    fn every_block_is_within_the_limits_and_wanted(map in maps(), limits in all_limits(8..=125)) {
        let map = fitting(map, &limits);
        let made = plan(&map, &limits);
        for (index, block) in made.blocks.iter().enumerate() {
            let cell = block.table.cell();
            assert!((1..=limits.size(cell)).contains(&block.count));
            assert_eq!(limits.forbidden(block.table, block.start, block.start + (block.count - 1)), None);
            assert!(made.homes.iter().any(|home| home.block == index && home.offset == 0));
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
    fn no_way_to_group_the_tags_costs_less(
        map in prop_oneof![tags(Table::HoldingRegister, 40, 7), tags(Table::Coil, 60, 7)],
        limits in all_limits(8..=24),
    ) {
        let map = fitting(map, &limits);
        let planned = plan(&map, &limits).blocks.into_iter().map(|block| (block.table, block.count));
        assert_eq!(cost(planned, &limits), least_by_trying(&map, &limits));
    }
}
