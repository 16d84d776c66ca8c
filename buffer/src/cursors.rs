//! The cursors: how far each destination has acknowledged each lane. Pure, but for [`load`] and [`save`].
//!
//! A destination that is no longer configured keeps its cursors here, so that it can come back.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use penstock_events::{DestinationName, Lane, Sequence};
use serde::{Deserialize, Serialize};

use crate::durable_file::{self, InvalidFile, Kind};
use crate::per_lane::PerLane;

const KIND: Kind = Kind { magic: *b"PSCU", version: 1 };

/// How far each destination is, for every destination ever configured.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cursors {
    through: BTreeMap<DestinationName, PerLane<Sequence>>,
}

impl Cursors {
    /// How far `destination` is, if it is known.
    pub(crate) fn get(&self, destination: &DestinationName) -> Option<PerLane<Sequence>> {
        self.through.get(destination).copied()
    }

    /// Places `destination`, known or not.
    pub(crate) fn set(&mut self, destination: &DestinationName, through: PerLane<Sequence>) {
        self.through.insert(destination.clone(), through);
    }

    /// Moves a known destination's cursor forward; whether it moved.
    pub(crate) fn advance(&mut self, destination: &DestinationName, lane: Lane, through: Sequence) -> bool {
        match self.through.get_mut(destination) {
            Some(cursor) if cursor[lane] < through => {
                cursor[lane] = through;
                true
            }
            Some(_) | None => false,
        }
    }

    /// How far all of `destinations` are: what the last of them has. `None` when there are none.
    pub(crate) fn slowest<'a>(
        &self,
        destinations: impl IntoIterator<Item = &'a DestinationName>,
        lane: Lane,
    ) -> Option<Sequence> {
        destinations.into_iter().filter_map(|name| self.through.get(name)).map(|cursor| cursor[lane]).min()
    }

    /// How far all destinations are that were ever configured. `None` when there were none.
    pub(crate) fn slowest_of_all(&self, lane: Lane) -> Option<Sequence> {
        self.slowest(self.through.keys(), lane)
    }

    /// The furthest that any destination ever acknowledged.
    pub(crate) fn furthest(&self, lane: Lane) -> Sequence {
        self.through.values().map(|cursor| cursor[lane]).max().unwrap_or_default()
    }
}

#[derive(Serialize, Deserialize)]
struct StoredCursor {
    destination: String,
    business: u64,
    telemetry: u64,
}

/// The cursors at `path`; `None` when there is no such file.
pub(crate) fn load(path: &Path) -> Result<Option<Cursors>, InvalidFile> {
    durable_file::read(path, &KIND)?.map(|payload| decode(&payload)).transpose()
}

/// Replaces the cursors at `path`.
pub(crate) fn save(path: &Path, cursors: &Cursors) -> io::Result<()> {
    durable_file::replace(path, &KIND, &encode(cursors))
}

fn encode(cursors: &Cursors) -> Vec<u8> {
    let stored: Vec<_> = cursors
        .through
        .iter()
        .map(|(destination, through)| StoredCursor {
            destination: destination.to_string(),
            business: through.business.0,
            telemetry: through.telemetry.0,
        })
        .collect();
    postcard::to_stdvec(&stored).expect("a Vec grows, and nothing in a cursor can fail")
}

fn decode(payload: &[u8]) -> Result<Cursors, InvalidFile> {
    let stored: Vec<StoredCursor> = postcard::from_bytes(payload)
        .map_err(|error| InvalidFile::Damaged(format!("it cannot be decoded: {error}")))?;
    let load = |stored: StoredCursor| {
        let destination = stored.destination.parse().map_err(|error| {
            InvalidFile::Damaged(format!("it names a destination that cannot be: {error}"))
        })?;
        Ok((
            destination,
            PerLane { business: Sequence(stored.business), telemetry: Sequence(stored.telemetry) },
        ))
    };
    Ok(Cursors { through: stored.into_iter().map(load).collect::<Result<_, InvalidFile>>()? })
}

/// For fuzzing: what is read of a payload is written and read again as the same bytes.
#[cfg(any(test, fuzzing))]
pub(crate) fn rewrite(payload: &[u8]) {
    if let Ok(read) = decode(payload) {
        let written = encode(&read);
        let again = decode(&written).expect("what was read can be written");
        assert_eq!(encode(&again), written);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DestinationName {
        text.parse().expect("a name")
    }

    fn through(business: u64, telemetry: u64) -> PerLane<Sequence> {
        PerLane { business: Sequence(business), telemetry: Sequence(telemetry) }
    }

    #[test]
    fn cursors_survive_their_file() {
        let mut cursors = Cursors::default();
        cursors.set(&name("enterprise"), through(7, u64::MAX));
        cursors.set(&name("erp"), through(0, 3));
        assert_eq!(decode(&encode(&cursors)).expect("what was encoded"), cursors);
    }

    #[test]
    fn a_cursor_never_goes_back() {
        let mut cursors = Cursors::default();
        cursors.set(&name("erp"), through(5, 5));
        assert!(!cursors.advance(&name("erp"), Lane::Business, Sequence(5)));
        assert!(!cursors.advance(&name("erp"), Lane::Business, Sequence(4)));
        assert!(cursors.advance(&name("erp"), Lane::Business, Sequence(6)));
        assert_eq!(cursors.get(&name("erp")), Some(through(6, 5)));
    }

    #[test]
    fn only_configured_destinations_count_for_the_slowest() {
        let mut cursors = Cursors::default();
        cursors.set(&name("erp"), through(5, 9));
        cursors.set(&name("gone"), through(1, 1));
        assert_eq!(cursors.slowest(&[name("erp")], Lane::Telemetry), Some(Sequence(9)));
        assert_eq!(cursors.slowest(&[], Lane::Telemetry), None);
        assert_eq!(cursors.slowest_of_all(Lane::Telemetry), Some(Sequence(1)));
        assert_eq!(cursors.furthest(Lane::Telemetry), Sequence(9));
    }
}
