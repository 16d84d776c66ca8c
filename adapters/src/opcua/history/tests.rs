//! Whatever is missed and whenever the history answers, each value is told once and in its place.

use std::time::Duration;

use opcua::types::{DataValue, StatusCode, Variant};
use penstock_events::Timestamp;
use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::{bool, collection};

use super::{Absences, Gaps, Span, received};
use crate::opcua::request::date_time;

const HOUR: Duration = Duration::from_secs(3600);
const NOW: Timestamp = at(100_000);
const LATER: Timestamp = at(100_001);
const NO_GAPS: Gaps = Gaps { count: 0, news: 0 };

const fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

/// A value that is as many as its time.
fn value(second: i64) -> DataValue {
    let source_timestamp = Some(date_time(at(second)));
    DataValue { value: Some(Variant::Int64(second)), source_timestamp, ..DataValue::default() }
}

fn overflowed(second: i64) -> DataValue {
    DataValue { status: Some(StatusCode::Good.set_overflow(true)), ..value(second) }
}

fn bad(second: i64) -> DataValue {
    DataValue { status: Some(StatusCode::BadNoCommunication), ..value(second) }
}

/// So many tags with a value of 10 s each, interrupted.
fn interrupted(tags: usize) -> Absences {
    let mut absences = Absences::new(tags, HOUR);
    for index in 0..tags {
        assert!(absences.arrived(index, &value(10), NOW));
        absences.interrupted(index);
    }
    absences
}

#[test]
fn what_comes_after_an_interruption_waits_until_the_history_has_said_what_was_before() {
    let mut absences = interrupted(1);
    assert!(!absences.arrived(0, &value(20), NOW));
    assert!(!absences.arrived(0, &value(21), NOW));
    assert_eq!(absences.unknown(9), [0]);
    absences.keeps(0, true);
    assert_eq!((absences.unknown(9), absences.take_hopeless()), (vec![], vec![]));
    assert_eq!(absences.next_batch(9, NOW), [] as [usize; 0], "it is given a moment to be written down");
    assert_eq!(absences.next_batch(9, LATER), [0]);
    assert_eq!(absences.next_batch(9, LATER), [] as [usize; 0], "it is asked for once");
    assert_eq!(absences.span(0), Some(Span { after: at(10), before: at(20) }));

    let page = [value(13), value(12), bad(11), value(10), value(20), value(12)];
    assert_eq!(absences.recovered(0, &page), [&bad(11), &value(12), &value(13)]);
    assert_eq!(absences.span(0), Some(Span { after: at(13), before: at(20) }));
    assert_eq!(absences.recovered(0, &[value(13), value(19)]), [&value(19)]);
    assert_eq!(absences.waiting(), 2);
    assert_eq!(absences.settled(0, true, NOW), [value(20), value(21)]);
    assert!(absences.is_whole(0));
    assert_eq!((absences.waiting(), absences.take_gaps()), (0, NO_GAPS));
}

#[test]
fn what_has_not_changed_waits_for_nothing() {
    let mut absences = interrupted(1);
    assert!(absences.arrived(0, &value(10), NOW));
    assert!(absences.arrived(0, &value(11), NOW));
    let mut absences = interrupted(1);
    assert!(absences.arrived(0, &value(3), NOW), "a clock was set back");
    assert_eq!(absences.take_gaps(), NO_GAPS);
}

#[test]
fn a_tag_that_never_had_a_value_misses_none() {
    let mut absences = Absences::new(1, HOUR);
    absences.interrupted(0);
    assert!(absences.arrived(0, &value(10), NOW));
    let timeless = DataValue { source_timestamp: None, ..value(0) };
    assert!(absences.arrived(0, &timeless, NOW));
}

#[test]
fn a_bad_value_ends_no_gap_since_nobody_knows_whose_time_it_has() {
    let mut absences = interrupted(1);
    assert!(absences.arrived(0, &bad(30), NOW));
    assert!(!absences.arrived(0, &value(20), NOW));
    assert_eq!(absences.span(0), Some(Span { after: at(10), before: at(20) }));
}

#[test]
fn values_that_the_server_gave_up_are_missing_before_the_one_that_says_so() {
    let mut absences = Absences::new(1, HOUR);
    assert!(absences.arrived(0, &value(10), NOW));
    for waits in [overflowed(15), value(16), overflowed(18), value(19)] {
        assert!(!absences.arrived(0, &waits, NOW));
    }
    assert_eq!(absences.next_batch(1, LATER), [0]);
    assert_eq!(absences.settled(0, true, NOW), [overflowed(15), value(16)]);
    assert_eq!(absences.next_batch(1, LATER), [0], "it is missing something again");
    assert_eq!(absences.span(0), Some(Span { after: at(16), before: at(18) }));
    assert_eq!(absences.settled(0, true, NOW), [overflowed(18), value(19)]);
}

