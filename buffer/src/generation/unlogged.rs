//! What a generation has and its log has not yet: records as they will stand there, and where the blocks are in them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use penstock_events::{Lane, Sequence};

use super::entries::{Entries, Key, Place};
use super::{Fault, Stored};
use crate::journal::Record;

/// Records on their way into the log, the later of them behind those that are being written.
#[derive(Default)]
pub(super) struct Unlogged {
    filling: Part,
    leaving: Option<Arc<Part>>,
    /// Whether the log has all of it, and the database was not told.
    pub(super) is_logged: bool,
}

/// Records that are written at once.
#[derive(Default)]
pub(super) struct Part {
    pub(super) records: Vec<u8>,
    /// By the first place of each.
    blocks: BTreeMap<Sequence, Range<usize>>,
    /// The latest value of every other key.
    others: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Unlogged {
    /// Takes what a record has for `lane`.
    pub(super) fn add(&mut self, lane: Lane, record: &Record) -> Result<(), Fault> {
        let Part { records, blocks, others } = &mut self.filling;
        let from = records.len();
        record.put_into(records, &[lane]);
        for (key, value, at) in record.values(lane) {
            match Key::read(key)? {
                Key::Block(first) => drop(blocks.insert(first, from + at..from + at + value.len())),
                _ => drop(others.insert(key.to_vec(), value.to_vec())),
            }
        }
        Ok(())
    }

    /// What is to be written now. It can be read until it [has left](Self::left).
    pub(super) fn leave(&mut self) -> Arc<Part> {
        let leaving = Arc::new(std::mem::take(&mut self.filling));
        self.leaving = Some(Arc::clone(&leaving));
        leaving
    }

    /// What was leaving is in the log, and found there.
    pub(super) fn left(&mut self) {
        self.leaving = None;
    }

    /// All that the log has not, as it goes there.
    pub(super) fn rest(&self) -> Vec<u8> {
        if self.is_logged {
            Vec::new()
        } else {
            self.parts().flat_map(|part| &part.records).copied().collect()
        }
    }

    /// The first block at or after `place`.
    pub(super) fn block_from(&self, place: Sequence) -> Option<Stored> {
        self.parts().find_map(|part| part.blocks.range(place..).next().map(|block| part.stored(block)))
    }

    /// The last block that begins at or before `place`.
    pub(super) fn block_with(&self, place: Sequence) -> Option<Stored> {
        let last = |part: &Part| part.blocks.range(..=place).next_back().map(|block| part.stored(block));
        self.parts().filter_map(last).last()
    }

    /// In the order of their places.
    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.leaving.as_deref().into_iter().chain([&self.filling])
    }
}

impl Part {
    /// What the database keeps of it when it stands in the log from `base` on.
    pub(super) fn indexed(&self, base: u64) -> Entries {
        let mut entries = Entries::default();
        self.others.iter().for_each(|(key, value)| entries.push(key, value));
        for (&first, range) in &self.blocks {
            let place = Place::new(base + range.start as u64, range.len());
            entries.push(&Key::Block(first).to_bytes(), &place.to_bytes());
        }
        entries
    }

    fn stored(&self, (&first, range): (&Sequence, &Range<usize>)) -> Stored {
        Stored { first, bytes: self.records[range.clone()].to_vec() }
    }
}
