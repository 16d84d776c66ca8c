//! What must hold of a store after a power cut, given what was promised before it.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Instant;

use penstock_buffer::{
    Buffer, DeadLetter, DeadLetterFilter, DeadLetterId, OpenError, Options, PerLane, Replay,
};
use penstock_events::{Event, Fact, GapReason, Lane, Sequence};

use super::promised::Promised;
use super::run::Size;
use super::workload::{DESTINATIONS, STATE, stood, telemetry};
use crate::fixture::{DEADLINE, append, destination, piece, sample};

/// How many commits come after a cut.
const COMING: u64 = 10;

/// What a store holds.
#[derive(Debug, PartialEq)]
struct Found {
    heads: PerLane<Sequence>,
    events: PerLane<Vec<(Sequence, Event)>>,
    cursors: BTreeMap<(String, Lane), Sequence>,
    state: BTreeMap<String, Vec<u8>>,
    letters: BTreeMap<(String, Lane, Sequence), Event>,
}

/// How far a store is followed after a cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Thoroughness {
    OpenedTwice,
    /// Until what grew at the cut is complete, and read as that.
    ToTheEnd,
}

/// Opens the store below `root` and compares it with what was promised: the first promise that is broken.
pub(super) fn inspect(
    root: &Path,
    size: Size,
    promised: &Promised,
    thoroughness: Thoroughness,
) -> Result<(), String> {
    let buffer = open(&size.store(root)).map_err(|error| format!("it does not open: {error}"))?;
    let found = Found::in_store(&buffer)?;
    for lane in Lane::ALL {
        check_order(lane, &found, promised)?;
        check_durable(lane, &found, promised)?;
    }
    check_telemetry(&found, promised)?;
    check_business(&found, promised)?;
    check_cursors(&found, promised)?;
    check_replays(&buffer.replays(), promised)?;
    check_letters(&found, promised)?;
    buffer.close().map_err(|error| format!("it does not close: {error}"))?;

    let again = open(&size.store(root)).map_err(|error| format!("it does not open twice: {error}"))?;
    let found_again = Found::in_store(&again)?;
    check_same(&found_again, &found, promised)?;
    let mut known =
        PerLane::from_fn(|lane| found_again.events[lane].iter().cloned().collect::<BTreeMap<_, _>>());
    let coming = if thoroughness == Thoroughness::ToTheEnd { COMING } else { 1 };
    let mut heads = found_again.heads;
    for n in 1..=coming {
        let places = append(&again, vec![piece(n), sample(n)]);
        for lane in Lane::ALL {
            let first = places[lane].expect("one event for each").first;
            check_follows(&again, lane, heads[lane], first)?;
            heads[lane] = first;
            let event = if lane == Lane::Business { piece(n) } else { sample(n) };
            known[lane].insert(first, event);
        }
    }
    again.close().map_err(|error| format!("it does not close again: {error}"))?;
    if thoroughness == Thoroughness::ToTheEnd { check_complete(root, size, &known) } else { Ok(()) }
}

/// What is appended goes on where the lane ended. In the business lane, word of what was given up to make room may come first: a gap
/// for each generation.
fn check_follows(buffer: &Buffer, lane: Lane, head: Sequence, first: Sequence) -> Result<(), String> {
    let mut expected = head.next();
    if lane == Lane::Business && first > expected {
        let limit = (first.0 - expected.0) as usize;
        let batch =
            buffer.read(lane, expected, limit).map_err(|error| format!("it cannot be read on: {error}"))?;
        let gaps = batch.events.iter().take_while(|(_, event)| matches!(event.fact, Fact::Gap { .. }));
        expected = gaps.last().map_or(expected, |(place, _)| place.next());
    }
    if first == expected { Ok(()) } else { Err(format!("after {head} the {lane} lane goes on at {first}")) }
}

