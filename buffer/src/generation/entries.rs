//! What one commit puts into a generation: keys and values as the journal and the log keep them. sled keeps the same, but of a block
//! its [`Place`].

use std::collections::BTreeMap;

use penstock_events::normalizer::StateChange;
use penstock_events::{Lane, Sequence};

use super::{Fault, State, damaged_state};
use crate::block;
use crate::per_lane::PerLane;
use crate::state::{self, Piece};

/// What is stored under what.
pub(super) enum Key<'a> {
    /// A piece of the normalizer's state (business lane only).
    State(&'a str),
    /// A lane up to this place was announced as given up: its generations are to be deleted (business lane only).
    ShedThrough(Lane),
    /// The block whose first event is this.
    Block(Sequence),
    /// The losses up to a number were announced (business lane only).
    Announced,
}

impl<'a> Key<'a> {
    const STATE: u8 = 1;
    const SHED_TELEMETRY: u8 = 2;
    pub(super) const BLOCK: u8 = 3;
    const SHED_BUSINESS: u8 = 4;
    const ANNOUNCED: u8 = 5;

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::State(key) => [&[Self::STATE], key.as_bytes()].concat(),
            Self::ShedThrough(Lane::Telemetry) => vec![Self::SHED_TELEMETRY],
            Self::ShedThrough(Lane::Business) => vec![Self::SHED_BUSINESS],
            Self::Block(first) => [&[Self::BLOCK][..], &first.0.to_be_bytes()].concat(),
            Self::Announced => vec![Self::ANNOUNCED],
        }
    }

    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let unknown = || Fault::Database(format!("{bytes:?} is no key"));
        match *bytes.first().ok_or_else(unknown)? {
            Self::STATE => std::str::from_utf8(&bytes[1..]).map(Self::State).map_err(|_| unknown()),
            Self::SHED_TELEMETRY => Ok(Self::ShedThrough(Lane::Telemetry)),
            Self::SHED_BUSINESS => Ok(Self::ShedThrough(Lane::Business)),
            Self::BLOCK => sequence_of(&bytes[1..]).map(Self::Block),
            Self::ANNOUNCED => Ok(Self::Announced),
            _ => Err(unknown()),
        }
    }

    /// The prefix of every key of state.
    pub(super) const fn states() -> [u8; 1] {
        [Self::STATE]
    }
}

/// Where a block stands in the log: what the database has of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) bytes: u32,
}

impl Place {
    /// A block is longer than this.
    const BYTES: usize = 12;

    pub(super) fn new(offset: u64, bytes: usize) -> Self {
        Self { offset, bytes: u32::try_from(bytes).expect("a block has a few thousand bytes") }
    }

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..].copy_from_slice(&self.bytes.to_le_bytes());
        bytes
    }

    /// `None` when the value is the block itself, as older versions kept it.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (offset, bytes) = value.split_first_chunk()?;
        let bytes = bytes.try_into().ok().filter(|_| value.len() == Self::BYTES)?;
        Some(Self { offset: u64::from_le_bytes(*offset), bytes: u32::from_le_bytes(bytes) })
    }
}

/// What one commit adds to a generation.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    pub(crate) blocks: Vec<(Sequence, Vec<u8>)>,
    pub(crate) state: Vec<StateChange>,
    /// The order of `state` among all that was ever written.
    pub(crate) order: u64,
    pub(crate) shed_through: PerLane<Option<Sequence>>,
    /// The losses up to this number are announced with it.
    pub(crate) announced: Option<u64>,
}

/// What a business generation says was announced.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// Up to where each lane was announced as given up, if it ever was.
    pub(crate) shed_through: PerLane<Option<Sequence>>,
    /// Up to which loss it was announced that events are lost; 0 when none was.
    pub(crate) announced: u64,
}

/// What one commit adds to a generation, as keys and values.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Entries(Vec<(Vec<u8>, Vec<u8>)>);

impl From<Writes> for Entries {
    fn from(Writes { blocks, state, order, shed_through, announced }: Writes) -> Self {
        let mut entries = Vec::with_capacity(blocks.len() + state.len());
        // Of several changes of one piece the last counts: one commit has one order.
        let latest: BTreeMap<_, _> = state.iter().map(|StateChange { key, value }| (key, value)).collect();
        for (key, value) in latest {
            let piece = Piece { order, key, value };
            entries.push((Key::State(key).to_bytes(), piece.to_bytes()));
        }
        for lane in Lane::ALL {
            if let Some(through) = shed_through[lane] {
                entries.push((Key::ShedThrough(lane).to_bytes(), through.0.to_be_bytes().to_vec()));
            }
        }
        if let Some(number) = announced {
            entries.push((Key::Announced.to_bytes(), number.to_be_bytes().to_vec()));
        }
        entries.extend(blocks.into_iter().map(|(first, block)| (Key::Block(first).to_bytes(), block)));
        Self(entries)
    }
}

impl Entries {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each key with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// The last place in its blocks, as far as they are whole.
    pub(crate) fn last_place(&self) -> Option<Sequence> {
        let blocks = self.iter().filter(|(key, _)| key.first() == Some(&Key::BLOCK));
        blocks.filter_map(|(_, block)| block::open(block).ok()).map(|(header, _)| header.last).max()
    }

    /// Notes what it says of the normalizer's state, and of what was announced, where it is later than what is known.
    pub(crate) fn tell(&self, state: &mut State, told: &mut Told) -> Result<(), Fault> {
        for (key, value) in self.iter() {
            match Key::read(key)? {
                Key::Block(_) => {}
                Key::State(name) => {
                    let piece = state::read(name, value).ok_or_else(|| damaged_state(name))?;
                    if state.get(name).is_none_or(|(order, _)| *order < piece.order) {
                        state.insert(name.to_owned(), (piece.order, piece.value.to_vec()));
                    }
                }
                Key::ShedThrough(lane) => {
                    told.shed_through[lane] = told.shed_through[lane].max(Some(sequence_of(value)?));
                }
                Key::Announced => told.announced = told.announced.max(sequence_of(value)?.0),
            }
        }
        Ok(())
    }

    /// Adds a value under a key.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        self.0.push((key.to_vec(), value.to_vec()));
    }
}

pub(super) fn sequence_of(bytes: &[u8]) -> Result<Sequence, Fault> {
    let bytes =
        bytes.try_into().map_err(|_| Fault::Database(format!("{bytes:?} is not a place in a lane")))?;
    Ok(Sequence(u64::from_be_bytes(bytes)))
}
