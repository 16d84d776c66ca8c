//! Room that is kept for a disk that is full: files that say nothing, given back when there is no other room for what a start must
//! write or for what deletes what is delivered. While they cannot be had nothing is taken, so that the next start has them.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::retry_on_intr;

use crate::generation::SEGMENT_BYTES;

/// For the small files, which are replaced.
const SMALL: &str = "spare";
const SMALL_BYTES: u64 = 128 * 1024;
/// For what a start writes: a journal, or what the logs lack of it, and what each lane's sled fills a segment up with.
const LARGE: &str = "spare-start";

/// The room that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Spare {
    /// What is given first comes first.
    parts: [Part; 2],
}

#[derive(Clone, Debug)]
struct Part {
    path: PathBuf,
    bytes: u64,
}

impl Spare {
    /// That of the store at `root`, with a journal of `journal_bytes`.
    pub(crate) fn of(root: &Path, journal_bytes: usize) -> Self {
        let part = |name, bytes| Part { path: root.join(name), bytes };
        Self {
            parts: [part(SMALL, SMALL_BYTES), part(LARGE, journal_bytes as u64 + 2 * SEGMENT_BYTES as u64)],
        }
    }

    /// Takes the room, as far as it is not taken.
    ///
    /// # Errors
    /// When the disk does not have it.
    pub(crate) fn take(&self) -> io::Result<()> {
        self.parts.iter().try_for_each(Part::take)
    }

    /// Does something, and again with what room this gives if there was none.
    pub(crate) fn lend<T, E>(
        &self,
        mut work: impl FnMut() -> Result<T, E>,
        wants_room: impl Fn(&E) -> bool,
    ) -> Result<T, E> {
        let mut parts = self.parts.iter();
        let mut done = work();
        while done.as_ref().is_err_and(&wants_room)
            && let Some(part) = parts.next()
        {
            if part.give() {
                done = work();
            }
        }
        done
    }
}

impl Part {
    fn take(&self) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|there| there.len() == self.bytes) {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&self.path)?;
        // Not written: a disk wears out by that.
        let reserved = retry_on_intr(|| fallocate(&file, FallocateFlags::empty(), 0, self.bytes));
        match reserved.map_err(io::Error::from) {
            Ok(()) => Ok(()),
            Err(error) if is_full(&error) => {
                // A part of it is of no use to anybody.
                drop(fs::remove_file(&self.path));
                Err(error)
            }
            // There are file systems that reserve nothing: they are asked once.
            Err(_) => file.set_len(self.bytes),
        }
    }

    /// Gives it back; whether there was any.
    fn give(&self) -> bool {
        let given = fs::remove_file(&self.path).is_ok();
        if given {
            tracing::warn!(path = %self.path.display(), "the disk is full; the room that was kept for that is given back");
        }
        given
    }
}

/// Whether the disk has no room for what was to be written.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_lent_part_by_part_to_what_has_no_room() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let spare = Spare::of(directory.path(), 4_096);
        let is_kept = || [SMALL, LARGE].map(|name| directory.path().join(name).exists());
        let lend = |enough: [bool; 2]| {
            let full = || io::Error::from(io::ErrorKind::StorageFull);
            spare.lend(|| if is_kept() == enough { Ok(()) } else { Err(full()) }, is_full)
        };
        spare.take().expect("a disk with room");
        let lengths =
            [SMALL, LARGE].map(|name| fs::metadata(directory.path().join(name)).expect("kept").len());
        assert_eq!(lengths, [SMALL_BYTES, 4_096 + 2 * SEGMENT_BYTES as u64]);
        for enough in [[true, true], [false, true], [false, false]] {
            spare.take().expect("a disk with room");
            lend(enough).expect("so much room");
            assert_eq!(is_kept(), enough, "no more is given than is wanted");
        }
        lend([true, true]).expect_err("there is no more");
        spare.take().expect("a disk with room");
        spare.lend(|| Err::<(), _>(io::Error::other("not for want of room")), is_full).expect_err("it fails");
        assert_eq!(is_kept(), [true, true]);
    }
}
