//! A block: a run of events of one lane as one value, with everything that is needed to
//! trust it. Pure: bytes in, events out.
//!
//! ```text
//! block   = magic "PSB" | format version u8 | crc32c of the rest, u32 LE | header | zstd frame
//! header  = postcard of Header
//! ```
//!
//! A format after version 1 has its version in the checksum too, so that a flipped bit in it is told from a newer
//! format, and comes with a newer manifest.
//!
//! A block says where it ends, so it is [found](find) in whatever surrounds it.
//!
//! A body is compressed before its sequence numbers are known ([`Packer::pack`]), off the thread that
//! commits; [`PackedBlock::stamp`] puts the header before it.

use std::collections::BTreeMap;

use penstock_events::{Event, EventType, Sequence, Timestamp, identity};
use serde::{Deserialize, Serialize};

use crate::record;
use crate::record::v1::{InvalidBody, type_code, type_of_code};

/// The format that is written.
const VERSION: u8 = 1;
pub(crate) const MAGIC: [u8; 3] = *b"PSB";
/// Magic, version and checksum.
const ENVELOPE_BYTES: usize = 8;

/// How many events a block holds at most. More gain little compression and cost more to read from the middle.
pub(crate) const MAX_BLOCK_EVENTS: usize = 250;
/// How large a stored block may be: what a bad place on the disk costs, at most. Older versions kept blocks in sled, which turns values
/// above about 12.5 KB into blobs and never syncs those.
pub(crate) const MAX_BLOCK_BYTES: usize = 11 * 1024;
/// How large a body may be before compression: what reading a block can cost in memory, whatever its bytes say.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// No stored value is longer than this: one event alone that does not compress, and zstd's own framing.
pub(crate) const MAX_STORED_BYTES: usize = MAX_BLOCK_BYTES + 1024;
/// What a block takes beside its own bytes, if its commit has no other: the rest of its record in the log, and its place in sled.
pub(crate) const BESIDE_A_BLOCK_BYTES: u64 = 96;
/// What a header costs at most: six varints of ten bytes, and a tally of every type.
const MAX_HEADER_BYTES: usize = 60 + 11 * EventType::ALL.len();
/// zstd's fastest level that still halves what postcard leaves.
const ZSTD_LEVEL: i32 = 1;

/// How many events there are of each type.
pub(crate) type Tally = BTreeMap<EventType, u64>;

