//! The log of a generation: all that was ever put into it, as records of the journal's form, one behind the other. What is
//! added at once begins with a page, so that adding puts nothing at risk that stands there.
//!
//! Here the blocks stand, and nowhere else once the journal has gone on. sled only has their places: it writes over what it has
//! written elsewhere, and takes for written what was never synced, so nothing that counts is left to its file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entries::Place;
use crate::block::MAX_STORED_BYTES;
use crate::durable_file::{InvalidFile, sync_directory};
use crate::journal::{PAGE_BYTES, Record};

/// Its file in the generation's directory.
pub(crate) const NAME: &str = "log";
/// How much is looked through at once.
const WINDOW_BYTES: usize = 64 * 1024;
/// More than any commit takes.
const MAX_RECORD_BYTES: u64 = 256 * 1024 * 1024;

/// Makes the empty log of a new generation, durable once the directory is synced.
pub(crate) fn create(directory: &Path) -> io::Result<()> {
    File::create(directory.join(NAME)).map(drop)
}

/// Adds to the log of the generation in `directory`, which is made if it is not there, and returns once all of it is durable: also what
/// a process that was killed had only given to the system. Where it stands is returned.
pub(crate) fn append(directory: &Path, records: &[u8]) -> io::Result<u64> {
    #[cfg(test)]
    crate::fault_injection::check(directory, "log")?;
    let path = directory.join(NAME);
    let is_new = !path.exists();
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    // Behind whatever a crash left: that is no record, and stays where it is.
    let end = file.metadata()?.len();
    let base = end.next_multiple_of(PAGE_BYTES as u64);
    if let Err(error) = file.write_all_at(records, base).and_then(|()| file.sync_data()) {
        // Half of it is not to fill a disk that is full, and what may not be there is not to look as if it were.
        drop(file.set_len(end));
        return Err(error);
    }
    if is_new {
        sync_directory(directory)?;
    }
    Ok(base)
}

/// Writes the records at these places once more where they stand: whether they are more than the system's memory of them is not known. They
/// are durable after the next [`append`].
pub(crate) fn write_again(directory: &Path, mut places: impl Iterator<Item = u64>) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(directory.join(NAME))?;
    let log = Log { length: file.metadata()?.len(), file };
    places.try_for_each(|place| match log.bytes_at(place) {
        Some(record) => log.file.write_all_at(&record, place),
        None => Ok(()),
    })
}

/// The log of a generation, to be read.
pub(crate) struct Log {
    file: File,
    length: u64,
}

