//! The judgement: what was heard against what really happened. Pure.
//!
//! Repeats of an id are dropped first, as any receiver is told to do. Then
//!
//! - **pieces**: each production event claims the pieces `(to - quantity, to]` of its counter, laid
//!   out on one line across rollovers. A piece that nobody claims is lost; one that is claimed twice,
//!   or was never made, is doubled. Sums alone would let a loss and a double cancel out.
//! - **states**: the states of a machine, in the order of their times, are aligned with the true
//!   ones. One that is missing is lost; one too many is doubled.
//! - **gauges**: each sample must be one that was shown, with that value at that moment. A change that is owed and
//!   missing is lost; a sample that was never shown, or is there under two ids, is doubled. What was shown while
//!   nobody listened, or did not change, may be there, and is not counted.
//! - **streams**: the places from 1 to the last one heard must all be there. A place that is missing
//!   is lost; a place that two ids hold, or an id that holds two contents, is doubled.
//! - **order**: the first arrival of a place after that of a later place is out of sequence.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use super::testimony::{Received, Testimony};
use crate::truth::{Count, Entered, Gauge, Shown, Truth};

/// How one kind of fact came through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// What there was to hear.
    pub produced: u64,
    /// What was heard, after dropping known ids.
    pub received: u64,
    /// Produced, and not heard.
    pub lost: u64,
    /// Heard more often than produced.
    pub doubled: u64,
}

/// How one stream came through.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StreamTally {
    /// Its places: produced is the last place heard.
    pub places: Tally,
    /// First arrivals that came after a later place.
    pub out_of_sequence: u64,
}

/// What the witness concludes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Deliveries heard, repeats included.
    pub deliveries: u64,
    /// Distinct ids heard.
    pub events: u64,
    /// Pieces, for each counter of the truth.
    pub counters: BTreeMap<String, Tally>,
    /// States entered, for each state of the truth.
    pub states: BTreeMap<String, Tally>,
    /// Values shown, for each gauge of the truth.
    pub gauges: BTreeMap<String, Tally>,
    /// Places, for each stream heard.
    pub streams: BTreeMap<String, StreamTally>,
    /// Ids that came with two different contents.
    pub contradicted: u64,
    /// Messages that claim to be events and are not.
    pub malformed: u64,
}

impl Verdict {
    /// Deliveries that a receiver drops because it knows their ids.
    pub const fn repeats(&self) -> u64 {
        self.deliveries - self.events
    }

    /// The facts of the plant together: pieces, states and values shown.
    pub fn facts(&self) -> Tally {
        sum(self.counters.values().chain(self.states.values()).chain(self.gauges.values()))
    }

    /// The places of all streams together.
    pub fn places(&self) -> Tally {
        sum(self.streams.values().map(|stream| &stream.places))
    }

    /// Facts and places that are missing.
    pub fn lost(&self) -> u64 {
        self.facts().lost + self.places().lost
    }

    /// Facts and places that are there twice, and ids that mean two things.
    pub fn doubled(&self) -> u64 {
        self.facts().doubled + self.places().doubled + self.contradicted
    }

    /// First arrivals out of their stream's order.
    pub fn out_of_sequence(&self) -> u64 {
        self.streams.values().map(|stream| stream.out_of_sequence).sum()
    }

    /// Whether everything arrived, once: something was heard, all of it whole, nothing lost, nothing
    /// doubled. The order is reported, not judged: a receiver can restore it.
    pub fn is_clean(&self) -> bool {
        self.events > 0 && self.malformed == 0 && self.lost() == 0 && self.doubled() == 0
    }
}

fn sum<'tally>(tallies: impl Iterator<Item = &'tally Tally>) -> Tally {
    tallies.fold(Tally::default(), |sum, tally| Tally {
        produced: sum.produced + tally.produced,
        received: sum.received + tally.received,
        lost: sum.lost + tally.lost,
        doubled: sum.doubled + tally.doubled,
    })
}

impl Testimony {
    /// Judges what was heard against the truth. Counters, states and gauges that the truth does not know
    /// are not judged.
    pub fn judge(&self, truth: &Truth) -> Verdict {
        let (events, contradicted) = self.drop_known_ids();
        let counters = truth.counters.iter().map(|(tag, count)| (tag.clone(), pieces(&events, tag, *count)));
        let states = truth.states.iter().map(|(tag, entered)| (tag.clone(), states(&events, tag, entered)));
        let gauges = truth.gauges.iter().map(|(tag, gauge)| (tag.clone(), shown(&events, tag, gauge)));
        Verdict {
            deliveries: self.received().len() as u64,
            events: events.len() as u64,
            counters: counters.collect(),
            states: states.collect(),
            gauges: gauges.collect(),
            streams: streams(self.received()),
            contradicted,
            malformed: self.malformed().len() as u64,
        }
    }

    /// The first delivery of each id, and how many ids came back with another type, time or content.
    fn drop_known_ids(&self) -> (Vec<&Received>, u64) {
        let mut known: HashMap<&str, &Received> = HashMap::new();
        let mut contradicted = BTreeSet::new();
        let mut events = Vec::new();
        for received in self.received() {
            let first = *known.entry(&received.id).or_insert_with(|| {
                events.push(received);
                received
            });
            let meaning = |event: &Received| (event.kind.clone(), event.time.clone(), event.data.clone());
            if meaning(first) != meaning(received) {
                contradicted.insert(&received.id);
            }
        }
        (events, contradicted.len() as u64)
    }
}