/// What a cut left in the generations that grew is not taken for what came to its places later, once they are complete and read
/// without sled.
fn check_complete(root: &Path, size: Size, known: &PerLane<BTreeMap<Sequence, Event>>) -> Result<(), String> {
    let rolling = Options { generation_bytes: 1, ..size.store(root) };
    let buffer = open(&rolling).map_err(|error| format!("it does not open to be rolled: {error}"))?;
    append(&buffer, vec![piece(1), sample(1)]);
    buffer.close().map_err(|error| format!("it does not close when it rolled: {error}"))?;
    let buffer = open(&size.store(root)).map_err(|error| format!("it does not open a last time: {error}"))?;
    let found = Found::in_store(&buffer)?;
    for lane in Lane::ALL {
        let is_other =
            |(place, event): &&(Sequence, Event)| known[lane].get(place).is_some_and(|known| known != event);
        if let Some((place, event)) = found.events[lane].iter().find(is_other) {
            return Err(format!("{lane} event {place} came to be {event:?}"));
        }
        let came = known[lane].len().saturating_sub(COMING as usize);
        let is_gone = |place: &&Sequence| !found.events[lane].iter().any(|(there, _)| there == *place);
        match known[lane].keys().skip(came).find(is_gone) {
            Some(place) if size == Size::Usual => {
                return Err(format!("{lane} event {place} is gone when its generation is complete"));
            }
            Some(_) | None => {}
        }
    }
    buffer.close().map_err(|error| format!("it does not close a last time: {error}"))
}

/// Opens the store. Its lock is waited for: another thread may just be starting a program, which has it until it runs.
fn open(options: &Options) -> Result<Buffer, OpenError> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match Buffer::open(options.clone()) {
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => thread::yield_now(),
            opened => return opened,
        }
    }
}

impl Found {
    /// All of it as of one moment: the buffer keeps house meanwhile.
    fn in_store(buffer: &Buffer) -> Result<Self, String> {
        loop {
            let heads = *buffer.heads().borrow();
            let found = Self::read(buffer, heads);
            if *buffer.heads().borrow() == heads {
                return found;
            }
        }
    }

    fn read(buffer: &Buffer, heads: PerLane<Sequence>) -> Result<Self, String> {
        let mut events = PerLane::from_fn(|_| Vec::new());
        let mut cursors = BTreeMap::new();
        for lane in Lane::ALL {
            let mut from = Sequence::ZERO;
            loop {
                let batch =
                    buffer.read(lane, from, 97).map_err(|error| format!("it cannot be read: {error}"))?;
                let Some((last, _)) = batch.events.last() else { break };
                from = last.next();
                events[lane].extend(batch.events);
            }
            for name in DESTINATIONS {
                let cursor = buffer.cursor(&destination(name), lane).expect("it is configured");
                cursors.insert((name.to_owned(), lane), cursor);
            }
        }
        let page = buffer
            .dead_letters(&DeadLetterFilter::default(), None, 10_000)
            .map_err(|error| format!("dead letters cannot be read: {error}"))?;
        let place = |letter: DeadLetter| {
            let DeadLetterId { destination, lane, sequence } = letter.id;
            ((destination.to_string(), lane, sequence), letter.event)
        };
        let letters = page.letters.into_iter().map(place).collect();
        Ok(Self { heads, events, cursors, state: buffer.state().clone(), letters })
    }

    fn slowest(&self, lane: Lane) -> Sequence {
        let cursors = DESTINATIONS.iter().map(|name| self.cursors[&((*name).to_owned(), lane)]);
        cursors.min().expect("two destinations")
    }

    fn announces(&self, lane: Lane, place: Sequence) -> bool {
        lane == Lane::Telemetry && self.gaps().any(|(first, last)| (first..=last).contains(&place))
    }

    fn gaps(&self) -> impl Iterator<Item = (Sequence, Sequence)> {
        self.events.business.iter().filter_map(|(_, event)| match event.fact {
            // Dead letters are another matter.
            Fact::Gap { reason: GapReason::Discarded, .. } => None,
            Fact::Gap { first, last, .. } => Some((first, last)),
            _ => None,
        })
    }
}

