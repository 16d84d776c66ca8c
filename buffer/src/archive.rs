//! A generation read without sled: every block and every piece of state that stands whole in its files, wherever.
//!
//! A block says what it is and where it ends, so it can be found in the log by looking, whatever became of what is around it. A
//! complete generation is only ever read so. It is not written to by reading, and damage costs the block that was hit.
//!
//! sled's file is looked through as well: pieces of state stand there, and of a generation that an older version made, the blocks.
//!
//! That no other block ever had the same place is the writer's promise: a generation in which a crash left what was
//! never durable takes no appends any more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use memchr::memmem;
use penstock_events::{Event, EventType, Sequence};

use crate::block::{self, Header, MAX_STORED_BYTES};
use crate::generation::{Fault, State, Stored, log};
use crate::manifest::{Extent, Generation};
use crate::per_lane::SequenceRange;
use crate::state;

/// How much is read at once.
const WINDOW_BYTES: usize = 1024 * 1024;
/// No block and no piece of state is longer.
const MAX_THING_BYTES: usize = MAX_STORED_BYTES;
/// What blocks and pieces of state begin with, both: the third byte tells them apart.
const MAGIC: &[u8] = b"PS";
/// More than any journal has.
const MAX_WHOLE_BYTES: u64 = 64 * 1024 * 1024;
/// A part of a disk that cannot be read is passed over in steps of a page.
const PAGE_BYTES: usize = 4096;

/// The blocks of a generation by their places.
pub(crate) struct Archive {
    parts: Vec<Part>,
    /// In the order of places, none covering another's.
    blocks: Vec<Entry>,
}

/// Something in which blocks stand.
enum Part {
    File(File),
    Memory(Vec<u8>),
}

/// Where a block stands.
struct Entry {
    first: Sequence,
    last: Sequence,
    /// The index of the part.
    part: usize,
    offset: u64,
    bytes: u32,
}

/// Which blocks of a file count.
#[derive(Clone, Copy)]
pub(crate) struct Bounds<'a> {
    /// None before this; without it, they begin where the first block does.
    pub(crate) first: Option<Sequence>,
    /// None beyond this.
    pub(crate) last: Sequence,
    /// None in these, ascending and apart: they were given up, whatever stands there.
    pub(crate) holes: &'a [SequenceRange],
}

/// Everything that stands whole in a generation.
pub(crate) struct Found {
    pub(crate) archive: Archive,
    /// Where it begins.
    pub(crate) first: Sequence,
    /// What is in its blocks, with the holes before and between them.
    pub(crate) extent: Extent,
    /// The latest piece of state of each key, with its order.
    pub(crate) state: State,
    /// Whether there are blocks beyond its bounds.
    pub(crate) goes_on: bool,
}

impl<'a> Bounds<'a> {
    /// Those of a complete generation.
    pub(crate) fn of(generation: &'a Generation) -> Self {
        let Generation { first, ref extent, .. } = *generation;
        Self { first: Some(first), last: extent.last, holes: &extent.holes }
    }

    fn take(&self, header: &Header) -> bool {
        let hole = self.holes.partition_point(|hole| hole.last < header.first);
        self.first.is_none_or(|first| first <= header.first)
            && header.last <= self.last
            && self.holes.get(hole).is_none_or(|hole| header.last < hole.first)
    }
}

impl Found {
    /// Looks through the generation in `directory`. A file that is missing is one in which nothing is found.
    pub(crate) fn in_generation(directory: &Path, bounds: Bounds<'_>) -> io::Result<Self> {
        Self::with_records(directory, bounds, Vec::new())
    }

