//! Verification: reads a generation from end to end, or the small files, and tells everything that is wrong.
//!
//! It holds one block at a time, takes nothing away, and runs beside appends and readers. A
//! generation that grows is read up to where it ended when the reading began.

use penstock_events::{Lane, Sequence};
use serde::{Deserialize, Serialize};

use crate::block::{BESIDE_A_BLOCK_BYTES, Header, Tally};
use crate::buffer::Buffer;
use crate::cursors;
use crate::durable_file::InvalidFile;
use crate::generation::{Fault, Stored};
use crate::manifest::{self, Generation};
use crate::marks;
use crate::shared::{Shared, lock};
use crate::status::GenerationInfo;

/// How many problems of one generation are told apart. The rest is counted.
const MAX_PROBLEMS: usize = 100;

/// What is wrong with a generation, or that nothing is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verification {
    /// The generation as the manifest has it.
    pub generation: GenerationInfo,
    /// How many blocks were read and found good.
    pub blocks: u64,
    /// How many events were in them.
    pub events: u64,
    /// Their stored bytes.
    pub stored_bytes: u64,
    /// What is wrong, in the order of places; the first hundred.
    pub problems: Vec<Problem>,
    /// How many problems there are beyond those.
    pub more_problems: u64,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// The place where it was found.
    pub sequence: Sequence,
    /// What was found.
    pub detail: String,
}

/// What is wrong with the small files, or that nothing is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FilesVerification {
    /// How many files were read: the manifest, the cursors, the marks and the replays.
    pub files: u64,
    /// Those with which something is wrong.
    pub damaged: Vec<DamagedFile>,
}

/// A small file with which something is wrong.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DamagedFile {
    /// Its path below the store's directory.
    pub file: String,
    /// What was found.
    pub detail: String,
}

/// Why a generation was not verified.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum VerifyError {
    /// It was deleted meanwhile, or never was.
    #[error("there is no generation {number} in the {lane} lane; it may have been delivered and deleted")]
    Unknown {
        /// The lane.
        lane: Lane,
        /// The generation's number.
        number: u32,
    },
}

impl Verification {
    /// Whether everything that should be there is, and is whole.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Buffer {
    /// Reads the small files, of which the open store has the content in memory: what is damaged would be missed at the
    /// next start, unless it is written anew by then. Blocks on disk: not for an async worker.
    pub fn verify_files(&self) -> FilesVerification {
        let directory = &self.shared().directory;
        let mut found = vec![
            ("manifest".to_owned(), complaint(manifest::load(&directory.manifest()))),
            ("cursors".to_owned(), complaint(cursors::load(&directory.cursors()))),
            ("marks".to_owned(), complaint(marks::load(&directory.marks()))),
        ];
        match self.shared().replays.verify() {
            Ok(replays) => {
                found.extend(replays.into_iter().map(|(name, wrong)| (format!("replay/{name}"), wrong)));
            }
            Err(error) => found.push(("replay".to_owned(), Some(format!("it cannot be read: {error}")))),
        }
        let files = found.len() as u64;
        let damaged =
            found.into_iter().filter_map(|(file, wrong)| Some(DamagedFile { file, detail: wrong? }));
        FilesVerification { files, damaged: damaged.collect() }
    }
}

fn complaint<T>(loaded: Result<Option<T>, InvalidFile>) -> Option<String> {
    match loaded {
        Ok(Some(_)) => None,
        Ok(None) => Some("it is missing".to_owned()),
        Err(invalid) => Some(invalid.to_string()),
    }
}

impl Shared {
    pub(crate) fn verify_generation(
        &self,
        lane: Lane,
        number: u32,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Verification, VerifyError> {
        let unknown = VerifyError::Unknown { lane, number };
        let listed = lock(&self.catalog).lanes[lane].iter().find(|one| one.id == number).cloned();
        let listed = listed.ok_or_else(|| unknown.clone())?;
        let mut check = Check::new(self.generation_info(lane, &listed), &listed);
        match self.open_generation(lane, number) {
            Ok(Some(database)) => {
                let mut place = Some(listed.first);
                while let Some(from) = place.filter(|&from| from <= listed.extent.last) {
                    place = check.take(from, database.stored_block_from(from));
                    if place.is_some() {
                        progress(check.report.events);
                    }
                }
            }
            Ok(None) => return Err(unknown),
            Err(fault) => check.problem(listed.first, fault.to_string()),
        }
        Ok(check.finish(&listed))
    }
}

/// A verification under way. Pure.
struct Check {
    report: Verification,
    /// The place that should be next, holes passed.
    expected: Sequence,
    /// The end of what is to be read.
    last: Sequence,
    tally: Tally,
    holes: Vec<crate::SequenceRange>,
}

impl Check {
    fn new(generation: GenerationInfo, listed: &Generation) -> Self {
        let report = Verification {
            generation,
            blocks: 0,
            events: 0,
            stored_bytes: 0,
            problems: Vec::new(),
            more_problems: 0,
        };
        let holes = listed.extent.holes.clone();
        let mut made =
            Self { report, expected: listed.first, last: listed.extent.last, tally: Tally::new(), holes };
        made.pass_holes();
        made
    }

    /// Judges what was found at or after `from`. Returns from where to go on, if that is possible.
    fn take(&mut self, from: Sequence, found: Result<Option<Stored>, Fault>) -> Option<Sequence> {
        let stored = match found {
            Ok(Some(stored)) if stored.first <= self.last => stored,
            Ok(_) => return None,
            Err(fault) => {
                self.problem(from, fault.to_string());
                return None;
            }
        };
        match stored.unpack() {
            Ok((header, _)) if header.first == stored.first => self.good(&header, stored.bytes.len() as u64),
            Ok((header, _)) => {
                self.problem(stored.first, format!("the block that stands here begins at {}", header.first));
            }
            Err(fault) => self.problem(stored.first, fault.to_string()),
        }
        Some(stored.first.next())
    }

    fn good(&mut self, header: &Header, bytes: u64) {
        if header.first > self.expected {
            self.problem(
                self.expected,
                format!("events {} to {} are missing", self.expected, header.first.0 - 1),
            );
        } else if header.first < self.expected {
            self.problem(header.first, format!("events from {} on are there twice", header.first));
        }
        self.expected = self.expected.max(header.last.next());
        self.pass_holes();
        self.report.blocks += 1;
        self.report.events += header.count();
        self.report.stored_bytes += bytes + BESIDE_A_BLOCK_BYTES;
        header.tally.iter().for_each(|(&kind, count)| *self.tally.entry(kind).or_default() += count);
    }

    fn pass_holes(&mut self) {
        while let Some(hole) = self.holes.iter().find(|hole| hole.first == self.expected) {
            self.expected = hole.last.next();
        }
    }

    fn finish(mut self, listed: &Generation) -> Verification {
        if self.expected <= self.last {
            self.problem(self.expected, format!("events {} to {} are missing", self.expected, self.last));
        }
        if self.report.problems.is_empty() && self.tally != listed.extent.tally {
            self.problem(listed.first, "its events by type are not what the manifest says".to_owned());
        }
        self.report
    }

    fn problem(&mut self, sequence: Sequence, detail: String) {
        if self.report.problems.len() < MAX_PROBLEMS {
            self.report.problems.push(Problem { sequence, detail });
        } else {
            self.report.more_problems += 1;
        }
    }
}