/// A store that was closed and opened holds what it held, but for what every destination has and what it gave up since: one
/// that a group larger than all its room had filled does so at once. Nothing was added to it but word of that.
fn check_same(again: &Found, found: &Found, promised: &Promised) -> Result<(), String> {
    if again.cursors != found.cursors || again.state != found.state {
        return Err("opened again, its cursors or state are others".to_owned());
    }
    for lane in Lane::ALL {
        check_order(lane, again, promised)?;
        check_durable(lane, again, promised)?;
        let held = |place: Sequence| place <= found.heads[lane];
        let (kept, added): (Vec<_>, Vec<_>) = again.events[lane].iter().partition(|(place, _)| held(*place));
        let gone = found.events[lane].len().saturating_sub(kept.len());
        let (deleted, expected) = found.events[lane].split_at(gone);
        let is_lost = |place: Sequence| place > found.slowest(lane) && !again.announces(lane, place);
        if !kept.into_iter().eq(expected)
            || deleted.iter().any(|(place, _)| is_lost(*place))
            || added.iter().any(|(_, event)| !matches!(event.fact, Fact::Gap { .. }))
            || again.heads[lane].0 != found.heads[lane].0 + added.len() as u64
        {
            return Err(format!("opened again, its {lane} events are others"));
        }
    }
    check_telemetry(again, promised)
}

/// Places are without holes up to the head, and nothing is missing before the first but what every destination has or
/// was told of.
fn check_order(lane: Lane, found: &Found, promised: &Promised) -> Result<(), String> {
    let events = &found.events[lane];
    for pair in events.windows(2) {
        let missing = (pair[0].0.0 + 1..pair[1].0.0).map(Sequence);
        let is_known =
            |place| promised.may_be_damaged(lane, place) && is_gone_for_good(lane, place, found, promised);
        if !missing.clone().all(is_known) {
            return Err(format!("the {lane} lane has a hole between {} and {}", pair[0].0, pair[1].0));
        }
    }
    match events.last() {
        Some((last, _))
            if *last != found.heads[lane] && !promised.may_be_damaged(lane, found.heads[lane]) =>
        {
            Err(format!("the {lane} lane ends at {last}, and says {}", found.heads[lane]))
        }
        _ => Ok(()),
    }
}

/// What was promised to be durable is at its place with its bytes, or was given to every destination, or was announced as lost.
fn check_durable(lane: Lane, found: &Found, promised: &Promised) -> Result<(), String> {
    if found.heads[lane] < promised.durable_head(lane) {
        return Err(format!(
            "the {lane} lane ends at {}, and {} was acknowledged",
            found.heads[lane],
            promised.durable_head(lane)
        ));
    }
    let events: BTreeMap<Sequence, &Event> =
        found.events[lane].iter().map(|(place, event)| (*place, event)).collect();
    for &(first, last, ordinal) in &promised.durable[lane] {
        for place in first.0..=last.0 {
            let expected = expected(lane, ordinal + place - first.0);
            match events.get(&Sequence(place)) {
                Some(event) if **event == expected => {}
                Some(event) => return Err(format!("{lane} event {place} is {event:?}")),
                None if is_gone_for_good(lane, Sequence(place), found, promised) => {}
                None => return Err(format!("{lane} event {place} is gone")),
            }
        }
    }
    Ok(())
}

fn is_gone_for_good(lane: Lane, place: Sequence, found: &Found, promised: &Promised) -> bool {
    place <= found.slowest(lane)
        || found.announces(lane, place)
        || (lane == Lane::Telemetry
            && promised.told.iter().any(|(first, last)| (first..=last).contains(&&place)))
}