/// Lays the claims of a counter's events on one line, on which the pieces made are `(0, made]`.
fn pieces(events: &[&Received], tag: &str, count: Count) -> Tally {
    let mut claims: Vec<Claim<'_>> =
        about(events, "production.completed", tag).filter_map(Claim::parse).collect();
    // Times are RFC 3339 in UTC with a fixed width, so their text sorts as they do.
    claims.sort_by_key(|claim| (claim.epoch, claim.to));

    let made = i128::from(count.made);
    let (mut lap, mut last, mut received) = (0, 0, 0);
    let mut intervals = Vec::with_capacity(claims.len());
    for claim in claims {
        let place = (claim.to + count.modulus - count.first) % count.modulus;
        // Claims are in the order of time: one that lies behind its predecessor is a lap ahead.
        lap += u64::from(lap * count.modulus + place < last);
        last = lap * count.modulus + place;
        received += claim.quantity;
        intervals.push((i128::from(last) - i128::from(claim.quantity), i128::from(last)));
    }
    intervals.sort_unstable();
    let (mut covered, mut until) = (0, 0);
    for (from, to) in intervals {
        let (from, to) = (from.max(until), to.min(made));
        covered += u64::try_from(to - from).unwrap_or(0);
        until = until.max(to);
    }
    Tally { produced: count.made, received, lost: count.made - covered, doubled: received - covered }
}

struct Claim<'event> {
    epoch: &'event str,
    to: u64,
    quantity: u64,
}

impl<'event> Claim<'event> {
    /// An event without these fields claims nothing, and its pieces show up as lost.
    fn parse(event: &'event Received) -> Option<Self> {
        let counter = event.data.get("counter")?;
        Some(Self {
            epoch: counter.get("epoch")?.as_str()?,
            to: counter.get("to")?.as_u64()?,
            quantity: event.data.get("quantity")?.as_u64()?,
        })
    }
}

fn states(events: &[&Received], tag: &str, truth: &[Entered]) -> Tally {
    let mut changes: Vec<&Received> = about(events, "machine.state_changed", tag).collect();
    changes.sort_by_key(|event| (&event.time, event.sequence));
    let heard: Vec<&str> =
        changes.iter().map(|event| event.data.get("state").and_then(Value::as_str).unwrap_or("")).collect();
    let produced: Vec<&str> = truth.iter().map(|entered| entered.state).collect();
    let common = longest_common_subsequence(&produced, &heard);
    let (produced, received) = (produced.len() as u64, heard.len() as u64);
    Tally { produced, received, lost: produced - common, doubled: received - common }
}

/// Good samples only: a gauge that could not be read shows nothing.
fn shown(events: &[&Received], tag: &str, gauge: &Gauge) -> Tally {
    let mut heard: HashMap<(i64, u64), u64> = HashMap::new();
    for sample in about(events, "telemetry.sampled", tag).filter(|event| is_good(event)) {
        let value = sample.data.get("value").and_then(Value::as_f64).unwrap_or(f64::NAN);
        let time = sample.time.parse::<Timestamp>().map_or(i64::MIN, Timestamp::as_microsecond);
        *heard.entry((time, value.to_bits())).or_default() += 1;
    }
    let is_heard = |shown: &&Shown| heard.contains_key(&(shown.at_us, shown.value.to_bits()));
    let produced = gauge.owed().count() as u64;
    let arrived = gauge.owed().filter(is_heard).count() as u64;
    let known = gauge.values.iter().filter(is_heard).count() as u64;
    let doubled = heard.values().sum::<u64>() - known;
    Tally { produced, received: arrived + doubled, lost: produced - arrived, doubled }
}

fn is_good(event: &Received) -> bool {
    event.data.pointer("/quality/status").and_then(Value::as_str) == Some("good")
}

fn longest_common_subsequence(one: &[&str], other: &[&str]) -> u64 {
    let mut row = vec![0; other.len() + 1];
    for item in one {
        let mut diagonal = 0;
        for (index, candidate) in other.iter().enumerate() {
            let above = row[index + 1];
            row[index + 1] = if item == candidate { diagonal + 1 } else { above.max(row[index]) };
            diagonal = above;
        }
    }
    row[other.len()]
}

fn about<'event>(
    events: &[&'event Received],
    kind: &str,
    tag: &str,
) -> impl Iterator<Item = &'event Received> {
    events
        .iter()
        .copied()
        .filter(move |event| event.kind == kind && event.data.get("tag").and_then(Value::as_str) == Some(tag))
}

fn streams(received: &[Received]) -> BTreeMap<String, StreamTally> {
    let mut streams: BTreeMap<String, StreamTally> = BTreeMap::new();
    let mut holders: HashMap<(&str, u64), BTreeSet<&str>> = HashMap::new();
    for event in received {
        let stream = streams.entry(event.stream.clone()).or_default();
        let holders = holders.entry((&event.stream, event.sequence)).or_default();
        if holders.is_empty() {
            stream.places.received += 1;
            stream.out_of_sequence += u64::from(event.sequence < stream.places.produced);
            stream.places.produced = stream.places.produced.max(event.sequence);
        }
        if holders.insert(&event.id) && holders.len() > 1 {
            stream.places.doubled += 1;
        }
    }
    for stream in streams.values_mut() {
        stream.places.lost = stream.places.produced.saturating_sub(stream.places.received);
    }
    streams
}
