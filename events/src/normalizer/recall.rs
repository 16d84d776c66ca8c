//! State from events: what they say of the state that they were stored with, should a piece of it be lost.

use std::collections::BTreeMap;

use super::counter::Run;
use super::state::StoredState;
use super::stored::{StateChange, Stored, counter_key, find, state_key};
use crate::event::{Event, Fact};

/// What the last of `events`, which are in order, say of counters and machines beyond what `state` holds of them. Of whom
/// it holds nothing, nothing is said.
///
/// Their events say all that is stored of them. A counter may have moved on without an event, and then its piece is
/// the later one: that shows in its epoch, which only grows, and in its value, which grows within one.
pub fn recall<'a>(
    events: impl IntoIterator<Item = Event>,
    state: impl Fn(&str) -> Option<&'a [u8]>,
) -> Vec<StateChange> {
    let last: BTreeMap<String, Stored> = events.into_iter().filter_map(|event| left_by(&event)).collect();
    let is_later = |(key, stored): &(String, Stored)| match find(&state, key, Some) {
        Ok(Some(known)) => moment(stored) > moment(&known),
        // What is whole and cannot be decoded is of a later version, and stays.
        Ok(None) | Err(_) => false,
    };
    last.into_iter().filter(is_later).map(|(key, stored)| stored.change(&key)).collect()
}

/// The piece of state that an event was stored with, and its key.
fn left_by(event: &Event) -> Option<(String, Stored)> {
    match &event.fact {
        Fact::ProductionCompleted { tag, output, counter, .. } => {
            let run = Run { epoch_us: counter.epoch.as_micros(), value: counter.to };
            Some((counter_key(&event.asset, tag, *output), Stored::CounterV1(run)))
        }
        Fact::MachineStateChanged { tag, state, .. } => {
            let stored = StoredState { state: state.to_string(), since_us: event.time.as_micros() };
            Some((state_key(&event.asset, tag), Stored::StateV1(stored)))
        }
        _ => None,
    }
}

/// What grows from one piece of a key to the next.
fn moment(stored: &Stored) -> (i64, u64) {
    match stored {
        Stored::CounterV1(run) => (run.epoch_us, run.value),
        Stored::StateV1(state) => (state.since_us, 0),
        Stored::SourceV1 { .. } | Stored::AlertV1(_) => (i64::MAX, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CounterMark, Output, Quality};
    use crate::time::Timestamp;

    fn event(time: i64, fact: Fact) -> Event {
        let time = Timestamp::from_micros(time);
        Event { asset: "line-1".parse().expect("a path"), time, observed: time, quality: Quality::Good, fact }
    }

    fn counted(epoch: i64, to: u64) -> Event {
        let counter = CounterMark { epoch: Timestamp::from_micros(epoch), from: to - 1, to };
        let tag = "press-1.good".parse().expect("a tag");
        event(9, Fact::ProductionCompleted { tag, output: Output::Good, quantity: 1, counter })
    }

    fn turned(state: &str, since: i64) -> Event {
        let (tag, state) = ("press-1.state".parse().expect("a tag"), state.parse().expect("a name"));
        event(since, Fact::MachineStateChanged { tag, state, previous: None })
    }

    fn of(event: &Event) -> StateChange {
        let (key, stored) = left_by(event).expect("it leaves some");
        stored.change(&key)
    }

    /// What is recalled beside a piece that is known.
    fn beside(known: &StateChange, events: impl IntoIterator<Item = Event>) -> Vec<StateChange> {
        recall(events, |key| (key == known.key).then_some(&known.value))
    }

    #[test]
    fn an_event_says_the_state_that_it_was_stored_with() {
        let run = Run { epoch_us: 3, value: 300 };
        assert_eq!(of(&counted(3, 300)), Stored::CounterV1(run).change("counter|line-1|press-1.good|good"));
        let stored = StoredState { state: "running".to_owned(), since_us: 64 };
        assert_eq!(of(&turned("running", 64)), Stored::StateV1(stored).change("state|line-1|press-1.state"));
    }

    #[test]
    fn only_what_is_later_is_recalled() {
        let known = of(&counted(3, 300));
        let cases = [
            (counted(3, 299), false),
            (counted(3, 300), false),
            (counted(3, 301), true),
            (counted(4, 1), true),
        ];
        for (event, is_later) in cases {
            assert_eq!(!beside(&known, [event.clone()]).is_empty(), is_later, "{event:?}");
        }
        let known = of(&turned("running", 64));
        assert_eq!(beside(&known, [turned("stopped", 63)]), []);
        assert_eq!(beside(&known, [turned("stopped", 65)]), [of(&turned("stopped", 65))]);
    }

    #[test]
    fn the_last_event_counts_whatever_the_clock_did() {
        let known = of(&turned("stopped", 50));
        assert_eq!(beside(&known, [turned("running", 64), turned("stopped", 50)]), []);
    }

    #[test]
    fn what_is_not_known_or_cannot_be_decoded_is_left_alone() {
        assert_eq!(recall([counted(4, 1)], |_| None), []);
        let newer = StateChange { value: vec![0xff], ..of(&counted(3, 300)) };
        assert_eq!(beside(&newer, [counted(4, 1)]), []);
    }
}