impl Log {
    /// That of the generation in `directory`; `None` when it has none.
    pub(crate) fn open(directory: &Path) -> io::Result<Option<Self>> {
        match File::open(directory.join(NAME)) {
            Ok(file) => Ok(Some(Self { length: file.metadata()?.len(), file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Each record that stands whole in it, with its place. What a crash cut short may stand between them.
    pub(crate) fn records(&self) -> impl Iterator<Item = Result<(u64, Record), InvalidFile>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            while at < self.length {
                let place = at;
                match self.whole_at(place) {
                    Ok(Some((record, bytes))) => {
                        at += bytes;
                        return Some(Ok((place, record)));
                    }
                    Ok(None) => at = self.next_from(place + 1),
                    Err(error) => {
                        at = self.length;
                        return Some(Err(error));
                    }
                }
            }
            None
        })
    }

    /// The bytes at a place, of a block.
    pub(super) fn block_at(&self, place: Place) -> io::Result<Vec<u8>> {
        let bytes = usize::try_from(place.bytes).unwrap_or(usize::MAX);
        if bytes > MAX_STORED_BYTES {
            return Err(io::Error::other(format!("no block is {bytes} bytes long")));
        }
        let mut block = vec![0; bytes];
        self.file.read_exact_at(&mut block, place.offset)?;
        Ok(block)
    }

    /// Whether these bytes stand at a place.
    pub(crate) fn has(&self, place: u64, bytes: &[u8]) -> bool {
        let mut there = vec![0; bytes.len()];
        self.file.read_exact_at(&mut there, place).is_ok() && there == bytes
    }

    /// The record at a place.
    pub(crate) fn record_at(&self, place: u64) -> Result<Record, InvalidFile> {
        let gone =
            || InvalidFile::Damaged(format!("the record at {place} of its log cannot be read any more"));
        self.whole_at(place)?.map(|(record, _)| record).ok_or_else(gone)
    }

    /// The next place from `place` on where a record may begin.
    fn next_from(&self, mut place: u64) -> u64 {
        let mut window = vec![0; WINDOW_BYTES];
        while place < self.length {
            match self.file.read_at(&mut window, place) {
                Ok(filled) if filled >= Record::START_BYTES => {
                    match Record::may_begin_in(&window[..filled]) {
                        Some(at) => return place + at as u64,
                        None => place += (filled + 1 - Record::START_BYTES) as u64,
                    }
                }
                Ok(_) => break,
                // What cannot be read is no record.
                Err(_) => place = (place + 1).next_multiple_of(PAGE_BYTES as u64),
            }
        }
        self.length
    }

    /// The record that stands at a place, if one does that can be read, and how long it is.
    fn whole_at(&self, place: u64) -> Result<Option<(Record, u64)>, InvalidFile> {
        let Some(bytes) = self.bytes_at(place) else { return Ok(None) };
        Ok(Record::find(&bytes)?.map(|record| (record, bytes.len() as u64)))
    }

    /// As many bytes as the record has that begins at a place, if one does that can be read.
    fn bytes_at(&self, place: u64) -> Option<Vec<u8>> {
        let mut start = [0; Record::START_BYTES];
        self.file.read_exact_at(&mut start, place).ok()?;
        let most = MAX_RECORD_BYTES.min(self.length.checked_sub(place)?);
        let length = Record::length(&start).filter(|&length| length <= most)?;
        let mut bytes = vec![0; usize::try_from(length).ok()?];
        self.file.read_exact_at(&mut bytes, place).ok()?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn record(order: u64) -> Record {
        let mut record = Record { order, ..Record::default() };
        // Longer than what is looked through at once.
        record.entries.telemetry.push(b"key", &vec![7; 30_000]);
        record
    }

    fn orders(directory: &Path) -> Vec<u64> {
        let log = Log::open(directory).expect("a file that can be read").expect("it is there");
        log.records().map(|found| found.expect("no newer format").1.order).collect()
    }

    #[test]
    fn of_a_damaged_log_every_record_is_read_but_the_one_that_was_hit() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        let together: Vec<u8> = (1..=3).flat_map(|order| record(order).to_bytes()).collect();
        append(path, &together).expect("a disk that works");
        append(path, &record(4).to_bytes()).expect("a disk that works");
        append(path, &[]).expect("nothing to do");
        assert_eq!(orders(path), [1, 2, 3, 4]);
        let whole = fs::read(path.join(NAME)).expect("a file");
        for hit in 1..=4 {
            let mut bytes = whole.clone();
            let length = record(1).to_bytes().len();
            let at = if hit < 4 { (hit - 1) * length } else { whole.len() - length };
            bytes[at + length / 2] ^= 1;
            fs::write(path.join(NAME), bytes).expect("a writable file");
            assert_eq!(orders(path), (1..=4).filter(|&order| order != hit as u64).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_added_after_a_torn_end_is_read() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        append(path, &[record(1).to_bytes(), record(2).to_bytes()].concat()).expect("a disk that works");
        let torn = fs::read(path.join(NAME)).expect("a file");
        fs::write(path.join(NAME), &torn[..torn.len() - 10_000]).expect("a writable file");
        append(path, &[record(2).to_bytes(), record(3).to_bytes()].concat()).expect("a disk that works");
        assert_eq!(orders(path), [1, 2, 3]);
    }
}