/// Why a stored value is not a block that can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidBlock {
    #[error("it is {bytes} bytes short or long, or does not begin like a block")]
    NotABlock { bytes: usize },
    #[error("it has format {found}, and this version of penstock reads up to {VERSION}")]
    NewerFormat { found: u8 },
    #[error("its checksum does not match its bytes")]
    Checksum,
    #[error("its header cannot be decoded: {0}")]
    Header(#[from] postcard::Error),
    #[error("its header says {found}, which cannot be")]
    Impossible { found: String },
    #[error("its body cannot be decompressed: {0}")]
    Zstd(#[from] std::io::Error),
    #[error(transparent)]
    Body(#[from] InvalidBody),
    #[error("it holds {found} events and its header promises {promised}")]
    Count { found: usize, promised: u64 },
}

#[derive(Serialize, Deserialize)]
struct StoredHeader {
    first: u64,
    count: u32,
    min_time: i64,
    max_time: i64,
    /// [`identity::DERIVATION`] of the ids that these events were given.
    id_derivation: u8,
    /// Events by type code.
    tally: Vec<(u8, u32)>,
    body_bytes: u32,
}

/// What a block says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    pub(crate) times: (Timestamp, Timestamp),
    pub(crate) id_derivation: u8,
    pub(crate) tally: Tally,
    body_bytes: usize,
}

/// A block that has no place in its lane yet.
#[derive(Debug)]
pub(crate) struct PackedBlock {
    count: u32,
    times: (Timestamp, Timestamp),
    tally: Tally,
    body_bytes: u32,
    frame: Vec<u8>,
}

/// Makes blocks. Keeps zstd's tables and its own room from one to the next.
pub(crate) struct Packer {
    zstd: zstd::bulk::Compressor<'static>,
    encoder: record::v1::Encoder,
}

impl Packer {
    /// A packer, or zstd's refusal to make its tables (no memory).
    pub(crate) fn new() -> std::io::Result<Self> {
        let zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        Ok(Self { zstd, encoder: record::v1::Encoder::default() })
    }

    /// Appends `events`, in order, to `blocks` in as few blocks as the limits allow.
    pub(crate) fn pack(&mut self, events: &[&Event], blocks: &mut Vec<PackedBlock>) -> std::io::Result<()> {
        let mut rest = events;
        while !rest.is_empty() {
            let (run, after) = rest.split_at(run_length(rest));
            self.pack_run(run, blocks)?;
            rest = after;
        }
        Ok(())
    }

    fn pack_run(&mut self, events: &[&Event], blocks: &mut Vec<PackedBlock>) -> std::io::Result<()> {
        let body = self.encoder.encode(events);
        let body_bytes = u32::try_from(body.len()).expect("a body has at most MAX_BODY_BYTES");
        let frame = self.zstd.compress(body)?;
        if events.len() > 1 && frame.len() + MAX_HEADER_BYTES + ENVELOPE_BYTES > MAX_BLOCK_BYTES {
            let (left, right) = events.split_at(events.len() / 2);
            self.pack_run(left, blocks)?;
            return self.pack_run(right, blocks);
        }
        let mut tally = Tally::new();
        let mut times = (events[0].time, events[0].time);
        for event in events {
            *tally.entry(event.kind()).or_default() += 1;
            times = (times.0.min(event.time), times.1.max(event.time));
        }
        blocks.push(PackedBlock {
            count: u32::try_from(events.len()).expect("a block has at most MAX_BLOCK_EVENTS"),
            times,
            tally,
            body_bytes,
            frame,
        });
        Ok(())
    }
}

/// How many of the first of `events` go into one block: at least one, and no more than the body's bound.
fn run_length(events: &[&Event]) -> usize {
    let mut bytes = 0;
    let fitting = events.iter().take(MAX_BLOCK_EVENTS).take_while(|event| {
        bytes += record::size_bound(event);
        bytes <= MAX_BODY_BYTES
    });
    fitting.count().max(1)
}

impl PackedBlock {
    /// How many events it holds.
    pub(crate) fn count(&self) -> u64 {
        self.count.into()
    }

    /// How many bytes [`stamp`](Self::stamp) gives at most, and what is stored beside them.
    pub(crate) fn bytes_bound(&self) -> u64 {
        (ENVELOPE_BYTES + MAX_HEADER_BYTES + self.frame.len()) as u64 + BESIDE_A_BLOCK_BYTES
    }

    /// How many events of each type it holds.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The earliest and the latest `time` of its events.
    pub(crate) fn times(&self) -> (Timestamp, Timestamp) {
        self.times
    }

    /// The bytes to store, with the first event at `first`.
    pub(crate) fn stamp(&self, first: Sequence) -> Vec<u8> {
        let header = StoredHeader {
            first: first.0,
            count: self.count,
            min_time: self.times.0.as_micros(),
            max_time: self.times.1.as_micros(),
            id_derivation: identity::DERIVATION,
            tally: self
                .tally
                .iter()
                .map(|(&kind, &count)| {
                    (type_code(kind), u32::try_from(count).expect("at most the block's count"))
                })
                .collect(),
            body_bytes: self.body_bytes,
        };
        let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + MAX_HEADER_BYTES + self.frame.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&[0; 4]);
        let mut bytes =
            postcard::to_extend(&header, bytes).expect("a Vec grows, and nothing in a header can fail");
        bytes.extend_from_slice(&self.frame);
        let checksum = crc32c::crc32c(&bytes[ENVELOPE_BYTES..]).to_le_bytes();
        bytes[4..ENVELOPE_BYTES].copy_from_slice(&checksum);
        bytes
    }
}

