//! The comparison of a PLC's own record with what was received. It trusts neither the gateway's numbers alone
//! nor its silence: ids, sequences, quantities and the PLC's record must all agree.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::event::{Event, micros};
use super::press;

/// What was received, without repetitions, and found to be without holes and in order.
pub(crate) struct Proof {
    unique: Vec<Event>,
    repeated: usize,
}

impl Proof {
    /// Drops events with known ids, as receivers do, and checks what holds for every delivery:
    ///
    /// - an id always comes with the same document, and a place in a stream has one id;
    /// - each stream's events come in the order of their sequence;
    /// - from 1 to the last, none is missing that no `gateway.gap` announces.
    #[track_caller]
    pub(crate) fn of(received: &[Event]) -> Self {
        let mut unique: Vec<Event> = Vec::new();
        let mut known: HashMap<&str, &Event> = HashMap::new();
        for event in received {
            match known.get(event.id.as_str()) {
                Some(first) => assert_eq!(first.document, event.document, "one id, two documents"),
                None => {
                    known.insert(&event.id, event);
                    unique.push(event.clone());
                }
            }
        }
        let mut streams: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for event in &unique {
            streams.entry(&event.stream).or_default().push(event.sequence);
        }
        for (stream, sequences) in &streams {
            assert!(
                sequences.is_sorted_by(|a, b| a < b),
                "{stream} is out of order or doubled: {sequences:?}"
            );
            let announced = announced(&unique, stream);
            let there: BTreeSet<u64> = sequences.iter().copied().collect();
            let last = sequences[sequences.len() - 1];
            let lost: Vec<u64> =
                (1..=last).filter(|place| !there.contains(place) && !announced.contains(place)).collect();
            assert!(lost.is_empty(), "{stream} has holes that nothing announces: {lost:?}");
        }
        Self { repeated: received.len() - unique.len(), unique }
    }

    /// How many deliveries repeated a known event.
    pub(crate) fn repeated(&self) -> usize {
        self.repeated
    }

    /// The events, each once.
    pub(crate) fn events(&self) -> &[Event] {
        &self.unique
    }

    /// The events of the type `kind` about `tag`.
    pub(crate) fn about(&self, kind: &str, tag: &str) -> Vec<&Event> {
        self.unique.iter().filter(|event| event.is(kind, tag)).collect()
    }

    /// Checks that the counter `tag` was told as its PLC recorded it in the power-ons `runs`: every piece that
    /// was made after the first reading, once, and each value at a time at which the counter stood there.
    /// A counter of `range` values begins anew at 0 after the last of them.
    #[track_caller]
    pub(crate) fn counts(&self, tag: &str, range: u64, runs: &[&[(i64, u64)]]) {
        let told = self.about("production.completed", tag);
        let first = told.first().unwrap_or_else(|| panic!("{tag} was never told"));
        let begin = first.data()["counter"]["from"].as_u64().expect("a count");
        let mut stands_at = begin;
        let mut quantity = 0;
        for event in &told {
            let counter = &event.data()["counter"];
            let (from, to) =
                (counter["from"].as_u64().expect("a count"), counter["to"].as_u64().expect("a count"));
            assert_eq!(from, stands_at, "{tag} goes on elsewhere in {}", event.document);
            assert!(
                runs.iter().any(|run| stood_at(run, to, event)),
                "{tag} was not there: {}",
                event.document
            );
            assert!(
                micros(counter["epoch"].as_str().expect("a time")) <= event.time_us,
                "{}",
                event.document
            );
            stands_at = to;
            quantity += event.data()["quantity"].as_u64().expect("a quantity");
        }
        assert_eq!(quantity, made(begin, range, runs), "pieces of {tag}: received and made");
    }

    /// Checks that every state that the PLC recorded was told, in order, with the state before it.
    #[track_caller]
    pub(crate) fn states(&self, tag: &str, recorded: &[(i64, u64)]) {
        let told = self.about("machine.state_changed", tag);
        let names: Vec<_> =
            told.iter().map(|event| event.data()["state"].as_str().expect("a state")).collect();
        let recorded_names: Vec<_> = recorded.iter().map(|(_, state)| press::state_name(*state)).collect();
        assert_eq!(names, recorded_names, "states of {tag}: received and recorded");
        for (event, (_, state)) in told.iter().zip(recorded) {
            assert!(stood_at(recorded, *state, event), "{tag} was not there: {}", event.document);
        }
        for pair in told.windows(2) {
            let previous = &pair[1].data()["previous"];
            assert_eq!(previous["state"], pair[0].data()["state"]);
            let lasted_ms = (pair[1].time_us - pair[0].time_us) / 1000;
            assert_eq!(previous["duration_ms"], lasted_ms, "{}", pair[1].document);
        }
    }

    /// Checks that every answer that the PLC gave to a poll of its inputs became a sample: it numbers them.
    #[track_caller]
    pub(crate) fn every_poll_was_sampled(&self, source: &str) {
        let samples = self.about("telemetry.sampled", &format!("{source}.reads"));
        let numbers: Vec<f64> = samples.iter().map(|event| event.number()).collect();
        let expected: Vec<f64> = (1..=numbers.len()).map(|number| number as f64).collect();
        assert!(
            !numbers.is_empty() && numbers == expected,
            "polls of {source} that were sampled: {numbers:?}"
        );
    }

    /// Checks that `source` was told to be down, and up again, this many times, in turn.
    #[track_caller]
    pub(crate) fn outages(&self, source: &str, down: usize, up: usize) {
        let told: Vec<&str> = self
            .unique
            .iter()
            .filter(|event| event.is("gateway.source_down", source) || event.is("gateway.source_up", source))
            .map(|event| event.kind.as_str())
            .collect();
        let expected: Vec<&str> =
            (0..down + up).map(|at| ["gateway.source_down", "gateway.source_up"][at % 2]).collect();
        assert_eq!(told, expected, "outages of {source}");
    }
}

/// The places of `stream` that gaps announce as given up.
fn announced(events: &[Event], stream: &str) -> BTreeSet<u64> {
    let place = |text: &serde_json::Value| -> u64 {
        text.as_str().and_then(|digits| digits.parse().ok()).expect("a place is decimal digits")
    };
    let gaps = events.iter().filter(|event| event.kind == "gateway.gap" && event.data()["stream"] == stream);
    gaps.flat_map(|gap| place(&gap.data()["first"])..=place(&gap.data()["last"])).collect()
}

/// Whether the record has `value` at some time between the event's slot and its observation, or at its time if that
/// is later, by a clock that is ahead.
fn stood_at(record: &[(i64, u64)], value: u64, event: &Event) -> bool {
    record.iter().enumerate().any(|(index, &(from, recorded))| {
        let until = record.get(index + 1).map_or(i64::MAX, |(next, _)| *next);
        recorded == value && from <= event.observed_us.max(event.time_us) && until >= event.time_us
    })
}

/// How many pieces the record has after the counter first stood at `begin`. Each run but the first begins with
/// a power-on: what it begins with was not made, and where it falls within a run it has rolled over.
fn made(begin: u64, range: u64, runs: &[&[(i64, u64)]]) -> u64 {
    let moved = |run: &[(i64, u64)]| -> u64 {
        run.windows(2).map(|pair| (pair[1].1 + range - pair[0].1) % range).sum()
    };
    let (first, later) = runs.split_first().expect("there was a power-on");
    let seen = first.iter().position(|(_, value)| *value == begin).expect("the first reading was recorded");
    moved(&first[seen..]) + later.iter().map(|run| moved(run)).sum::<u64>()
}
