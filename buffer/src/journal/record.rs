//! A record of the journal, and of a generation's log. Pure: bytes in, commits out.
//!
//! ```text
//! record  = magic "PSJ" | format version u8 | crc32c of the version and the rest, u32 LE | length of the payload u32 LE | payload
//! payload = order u64 LE | what is durable: business u64 LE, telemetry u64 LE | generations: business u32 LE, telemetry u32 LE
//!           | entries
//! entry   = lane u8, 0 for business and 1 for telemetry | length of the key u32 LE | of the value u32 LE | key | value
//! ```
//!
//! Keys and values are those of a generation (see the crate). What stands between records, or was torn by a power cut, is no record.

use penstock_events::{Lane, Sequence};

use crate::durable_file::InvalidFile;
use crate::generation::Entries;
use crate::manifest::GenerationId;
use crate::per_lane::{Heads, PerLane};

const MAGIC: [u8; 3] = *b"PSJ";
const VERSION: u8 = 1;
/// Magic, version and checksum.
const ENVELOPE_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;
/// Length of the payload, order, what is durable, and generations.
const HEAD_BYTES: usize = LENGTH_BYTES + 32;
/// Lane and lengths.
const ENTRY_BYTES: usize = 9;
/// Where records begin. No disk writes less at a time, whatever it says of its sectors.
pub(crate) const PAGE_BYTES: usize = 4096;

/// One commit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Record {
    /// Its order among all commits.
    pub(crate) order: u64,
    /// The last places before it: they were durable when it was written.
    pub(crate) durable: Heads,
    /// For which generations it is.
    pub(crate) generations: PerLane<GenerationId>,
    pub(crate) entries: PerLane<Entries>,
}

impl Record {
    /// How much tells how long it is.
    pub(crate) const START_BYTES: usize = ENVELOPE_BYTES + LENGTH_BYTES;

    /// Where a record may begin in `bytes`.
    pub(crate) fn may_begin_in(bytes: &[u8]) -> Option<usize> {
        memchr::memmem::find(bytes, &MAGIC)
    }

    /// How long the record is that begins so, if one does.
    pub(crate) fn length(start: &[u8; Self::START_BYTES]) -> Option<u64> {
        let [.., l0, l1, l2, l3] = *start;
        let payload = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        start.starts_with(&MAGIC).then_some(Self::START_BYTES as u64 + payload)
    }

    /// The record with which `bytes` begin, if all of it is there and whole.
    pub(crate) fn find(bytes: &[u8]) -> Result<Option<Self>, InvalidFile> {
        let Some((envelope, rest)) = bytes.split_first_chunk::<ENVELOPE_BYTES>() else { return Ok(None) };
        let [m0, m1, m2, version, sum @ ..] = *envelope;
        let Some(length) = Reader(rest).number().filter(|_| [m0, m1, m2] == MAGIC) else { return Ok(None) };
        let Some(whole) = length.checked_add(LENGTH_BYTES).and_then(|end| rest.get(..end)) else {
            return Ok(None);
        };
        if checksum(version, whole) != u32::from_le_bytes(sum) {
            return Ok(None);
        }
        if version > VERSION {
            return Err(InvalidFile::NewerFormat { found: version.into(), supported: VERSION.into() });
        }
        Ok(decode(Reader(&whole[LENGTH_BYTES..])))
    }

    /// The bytes to write.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.put_into(&mut bytes, &Lane::ALL);
        bytes
    }

    /// Each entry of a lane, with where its value begins in the bytes of the record that has
    /// [no entries but this lane's](Self::put_into).
    pub(crate) fn values(&self, lane: Lane) -> impl Iterator<Item = (&[u8], &[u8], usize)> {
        let mut end = ENVELOPE_BYTES + HEAD_BYTES;
        self.entries[lane].iter().map(move |(key, value)| {
            let begin = end + ENTRY_BYTES + key.len();
            end = begin + value.len();
            (key, value, begin)
        })
    }

    /// Adds the bytes of the same record with no entries but these lanes'.
    pub(crate) fn put_into(&self, bytes: &mut Vec<u8>, lanes: &[Lane]) {
        let entries =
            || lanes.iter().flat_map(|&lane| self.entries[lane].iter().map(move |entry| (lane, entry)));
        let length: usize = entries().map(|(_, (key, value))| ENTRY_BYTES + key.len() + value.len()).sum();
        bytes.reserve(ENVELOPE_BYTES + HEAD_BYTES + length);
        let from = bytes.len();
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&[0; 4]);
        put_number(bytes, HEAD_BYTES - LENGTH_BYTES + length);
        bytes.extend_from_slice(&self.order.to_le_bytes());
        for lane in Lane::ALL {
            bytes.extend_from_slice(&self.durable[lane].0.to_le_bytes());
        }
        for lane in Lane::ALL {
            bytes.extend_from_slice(&self.generations[lane].to_le_bytes());
        }
        for (lane, (key, value)) in entries() {
            bytes.push(code(lane));
            put_number(bytes, key.len());
            put_number(bytes, value.len());
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(value);
        }
        let written = &mut bytes[from..];
        let checksum = checksum(VERSION, &written[ENVELOPE_BYTES..]);
        written[4..ENVELOPE_BYTES].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Every record that stands whole in a journal, in the order in which they were written.
