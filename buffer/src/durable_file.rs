//! Small files that are replaced whole: after a power cut there is the old one or the new one.
//!
//! ```text
//! file    = magic, 4 bytes | crc32c of the rest, u32 LE | format version u16 LE | payload
//! ```
//!
//! The envelope is the same in every version, so damage and a newer format are told apart.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Magic and checksum.
const ENVELOPE_BYTES: usize = 8;
const VERSION_BYTES: usize = 2;
/// The largest file that is read: a million times less than memory, and far above what a store needs.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What kind of file this is, and the newest format of it that is understood.
pub(crate) struct Kind {
    pub(crate) magic: [u8; 4],
    pub(crate) version: u16,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidFile {
    #[error("reading it failed: {0}")]
    Io(#[from] io::Error),
    #[error("format {found} is newer than format {supported}")]
    NewerFormat { found: u16, supported: u16 },
    #[error("{0}")]
    Damaged(String),
}

/// Replaces `path` with `payload` and returns once that is durable: a file beside it is written and
/// synced, then renamed over it, and the directory is synced.
pub(crate) fn replace(path: &Path, kind: &Kind, payload: &[u8]) -> io::Result<()> {
    put(path, kind, payload)?;
    sync_directory(path.parent().expect("the files of a store stand in its directory"))
}

/// Like [`replace`], but durable only once the directory is synced: so several files share one sync.
pub(crate) fn put(path: &Path, kind: &Kind, payload: &[u8]) -> io::Result<()> {
    #[cfg(test)]
    crate::fault_injection::check(path, "put")?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&seal(kind, payload))?;
    file.sync_data()?;
    drop(file);
    fs::rename(&beside, path)
}

/// The payload of the file at `path`; `None` when there is no such file.
pub(crate) fn read(path: &Path, kind: &Kind) -> Result<Option<Vec<u8>>, InvalidFile> {
    Ok(read_versioned(path, kind)?.map(|(_, payload)| payload))
}

/// Like [`read`], with the version of the payload's format.
pub(crate) fn read_versioned(path: &Path, kind: &Kind) -> Result<Option<(u16, Vec<u8>)>, InvalidFile> {
    let bytes = match fs::metadata(path) {
        Ok(found) if found.len() > MAX_FILE_BYTES => {
            return Err(InvalidFile::Damaged(format!("it has {} bytes", found.len())));
        }
        Ok(_) => fs::read(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    unseal(kind, &bytes).map(|(version, payload)| Some((version, payload.to_vec())))
}

/// Makes the entries of the directory at `path` durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    crate::fault_injection::check(path, "sync directory")?;
    File::open(path)?.sync_all()
}

fn seal(kind: &Kind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + VERSION_BYTES + payload.len());
    bytes.extend_from_slice(&kind.magic);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&kind.version.to_le_bytes());
    bytes.extend_from_slice(payload);
    let checksum = crc32c::crc32c(&bytes[ENVELOPE_BYTES..]).to_le_bytes();
    bytes[4..ENVELOPE_BYTES].copy_from_slice(&checksum);
    bytes
}

/// The format's version and the payload of a file's bytes.
pub(crate) fn unseal<'a>(kind: &Kind, bytes: &'a [u8]) -> Result<(u16, &'a [u8]), InvalidFile> {
    let damaged = |what: &str| InvalidFile::Damaged(what.to_owned());
    let (envelope, rest) =
        bytes.split_first_chunk::<ENVELOPE_BYTES>().ok_or_else(|| damaged("it is too short"))?;
    let [m0, m1, m2, m3, checksum @ ..] = *envelope;
    if [m0, m1, m2, m3] != kind.magic {
        return Err(damaged("it does not begin like such a file"));
    }
    if crc32c::crc32c(rest) != u32::from_le_bytes(checksum) {
        return Err(damaged("its checksum does not match its bytes"));
    }
    let (version, payload) =
        rest.split_first_chunk::<VERSION_BYTES>().ok_or_else(|| damaged("it has no version"))?;
    match u16::from_le_bytes(*version) {
        found if found > kind.version => Err(InvalidFile::NewerFormat { found, supported: kind.version }),
        0 => Err(damaged("its version is 0")),
        version => Ok((version, payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { magic: *b"TEST", version: 2 };

    #[test]
    fn a_replaced_file_reads_back_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("thing");
        assert!(matches!(read(&path, &KIND), Ok(None)));
        for payload in [&b"first"[..], b"", b"third"] {
            replace(&path, &KIND, payload).expect("a writable directory");
            assert_eq!(read(&path, &KIND).expect("just written").expect("there"), payload);
        }
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 1);
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_noticed() {
        let whole = seal(&KIND, b"payload");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(
                matches!(unseal(&KIND, &bytes), Err(InvalidFile::Damaged(_))),
                "bit {bit} went unnoticed"
            );
        }
        for length in 0..whole.len() {
            assert!(unseal(&KIND, &whole[..length]).is_err(), "{length} bytes were enough");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage_and_an_older_one_is_read() {
        let newer = seal(&Kind { version: 3, ..KIND }, b"?");
        let refused = unseal(&KIND, &newer);
        assert!(matches!(refused, Err(InvalidFile::NewerFormat { found: 3, supported: 2 })));
        let older = seal(&Kind { version: 1, ..KIND }, b"old");
        assert_eq!(unseal(&KIND, &older).expect("understood"), (1, &b"old"[..]));
    }
}
