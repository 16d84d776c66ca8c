//! Looking into the buffer: what is there, and whether it is whole.

use penstock_buffer::{DeadLetterFilter, VerifyError};
use penstock_events::Lane;

use super::record::{DeliveryRecord, DestinationRecord, LaneRecord, StatusRecord, VerifyRecord};
use super::{Desk, Failure, FailureKind, Replies, Stop, now};
use crate::terminal::many;

/// Dead letters that are read at once.
const PAGE: usize = 200;

impl Desk {
    pub(super) fn status(&self, replies: &mut Replies<'_>) -> Result<(), Stop> {
        let status = self.buffer.status();
        let dead_letters = self.buffer.dead_letter_counts();
        let generations: Vec<_> =
            Lane::ALL.into_iter().flat_map(|lane| self.buffer.generations(lane)).collect();
        let lane = |lane| {
            let times = || generations.iter().filter(move |one| one.lane == lane);
            LaneRecord {
                lane,
                status: status.lanes[lane],
                earliest: times().filter_map(|one| one.earliest).min(),
                latest: times().filter_map(|one| one.latest).max(),
            }
        };
        let mut destinations: Vec<_> = status
            .destinations
            .iter()
            .map(|(name, lanes)| DestinationRecord {
                name: name.clone(),
                configured: true,
                lanes: Lane::ALL.map(|lane| DeliveryRecord { lane, status: lanes[lane] }).into(),
                dead_letters: dead_letters.get(name).copied().unwrap_or_default(),
            })
            .collect();
        let former = dead_letters.iter().filter(|(name, count)| {
            !status.destinations.contains_key(*name) && count.letters + count.damaged > 0
        });
        destinations.extend(former.map(|(name, &dead_letters)| DestinationRecord {
            name: name.clone(),
            configured: false,
            lanes: Vec::new(),
            dead_letters,
        }));
        replies.record(&StatusRecord {
            gateway: self.origin.gateway.clone(),
            running: self.is_running,
            now: now(),
            condition: status.condition.clone(),
            shed_events: status.shed_events,
            lanes: Lane::ALL.map(lane).into(),
            destinations,
            replays: self.buffer.replays(),
            generations,
        })
    }

    pub(super) fn verify(&self, lane: Option<Lane>, replies: &mut Replies<'_>) -> Result<(), Stop> {
        let lanes = Lane::ALL.into_iter().filter(|&one| lane.is_none_or(|lane| lane == one));
        let generations: Vec<_> = lanes.flat_map(|lane| self.buffer.generations(lane)).collect();
        let total = generations.iter().map(|one| one.events).sum();
        let mut done = 0;
        let mut unsound = 0;
        for generation in &generations {
            // A reply that nobody takes is noticed with the next generation, which is soon.
            let mut told = Ok(());
            let progress = |events| {
                if told.is_ok() {
                    told = replies.progress(done + events, total);
                }
            };
            let verified = self.buffer.verify_generation(generation.lane, generation.number, progress);
            told?;
            done += generation.events;
            match verified {
                Ok(verification) => {
                    unsound += u64::from(!verification.is_sound());
                    replies.record(&VerifyRecord::Generation(verification))?;
                }
                // It was delivered and deleted since it was listed.
                Err(VerifyError::Unknown { .. }) => {}
            }
        }
        let files = self.buffer.verify_files();
        let damaged_files = files.damaged.len() as u64;
        replies.record(&VerifyRecord::Files(files))?;
        let damaged = self.verify_dead_letters(lane, replies)?;
        if unsound + damaged == 0 && damaged_files == 0 {
            return Ok(());
        }
        let message = format!(
            "damaged: {unsound} of {}, {} and {}; what is whole is still delivered, and events that are lost are announced \
             with gateway.gap",
            many(generations.len() as u64, "generation"),
            many(damaged_files, "small file"),
            many(damaged, "dead letter")
        );
        Err(Failure::new(FailureKind::Data, message).into())
    }

    /// How many dead letters are damaged.
    fn verify_dead_letters(&self, lane: Option<Lane>, replies: &mut Replies<'_>) -> Result<u64, Stop> {
        let filter = DeadLetterFilter { lane, ..DeadLetterFilter::default() };
        let mut letters = 0;
        let mut after = None;
        loop {
            let page = self.buffer.dead_letters(&filter, after.as_ref(), PAGE)?;
            letters += page.letters.len() as u64;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let damaged = self.buffer.dead_letter_counts().values().map(|count| count.damaged).sum();
        replies.record(&VerifyRecord::DeadLetters { letters, damaged })?;
        Ok(damaged)
    }
}
