//! What leaves the store: carries out what the [`super::policy`] decides, one step after the other.
//!
//! Giving up goes in four steps, and a crash between any two of them repeats none:
//!
//! 1. the gap is committed to the business lane, in one batch with the mark that the lane up to its
//!    end is given up;
//! 2. the manifest forgets the generation;
//! 3. its directory is deleted;
//! 4. (at the next start) generations that the mark covers or the manifest does not list are deleted.
//!
//! A disk that refuses in between is no different: what was announced is deleted first when it is back.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use penstock_events::{AssetPath, Event, Fact, GapReason, Lane, Quality, Sequence};

use super::Writer;
use super::commit::{Lanes, tally_of};
use super::policy::{Step, View};
use crate::block::Tally;
use crate::generation::{Fault, may_be_damage};
use crate::manifest::{self, Generation, GenerationId, Phase};
use crate::marks::uncounted;
use crate::meters;
use crate::per_lane::{PerLane, SequenceRange};
use crate::shared::lock;

/// A disk takes a moment to give back what is deleted: that is awaited before more is given up.
const DISK_SETTLES_WITHIN: Duration = Duration::from_secs(1);

/// What is known of the disk's free space.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DiskWatch {
    /// When something was deleted for want of it.
    acted: Option<Instant>,
    /// Whether it was said that nothing is left to delete.
    has_complained: bool,
}

impl Writer {
    /// Brings the store to what its limits want, with room for `coming_bytes`.
    pub(super) fn make_room(&mut self, coming_bytes: PerLane<u64>) -> Result<(), Fault> {
        self.finish_giving_up()?;
        while let Some(step) = self.next_step(coming_bytes) {
            match step {
                Step::Delete(lane, through) => self.delete(lane, through)?,
                Step::GiveUp(lane, reason) => self.give_up_oldest(lane, reason)?,
                Step::Roll(lane) => self.roll(lane)?,
            }
        }
        Ok(())
    }

    /// Deletes what was given up, and what its limits let go of what every destination has: a full disk may have room for that.
    pub(super) fn delete_unneeded(&mut self) -> Result<(), Fault> {
        self.finish_giving_up()?;
        while let Some(Step::Delete(lane, through)) = self.next_step(PerLane::default()) {
            self.delete(lane, through)?;
        }
        Ok(())
    }

    fn next_step(&mut self, coming_bytes: PerLane<u64>) -> Option<Step> {
        let free_bytes = self.free_bytes();
        let needed_from = self.shared.replays.needed_from(&self.shared.destinations);
        let (step, is_scarce) = {
            let catalog = lock(&self.shared.catalog);
            let view = View {
                catalog: &catalog,
                coming_bytes,
                delivered: PerLane::from_fn(|lane| self.delivered(lane)),
                delivered_to_all: PerLane::from_fn(|lane| self.delivered_to_all(lane)),
                purged: *lock(&self.shared.purged),
                needed_from,
                now: (self.clock)(),
                free_bytes,
            };
            (view.next_step(&self.limits), view.is_scarce(&self.limits))
        };
        self.note_scarcity(free_bytes, is_scarce && step.is_none());
        if is_scarce && step.is_some() {
            self.disk.acted = Some(Instant::now());
        }
        step
    }

    fn delete(&mut self, lane: Lane, through: Sequence) -> Result<(), Fault> {
        // What is delivered is known to be so before it is gone.
        self.save_cursors()?;
        self.drop_generations(lane, through)
    }

    /// The free bytes of the disk, unless what was just deleted may still come back to it.
    fn free_bytes(&self) -> Option<u64> {
        if self.disk.acted.is_some_and(|acted| acted.elapsed() < DISK_SETTLES_WITHIN) {
            return None;
        }
        // A disk that does not say has whatever it has: running out of it is noticed by writing.
        (self.free_bytes_of)(self.shared.directory.root()).ok()
    }

    fn note_scarcity(&mut self, free_bytes: Option<u64>, is_stuck: bool) {
        let Some(free_bytes) = free_bytes else { return };
        if is_stuck && !self.disk.has_complained {
            tracing::error!(
                free_bytes,
                min_free_bytes = self.limits.min_free_bytes,
                "the disk is nearly full, and the buffer has nothing left that it may delete: free some space"
            );
        } else if !is_stuck && self.disk.has_complained && free_bytes >= self.limits.min_free_bytes {
            tracing::info!(free_bytes, "the disk has room again");
        } else if !is_stuck {
            return;
        }
        self.disk.has_complained = is_stuck;
    }

    /// Up to where every destination has `lane`; without destinations, all of it.
    fn delivered(&self, lane: Lane) -> Sequence {
        self.shared.slowest(lane).unwrap_or(Sequence(u64::MAX))
    }

    /// The same with the destinations that are no longer configured.
    fn delivered_to_all(&self, lane: Lane) -> Sequence {
        lock(&self.shared.cursors).cursors.slowest_of_all(lane).unwrap_or(Sequence(u64::MAX))
    }

    fn give_up_oldest(&mut self, lane: Lane, reason: GapReason) -> Result<(), Fault> {
        // Each in its own words: what damage took, and then what is given up.
        self.announce_losses()?;
        let victim = self.oldest(lane)?;
        let through = victim.extent.last;
        let losses = self.gaps_left_by(lane, &victim, reason)?;
        if let (Some(first), Some(last)) = (losses.first(), losses.last()) {
            let events: u64 = losses.iter().flat_map(|loss| loss.lost.values()).sum();
            tracing::warn!(
                %lane, first = %first.places.first, last = %last.places.last, events, reason = reason.as_str(),
                "undelivered events were given up"
            );
            let mut with = Lanes::default();
            with.shed_through[lane] = Some(through);
            self.announce(losses, with)?;
            self.given_up[lane] = through;
            self.shared.shed_events.fetch_add(events, Ordering::Relaxed);
            self.forget_losses(lane, through)?;
        }
        self.drop_generations(lane, through)
    }