/// Checks a stored block's checksum and reads its header.
pub(crate) fn open(bytes: &[u8]) -> Result<(Header, &[u8]), InvalidBlock> {
    let (envelope, rest) =
        bytes.split_first_chunk::<ENVELOPE_BYTES>().ok_or(InvalidBlock::NotABlock { bytes: bytes.len() })?;
    let [m0, m1, m2, version, checksum @ ..] = *envelope;
    if [m0, m1, m2] != MAGIC || bytes.len() > MAX_STORED_BYTES {
        return Err(InvalidBlock::NotABlock { bytes: bytes.len() });
    }
    let checksum = u32::from_le_bytes(checksum);
    if version > VERSION && crc32c::crc32c_append(crc32c::crc32c(&[version]), rest) == checksum {
        return Err(InvalidBlock::NewerFormat { found: version });
    }
    if version != VERSION || crc32c::crc32c(rest) != checksum {
        return Err(InvalidBlock::Checksum);
    }
    let (stored, frame) = postcard::take_from_bytes::<StoredHeader>(rest)?;
    Ok((Header::try_from(stored)?, frame))
}

/// The header of the block with which `bytes` begin, and how long it is, if all of it is there and whole. What comes
/// after it does not matter.
pub(crate) fn find(bytes: &[u8]) -> Option<(Header, usize)> {
    let rest = bytes.strip_prefix(&MAGIC)?.get(ENVELOPE_BYTES - MAGIC.len()..)?;
    let (_, frame) = postcard::take_from_bytes::<StoredHeader>(rest).ok()?;
    let frame_bytes = zstd::zstd_safe::find_frame_compressed_size(frame).ok()?;
    let length = (bytes.len() - frame.len()).checked_add(frame_bytes)?;
    let (header, _) = open(bytes.get(..length)?).ok()?;
    Some((header, length))
}

/// The events of a stored block, with its header.
pub(crate) fn unpack(bytes: &[u8]) -> Result<(Header, Vec<Event>), InvalidBlock> {
    let (header, frame) = open(bytes)?;
    let body = zstd::bulk::decompress(frame, header.body_bytes)?;
    let events = record::v1::decode(&body)?;
    if events.len() as u64 != header.count() {
        return Err(InvalidBlock::Count { found: events.len(), promised: header.count() });
    }
    Ok((header, events))
}

impl Header {
    /// How many events the block holds.
    pub(crate) fn count(&self) -> u64 {
        self.last.0 - self.first.0 + 1
    }
}

impl TryFrom<StoredHeader> for Header {
    type Error = InvalidBlock;

    fn try_from(stored: StoredHeader) -> Result<Self, InvalidBlock> {
        let impossible = |found: String| InvalidBlock::Impossible { found };
        if stored.first == 0 || stored.count == 0 || stored.count as usize > MAX_BLOCK_EVENTS {
            return Err(impossible(format!("{} events from sequence {}", stored.count, stored.first)));
        }
        let body_bytes = stored.body_bytes as usize;
        if body_bytes > MAX_BODY_BYTES {
            return Err(impossible(format!("a body of {body_bytes} bytes")));
        }
        if !(1..=identity::DERIVATION).contains(&stored.id_derivation) {
            return Err(impossible(format!("ids of derivation {}", stored.id_derivation)));
        }
        let last = stored
            .first
            .checked_add(u64::from(stored.count) - 1)
            .ok_or_else(|| impossible(format!("a first sequence of {}", stored.first)))?;
        let tally = stored
            .tally
            .into_iter()
            .map(|(code, count)| Ok((type_of_code(code)?, count.into())))
            .collect::<Result<Tally, InvalidBody>>()?;
        Ok(Self {
            first: Sequence(stored.first),
            last: Sequence(last),
            times: (Timestamp::from_micros(stored.min_time), Timestamp::from_micros(stored.max_time)),
            id_derivation: stored.id_derivation,
            tally,
            body_bytes,
        })
    }
}

#[cfg(test)]
mod tests;
