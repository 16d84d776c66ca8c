//! Which events somebody means, and reading them: lane by lane, some at a time, so that memory does not
//! grow with what is looked through.

use penstock_events::{AssetPath, Event, EventType, Lane, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::buffer::Buffer;
use crate::error::ReadError;
use crate::manifest::{Extent, Generation};
use crate::per_lane::SequenceRange;
use crate::reader::Batch;
use crate::shared::{Shared, lock};

/// How many events one look reads at most: about a megabyte.
const LOOK: usize = 1_000;

/// Which events; all of them by default.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Those of this lane.
    pub lane: Option<Lane>,
    /// Those at this place and behind it.
    pub from: Option<Sequence>,
    /// Those at this place and before it.
    pub to: Option<Sequence>,
    /// Those whose `time` is this or later.
    pub since: Option<Timestamp>,
    /// Those whose `time` is earlier than this.
    pub until: Option<Timestamp>,
    /// Those of these assets and of all below them; of every asset when there are none.
    pub assets: Vec<AssetPath>,
    /// Those of these types; of every type when there are none.
    pub types: Vec<EventType>,
}

/// What one look at a lane found.
#[derive(Clone, Debug, PartialEq)]
pub struct Selected {
    /// The events that the selection takes, in order; perhaps none.
    pub batch: Batch,
    /// Where to look next; behind the wanted places when there is nothing more.
    pub next: Sequence,
    /// How many places before `next` hold nothing any more: what was there was deleted or damaged.
    pub missing: u64,
}

impl Selection {
    /// The lanes that can hold such events.
    pub fn lanes(&self) -> impl Iterator<Item = Lane> {
        Lane::ALL.into_iter().filter(|&lane| {
            self.lane.is_none_or(|wanted| wanted == lane)
                && (self.types.is_empty() || self.types.iter().any(|kind| kind.lane() == lane))
        })
    }

    /// Those of the places of `lane`, which are `present`, that are asked for; `None` when none is.
    pub fn places(&self, lane: Lane, present: SequenceRange) -> Option<SequenceRange> {
        let first = present.first.max(self.from.unwrap_or_default());
        let last = present.last.min(self.to.unwrap_or(Sequence(u64::MAX)));
        (first <= last && self.lanes().any(|wanted| wanted == lane)).then_some(SequenceRange { first, last })
    }

    /// Whether it takes an event, whatever its lane and place.
    pub fn takes(&self, event: &Event) -> bool {
        self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time < until)
            && (self.types.is_empty() || self.types.contains(&event.kind()))
            && (self.assets.is_empty() || self.assets.iter().any(|asset| asset.covers(&event.asset)))
    }

    /// Whether events of these times can be among them.
    fn may_take(&self, extent: &Extent) -> bool {
        extent.times.is_none_or(|(earliest, latest)| {
            self.since.is_none_or(|since| latest >= since) && self.until.is_none_or(|until| earliest < until)
        })
    }
}

impl Buffer {
    /// The places of `lane` that can be read; `None` when it is empty.
    pub fn retained(&self, lane: Lane) -> Option<SequenceRange> {
        let status = self.status().lanes[lane];
        let places = SequenceRange { first: status.first_retained, last: status.head };
        (places.first <= places.last).then_some(places)
    }

    /// Looks at some of `places` of `lane`, from their first on, and takes what `selection` takes. Generations that
    /// hold nothing of its times are not opened. Blocks on disk: not for an async worker.
    ///
    /// # Errors
    ///
    /// [`ReadError::Damaged`] when the store does not hold what it should.
    pub fn select(
        &self,
        lane: Lane,
        places: SequenceRange,
        selection: &Selection,
    ) -> Result<Selected, ReadError> {
        let Passage { from, missing } = self.shared().pass(lane, places, selection);
        let room = usize::try_from(places.last.next().0.saturating_sub(from.0)).unwrap_or(LOOK).min(LOOK);
        let mut batch = self.read(lane, from, room)?;
        batch.events.retain(|&(place, _)| place <= places.last);
        let read = batch.events.len() as u64;
        let next = batch.events.last().map_or(places.last, |&(last, _)| last).next();
        batch.events.retain(|(_, event)| selection.takes(event));
        Ok(Selected { batch, next, missing: missing + next.0.saturating_sub(from.0) - read })
    }
}

/// The way to the first generation that is worth opening.
struct Passage {
    from: Sequence,
    missing: u64,
}

impl Shared {
    fn pass(&self, lane: Lane, places: SequenceRange, selection: &Selection) -> Passage {
        let mut way = Passage { from: places.first, missing: 0 };
        let catalog = lock(&self.catalog);
        let ahead = |one: &&Generation| !one.is_empty() && one.extent.last >= places.first;
        for generation in catalog.lanes[lane].iter().filter(ahead) {
            let begin = generation.first.min(places.last.next());
            way.missing += begin.0.saturating_sub(way.from.0);
            way.from = way.from.max(begin);
            if way.from > places.last || selection.may_take(&generation.extent) {
                break;
            }
            way.from = generation.extent.last.min(places.last).next();
        }
        way
    }
}

#[cfg(test)]
mod tests {
    use penstock_events::{Fact, Quality};

    use super::*;

    fn event(asset: &str, second: i64) -> Event {
        let time = Timestamp::from_micros(second * 1_000_000);
        let fact = Fact::GatewayStarted { version: "1".into() };
        Event { asset: asset.parse().expect("a path"), time, observed: time, quality: Quality::Good, fact }
    }

    #[test]
    fn a_time_range_has_its_beginning_and_not_its_end() {
        let second = |n: i64| Some(Timestamp::from_micros(n * 1_000_000));
        let range = Selection { since: second(5), until: second(7), ..Selection::default() };
        let taken: Vec<i64> = (3..9).filter(|&n| range.takes(&event("a", n))).collect();
        assert_eq!(taken, [5, 6]);
    }

    #[test]
    fn an_asset_is_taken_with_all_below_it_and_a_type_decides_the_lane() {
        let line = Selection { assets: vec!["stamping/line-1".parse().unwrap()], ..Selection::default() };
        assert!(
            line.takes(&event("stamping/line-1/press-1", 0)) && !line.takes(&event("stamping/line-10", 0))
        );
        let samples = Selection { types: vec![EventType::TelemetrySampled], ..Selection::default() };
        assert!(samples.lanes().eq([Lane::Telemetry]) && !samples.takes(&event("a", 0)));
        let nothing = Selection { lane: Some(Lane::Business), ..samples };
        assert_eq!(nothing.lanes().count(), 0);
    }

    #[test]
    fn places_are_those_that_are_wanted_and_there() {
        let present = SequenceRange { first: Sequence(10), last: Sequence(20) };
        let wanted = |from, to| {
            let selection =
                Selection { from: Some(Sequence(from)), to: Some(Sequence(to)), ..Selection::default() };
            selection.places(Lane::Business, present).map(|places| (places.first.0, places.last.0))
        };
        assert_eq!(wanted(1, 15), Some((10, 15)));
        assert_eq!(wanted(12, 99), Some((12, 20)));
        assert_eq!(wanted(21, 99), None);
        assert_eq!(wanted(15, 12), None);
    }
}