    /// The same, with records that are not in its log.
    pub(crate) fn with_records(directory: &Path, bounds: Bounds<'_>, records: Vec<u8>) -> io::Result<Self> {
        let mut parts = vec![Part::Memory(records)];
        for name in [log::NAME, "db"] {
            match File::open(directory.join(name)) {
                Ok(file) => parts.push(Part::File(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let mut look = Look { bounds, blocks: BTreeMap::new(), state: BTreeMap::new(), goes_on: false };
        let mut unreadable = None;
        for (at, part) in parts.iter().enumerate() {
            let looked = look_through(part, |offset, bytes| look.take(at, offset, bytes));
            unreadable = unreadable.or(looked.err());
        }
        match unreadable {
            Some(error) if !look.is_complete() => Err(error),
            Some(_) | None => Ok(look.finish(parts)),
        }
    }

    /// Whether there is no block in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.archive.blocks.is_empty()
    }

    /// The highest order of any piece of state.
    pub(crate) fn last_order(&self) -> u64 {
        self.state.values().map(|(order, _)| *order).max().unwrap_or_default()
    }
}

impl Archive {
    /// Looks through a complete generation.
    pub(crate) fn of(directory: &Path, generation: &Generation) -> io::Result<Self> {
        Found::in_generation(directory, Bounds::of(generation)).map(|found| found.archive)
    }

    /// How much memory it takes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Entry>()
    }

    /// The block that holds `sequence`, not yet looked at.
    pub(crate) fn stored_block_with(&self, sequence: Sequence) -> Result<Stored, Fault> {
        let after = self.blocks.partition_point(|entry| entry.first <= sequence);
        match after.checked_sub(1).map(|at| &self.blocks[at]) {
            Some(entry) if sequence <= entry.last => self.read(entry),
            Some(_) | None => Err(Fault::Missing(sequence)),
        }
    }

    /// The first block that begins at or after `place`.
    pub(crate) fn stored_block_from(&self, place: Sequence) -> Result<Option<Stored>, Fault> {
        let at = self.blocks.partition_point(|entry| entry.first < place);
        self.blocks.get(at).map(|entry| self.read(entry)).transpose()
    }

    /// The events at `places`, of those blocks that hold one of these types, in order, as far as they can be read.
    pub(crate) fn events_beside(
        &self,
        kinds: &[EventType],
        places: SequenceRange,
    ) -> impl Iterator<Item = Event> {
        let is_in = move |entry: &&Entry| places.first <= entry.first && entry.last <= places.last;
        let blocks = self.blocks.iter().filter(is_in).filter_map(|entry| self.read(entry).ok());
        let holds = |stored: &Stored| {
            block::open(&stored.bytes)
                .is_ok_and(|(header, _)| kinds.iter().any(|kind| header.tally.contains_key(kind)))
        };
        let unpacked = blocks.filter(holds).filter_map(|stored| block::unpack(&stored.bytes).ok());
        unpacked.flat_map(|(_, events)| events)
    }

    fn read(&self, entry: &Entry) -> Result<Stored, Fault> {
        let mut bytes = vec![0; entry.bytes as usize];
        self.parts[entry.part].read_exact_at(&mut bytes, entry.offset)?;
        Ok(Stored { first: entry.first, bytes })
    }
}

impl Part {
    fn length(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_at(into, offset),
            Self::Memory(bytes) => {
                let from = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
                io::Read::read(&mut &bytes[from..], into)
            }
        }
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(into, offset),
            Self::Memory(_) if self.read_at(into, offset)? == into.len() => Ok(()),
            Self::Memory(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// All of a file that is read whole, the journal. Pages that cannot be read are zeros.
pub(crate) fn read_whole(file: File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().min(MAX_WHOLE_BYTES);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    let mut damage = UnreadablePages::default();
    let filled = fill(&Part::File(file), &mut bytes, 0, &mut damage)?;
    bytes.truncate(filled);
    damage.judge().map(|()| bytes)
}

/// A look through a file, under way.
struct Look<'a> {
    bounds: Bounds<'a>,
    blocks: BTreeMap<Sequence, (Header, Entry)>,
    state: State,
    goes_on: bool,
}

impl Look<'_> {
    /// Takes what `bytes` begin with; how long it is, when it is something.
    fn take(&mut self, part: usize, offset: u64, bytes: &[u8]) -> Option<usize> {
        if let Some((piece, length)) = state::find(bytes) {
            let known = self.state.get(piece.key).is_some_and(|(order, _)| *order >= piece.order);
            if !known {
                self.state.insert(piece.key.to_owned(), (piece.order, piece.value.to_vec()));
            }
            return Some(length);
        }
        let (header, length) = block::find(bytes)?;
        self.goes_on |= header.last > self.bounds.last;
        if self.bounds.take(&header) {
            let bytes = u32::try_from(length).expect("a block has a few thousand bytes");
            let entry = Entry { first: header.first, last: header.last, part, offset, bytes };
            // One that was on its way when the disk refused is there more than once, and in a generation of an older version most are.
            self.blocks.entry(header.first).or_insert((header, entry));
        }
        Some(length)
    }

    /// Whether every place within the bounds was found.
    fn is_complete(&self) -> bool {
        let Some(first) = self.bounds.first else { return false };
        let found =
            self.blocks.values().map(|(header, _)| SequenceRange { first: header.first, last: header.last });
        let mut known: Vec<_> = found.chain(self.bounds.holes.iter().copied()).collect();
        known.sort_unstable_by_key(|places| places.first);
        let end = known.iter().fold(first, |expected, places| {
            if places.first <= expected { expected.max(places.last.next()) } else { expected }
        });
        end > self.bounds.last
    }

    fn finish(self, parts: Vec<Part>) -> Found {
        let first = self.bounds.first.or_else(|| self.blocks.keys().next().copied()).unwrap_or(Sequence(1));
        let mut extent = Extent::before(first);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (header, entry) in self.blocks.into_values() {
            let expected = extent.last.next();
            if entry.first < expected {
                continue;
            }
            if entry.first > expected {
                extent.holes.push(SequenceRange { first: expected, last: entry.first.before() });
            }
            extent.add(entry.last, entry.bytes.into(), &header.tally, header.times);
            blocks.push(entry);
        }
        Found { archive: Archive { parts, blocks }, first, extent, state: self.state, goes_on: self.goes_on }
    }
}

/// Calls `take` with the bytes at each place where something may begin, and goes on behind what it took.
fn look_through(part: &Part, mut take: impl FnMut(u64, &[u8]) -> Option<usize>) -> io::Result<()> {
    let magic = memmem::Finder::new(MAGIC);
    let length = part.length()?;
    let mut window = vec![0; WINDOW_BYTES + MAX_THING_BYTES];
    let mut base = 0;
    let mut damage = UnreadablePages::default();
    while base < length {
        let filled = fill(part, &mut window, base, &mut damage)?;
        let is_last = filled < window.len();
        let bytes = &window[..filled];
        let mut at = 0;
        while let Some(found) = magic.find(&bytes[at..]).map(|found| at + found) {
            if !is_last && found >= WINDOW_BYTES {
                break;
            }
            let end = (found + MAX_THING_BYTES).min(filled);
            at = found + take(base + found as u64, &bytes[found..end]).unwrap_or(1);
        }
        base += WINDOW_BYTES as u64;
    }
    damage.judge()
}

/// What could not be read of a file.
#[derive(Default)]
struct UnreadablePages {
    read_any: bool,
    error: Option<io::Error>,
}

impl UnreadablePages {
    /// A disk with bad places keeps the rest. One of which nothing can be read may come back whole.
    fn judge(self) -> io::Result<()> {
        match self.error {
            Some(error) if !self.read_any => Err(error),
            Some(_) | None => Ok(()),
        }
    }
}

/// Fills `window` from `base` on, as far as the file goes. Pages that cannot be read are zeros.
fn fill(part: &Part, window: &mut [u8], base: u64, damage: &mut UnreadablePages) -> io::Result<usize> {
    let mut filled = 0;
    while filled < window.len() {
        match part.read_at(&mut window[filled..], base + filled as u64) {
            Ok(0) => break,
            Ok(read) => {
                damage.read_any = true;
                filled += read;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let page = (filled + PAGE_BYTES - filled % PAGE_BYTES).min(window.len());
                let known = part.read_at(&mut window[filled..page], base + filled as u64);
                filled += known.unwrap_or_else(|_| {
                    window[filled..page].fill(0);
                    damage.error.get_or_insert(error);
                    page - filled
                });
            }
        }
    }
    Ok(filled)
}
