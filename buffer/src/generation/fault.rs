//! What can go wrong with a generation, and what to think of it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use penstock_events::Sequence;
use rustix::io::Errno;

use crate::block::InvalidBlock;
use crate::durable_file::InvalidFile;

/// What is wrong with a generation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("its database is damaged: {0}")]
    Database(String),
    #[error("its database is of another kind: {0}")]
    Unsupported(String),
    #[error("its database gave up: {0}")]
    Panicked(String),
    #[error("the block that begins at {first} cannot be used: {error}")]
    Block { first: Sequence, error: InvalidBlock },
    #[error("event {0} should be in it and is not")]
    Missing(Sequence),
    #[error("its file cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("its log is of the newer format {0}")]
    NewerLog(u16),
    #[error("a commit before it failed")]
    Stopped,
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(error) => Self::Io(error),
            sled::Error::Unsupported(why) => Self::Unsupported(why),
            other => Self::Database(other.to_string()),
        }
    }
}

impl From<InvalidFile> for Fault {
    fn from(invalid: InvalidFile) -> Self {
        match invalid {
            InvalidFile::Io(error) => Self::Io(error),
            InvalidFile::NewerFormat { found, .. } => Self::NewerLog(found),
            InvalidFile::Damaged(why) => Self::Database(why),
        }
    }
}

/// Runs `work`, turning a panic into a fault.
pub(crate) fn contain<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Fault::Panicked(text.unwrap_or_else(|| "a panic without words".to_owned())))
    })
}

/// Whether what the system said may be the fault of what is in a file or of a bad place on the disk, and not of the whole disk. sled
/// has words of its own, and no number.
pub(crate) fn may_be_damage(error: &io::Error) -> bool {
    // A bad place in a file, and a file or directory that the file system finds damaged.
    let of_a_part = [Errno::IO, Errno::UCLEAN, Errno::BADMSG].map(Errno::raw_os_error);
    error.raw_os_error().is_none_or(|number| of_a_part.contains(&number))
        || error.kind() == io::ErrorKind::NotFound
}

/// sled has no error of its own for this.
pub(crate) fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}