/// Telemetry is what was offered, each at the place of its ordinal, and no loss of it is announced twice.
fn check_telemetry(found: &Found, promised: &Promised) -> Result<(), String> {
    if found.heads.telemetry.0 > promised.offered.telemetry {
        return Err(format!("{} telemetry events of {}", found.heads.telemetry, promised.offered.telemetry));
    }
    for (place, event) in &found.events.telemetry {
        if *event != telemetry(place.0) {
            return Err(format!("telemetry event {place} is {event:?}"));
        }
    }
    let mut gaps: Vec<_> = found.gaps().collect();
    gaps.sort_unstable();
    match gaps.windows(2).find(|pair| pair[1].0 <= pair[0].1) {
        Some(pair) => Err(format!("two gaps tell of the same loss: {pair:?}")),
        None => Ok(()),
    }
}

/// Business events are what was offered, in order and each once, and the normalizer's state is of the last.
fn check_business(found: &Found, promised: &Promised) -> Result<(), String> {
    let mut last = None;
    for (place, event) in &found.events.business {
        let Fact::ProductionCompleted { counter, .. } = &event.fact else { continue };
        if last.is_some_and(|last| counter.to != last + 1) || *event != piece(counter.to) {
            return Err(format!("business event {place} is {event:?}, after {last:?}"));
        }
        last = Some(counter.to);
    }
    let state = found.state.get(STATE).map_or(0, |value| stood(value));
    let durable = &promised.durable.business;
    let acknowledged = durable.last().map_or(0, |&(first, last, ordinal)| ordinal + last.0 - first.0);
    if state < acknowledged || state > promised.offered.business || last.is_some_and(|last| last != state) {
        return Err(format!(
            "the state says {state}, the events {last:?}, and {acknowledged} was acknowledged"
        ));
    }
    Ok(())
}

/// No cursor is further than its destination ever was, and after a clean end each is exactly there.
fn check_cursors(found: &Found, promised: &Promised) -> Result<(), String> {
    for (key, &cursor) in &found.cursors {
        let told = promised.acknowledged.get(key).copied().unwrap_or_default();
        if cursor > told || (promised.closed && cursor != told) || cursor > found.heads[key.1] {
            return Err(format!("{key:?} is at {cursor}, and acknowledged {told}"));
        }
    }
    Ok(())
}

/// Every replay that was ordered is there, none is further than it ever was, and one that had ended has.
fn check_replays(found: &[Replay], promised: &Promised) -> Result<(), String> {
    for (id, has_ended) in &promised.replays {
        let Some(replay) = found.iter().find(|replay| replay.id == *id) else {
            return Err(format!("replay {id} was ordered and is gone"));
        };
        if *has_ended && replay.is_active() {
            return Err(format!("replay {id} had ended and goes on"));
        }
        for lane in Lane::ALL {
            let Some(span) = replay.lanes[lane] else { continue };
            let told = promised.replaying.get(&(*id, lane)).copied().unwrap_or(span.first);
            if span.next > told {
                return Err(format!("replay {id} is at {} of the {lane} lane, and was at {told}", span.next));
            }
        }
    }
    Ok(())
}

/// Dead letters are there with their events until an operator decides.
fn check_letters(found: &Found, promised: &Promised) -> Result<(), String> {
    if let Some(missing) = promised.buried.iter().find(|place| !found.letters.contains_key(place)) {
        return Err(format!("the dead letter {missing:?} is gone"));
    }
    // Which ordinal a place of the business lane has is for `check_durable` to say.
    let is_right = |(&(_, lane, place), event): (&(String, Lane, Sequence), &Event)| {
        lane == Lane::Business || *event == telemetry(place.0)
    };
    match found.letters.iter().find(|letter| !is_right(*letter)) {
        Some((place, event)) => Err(format!("the dead letter {place:?} is {event:?}")),
        None => Ok(()),
    }
}

fn expected(lane: Lane, ordinal: u64) -> Event {
    match lane {
        Lane::Business => piece(ordinal),
        Lane::Telemetry => telemetry(ordinal),
    }
}
