//! Events out of the buffer, as they travel: a few to look at, or all of a selection.

use std::collections::VecDeque;

use penstock_buffer::{Batch, Selection, SequenceRange};
use penstock_events::cloudevent::CloudEvent;
use penstock_events::{DestinationName, Lane, Sequence};

use super::{Desk, Failure, FailureKind, Replies, Stop};

/// The most events of a lane that a peek shows: it holds them in memory.
const MAX_PEEK: usize = 10_000;
/// How many places a look for the newest goes back at first; it doubles with each.
const FIRST_LOOK_BACK: u64 = 256;
/// And at most.
const LONGEST_LOOK_BACK: u64 = 1 << 16;

/// A part of a lane to go through, and how far the command is when it begins.
struct Part<'a> {
    lane: Lane,
    places: SequenceRange,
    selection: &'a Selection,
    /// Places of the command that are done with before.
    before: u64,
    /// Places of the command in all.
    total: u64,
}

impl Desk {
    /// The next events that `destination` is to get.
    pub(super) fn peek_next(
        &self,
        destination: &DestinationName,
        selection: &Selection,
        limit: usize,
        replies: &mut Replies<'_>,
    ) -> Result<(), Stop> {
        for lane in selection.lanes() {
            let cursor = self.buffer.cursor(destination, lane).ok_or_else(|| self.unknown(destination))?;
            let waiting = self
                .buffer
                .retained(lane)
                .map(|places| SequenceRange { first: places.first.max(cursor.next()), ..places });
            if let Some(places) = waiting.and_then(|waiting| selection.places(lane, waiting)) {
                let part = Part { lane, places, selection, before: 0, total: length(places) };
                self.documents(&part, &mut (limit.min(MAX_PEEK) as u64), replies)?;
            }
        }
        Ok(())
    }

    /// The newest events of each lane, the newest last.
    pub(super) fn peek_newest(
        &self,
        selection: &Selection,
        limit: usize,
        replies: &mut Replies<'_>,
    ) -> Result<(), Stop> {
        for (lane, places) in self.places(selection) {
            let part = Part { lane, places, selection, before: 0, total: length(places) };
            for document in self.newest(&part, limit.min(MAX_PEEK), replies)? {
                replies.document(document)?;
            }
        }
        Ok(())
    }

    /// All events of a selection that are durable at the beginning, lane by lane.
    pub(super) fn export(
        &self,
        selection: &Selection,
        limit: Option<u64>,
        replies: &mut Replies<'_>,
    ) -> Result<(), Stop> {
        let lanes = self.places(selection);
        let total = lanes.iter().map(|&(_, places)| length(places)).sum();
        let mut left = limit.unwrap_or(u64::MAX);
        let mut before = 0;
        for (lane, places) in lanes {
            self.documents(&Part { lane, places, selection, before, total }, &mut left, replies)?;
            before += length(places);
        }
        Ok(())
    }

    /// How many events of `selection` there are in these places.
    pub(super) fn count(
        &self,
        lanes: &[(Lane, SequenceRange)],
        selection: &Selection,
        replies: &mut Replies<'_>,
    ) -> Result<u64, Stop> {
        let total = lanes.iter().map(|&(_, places)| length(places)).sum();
        let (mut events, mut before) = (0, 0);
        for &(lane, places) in lanes {
            self.walk(&Part { lane, places, selection, before, total }, replies, |batch, _| {
                events += batch.events.len() as u64;
                Ok(true)
            })?;
            before += length(places);
        }
        Ok(events)
    }

    /// Hands over the events of a part, while any are `left` to be handed over.
    fn documents(&self, part: &Part<'_>, left: &mut u64, replies: &mut Replies<'_>) -> Result<(), Stop> {
        self.walk(part, replies, |batch, replies| {
            let wanted = usize::try_from(*left).unwrap_or(usize::MAX);
            for document in self.written(batch).take(wanted) {
                replies.document(document)?;
                *left -= 1;
            }
            Ok(*left > 0)
        })
    }

    /// Looks through a part, and goes on while `take` says so.
    fn walk(
        &self,
        &Part { lane, places, selection, before, total }: &Part<'_>,
        replies: &mut Replies<'_>,
        mut take: impl FnMut(Batch, &mut Replies<'_>) -> Result<bool, Stop>,
    ) -> Result<(), Stop> {
        let mut rest = places;
        while rest.first <= rest.last {
            let found = self.buffer.select(lane, rest, selection)?;
            rest.first = found.next;
            if !take(found.batch, replies)? {
                break;
            }
            replies.progress(before + rest.first.0 - places.first.0, total)?;
        }
        Ok(())
    }

    /// Looks back from the end of a part, further each time, until there are `limit` events.
    fn newest(
        &self,
        part: &Part<'_>,
        limit: usize,
        replies: &mut Replies<'_>,
    ) -> Result<VecDeque<Vec<u8>>, Stop> {
        let all = part.places;
        let mut newest = VecDeque::new();
        let mut last = all.last;
        let mut look_back = FIRST_LOOK_BACK;
        while newest.len() < limit && last >= all.first {
            let first = Sequence(last.next().0.saturating_sub(look_back)).max(all.first);
            let mut found = VecDeque::new();
            let places = SequenceRange { first, last };
            self.walk(&Part { places, before: all.last.0 - last.0, ..*part }, replies, |batch, _| {
                found.extend(self.written(batch));
                found.drain(..found.len().saturating_sub(limit - newest.len()));
                Ok(true)
            })?;
            found.append(&mut newest);
            newest = found;
            last = Sequence(first.0 - 1);
            look_back = (look_back * 2).min(LONGEST_LOOK_BACK);
        }
        Ok(newest)
    }

    /// The places of each lane that a selection can be in.
    fn places(&self, selection: &Selection) -> Vec<(Lane, SequenceRange)> {
        let places = |lane| Some((lane, selection.places(lane, self.buffer.retained(lane)?)?));
        selection.lanes().filter_map(places).collect()
    }

    /// Events as they travel.
    fn written(&self, Batch { stream, events }: Batch) -> impl Iterator<Item = Vec<u8>> {
        events.into_iter().map(move |(sequence, event)| {
            CloudEvent { origin: &self.origin, stream: &stream, sequence, event: &event }.to_json()
        })
    }

    fn unknown(&self, destination: &DestinationName) -> Failure {
        let status = self.buffer.status();
        let known: Vec<&str> = status.destinations.keys().map(DestinationName::as_str).collect();
        let message =
            format!("{destination} is no destination; those that are configured: {}", known.join(", "));
        Failure::new(FailureKind::Usage, message)
    }
}

fn length(places: SequenceRange) -> u64 {
    places.last.next().0.saturating_sub(places.first.0)
}
