//! Dead letters: events that a destination refused for good, kept until an operator decides.
//!
//! A letter is durable before the cursor passes its event. What becomes of it is the operator's choice:
//! another attempt, or to discard it, which is announced as a gap. It refuses to lose a business event for
//! want of room: then the lane waits.

mod letter;
mod letterbox;
mod room;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use penstock_events::{DestinationName, Event, EventType, GapReason, Lane, Sequence};
use tokio::sync::watch;

use crate::buffer::Buffer;
use crate::durable_file::InvalidFile;
use crate::meters;
use crate::shared::lock;
use crate::writer::{Announcement, Loss, Work};
#[cfg(any(test, fuzzing))]
pub(crate) use letter::rewrite;
pub use letter::{DeadLetter, DeadLetterFilter, DeadLetterId, InvalidDeadLetterId, Refusal};
pub use letterbox::DeadLetterCount;
pub(crate) use letterbox::Letterbox;
use letterbox::Wish;
use room::{Place, Room};

/// An event that a destination has refused for good.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Its lane.
    pub lane: Lane,
    /// Its place there.
    pub sequence: Sequence,
    /// The event.
    pub event: Event,
    /// How it was refused, this time.
    pub refusal: Refusal,
}

/// Some dead letters, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeadLetters {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// After which one the next page begins; none when this is the last.
    pub next: Option<DeadLetterId>,
}

