//! What the writer does about damage, and about what it must know to recognize some: the marks.
//!
//! Damage is found by who reads. The writer then looks through the whole generation, notes what is missing as lost, has the manifest
//! know the holes, so that readers pass over them, and announces them. A crash in between repeats none of it: a loss is
//! noted on disk before the manifest tells of its hole, and the mark that it was announced is in the commit that does. What was
//! noted and is not in the manifest was told to nobody: it is taken back, and the generation looked through once more.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use penstock_events::{EventType, GapReason, Lane, Sequence};

use super::Writer;
use super::commit::Lanes;
use super::retention::Loss;
use crate::archive::{Bounds, Found};
use crate::block::Tally;
use crate::generation::Fault;
use crate::manifest::{self, Extent, Generation, GenerationId, Manifest, Phase};
use crate::marks::{self, Lost, Marks, RESERVED_PLACES, uncounted};
use crate::meters;
use crate::per_lane::{Heads, PerLane, SequenceRange};
use crate::quarantine;
use crate::shared::{Saved, lock};

/// How many losses are announced in one commit, at most: a generation that was hit everywhere has thousands.
const MAX_GAPS_A_COMMIT: usize = 1_000;

impl Writer {
    /// Reserves the places that a commit of `count` events is about to use.
    pub(super) fn reserve(&mut self, count: PerLane<u64>) -> Result<(), Fault> {
        let heads = self.heads();
        let end = PerLane::from_fn(|lane| Sequence(heads[lane].0 + count[lane]));
        let is_beyond = |lane| end[lane] > self.marks.reserved[lane];
        if Lane::ALL.into_iter().any(is_beyond) { self.mark(end, RESERVED_PLACES) } else { Ok(()) }
    }

    /// Notes on disk what is durable, and reserves so many places beyond `end`.
    pub(super) fn mark(&mut self, end: Heads, reserved_places: u64) -> Result<(), Fault> {
        let marks = Marks {
            durable: self.heads(),
            reserved: PerLane::from_fn(|lane| Sequence(end[lane].0.saturating_add(reserved_places))),
            ..self.marks.clone()
        };
        self.save_marks(marks)
    }

    /// Looks through a generation of which something could not be read. When this returns, readers find all that
    /// there is, and what there is not is announced as lost.
    pub(super) fn examine(&mut self, lane: Lane, id: GenerationId) -> Result<(), Fault> {
        self.look_through(lane, id)?;
        self.announce_losses()
    }

    /// Looks through a generation, and has the marks and the manifest know what is missing in it.
    fn look_through(&mut self, lane: Lane, id: GenerationId) -> Result<(), Fault> {
        let Some(generation) = self.complete(lane, id)? else { return Ok(()) };
        let path = self.shared.directory.generation(lane, id);
        let found = Found::in_generation(&path, Bounds::of(&generation)).map_err(Fault::Unreadable)?;
        let is_empty = found.is_empty();
        let extent = with_tail(found.extent, generation.extent.last);
        // What is known as a hole was announced. A hole may have grown: the rest of it is lost anew.
        let known = &generation.extent.holes;
        let lost: Vec<SequenceRange> = extent.holes.iter().flat_map(|hole| hole.without(known)).collect();
        // From here on it is read from its file.
        self.shared.shelf.take(lane, id);
        let mut marks = self.marks.clone();
        marks.forget(lane, &generation.extent.runs_from(generation.first));
        let missing = difference(&generation.extent.tally, &extent.tally);
        for hole in &lost {
            let tally = if lost.len() == 1 { missing.clone() } else { uncounted(lane, *hole) };
            marks.note(lane, *hole, tally);
        }
        if marks != self.marks {
            self.save_marks(marks)?;
        }
        let (Some(first), Some(last)) = (lost.first(), lost.last()) else { return Ok(()) };
        tracing::error!(
            path = %path.display(), %lane, first = %first.first, last = %last.last, holes = lost.len(),
            "a part of the buffer is damaged and events are lost, which is announced; what can be read is delivered: check the disk"
        );
        meters::damaged(lane);
        self.replace_extent(lane, id, (!is_empty).then_some(extent))?;
        if is_empty {
            self.set_aside(lane, &generation);
        }
        Ok(())
    }

