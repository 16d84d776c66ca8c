//! A piece of the normalizer's state as it is stored. Pure: bytes in, state out.
//!
//! ```text
//! piece   = magic "PSS" | format version u8 | crc32c of the rest, u32 LE | postcard of Piece
//! ```
//!
//! Like a block it says where it ends and what it is, so it is [found](find) without sled. Pieces of one key are told
//! apart by their order: the later commit has the higher one.

use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;
pub(crate) const MAGIC: [u8; 3] = *b"PSS";
/// Magic, version and checksum.
const ENVELOPE_BYTES: usize = 8;

/// A value of one key, and which commit it is of.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Piece<'a> {
    pub(crate) order: u64,
    pub(crate) key: &'a str,
    pub(crate) value: &'a [u8],
}

impl Piece<'_> {
    /// The bytes to store.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + 32 + self.key.len() + self.value.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&[0; 4]);
        let mut bytes =
            postcard::to_extend(self, bytes).expect("a Vec grows, and nothing in a piece can fail");
        let checksum = crc32c::crc32c(&bytes[ENVELOPE_BYTES..]).to_le_bytes();
        bytes[4..ENVELOPE_BYTES].copy_from_slice(&checksum);
        bytes
    }
}

/// The piece with which `bytes` begin, and how long it is, if all of it is there and whole.
pub(crate) fn find(bytes: &[u8]) -> Option<(Piece<'_>, usize)> {
    let (envelope, rest) = bytes.split_first_chunk::<ENVELOPE_BYTES>()?;
    let [m0, m1, m2, version, checksum @ ..] = *envelope;
    if [m0, m1, m2] != MAGIC || version != VERSION {
        return None;
    }
    let (piece, after) = postcard::take_from_bytes::<Piece<'_>>(rest).ok()?;
    let whole = &rest[..rest.len() - after.len()];
    (crc32c::crc32c(whole) == u32::from_le_bytes(checksum)).then_some((piece, bytes.len() - after.len()))
}

/// The piece of `key` that is stored as `bytes`; the bytes themselves are its value where a version before this format
/// wrote them. `None` when it is damaged.
pub(crate) fn read<'a>(key: &'a str, bytes: &'a [u8]) -> Option<Piece<'a>> {
    if !bytes.starts_with(&MAGIC) {
        return Some(Piece { order: 0, key, value: bytes });
    }
    let (piece, length) = find(bytes)?;
    (piece.key == key && length == bytes.len()).then_some(piece)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn piece() -> Piece<'static> {
        Piece { order: 300, key: "press-1.good", value: b"four hundred" }
    }

    #[test]
    fn version_1_is_read_from_and_written_as_its_golden_bytes() {
        let golden = include_bytes!("../tests/fixtures/state-v1.bin");
        assert_eq!(find(golden), Some((piece(), golden.len())));
        assert_eq!(piece().to_bytes(), golden);
    }

    #[test]
    fn a_piece_is_found_among_other_bytes_and_only_if_it_is_whole() {
        let whole = piece().to_bytes();
        let among_others = [&whole[..], b"PSS"].concat();
        assert_eq!(find(&among_others), Some((piece(), whole.len())));
        for bit in 0..whole.len() * 8 {
            let mut bytes = among_others.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(find(&bytes), None, "bit {bit} went unnoticed");
        }
    }

    #[test]
    fn what_an_older_version_wrote_is_the_value_itself() {
        assert_eq!(read("n", b"7"), Some(Piece { order: 0, key: "n", value: b"7" }));
        assert_eq!(read("other", &piece().to_bytes()), None, "a piece under another key");
    }

    proptest! {
        #[test]
        fn any_piece_survives(order in any::<u64>(), key in ".{0,40}", value in any::<Vec<u8>>()) {
            let piece = Piece { order, key: &key, value: &value };
            let bytes = piece.to_bytes();
            prop_assert_eq!(read(&key, &bytes), Some(piece));
        }

        #[test]
        fn no_bytes_break_it(bytes in any::<Vec<u8>>()) {
            prop_assert!(find(&bytes).is_none());
        }
    }
}