    /// Deletes what was announced as given up, if the disk refused that then: it is not announced again.
    fn finish_giving_up(&self) -> Result<(), Fault> {
        let is_there = |lane: Lane| {
            let catalog = lock(&self.shared.catalog);
            let oldest = catalog.lanes[lane].first().expect("every lane has an active generation");
            oldest.phase == Phase::Sealed && oldest.extent.last <= self.given_up[lane]
        };
        let mut left = Lane::ALL.into_iter().filter(|&lane| is_there(lane));
        left.try_for_each(|lane| self.drop_generations(lane, self.given_up[lane]))
    }

    /// The oldest generation of `lane`, complete.
    fn oldest(&mut self, lane: Lane) -> Result<Generation, Fault> {
        let oldest = |writer: &Self| lock(&writer.shared.catalog).lanes[lane].first().cloned();
        let found = oldest(self).expect("every lane has an active generation");
        if found.phase == Phase::Sealed {
            return Ok(found);
        }
        self.roll(lane)?;
        Ok(oldest(self).expect("the generation that was just sealed"))
    }

    /// What the slowest destination loses with `victim`, but for what damage took before.
    fn gaps_left_by(
        &mut self,
        lane: Lane,
        victim: &Generation,
        reason: GapReason,
    ) -> Result<Vec<Loss>, Fault> {
        let Some(slowest) = self.shared.slowest(lane) else { return Ok(Vec::new()) };
        // The hole begins where the cursors end that a start would find.
        self.save_cursors()?;
        let runs = victim.extent.runs_from(slowest.next().max(victim.first));
        if slowest < victim.first && victim.extent.holes.is_empty() {
            let lost = victim.extent.tally.clone();
            return Ok(runs
                .into_iter()
                .map(|places| Loss { lane, places, reason, lost: lost.clone() })
                .collect());
        }
        // What cannot be read at all must not stand in the way: it is given up by what is known of it.
        let unread = || {
            let loss = |&places: &SequenceRange| Loss { lane, places, reason, lost: uncounted(lane, places) };
            Ok(runs.iter().map(loss).collect())
        };
        match self.losses_in(lane, victim.id, &runs, reason) {
            Ok(losses) => Ok(losses),
            Err(Fault::Io(error)) if may_be_damage(&error) => unread(),
            Err(fault @ Fault::Io(_)) => Err(fault),
            // What is damaged is announced as that, and the rest of it is given up.
            Err(_) => match self.examine(lane, victim.id) {
                Ok(()) => {
                    let is_it = |one: &&Generation| one.id == victim.id;
                    let left = lock(&self.shared.catalog).lanes[lane].iter().find(is_it).cloned();
                    left.map_or(Ok(Vec::new()), |left| self.gaps_left_by(lane, &left, reason))
                }
                Err(Fault::Unreadable(_)) => unread(),
                Err(fault) => Err(fault),
            },
        }
    }

    /// The events at `runs` of a generation, by type.
    fn losses_in(
        &self,
        lane: Lane,
        id: GenerationId,
        runs: &[SequenceRange],
        reason: GapReason,
    ) -> Result<Vec<Loss>, Fault> {
        let source = self.shared.open_generation(lane, id)?;
        let source = source.expect("only this thread takes generations out of the catalog");
        let loss = |&places| tally_of(&source, places).map(|lost| Loss { lane, places, reason, lost });
        runs.iter().map(loss).collect()
    }

    /// Makes the gaps durable, `with` the marks that make a deletion certain and that tell that it was done.
    pub(super) fn announce(&mut self, losses: Vec<Loss>, with: Lanes) -> Result<(), Fault> {
        for Loss { reason, lost, .. } in &losses {
            meters::given_up(*reason, lost);
        }
        let now = (self.clock)();
        let gap = |Loss { lane, places, reason, lost }: Loss| Event {
            asset: AssetPath::of_gateway(&self.gateway),
            time: now,
            observed: now,
            quality: Quality::Good,
            fact: Fact::Gap {
                stream: self.shared.streams[lane].clone(),
                first: places.first,
                last: places.last,
                reason,
                lost: lost.into_iter().collect(),
            },
        };
        let gaps: Vec<Event> = losses.into_iter().map(gap).collect();
        let mut lanes = with;
        self.packer.pack(&gaps.iter().collect::<Vec<_>>(), &mut lanes.blocks.business)?;
        self.write(&lanes).map(drop)
    }

    /// Deletes the sealed generations of `lane` that end at or before `through`: from the manifest
    /// first, then from the disk.
    fn drop_generations(&self, lane: Lane, through: Sequence) -> Result<(), Fault> {
        let mut manifest = lock(&self.shared.catalog).clone();
        let (damaged, dropped): (Vec<_>, Vec<_>) = manifest
            .drop_through(lane, through)
            .into_iter()
            .partition(|generation| !generation.extent.holes.is_empty());
        // Before it is no longer listed: a crash in between does not delete it.
        damaged.iter().for_each(|generation| self.set_aside(lane, generation));
        manifest::save(&self.shared.directory.manifest(), &manifest)?;
        *lock(&self.shared.catalog) = manifest;
        for generation in dropped {
            tracing::debug!(%lane, generation = generation.id, last = %generation.extent.last, "deleted a generation");
            self.shared.delete_generation(lane, generation.id);
        }
        meters::stored(self.stored_bytes());
        Ok(())
    }
}

/// Events that are given up, by type.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) lane: Lane,
    pub(crate) places: SequenceRange,
    pub(crate) reason: GapReason,
    pub(crate) lost: Tally,
}