pub(super) fn records(journal: &[u8]) -> Result<Vec<Record>, InvalidFile> {
    let mut found = Vec::new();
    for from in (0..journal.len()).step_by(PAGE_BYTES) {
        found.extend(Record::find(&journal[from..])?);
    }
    found.sort_by_key(|record| record.order);
    Ok(found)
}

fn decode(mut payload: Reader<'_>) -> Option<Record> {
    let order = u64::from_le_bytes(payload.array()?);
    let mut record = Record { order, ..Record::default() };
    for lane in Lane::ALL {
        record.durable[lane] = Sequence(u64::from_le_bytes(payload.array()?));
    }
    for lane in Lane::ALL {
        record.generations[lane] = u32::from_le_bytes(payload.array()?);
    }
    while !payload.0.is_empty() {
        let [lane] = payload.array()?;
        let lane = Lane::ALL.into_iter().find(|&one| code(one) == lane)?;
        let (key, value) = (payload.number()?, payload.number()?);
        record.entries[lane].push(payload.take(key)?, payload.take(value)?);
    }
    Some(record)
}

const fn code(lane: Lane) -> u8 {
    match lane {
        Lane::Business => 0,
        Lane::Telemetry => 1,
    }
}

fn checksum(version: u8, rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&[version]), rest)
}

fn put_number(bytes: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("a commit is held in memory whole, and far below 4 GB");
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// What is left of a payload.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn number(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }
}

/// For fuzzing: what is read of a journal is written and read again as the same.
#[cfg(any(test, fuzzing))]
pub(crate) fn rewrite(bytes: &[u8]) {
    for record in records(bytes).into_iter().flatten() {
        let written = record.to_bytes();
        assert_eq!(records(&written).expect("what was read can be written"), [record]);
    }
}

/// For fuzzing: a record with this payload.
#[cfg(any(test, fuzzing))]
pub(crate) fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    put_number(&mut rest, payload.len());
    rest.extend_from_slice(payload);
    let sum = checksum(VERSION, &rest).to_le_bytes();
    [&MAGIC[..], &[VERSION], &sum, &rest].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn record() -> Record {
        let mut record = Record {
            order: 300,
            durable: PerLane { business: Sequence(41), telemetry: Sequence(299) },
            generations: PerLane { business: 7, telemetry: 0x0102_0304 },
            ..Record::default()
        };
        record.entries.business.push(b"\x01press-1.good", b"four hundred");
        record.entries.telemetry.push(&[3, 0, 0, 0, 0, 0, 0, 1, 44], b"a block");
        record
    }

    #[test]
    fn version_1_is_read_from_and_written_as_its_golden_bytes() {
        let golden = include_bytes!("../../tests/fixtures/journal-v1.bin");
        assert_eq!(records(golden).expect("version 1 stays readable"), [record()]);
        assert_eq!(record().to_bytes(), golden);
    }

    #[test]
    fn every_flipped_bit_and_every_missing_byte_is_noticed() {
        let whole = record().to_bytes();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(records(&bytes).expect("no newer format"), [], "bit {bit} went unnoticed");
        }
        for length in 0..whole.len() {
            assert_eq!(records(&whole[..length]).expect("no newer format"), [], "{length} bytes were enough");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut newer = record().to_bytes();
        newer[3] = VERSION + 1;
        assert_eq!(records(&newer).expect("a flipped bit"), []);
        let sum = checksum(VERSION + 1, &newer[ENVELOPE_BYTES..]).to_le_bytes();
        newer[4..ENVELOPE_BYTES].copy_from_slice(&sum);
        assert!(matches!(records(&newer), Err(InvalidFile::NewerFormat { found: 2, supported: 1 })));
    }

    #[test]
    fn records_are_found_where_pages_begin_in_the_order_in_which_they_were_written() {
        let (late, early) = (Record { order: 301, ..record() }, record());
        let mut journal = late.to_bytes();
        journal.resize(3 * PAGE_BYTES, 0);
        journal.extend(early.to_bytes());
        assert_eq!(records(&journal).expect("both"), [early, late]);
        assert_eq!(records(&journal[1..]).expect("nothing where no page begins"), []);
    }

    fn any_record() -> impl Strategy<Value = Record> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..40);
        let entries = prop::collection::vec((any::<bool>(), bytes(), bytes()), 0..6);
        (any::<[u64; 3]>(), any::<[u32; 2]>(), entries).prop_map(
            |(numbers, [business, telemetry], entries)| {
                let [order, one, other] = numbers;
                let durable = PerLane { business: Sequence(one), telemetry: Sequence(other) };
                let generations = PerLane { business, telemetry };
                let mut record = Record { order, durable, generations, ..Record::default() };
                for (is_business, key, value) in entries {
                    let lane = if is_business { Lane::Business } else { Lane::Telemetry };
                    record.entries[lane].push(&key, &value);
                }
                record
            },
        )
    }

    proptest! {
        #[test]
        fn any_record_survives(record in any_record()) {
            prop_assert_eq!(records(&record.to_bytes()).expect("no newer format"), [record]);
        }

        #[test]
        fn no_bytes_break_it(bytes in any::<Vec<u8>>()) {
            rewrite(&bytes);
            rewrite(&sealed(&bytes));
            prop_assert!(records(&bytes).is_ok());
        }
    }
}
