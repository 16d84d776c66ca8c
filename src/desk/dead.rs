//! Dead letters: what an operator sees of them, and decides.

use penstock_buffer::{DeadLetter, DeadLetterError, DeadLetterFilter, DeadLetterId};
use penstock_events::cloudevent::CloudEvent;

use super::record::{DeadLettersRecord, LetterRecord, WhatIf};
use super::request::Letters;
use super::{Desk, Replies, Stop};

/// Letters that are read, marked or given up at once: a few hundred kilobytes, and one gap for neighbours.
const PAGE: usize = 200;

impl Desk {
    pub(super) fn list_dead(
        &self,
        filter: &DeadLetterFilter,
        limit: Option<u64>,
        replies: &mut Replies<'_>,
    ) -> Result<(), Stop> {
        let mut left = limit.unwrap_or(u64::MAX);
        self.each_page(filter, |letters| {
            for letter in letters.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                replies.record(&LetterRecord::of(letter, &self.origin))?;
                left -= 1;
            }
            Ok(left > 0)
        })
    }

    pub(super) fn show_dead(&self, id: &DeadLetterId, replies: &mut Replies<'_>) -> Result<(), Stop> {
        replies.record(&LetterRecord::of(self.buffer.dead_letter(id)?, &self.origin))
    }

    pub(super) fn export_dead(
        &self,
        filter: &DeadLetterFilter,
        replies: &mut Replies<'_>,
    ) -> Result<(), Stop> {
        self.each_page(filter, |letters| {
            for DeadLetter { id, stream, event, .. } in &letters {
                let document = CloudEvent { origin: &self.origin, stream, sequence: id.sequence, event };
                replies.document(document.to_json())?;
            }
            Ok(true)
        })
    }

    pub(super) fn retry_dead(&self, letters: &Letters, replies: &mut Replies<'_>) -> Result<(), Stop> {
        let letters = self.decide(letters, |ids| self.buffer.retry_dead_letters(ids))?;
        replies.record(&DeadLettersRecord { letters })
    }

    pub(super) fn discard_dead(
        &self,
        letters: &Letters,
        dry_run: bool,
        replies: &mut Replies<'_>,
    ) -> Result<(), Stop> {
        let discard = |ids: &[DeadLetterId]| {
            if dry_run { Ok(ids.len()) } else { self.buffer.discard_dead_letters(ids) }
        };
        let what = DeadLettersRecord { letters: self.decide(letters, discard)? };
        replies.record(&WhatIf { dry_run, what })
    }

    /// Does something with letters, a page at a time; with how many.
    fn decide(
        &self,
        letters: &Letters,
        mut decision: impl FnMut(&[DeadLetterId]) -> Result<usize, DeadLetterError>,
    ) -> Result<u64, Stop> {
        let mut count = 0;
        match letters {
            Letters::These(ids) => {
                // One that is not there is a mistake, and then nothing is done.
                ids.iter().try_for_each(|id| self.buffer.dead_letter(id).map(drop))?;
                count += decision(ids)?;
            }
            Letters::Matching(filter) => self.each_page(filter, |letters| {
                let ids: Vec<_> = letters.into_iter().map(|letter| letter.id).collect();
                count += decision(&ids)?;
                Ok(true)
            })?,
        }
        Ok(count as u64)
    }

    /// Goes through the letters that `filter` takes, and goes on while `take` says so.
    fn each_page(
        &self,
        filter: &DeadLetterFilter,
        mut take: impl FnMut(Vec<DeadLetter>) -> Result<bool, Stop>,
    ) -> Result<(), Stop> {
        let mut after = None;
        loop {
            let page = self.buffer.dead_letters(filter, after.as_ref(), PAGE)?;
            after = page.next;
            if !take(page.letters)? || after.is_none() {
                return Ok(());
            }
        }
    }
}
