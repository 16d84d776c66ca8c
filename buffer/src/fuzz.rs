//! What fuzzing feeds with any bytes, and what must hold whatever they are. Compiled only for
//! fuzzing (`buffer/fuzz`) and for the test that replays its corpus.

use crate::block::{self, MAX_BLOCK_EVENTS};
use crate::{cursors, dead, journal, manifest, marks, record, replay, state};

/// The body of a block. What is read is written and read again as the same bytes.
pub fn records(bytes: &[u8]) {
    let Ok(events) = record::v1::decode(bytes) else { return };
    assert!(events.len() <= bytes.len(), "a record takes a byte at least");
    let written = record::v1::encode(&events);
    let again = record::v1::decode(&written).expect("what was read can be written");
    assert_eq!(record::v1::encode(&again), written);
}

/// A block, and a piece of state, as they stand and with a checksum that fits: what is beyond it is reached by damage too, if
/// rarely.
pub fn blocks(bytes: &[u8]) {
    judge(bytes);
    for magic in [block::MAGIC, state::MAGIC] {
        let checksum = crc32c::crc32c(bytes).to_le_bytes();
        judge(&[&magic[..], &[1], &checksum, bytes].concat());
    }
}

fn judge(bytes: &[u8]) {
    let unpacked = block::unpack(bytes);
    if let Ok((header, events)) = &unpacked {
        assert!(!events.is_empty() && events.len() <= MAX_BLOCK_EVENTS);
        assert_eq!(header.count(), events.len() as u64);
    }
    if let Some((header, length)) = block::find(bytes) {
        assert!(length <= bytes.len());
        let (whole, _) = block::open(&bytes[..length]).expect("it was found to be whole");
        assert_eq!(whole, header);
    }
    if let Some((piece, length)) = state::find(bytes) {
        let written = piece.to_bytes();
        assert_eq!(state::find(&written), Some((piece, written.len())));
        assert!(length <= bytes.len());
    }
}

/// A journal, as it stands and as one record with a checksum that fits.
pub fn journals(bytes: &[u8]) {
    journal::rewrite(bytes);
    journal::rewrite(&journal::sealed(bytes));
}

/// The payload of a small file; the first byte says which. What is read is written and read again as the same bytes.
pub fn files(bytes: &[u8]) {
    let Some((&kind, payload)) = bytes.split_first() else { return };
    match kind % 6 {
        0 => manifest::rewrite(1, payload),
        1 => manifest::rewrite(4, payload),
        2 => cursors::rewrite(payload),
        3 => marks::rewrite(payload),
        4 => dead::rewrite(payload),
        _ => replay::rewrite(payload),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Feeds `target` with its corpus.
    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut fed = 0;
        for file in files {
            let path = file.expect("the folder can be read").path();
            let bytes = fs::read(&path).expect("the file can be read");
            let held = std::panic::catch_unwind(|| target(&bytes));
            assert!(held.is_ok(), "{} broke it", path.display());
            fed += 1;
        }
        assert!(fed >= 10, "only {fed} files in {}", folder.display());
    }

    #[test]
    fn everything_that_fuzzing_found_interesting_still_holds() {
        replay("blocks", super::blocks);
        replay("files", super::files);
        replay("journals", super::journals);
        replay("records", super::records);
    }
}
