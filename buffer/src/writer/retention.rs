//! What leaves the store: generations that every destination has, and the oldest telemetry when the
//! store is full.
//!
//! Shedding goes in four steps, and a crash between any two of them repeats none:
//!
//! 1. the gap is committed to the business lane, in one batch with the mark that telemetry up to its
//!    end is given up;
//! 2. the manifest forgets the generation;
//! 3. its directory is deleted;
//! 4. (at the next start) generations that the mark covers or the manifest does not list are deleted.

use std::sync::atomic::Ordering;

use penstock_events::{AssetPath, Event, Fact, GapReason, Lane, Quality, Sequence};

use super::Writer;
use super::commit::{Lanes, tally_after};
use crate::block::Tally;
use crate::generation::Fault;
use crate::manifest::{self, Generation, Phase};
use crate::meters;
use crate::per_lane::{PerLane, SequenceRange};
use crate::shared::lock;

impl Writer {
    /// Whether there are generations that every destination has.
    pub(super) fn has_delivered_generations(&self) -> bool {
        Lane::ALL.into_iter().any(|lane| self.has_sealed_through(lane, self.delivered(lane)))
    }

    /// Whether a sealed generation of `lane` ends at or before `through`.
    fn has_sealed_through(&self, lane: Lane, through: Sequence) -> bool {
        let catalog = lock(&self.shared.catalog);
        let oldest = catalog.lanes[lane].first();
        oldest.is_some_and(|oldest| oldest.phase == Phase::Sealed && oldest.extent.last <= through)
    }

    /// Deletes the generations that every destination has.
    pub(super) fn trim(&mut self) -> Result<(), Fault> {
        Lane::ALL.into_iter().try_for_each(|lane| self.drop_generations(lane, self.delivered(lane)))
    }

    /// Up to where every destination has `lane`; without destinations, all of it.
    fn delivered(&self, lane: Lane) -> Sequence {
        self.shared.slowest(lane).unwrap_or(Sequence(u64::MAX))
    }

    /// Gives up the oldest telemetry until the store has room for `bytes` within its size, or no telemetry is left.
    pub(super) fn shed_overflow(&mut self, bytes: u64) -> Result<(), Fault> {
        loop {
            let PerLane { business, telemetry } = self.stored_bytes();
            if business + telemetry + bytes <= self.limits.max_bytes || telemetry == 0 {
                return Ok(());
            }
            self.shed_oldest()?;
        }
    }

    fn shed_oldest(&mut self) -> Result<(), Fault> {
        let victim = self.oldest_telemetry()?;
        let through = victim.extent.last;
        if let Some(gap) = self.gap_left_by(&victim)? {
            let lost: u64 = gap.lost.values().sum();
            tracing::warn!(
                first = %gap.first, last = %through, lost,
                "the buffer is full; undelivered telemetry was given up"
            );
            let places = SequenceRange { first: gap.first, last: through };
            let loss = Loss { lane: Lane::Telemetry, places, reason: GapReason::BufferFull, lost: gap.lost };
            self.announce(vec![loss], Some(through))?;
            self.shared.shed_events.fetch_add(lost, Ordering::Relaxed);
            meters::shed(lost);
        }
        self.drop_generations(Lane::Telemetry, through)
    }

    /// The oldest generation of telemetry, complete.
    fn oldest_telemetry(&mut self) -> Result<Generation, Fault> {
        let oldest = |writer: &Self| lock(&writer.shared.catalog).lanes.telemetry.first().cloned();
        let found = oldest(self).expect("every lane has an active generation");
        if found.phase == Phase::Sealed {
            return Ok(found);
        }
        self.roll(Lane::Telemetry)?;
        Ok(oldest(self).expect("the generation that was just sealed"))
    }

    /// The hole that `victim` leaves for the slowest destination, if it leaves one.
    fn gap_left_by(&self, victim: &Generation) -> Result<Option<Gap>, Fault> {
        let Some(slowest) = self.shared.slowest(Lane::Telemetry) else { return Ok(None) };
        if victim.extent.last <= slowest || victim.is_empty() {
            return Ok(None);
        }
        if slowest < victim.first {
            return Ok(Some(Gap { first: victim.first, lost: victim.extent.tally.clone() }));
        }
        let database = self.shared.open_generation(Lane::Telemetry, victim.id)?;
        let database = database.expect("only this thread takes generations out of the catalog");
        let lost = tally_after(&database, &victim.extent, slowest)?;
        Ok(Some(Gap { first: slowest.next(), lost }))
    }

    /// Makes the gaps durable, with the mark that makes a deletion of telemetry certain.
    pub(super) fn announce(
        &mut self,
        losses: Vec<Loss>,
        shed_through: Option<Sequence>,
    ) -> Result<(), Fault> {
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
        let mut lanes = Lanes { shed_through, ..Lanes::default() };
        self.packer.pack(&gaps, &mut lanes.blocks.business)?;
        let flushed = self.place(lanes)?;
        self.pipeline.sync(flushed)?;
        self.pipeline.settle()
    }

    /// Deletes the sealed generations of `lane` that end at or before `through`: from the manifest
    /// first, then from the disk.
    fn drop_generations(&self, lane: Lane, through: Sequence) -> Result<(), Fault> {
        if !self.has_sealed_through(lane, through) {
            return Ok(());
        }
        self.pipeline.settle()?;
        let mut manifest = lock(&self.shared.catalog).clone();
        let dropped = manifest.drop_through(lane, through);
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

struct Gap {
    first: Sequence,
    lost: Tally,
}
