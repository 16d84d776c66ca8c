//! When a value was: at the source's time, save that a value which was told before the gateway itself said that
//! there is none is told anew, when it was seen again, and that two values of one tag never have one time. Pure.

use std::time::Duration;

use penstock_events::{Reading, TagId, Timestamp};
use rustc_hash::FxHashMap;

/// Servers count in steps of up to 16 ms, and a tag may change twice in one. The time is part of an event's id, so
/// the second is told a little later.
const APART: Duration = Duration::from_micros(1);

/// Which tags were declared bad by the gateway, and when the last value of each was.
#[derive(Debug)]
pub(super) struct Dating {
    declared_bad: Vec<bool>,
    last: Vec<Option<Last>>,
}

/// The time of a value by its source, and the one at which it was told.
#[derive(Clone, Copy, Debug)]
struct Last {
    source: Timestamp,
    told: Timestamp,
}

impl Dating {
    /// No tag of so many was declared bad.
    pub(super) fn new(tags: usize) -> Self {
        Self { declared_bad: vec![false; tags], last: vec![None; tags] }
    }

    /// The tag at `index` was declared bad, for a reason that the source knows nothing of.
    pub(super) fn declare_bad(&mut self, index: usize) {
        self.declared_bad[index] = true;
    }

    /// Whether it still is.
    pub(super) fn is_declared_bad(&self, index: usize) -> bool {
        self.declared_bad[index]
    }

    /// Every tag was, with its source.
    pub(super) fn declare_all_bad(&mut self) {
        self.declared_bad.fill(true);
    }

    /// The time of a value of the tag at `index`, which `is_other` than the last. One that is no later than the last
    /// has been told at its own time; that it is good again is a fact of the time at which it was seen.
    pub(super) fn time(
        &mut self,
        index: usize,
        source: Option<Timestamp>,
        observed: Timestamp,
        is_other: bool,
    ) -> Timestamp {
        let source = source.unwrap_or(observed);
        let was_bad = std::mem::take(&mut self.declared_bad[index]);
        let told = match self.last[index] {
            Some(last) if was_bad && source <= last.source => observed,
            Some(last) if source == last.source && is_other => last.told.saturating_add(APART),
            Some(last) if source == last.source => last.told,
            _ => source,
        };
        self.last[index] = Some(Last { source, told });
        told
    }
}

/// Readings in the order of their coming, as batches in which no tag occurs twice, so that all that one batch
/// says can be stored at once: each tag's first reading in the first, its second in the second.
pub(super) fn batches(readings: Vec<Reading>) -> Vec<Vec<Reading>> {
    let mut batches: Vec<Vec<Reading>> = Vec::new();
    let mut seen: FxHashMap<TagId, usize> = FxHashMap::default();
    seen.reserve(readings.len());
    for reading in readings {
        let times = seen.entry(reading.tag).or_default();
        match batches.get_mut(*times) {
            Some(batch) => batch.push(reading),
            None => batches.push(vec![reading]),
        }
        *times += 1;
    }
    batches
}

#[cfg(test)]
mod tests {
    use penstock_events::{Reading, Sample, TagId, Timestamp, Value};

    use super::{Dating, batches};

    const fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_value_has_the_sources_time_and_without_one_that_of_its_coming() {
        let mut dating = Dating::new(1);
        assert_eq!(dating.time(0, Some(at(5)), at(9), true), at(5));
        assert_eq!(dating.time(0, None, at(9), true), at(9));
    }

    #[test]
    fn two_values_of_one_time_are_told_apart_and_one_that_comes_again_is_not() {
        let mut dating = Dating::new(2);
        assert_eq!(dating.time(0, Some(at(5)), at(9), true), at(5));
        assert_eq!(dating.time(1, Some(at(5)), at(9), true), at(5));
        assert_eq!(dating.time(0, Some(at(5)), at(9), true), at(6));
        assert_eq!(dating.time(0, Some(at(5)), at(9), true), at(7));
        assert_eq!(dating.time(0, Some(at(5)), at(10), false), at(7));
        assert_eq!(dating.time(0, Some(at(4)), at(11), true), at(4));
    }

    #[test]
    fn a_value_that_is_told_again_after_a_loss_is_dated_when_it_was_seen_and_another_when_it_was() {
        let mut dating = Dating::new(3);
        for index in 0..3 {
            assert_eq!(dating.time(index, Some(at(5)), at(9), true), at(5));
        }
        dating.declare_all_bad();
        dating.declare_bad(0);
        assert_eq!(dating.time(0, Some(at(5)), at(20), true), at(20));
        assert_eq!(dating.time(0, Some(at(6)), at(21), true), at(6));
        assert_eq!(dating.time(1, Some(at(7)), at(20), true), at(7));
        assert_eq!(dating.time(2, Some(at(3)), at(20), true), at(20));
        assert!(!dating.is_declared_bad(1));
    }

    #[test]
    fn no_tag_is_twice_in_a_batch_and_each_keeps_its_order() {
        let reading =
            |tag, time| Reading { tag: TagId(tag), sample: Sample::Good(Value::Int(0)), time: at(time) };
        let all = vec![reading(1, 1), reading(1, 2), reading(2, 1), reading(1, 3), reading(2, 2)];
        let expected =
            [vec![reading(1, 1), reading(2, 1)], vec![reading(1, 2), reading(2, 2)], vec![reading(1, 3)]];
        assert_eq!(batches(all), expected);
        assert!(batches(Vec::new()).is_empty());
    }
}
