//! What the writer does about damage, and about what it must know to recognize some: the marks.
//!
//! Damage is found by who reads. The writer then looks through the whole generation, notes what is missing as lost, has the manifest
//! know the holes, so that readers pass over them, and announces them. A crash in between repeats none of it: a loss is
//! noted on disk before the manifest tells of its hole, and the mark that it was announced is in the commit that does.

use std::sync::atomic::Ordering;

use penstock_events::{EventType, GapReason, Lane, Sequence};

use super::Writer;
use super::commit::Lanes;
use super::retention::Loss;
use crate::archive::Found;
use crate::block::Tally;
use crate::generation::Fault;
use crate::manifest::{self, Extent, Generation, GenerationId, Manifest, Phase};
use crate::marks::{self, Lost, Marks, RESERVED_PLACES};
use crate::meters;
use crate::per_lane::{Heads, PerLane, SequenceRange};
use crate::quarantine;
use crate::shared::lock;

impl Writer {
    /// Reserves the places that a commit of `count` events is about to use.
    pub(super) fn reserve(&mut self, count: PerLane<u64>) -> Result<(), Fault> {
        let end = PerLane::from_fn(|lane| Sequence(self.placed[lane].last.0 + count[lane]));
        let is_beyond = |lane| end[lane] > self.marks.reserved[lane];
        if Lane::ALL.into_iter().any(is_beyond) { self.mark(end, RESERVED_PLACES) } else { Ok(()) }
    }

    /// Notes on disk what is durable, and reserves so many places beyond `end`.
    pub(super) fn mark(&mut self, end: Heads, reserved_places: u64) -> Result<(), Fault> {
        let marks = Marks {
            durable: *self.shared.heads.borrow(),
            reserved: PerLane::from_fn(|lane| Sequence(end[lane].0.saturating_add(reserved_places))),
            ..self.marks.clone()
        };
        self.save_marks(marks)
    }

    /// Looks through a generation of which something could not be read. When this returns, readers find all that
    /// there is, and what there is not is announced as lost.
    pub(super) fn examine(&mut self, lane: Lane, id: GenerationId) -> Result<(), Fault> {
        let listed =
            |writer: &Self| lock(&writer.shared.catalog).lanes[lane].iter().find(|one| one.id == id).cloned();
        let Some(mut generation) = listed(self) else { return Ok(()) };
        if generation.phase == Phase::Active {
            self.roll(lane)?;
            let Some(sealed) = listed(self) else { return Ok(()) };
            generation = sealed;
        }
        let path = self.shared.directory.generation(lane, id);
        let found = Found::in_generation(&path, Some(generation.first), generation.extent.last)
            .map_err(Fault::Unreadable)?;
        let is_empty = found.is_empty();
        let extent = with_tail(found.extent, generation.extent.last);
        let known = &generation.extent.holes;
        let lost: Vec<SequenceRange> =
            extent.holes.iter().filter(|hole| !known.contains(hole)).copied().collect();
        // From here on it is read from its file.
        self.shared.shelf.take(lane, id);
        if lost.is_empty() {
            return Ok(());
        }
        tracing::error!(
            path = %path.display(), %lane, first = %lost[0].first, last = %lost[lost.len() - 1].last, holes = lost.len(),
            "a part of the buffer is damaged and events are lost, which is announced; what can be read is delivered: check the disk"
        );
        meters::damaged(lane);
        let mut marks = self.marks.clone();
        let missing = difference(&generation.extent.tally, &extent.tally);
        for hole in &lost {
            let tally = match lane {
                _ if lost.len() == 1 && known.is_empty() => missing.clone(),
                Lane::Telemetry => {
                    Tally::from([(EventType::TelemetrySampled, hole.last.0 - hole.first.0 + 1)])
                }
                Lane::Business => Tally::new(),
            };
            marks.note(lane, *hole, tally);
        }
        self.save_marks(marks)?;
        let extent = (!is_empty).then_some(extent);
        let is_kept = extent.is_some();
        self.replace_extent(lane, id, extent)?;
        if !is_kept {
            self.set_aside(lane, &generation);
        }
        self.announce_losses()
    }

    /// Announces what is lost and was not announced: the part of it that some destination did not have.
    pub(super) fn announce_losses(&mut self) -> Result<(), Fault> {
        if self.marks.losses.is_empty() {
            return Ok(());
        }
        // A loss begins where the cursors end that a start would find.
        self.save_cursors()?;
        let through = self.marks.last_loss;
        let losses: Vec<Loss> = self.marks.losses.iter().filter_map(|lost| self.undelivered(lost)).collect();
        let events: u64 = losses.iter().flat_map(|loss| loss.lost.values()).sum();
        self.announce(losses, Lanes { announced: Some(through), ..Lanes::default() })?;
        self.shared.shed_events.fetch_add(events, Ordering::Relaxed);
        let mut marks = self.marks.clone();
        marks.announced(through);
        self.save_marks(marks)
    }

    /// Moves a generation that has left the catalog, and of which something is lost, into quarantine.
    pub(super) fn set_aside(&self, lane: Lane, generation: &Generation) {
        let path = self.shared.directory.generation(lane, generation.id);
        self.shared.shelf.take(lane, generation.id);
        match quarantine::set_aside(self.shared.directory.root(), &path) {
            Ok(aside) => tracing::warn!(path = %path.display(), ?aside, "moved to quarantine"),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "it could not be moved to quarantine");
            }
        }
    }

    fn undelivered(&self, lost: &Lost) -> Option<Loss> {
        let Lost { lane, places, ref tally, .. } = *lost;
        let first = places.first.max(self.shared.slowest(lane)?.next());
        if first > places.last {
            return None;
        }
        let lost = match lane {
            _ if first == places.first || tally.is_empty() => tally.clone(),
            Lane::Telemetry => Tally::from([(EventType::TelemetrySampled, places.last.0 - first.0 + 1)]),
            Lane::Business => Tally::new(),
        };
        let places = SequenceRange { first, last: places.last };
        Some(Loss { lane, places, reason: GapReason::Damaged, lost })
    }

    /// Has the manifest say of a complete generation what is in it; without anything in it, it is listed no longer.
    fn replace_extent(&self, lane: Lane, id: GenerationId, extent: Option<Extent>) -> Result<(), Fault> {
        self.pipeline.settle()?;
        let mut manifest: Manifest = lock(&self.shared.catalog).clone();
        let generations = &mut manifest.lanes[lane];
        match extent {
            Some(extent) => {
                generations.iter_mut().filter(|one| one.id == id).for_each(|one| one.extent = extent.clone());
            }
            None => generations.retain(|one| one.id != id),
        }
        manifest::save(&self.shared.directory.manifest(), &manifest)?;
        *lock(&self.shared.catalog) = manifest;
        lock(&self.shared.decoded).retain(|block| block.lane != lane);
        Ok(())
    }

    fn save_marks(&mut self, marks: Marks) -> Result<(), Fault> {
        marks::save(&self.shared.directory.marks(), &marks)?;
        self.marks = marks;
        Ok(())
    }
}

/// What was found of a generation that goes on to `last`.
fn with_tail(mut found: Extent, last: Sequence) -> Extent {
    if found.last < last {
        found.holes.push(SequenceRange { first: found.last.next(), last });
        found.last = last;
    }
    found
}

fn difference(whole: &Tally, part: &Tally) -> Tally {
    let left = |(&kind, &count): (&EventType, &u64)| {
        (kind, count.saturating_sub(part.get(&kind).copied().unwrap_or_default()))
    };
    whole.iter().map(left).filter(|(_, count)| *count > 0).collect()
}