/// Why something could not be done with dead letters.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// There is no such letter: it was delivered or discarded, or never was.
    #[error("there is no dead letter {0}; `penstock dead list` shows those that there are")]
    Unknown(DeadLetterId),
    /// It cannot be read. A damaged one was announced as lost and set aside by this.
    #[error("the dead letter {path} cannot be read: {detail}")]
    Unreadable {
        /// Its file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The disk failed or is full. What was asked for is done in part at most.
    #[error("{path} cannot be changed: {error}; check the disk and its free space")]
    Io {
        /// The folder of the letters.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The loss could not be announced, so nothing was given up.
    #[error("the buffer cannot announce what is given up: {0}")]
    NotAnnounced(String),
}

impl Buffer {
    /// Keeps events of one lane that `destination` refused for good. They are durable when this returns, so
    /// the cursor may pass them. One that is kept already counts on.
    ///
    /// Says how many of the first are settled. The next one is a business event that has no room: it must
    /// stay where it is. Telemetry without room is given up, the oldest first, and announced.
    ///
    /// # Errors
    /// When they cannot be written; the cursor must not pass them then.
    pub fn bury(
        &self,
        destination: &DestinationName,
        refused: Vec<Refused>,
    ) -> Result<usize, DeadLetterError> {
        let dead = &self.shared().dead;
        let _changing = lock(&dead.changing);
        let new: Vec<Place> = refused.iter().map(|refused| (refused.lane, refused.sequence)).collect();
        let known: BTreeSet<Place> = self.places(destination);
        let room = Room::find(known, &new, dead.limit);

        let mut kinds: BTreeMap<Place, EventType> = BTreeMap::new();
        let mut letters = Vec::with_capacity(room.kept.len());
        for Refused { lane, sequence, event, refusal } in refused.into_iter().take(room.settled) {
            kinds.insert((lane, sequence), event.kind());
            if room.kept.contains(&(lane, sequence)) {
                let id = DeadLetterId { destination: destination.clone(), lane, sequence };
                let earlier = dead.read(&id).ok().flatten();
                let refusal = match &earlier {
                    Some(earlier) => refusal.after(&earlier.refusal),
                    None => refusal,
                };
                let stream = self.stream(lane).clone();
                letters.push(DeadLetter { id, stream, event, refusal, retry: false });
            }
        }
        let victims: Vec<DeadLetterId> = room
            .given_up
            .iter()
            .map(|&(lane, sequence)| DeadLetterId { destination: destination.clone(), lane, sequence })
            .collect();
        self.announce_lost(&victims, GapReason::DeadLettersFull, |id| {
            kinds.get(&(id.lane, id.sequence)).copied()
        })?;
        // What is announced is gone at once: if the disk has no room for the letters, that is tried again, and not announced again.
        dead.delete(&victims).map_err(|error| self.cannot_change(destination, error))?;
        dead.write(&letters).map_err(|error| self.cannot_change(destination, error))?;
        meters::dead_letters(destination, letters.len() as u64, &dead.counts());
        Ok(room.settled)
    }

    /// Up to `limit` dead letters that `filter` takes, after `after` in the order of ids. Reads each letter
    /// that it looks at. One that is damaged is announced as lost, set aside and left out.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn dead_letters(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&DeadLetterId>,
        limit: usize,
    ) -> Result<DeadLetters, DeadLetterError> {
        let mut page = DeadLetters::default();
        let mut last = None;
        let ids = self.shared().dead.ids_after(after);
        for (id, _) in ids.into_iter().filter(|(id, _)| filter.may_match(id)) {
            if page.letters.len() >= limit.max(1) {
                page.next = last;
                break;
            }
            page.letters.extend(self.read_if_whole(&id)?.filter(|letter| filter.matches(letter)));
            last = Some(id);
        }
        Ok(page)
    }

    /// The dead letter `id`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn dead_letter(&self, id: &DeadLetterId) -> Result<DeadLetter, DeadLetterError> {
        match self.shared().dead.read(id) {
            Ok(found) => found.ok_or_else(|| DeadLetterError::Unknown(id.clone())),
            Err((path, invalid)) => {
                if let InvalidFile::Damaged(detail) = &invalid {
                    self.give_up_damaged(id, &path, detail)?;
                }
                Err(unreadable(path, &invalid))
            }
        }
    }

    /// Asks for another attempt at delivering these letters. The running gateway makes it, or the next one
    /// to start; until then they stay. Says how many were not asked for before; unknown ones do not count.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn retry_dead_letters(&self, ids: &[DeadLetterId]) -> Result<usize, DeadLetterError> {
        let dead = &self.shared().dead;
        let _changing = lock(&dead.changing);
        let marked = dead.mark(ids).map_err(|error| self.cannot_change_any(ids, error))?;
        self.shared().new_errands();
        Ok(marked)
    }

    /// Gives up these letters for good: their loss is announced with a `gateway.gap` event, then they are
    /// deleted. Says how many there were.
    ///
    /// # Errors
    /// When the disk fails or the loss cannot be announced.
    pub fn discard_dead_letters(&self, ids: &[DeadLetterId]) -> Result<usize, DeadLetterError> {
        let dead = &self.shared().dead;
        let _changing = lock(&dead.changing);
        let mut present: Vec<DeadLetterId> =
            ids.iter().filter(|id| dead.wish(id).is_some()).cloned().collect();
        present.sort_unstable();
        present.dedup();
        self.announce_lost(&present, GapReason::Discarded, |_| None)?;
        let discarded = dead.delete(&present).map_err(|error| self.cannot_change_any(&present, error))?;
        tracing::info!(discarded, "dead letters were discarded");
        Ok(discarded)
    }

    /// How many dead letters each destination has that ever had one, configured or not. From memory.
    pub fn dead_letter_counts(&self) -> BTreeMap<DestinationName, DeadLetterCount> {
        self.shared().dead.counts()
    }

    /// Moves when somebody asked for a letter to be sent again, or for a replay.
    pub fn errands(&self) -> watch::Receiver<u64> {
        self.shared().errands.subscribe()
    }

    /// Up to `limit` letters of `destination` that are to be sent again.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn dead_letters_to_retry(
        &self,
        destination: &DestinationName,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let ids = self.shared().dead.ids_after(None);
        let wanted =
            ids.into_iter().filter(|(id, wish)| id.destination == *destination && *wish == Wish::Retry);
        let letters = wanted.map(|(id, _)| self.read_if_whole(&id)).filter_map(Result::transpose);
        letters.take(limit).collect()
    }

    /// Notes that `destination` took the event at this place after all: its letter goes, if there is one.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn settle_dead_letter(&self, id: &DeadLetterId) -> Result<(), DeadLetterError> {
        let dead = &self.shared().dead;
        if dead.wish(id).is_none() {
            return Ok(());
        }
        let _changing = lock(&dead.changing);
        dead.delete([id]).map_err(|error| self.cannot_change(&id.destination, error))?;
        Ok(())
    }

    /// Notes that the event of a letter was refused again: the wish to retry it is done with, and its attempts
    /// count on. A letter that was discarded meanwhile stays gone.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn refuse_dead_letter(&self, id: &DeadLetterId, refusal: Refusal) -> Result<(), DeadLetterError> {
        let dead = &self.shared().dead;
        let _changing = lock(&dead.changing);
        let Some(letter) = self.read_if_whole(id)? else { return Ok(()) };
        let letter = DeadLetter { refusal: refusal.after(&letter.refusal), retry: false, ..letter };
        dead.write(&[letter]).map_err(|error| self.cannot_change(&id.destination, error))
    }

    /// The places beyond `cursor` in `lane` that have a letter of `destination`: a crash between a letter and
    /// the cursor leaves such. From memory.
    pub fn dead_letters_beyond(
        &self,
        destination: &DestinationName,
        lane: Lane,
        cursor: Sequence,
    ) -> BTreeSet<Sequence> {
        let places = self.places(destination).into_iter();
        places.filter(|&(of, place)| of == lane && place > cursor).map(|(_, place)| place).collect()
    }

    fn places(&self, destination: &DestinationName) -> BTreeSet<Place> {
        let ids = self.shared().dead.ids_after(None).into_iter();
        ids.filter(|(id, _)| id.destination == *destination).map(|(id, _)| (id.lane, id.sequence)).collect()
    }

    /// Announces the loss of letters of any destinations, sorted by their ids. `known` tells the types of
    /// those that are not kept yet.
    fn announce_lost(
        &self,
        ids: &[DeadLetterId],
        reason: GapReason,
        known: impl Fn(&DeadLetterId) -> Option<EventType>,
    ) -> Result<(), DeadLetterError> {
        let kind = |id: &DeadLetterId| {
            let kept = || self.shared().dead.read(id).ok().flatten().map(|letter| letter.event.kind());
            known(id).or_else(kept)
        };
        let runs = room::runs(ids.iter().map(|id| ((id.lane, id.sequence), kind(id))));
        if runs.is_empty() {
            return Ok(());
        }
        let losses =
            runs.into_iter().map(|run| Loss { lane: run.lane, places: run.places, reason, lost: run.lost });
        let losses = losses.collect();
        // In a full buffer too: an announcement is small, and it is what makes room.
        self.ask_writer(|answer| Work::Announce(Announcement { losses, answer }))
            .map_err(DeadLetterError::NotAnnounced)
    }

    fn read_if_whole(&self, id: &DeadLetterId) -> Result<Option<DeadLetter>, DeadLetterError> {
        match self.shared().dead.read(id) {
            Ok(found) => Ok(found),
            Err((path, invalid @ InvalidFile::Io(_))) => Err(unreadable(path, &invalid)),
            Err((path, InvalidFile::Damaged(detail))) => {
                self.give_up_damaged(id, &path, &detail).map(|()| None)
            }
            Err((path, invalid @ InvalidFile::NewerFormat { .. })) => {
                tracing::warn!(file = %path.display(), %invalid, "a dead letter is left out");
                Ok(None)
            }
        }
    }

    /// Announces that a damaged letter is lost, and sets it aside; once, however many come upon it.
    fn give_up_damaged(&self, id: &DeadLetterId, path: &Path, detail: &str) -> Result<(), DeadLetterError> {
        let _alone = lock(&self.shared().dead.giving_up);
        if self.shared().dead.wish(id).is_none() {
            return Ok(());
        }
        self.announce_lost(std::slice::from_ref(id), GapReason::Damaged, |_| None)?;
        self.shared().dead.set_aside(id, path, detail);
        Ok(())
    }

    fn cannot_change(&self, destination: &DestinationName, error: io::Error) -> DeadLetterError {
        DeadLetterError::Io { path: self.shared().dead.folder(destination), error }
    }

    fn cannot_change_any(&self, ids: &[DeadLetterId], error: io::Error) -> DeadLetterError {
        let path = ids.first().map(|id| self.shared().dead.folder(&id.destination));
        DeadLetterError::Io { path: path.unwrap_or_else(|| Path::new("dead").to_owned()), error }
    }
}

fn unreadable(path: PathBuf, invalid: &InvalidFile) -> DeadLetterError {
    DeadLetterError::Unreadable { path, detail: invalid.to_string() }
}
