//! Where a generation's blocks are read: by the places that sled has while it grows, and by looking through its files when it is complete.

use std::sync::Arc;

use penstock_events::{Event, Sequence};

use crate::archive::Archive;
use crate::block::{self, Header};
use crate::generation::{Database, Fault, Stored};

/// An open generation.
#[derive(Clone)]
pub(crate) enum Source {
    /// It takes appends, or did when it was opened.
    Growing(Arc<Database>),
    /// It is complete.
    Complete(Arc<Archive>),
}

impl Source {
    /// The events of the block that holds `sequence`, with its header.
    pub(crate) fn block_with(&self, sequence: Sequence) -> Result<(Header, Vec<Event>), Fault> {
        let unpacked = self.stored_block_with(sequence)?.unpack()?;
        covering(sequence, &unpacked.0).map(|()| unpacked)
    }

    /// The header of the block that holds `sequence`; its events are not looked at.
    pub(crate) fn header_with(&self, sequence: Sequence) -> Result<Header, Fault> {
        let Stored { first, bytes } = self.stored_block_with(sequence)?;
        let (header, _) = block::open(&bytes).map_err(|error| Fault::Block { first, error })?;
        covering(sequence, &header).map(|()| header)
    }

    /// The first block whose key is at or after `place`.
    pub(crate) fn stored_block_from(&self, place: Sequence) -> Result<Option<Stored>, Fault> {
        match self {
            Self::Growing(database) => database.stored_block_from(place),
            Self::Complete(archive) => archive.stored_block_from(place),
        }
    }

    /// Whether nobody but the shelf has it.
    pub(crate) fn is_idle(&self) -> bool {
        match self {
            Self::Growing(database) => Arc::strong_count(database) == 1,
            Self::Complete(archive) => Arc::strong_count(archive) == 1,
        }
    }

    /// How much memory it takes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Growing(_) => Database::MEMORY_BYTES,
            Self::Complete(archive) => archive.memory_bytes(),
        }
    }

    fn stored_block_with(&self, sequence: Sequence) -> Result<Stored, Fault> {
        match self {
            Self::Growing(database) => database.stored_block_with(sequence),
            Self::Complete(archive) => archive.stored_block_with(sequence),
        }
    }
}

fn covering(sequence: Sequence, header: &Header) -> Result<(), Fault> {
    let holds = (header.first..=header.last).contains(&sequence);
    if holds { Ok(()) } else { Err(Fault::Missing(sequence)) }
}
