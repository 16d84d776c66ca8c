//! What can go wrong, one enum per operation. Each message says what, where and what to do.

use std::io;
use std::path::PathBuf;

use penstock_events::{DestinationName, Lane, Sequence};

use crate::buffer::MAX_APPEND_EVENTS;
use crate::options::MIN_MAX_BYTES;
use crate::record::MAX_EVENT_BYTES;
use crate::spare;

/// Why a store was not opened. Nothing in it was changed. Damage is no reason: it is set aside and announced.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The limit leaves no room to work in.
    #[error("a buffer of {max_bytes} bytes is too small; give it at least {MIN_MAX_BYTES}")]
    TooSmall {
        /// The limit as it was given.
        max_bytes: u64,
    },
    /// The directory cannot be made, read or written.
    #[error(
        "the data directory {path} cannot be used: {error}; it must exist or be possible to make, \
         and the user that runs penstock must be able to write to it"
    )]
    NotWritable {
        /// What was touched.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// Another process has the store open.
    #[error(
        "the data directory {path} is in use by {owner}; stop that one, or give this one a directory of its own"
    )]
    Locked {
        /// The store's directory.
        path: PathBuf,
        /// Who says to have it: `process 1234, gateway edge-01`.
        owner: String,
    },
    /// A later version of penstock wrote it.
    #[error(
        "{path} has format {found}, and this version of penstock reads up to {supported}; \
         start the version that wrote it, or a later one"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u16,
        /// The newest that is understood.
        supported: u16,
    },
    /// The disk failed.
    #[error("{path} cannot be read or written: {error}; check the disk and its free space")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// The system gave no thread.
    #[error("the buffer's threads cannot be started: {0}")]
    Thread(io::Error),
}

impl OpenError {
    /// Whether the disk is full.
    pub(crate) fn is_for_want_of_room(&self) -> bool {
        match self {
            Self::Io { error, .. } | Self::NotWritable { error, .. } => spare::is_full(error),
            _ => false,
        }
    }
}

/// Why events were not made durable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AppendError {
    /// One event is larger than a block can be; none of the append was taken.
    #[error(
        "event {index} of the append takes up to {bytes} bytes, and {MAX_EVENT_BYTES} is the most that is stored"
    )]
    EventTooLarge {
        /// Which event of the append.
        index: usize,
        /// The bound of its size.
        bytes: usize,
    },
    /// One piece of state is larger than a stored value can be; none of the append was taken.
    #[error(
        "the state {key:?} takes {bytes} bytes with its key, and {MAX_EVENT_BYTES} is the most that is stored"
    )]
    StateTooLarge {
        /// Whose state.
        key: String,
        /// Its size with its key.
        bytes: usize,
    },
    /// More events than one commit may hold; none of the append was taken.
    #[error("{events} events in one append, and {MAX_APPEND_EVENTS} is the most; split it")]
    TooManyEvents {
        /// How many there are.
        events: usize,
    },
    /// The buffer is closed; this append is not durable.
    #[error("the buffer is closed")]
    Closed,
    /// The disk failed, now or before. It is not known whether this append survives; every later one fails too.
    #[error("the buffer failed and takes nothing more: {0}")]
    Failed(String),
}

/// Why events were not read. They can be read later, when the disk is well.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// The disk failed.
    #[error(
        "generation {generation} of the {lane} lane cannot be read at event {sequence}: {detail}; check the disk"
    )]
    Disk {
        /// The lane.
        lane: Lane,
        /// The generation's number.
        generation: u32,
        /// The event that was wanted.
        sequence: Sequence,
        /// The system's answer.
        detail: String,
    },
    /// A generation does not hold what it should, and the loss cannot be announced at this time.
    #[error("generation {generation} of the {lane} lane cannot be read at event {sequence}: {detail}")]
    Damaged {
        /// The lane.
        lane: Lane,
        /// The generation's number.
        generation: u32,
        /// The event that was wanted.
        sequence: Sequence,
        /// What was found.
        detail: String,
    },
}

/// Why an acknowledgement was refused. Nothing moved.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AckError {
    /// Only a configured destination has a cursor to move.
    #[error("{0} is not one of the buffer's destinations")]
    UnknownDestination(DestinationName),
    /// What is not durable was never read, so it cannot have been delivered.
    #[error("{through} cannot be acknowledged on the {lane} lane, which ends at {head}")]
    PastHead {
        /// The lane.
        lane: Lane,
        /// What was acknowledged.
        through: Sequence,
        /// The last durable event.
        head: Sequence,
    },
}

/// Why closing was not clean.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CloseError {
    /// The disk failed, at the end or before.
    #[error("the buffer failed: {0}")]
    Failed(String),
}