    /// A generation of the catalog, after which none of its events comes any more.
    fn complete(&mut self, lane: Lane, id: GenerationId) -> Result<Option<Generation>, Fault> {
        let listed =
            |writer: &Self| lock(&writer.shared.catalog).lanes[lane].iter().find(|one| one.id == id).cloned();
        match listed(self) {
            Some(generation) if generation.phase == Phase::Active => {
                self.roll(lane)?;
                Ok(listed(self))
            }
            generation => Ok(generation),
        }
    }

    /// Announces what is lost and was not announced: the part of it that some destination did not have.
    pub(super) fn announce_losses(&mut self) -> Result<(), Fault> {
        if self.marks.losses.is_empty() {
            return self.save_changed_marks();
        }
        self.finish_looking()?;
        // A loss begins where the cursors end that a start would find.
        self.save_cursors()?;
        let due = self.marks.losses.iter().take_while(|lost| self.untold(lost).is_empty());
        let due: Vec<Lost> = due.cloned().collect();
        for some in due.chunks(MAX_GAPS_A_COMMIT) {
            let through = some.last().expect("a chunk has something").number;
            let losses: Vec<Loss> = some.iter().filter_map(|lost| self.undelivered(lost)).collect();
            let events: u64 = losses.iter().flat_map(|loss| loss.lost.values()).sum();
            self.announce(losses, Lanes { announced: Some(through), ..Lanes::default() })?;
            self.shared.shed_events.fetch_add(events, Ordering::Relaxed);
            self.marks.announced(through);
            self.marks_are_saved = Saved::No;
        }
        self.save_changed_marks()
    }

    /// Looks again through the generations of which something is noted as lost and the manifest does not know it: an end
    /// or a refusing disk came in between.
    fn finish_looking(&mut self) -> Result<(), Fault> {
        let untold: BTreeSet<_> = self.marks.losses.iter().flat_map(|lost| self.untold(lost)).collect();
        for (lane, id) in untold {
            match self.look_through(lane, id) {
                // It is announced when it can be read. What cannot be read hinders no commit.
                Err(Fault::Unreadable(error)) => {
                    tracing::warn!(%lane, generation = id, %error, "a damaged generation cannot be looked through yet");
                }
                looked => looked?,
            }
        }
        Ok(())
    }

    /// The generations that hold places of a loss, as the manifest says.
    fn untold(&self, lost: &Lost) -> Vec<(Lane, GenerationId)> {
        let holds = |generation: &&Generation| {
            generation.extent.runs_from(generation.first).into_iter().any(|run| run.overlaps(lost.places))
        };
        let catalog = lock(&self.shared.catalog);
        catalog.lanes[lost.lane].iter().filter(holds).map(|generation| (lost.lane, generation.id)).collect()
    }

    /// Drops what is noted of the loss of places whose giving up is told instead.
    pub(super) fn forget_losses(&mut self, lane: Lane, through: Sequence) -> Result<(), Fault> {
        let mut marks = self.marks.clone();
        marks.forget(lane, &[SequenceRange { first: Sequence(1), last: through }]);
        if marks != self.marks {
            (self.marks, self.marks_are_saved) = (marks, Saved::No);
        }
        self.save_changed_marks()
    }

    /// Saves the marks if they are not on disk as they are: before the generation ends in whose database stands what became of them.
    pub(super) fn save_changed_marks(&mut self) -> Result<(), Fault> {
        match self.marks_are_saved {
            Saved::Yes => Ok(()),
            Saved::No => self.save_marks(self.marks.clone()),
        }
    }

    /// Moves a generation that has left the catalog, and of which something is lost, into quarantine.
    pub(super) fn set_aside(&self, lane: Lane, generation: &Generation) {
        let path = self.shared.directory.generation(lane, generation.id);
        self.shared.shelf.take(lane, generation.id);
        quarantine::set_aside(self.shared.directory.root(), &path);
    }

    fn undelivered(&self, lost: &Lost) -> Option<Loss> {
        let first = lost.places.first.max(self.shared.slowest(lost.lane)?.next());
        if first > lost.places.last {
            return None;
        }
        let Lost { lane, places, tally, .. } = lost.part(SequenceRange { first, last: lost.places.last });
        Some(Loss { lane, places, reason: GapReason::Damaged, lost: tally })
    }

    /// Has the manifest say of a complete generation what is in it; without anything in it, it is listed no longer.
    fn replace_extent(&self, lane: Lane, id: GenerationId, extent: Option<Extent>) -> Result<(), Fault> {
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
        (self.marks, self.marks_are_saved) = (marks, Saved::Yes);
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