#[test]
fn without_a_history_all_goes_on_at_once_and_the_gap_is_counted_and_told_once() {
    let mut absences = interrupted(1);
    assert!(!absences.arrived(0, &value(20), NOW));
    absences.keeps(0, false);
    assert_eq!(absences.take_hopeless(), [0]);
    assert_eq!(absences.settled(0, false, NOW), [value(20)]);
    assert_eq!(absences.take_gaps(), Gaps { count: 1, news: 1 });
    assert!(absences.arrived(0, &overflowed(30), NOW));
    assert_eq!(absences.take_gaps(), Gaps { count: 1, news: 0 });
    absences.begin();
    assert!(!absences.arrived(0, &overflowed(40), NOW), "another session may know better");

    let mut never = Absences::new(1, Duration::ZERO);
    assert!(never.arrived(0, &value(10), NOW));
    assert!(never.arrived(0, &overflowed(20), NOW));
    assert_eq!(never.take_gaps(), Gaps { count: 1, news: 1 });
}

#[test]
fn what_is_longer_ago_than_wanted_is_a_gap() {
    let mut absences = interrupted(1);
    assert!(!absences.arrived(0, &value(5_000), NOW));
    assert_eq!(absences.span(0), Some(Span { after: at(1_400), before: at(5_000) }));
    assert_eq!(absences.take_gaps(), Gaps { count: 1, news: 1 });
}

#[test]
fn tags_are_asked_for_together_when_they_miss_about_the_same_time() {
    let mut absences = Absences::new(5, HOUR);
    for (index, last) in [95, 10, 40, 50, 20].into_iter().enumerate() {
        assert!(absences.arrived(index, &value(last), NOW));
        absences.interrupted(index);
        assert!(!absences.arrived(index, &value(100), NOW));
    }
    assert_eq!(absences.next_batch(3, LATER), [1, 4, 2]);
    assert_eq!(absences.next_batch(3, LATER), [3], "the other would be asked for ten times what it misses");
    assert_eq!(absences.next_batch(3, LATER), [0]);
}

#[test]
fn what_is_given_up_is_told_as_it_came_and_the_next_gap_begins_after_it() {
    let mut absences = interrupted(2);
    for (index, second) in [(0, 20), (1, 20), (0, 21)] {
        assert!(!absences.arrived(index, &value(second), NOW));
    }
    assert_eq!(absences.given_up(), [(0, value(20)), (0, value(21)), (1, value(20))]);
    assert_eq!((absences.waiting(), absences.take_gaps()), (0, Gaps { count: 2, news: 2 }));
    absences.interrupted(0);
    assert!(!absences.arrived(0, &value(30), NOW));
    assert_eq!(absences.span(0), Some(Span { after: at(21), before: at(30) }));
}

proptest! {
    /// A server counts the seconds and records them; some never come, and after those the tag is interrupted or
    /// the next value says that the queue was full. Answers come after some values, in pages of some size.
    #[test]
    fn every_value_of_a_tag_with_a_history_is_told_once_and_in_order(
        fates in collection::vec(any::<(bool, bool, bool)>(), 1..60),
        page in 1_usize..6,
        starts in bool::ANY,
    ) {
        let mut absences = Absences::new(1, HOUR);
        let mut told: Vec<DataValue> = Vec::new();
        let recorded = |span: Span, most: usize| {
            let seconds = (0..=fates.len() as i64).filter(|second| span.after <= at(*second) && at(*second) <= span.before);
            seconds.map(value).take(most).collect::<Vec<_>>()
        };
        let answer = |absences: &mut Absences, told: &mut Vec<DataValue>| {
            for index in absences.next_batch(1, LATER) {
                while let Some(span) = absences.span(index) {
                    let recorded = recorded(span, page + 1);
                    let recovered = absences.recovered(index, &recorded);
                    if recovered.is_empty() {
                        told.extend(absences.settled(index, true, NOW));
                        break;
                    }
                    told.extend(recovered.into_iter().cloned());
                }
            }
        };
        let mut is_lost = false;
        let arrive = |absences: &mut Absences, told: &mut Vec<DataValue>, value: DataValue| {
            if absences.arrived(0, &value, NOW) {
                told.push(value);
            }
        };
        arrive(&mut absences, &mut told, value(0));
        for (second, (is_missed, overflows, answers)) in fates.iter().enumerate() {
            let second = second as i64 + 1;
            if *is_missed {
                is_lost = true;
                continue;
            }
            let says_so = std::mem::take(&mut is_lost) && *overflows;
            if !says_so && absences.is_whole(0) {
                absences.interrupted(0);
            }
            // While values wait only the server's word tells that others are missing between them.
            let next = if says_so || !absences.is_whole(0) { overflowed(second) } else { value(second) };
            arrive(&mut absences, &mut told, next);
            if *answers || starts {
                answer(&mut absences, &mut told);
            }
        }
        while absences.waiting() > 0 {
            answer(&mut absences, &mut told);
        }
        let last = fates.iter().rposition(|(is_missed, ..)| !is_missed).map_or(0, |at| at as i64 + 1);
        let seconds: Vec<_> = told.iter().map(|value| received(value).time()).collect();
        let expected: Vec<_> = (0..=last).map(|second| Some(at(second))).collect();
        prop_assert_eq!(seconds, expected);
        prop_assert_eq!(absences.take_gaps(), NO_GAPS);
    }
}
