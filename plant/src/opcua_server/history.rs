//! The former values of a variable, the last so many of them. Pure.

use std::collections::VecDeque;

use opcua::types::{DataValue, DateTime};

/// Values kept of a variable: at fifty changes a second more than three minutes, in a megabyte.
const KEPT: usize = 10_000;
/// The most values in one answer, whatever is asked: a few hundred kilobytes.
const MOST_AT_ONCE: usize = 5_000;

/// What a variable held, in the order of the times.
#[derive(Debug, Default)]
pub(super) struct Past(VecDeque<DataValue>);

/// Which values are asked for (OPC 10000-11, section 6.4.3): from `start` on, backwards if `end` is earlier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// The first time; null for the beginning.
    pub(super) start: DateTime,
    /// The time that is not asked for any more; null for all that there is.
    pub(super) end: DateTime,
    /// The most values, 0 for no limit.
    pub(super) most: usize,
    /// How many of them were answered before.
    pub(super) skip: usize,
}

impl Past {
    pub(super) fn push(&mut self, value: DataValue) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(value);
    }

    /// The values after a time.
    pub(super) fn after(&self, time: DateTime) -> Vec<DataValue> {
        let is_after = |value: &&DataValue| value.source_timestamp > Some(time);
        let mut values: Vec<DataValue> = self.0.iter().rev().take_while(is_after).cloned().collect();
        values.reverse();
        values
    }

    /// The values of a span, and whether there are more of them than fit an answer.
    pub(super) fn values(&self, span: Span) -> (Vec<DataValue>, bool) {
        let has_end = !span.end.is_null();
        let backwards = has_end && (span.start.is_null() || span.end < span.start);
        let asked = |value: &&DataValue| {
            let Some(at) = value.source_timestamp else { return false };
            if backwards {
                (span.start.is_null() || at <= span.start) && at > span.end
            } else {
                at >= span.start && (!has_end || at < span.end)
            }
        };
        let most = if span.most == 0 { MOST_AT_ONCE } else { span.most.min(MOST_AT_ONCE) };
        let mut values: Vec<DataValue> = if backwards {
            self.0.iter().rev().filter(asked).skip(span.skip).take(most + 1).cloned().collect()
        } else {
            self.0.iter().filter(asked).skip(span.skip).take(most + 1).cloned().collect()
        };
        let has_more = values.len() > most;
        values.truncate(most);
        (values, has_more)
    }
}

#[cfg(test)]
mod tests {
    use opcua::types::Variant;

    use super::super::variable::{Value, date_time};
    use super::*;

    const T: i64 = 1_767_225_600_000_000;

    fn asked(start: i64, end: i64, most: usize, skip: usize) -> (Vec<i32>, bool) {
        let mut past = Past::default();
        for second in 0..10 {
            past.push(Value::Int32(second).since(T + i64::from(second)));
        }
        let null_or = |at: i64| if at < 0 { DateTime::null() } else { date_time(T + at) };
        let (values, more) = past.values(Span { start: null_or(start), end: null_or(end), most, skip });
        let numbers = values.into_iter().map(|value| match value.value {
            Some(Variant::Int32(number)) => number,
            other => panic!("{other:?}"),
        });
        (numbers.collect(), more)
    }

    #[test]
    fn a_span_begins_with_its_start_and_ends_before_its_end() {
        assert_eq!(asked(3, 6, 0, 0), (vec![3, 4, 5], false));
        assert_eq!(asked(6, 3, 0, 0), (vec![6, 5, 4], false));
        assert_eq!(asked(8, -1, 0, 0), (vec![8, 9], false));
        assert_eq!(asked(-1, 7, 0, 0), (vec![9, 8], false));
        assert_eq!(asked(20, 30, 0, 0), (vec![], false));
    }

    #[test]
    fn an_answer_goes_on_where_the_one_before_it_stopped() {
        assert_eq!(asked(2, 7, 3, 0), (vec![2, 3, 4], true));
        assert_eq!(asked(2, 7, 3, 3), (vec![5, 6], false));
        assert_eq!(asked(2, 7, 5, 0), (vec![2, 3, 4, 5, 6], false));
    }

    #[test]
    fn what_came_after_a_time_is_told_in_order() {
        let mut past = Past::default();
        for second in 0..4 {
            past.push(Value::Int32(second).since(T + i64::from(second)));
        }
        let of = |at| past.after(date_time(at)).into_iter().map(|value| value.value);
        assert!(of(T + 1).eq([Some(Variant::Int32(2)), Some(Variant::Int32(3))]));
        assert_eq!(of(T + 3).count(), 0);
    }

    #[test]
    fn the_oldest_values_make_room_for_new_ones() {
        let mut past = Past::default();
        for number in 0..=KEPT {
            past.push(Value::Int32(i32::try_from(number).expect("it is small")).since(T + number as i64));
        }
        let all = Span { start: date_time(T), end: DateTime::null(), most: 1, skip: 0 };
        assert_eq!(past.values(all).0[0].value, Some(Variant::Int32(1)));
        assert_eq!(past.0.len(), KEPT);
    }
}
