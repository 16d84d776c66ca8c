//! What to ask a unit after it failed, where replies are not numbered. Pure.
//!
//! Its reply may still come, and would look like the reply to the next request of the same function
//! and size. A unit answers in the order in which it is asked. So it is asked first for a size that
//! none of its other requests has: once that is answered, nothing older can come, and should even that
//! answer be late, it fits no other request.

use std::collections::HashSet;

use super::limits::Limits;
use super::plan::Block;
use super::rtu::frame::data_bytes;

/// The request to ask before all others after `failed` was not answered, for a unit that is otherwise
/// asked for `asked`: a part of what it is asked anyway, or else a little more. None when there is no
/// size left, or every place nearby is forbidden.
pub(super) fn harmless(failed: &Block, asked: &[Block], limits: &Limits) -> Option<Block> {
    // Another table is another function, which no reply is mistaken for.
    let of_table = || asked.iter().filter(|block| block.table == failed.table);
    let sizes: HashSet<usize> = of_table().chain([failed]).map(data_bytes).collect();
    let is_free = |block: &Block| !sizes.contains(&data_bytes(block));
    let shorter = |&block: &Block| (1..block.count).rev().map(move |count| Block { count, ..block });
    let longer = (failed.count..limits.size(failed.table.cell())).flat_map(|more| {
        let last_start = u16::MAX - more;
        let starts = [failed.start.min(last_start), failed.start.saturating_sub(more + 1 - failed.count)];
        starts.map(|start| Block { start, count: more + 1, ..*failed })
    });
    let is_allowed =
        |block: &Block| limits.forbidden(block.table, block.start, block.start + (block.count - 1)).is_none();
    [failed]
        .into_iter()
        .chain(of_table())
        .flat_map(shorter)
        .find(is_free)
        .or_else(|| longer.filter(is_free).find(is_allowed))
}

#[cfg(test)]
mod tests {
    use proptest::collection;
    use proptest::prelude::{Strategy, any, proptest};
    use proptest::sample::select;

    use super::harmless;
    use crate::modbus::plan::Block;
    use crate::modbus::rtu::frame::data_bytes;
    use crate::modbus::{Limits, Places, Table};

    fn registers(start: u16, count: u16) -> Block {
        Block { table: Table::HoldingRegister, start, count }
    }

    #[test]
    fn a_part_of_what_is_asked_anyway_is_asked_if_it_has_a_size_of_its_own() {
        let (two, five) = (registers(10, 2), registers(50, 5));
        let limits = Limits::default();
        assert_eq!(harmless(&five, &[two, five], &limits), Some(registers(50, 4)));
        assert_eq!(harmless(&two, &[two, five], &limits), Some(registers(10, 1)));
        assert_eq!(harmless(&two, &[two, registers(9, 1), five], &limits), Some(registers(50, 4)));
    }

    #[test]
    fn a_lonely_register_is_asked_with_a_neighbour_that_is_not_forbidden() {
        let (lonely, last) = (registers(10, 1), registers(65_535, 1));
        let limits = Limits::default();
        assert_eq!(harmless(&lonely, &[lonely], &limits), Some(registers(10, 2)));
        assert_eq!(harmless(&last, &[last], &limits), Some(registers(65_534, 2)));
        let behind: Places = "holding:11-20".parse().expect("places");
        let before: Places = "holding:0-9".parse().expect("places");
        let limits = limits.never_reading(vec![behind]);
        assert_eq!(harmless(&lonely, &[lonely], &limits), Some(registers(9, 2)));
        assert_eq!(harmless(&lonely, &[lonely], &limits.never_reading(vec![behind, before])), None);
    }

    #[test]
    fn bits_that_fill_a_byte_are_told_from_those_that_fill_two() {
        let coils = Block { table: Table::Coil, start: 3, count: 5 };
        let asked = harmless(&coils, &[coils], &Limits::default()).expect("there is room");
        assert_eq!(data_bytes(&asked), 2);
    }

    fn blocks() -> impl Strategy<Value = Vec<Block>> {
        let block = (select(&Table::ALL[..]), any::<u16>(), 1_u16..=125);
        let block = block.prop_filter_map("past the end", |(table, start, count)| {
            start.checked_add(count - 1).map(|_| Block { table, start, count })
        });
        collection::vec(block, 1..20)
    }

    proptest! {
        #[test]
        fn its_reply_fits_no_other_request(asked in blocks()) {
            let harmless = harmless(&asked[0], &asked, &Limits::default()).expect("few sizes are taken");
            assert!(harmless.start.checked_add(harmless.count - 1).is_some());
            assert!((1..=Limits::default().size(harmless.table.cell())).contains(&harmless.count));
            let fits = |block: &Block| block.table == harmless.table && data_bytes(block) == data_bytes(&harmless);
            assert!(!asked.iter().any(fits));
        }
    }
}
