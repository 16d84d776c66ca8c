//! The durable store-and-forward buffer: what is appended stays until every destination has it.
//!
//! This page is the specification. [`Buffer`] is the API.
//!
//! # Constraints
//!
//! - An append returns once it is durable: a power cut after that loses none of it.
//! - Each lane numbers its events 1, 2, 3 … without holes and without using a place twice. The order
//!   of appends is the order of places.
//! - The normalizer's state is committed with the business events that it explains, or neither is.
//! - A commit is durable after one write and one sync of one file, whose blocks are there already.
//! - What is durable never depends on a file that sled still writes to.
//! - An event leaves the store when every configured destination has acknowledged it, or it is given up,
//!   which is counted and announced by a `gateway.gap` event: telemetry for want of room, either lane
//!   when it is older than the configuration says, and what damage took.
//! - Damage never refuses the start. It costs the block or the generation that it hit, which is set aside.
//! - An event that a destination refuses for good is a dead letter of that destination before the cursor
//!   passes it. A dead letter ends by delivery, or it is discarded and announced.
//! - Memory does not grow with the backlog: a few open databases of 4 MB of cache each, 16,384
//!   events on their way to the disk, the commits that the logs have not, and a handful of decoded blocks.
//! - sled blocks and panics: it runs on the buffer's own threads and on those of readers, behind
//!   `catch_unwind`. The crate uses no async runtime; `tokio` gives it channels only.
//!
//! # Layout
//!
//! ```text
//! <path>/LOCK                  held by the process that has the store; names it
//! <path>/manifest              the store's number; each lane's generations, and what is in those that are sealed
//! <path>/cursors               how far each destination is, configured or not
//! <path>/marks                 places that were durable, places that may have been used, losses to announce
//! <path>/journal               the latest commits, 2 MB of them; gone after a clean end
//! <path>/business/<id>/        one generation: a log and a sled database, insert-only
//! <path>/telemetry/<id>/
//! <path>/dead/<destination>/   its dead letters, a file for each: `<lane>-<sequence>`, with `.retry` while one is to be sent again
//! <path>/replay/<id>           a replay that an operator ordered, and how far it is
//! <path>/spare…                room that is kept for a full disk, 3 MB
//! <path>/quarantine/           what was damaged, the latest 256 MB of it: `<number>-<name>`
//! ```
//!
//! A lane is a row of generations. The last is active and takes the appends; when it reaches
//! `generation_bytes` it is sealed and another begun. Generations are deleted whole, since sled gives
//! back little of what is deleted key by key. In a generation:
//!
//! | key | value in its log | in sled |
//! |---|---|---|
//! | `1`, text | a piece of the normalizer's state, with a checksum of our own (business) | the same |
//! | `2`, `4` | the last place of telemetry, of business, whose loss was announced (business) | the same |
//! | `3`, first place as u64 BE | a block: up to 250 events, under 12 KB, header and checksum of our own, zstd | where it stands in the log: offset u64 LE, length u32 LE |
//! | `5` | the number of the last loss by damage that was announced (business) | the same |
//!
//! Each commit is in the journal, for both lanes, and then in the log of the generation that grows: `log` beside sled's file (`db`).
//! sled writes over its own file elsewhere than where it adds to it, and counts as written what was never synced. So the log is what
//! counts. While a generation grows, sled is how a place is found in it, and it never has what the log has not.
//!
//! A complete generation is read without sled, once it was closed. Blocks and pieces of state say what they are and where they end, so they are
//! found by looking through its files, and reading one changes nothing on disk. sled would stop at the first
//! byte that it does not like, and overwrite what comes after. Older versions left the blocks of a complete generation in sled's file
//! alone; they are found there.
//!
//! Each new business generation begins with all of the normalizer's state, so the active one alone
//! has it. Blocks, state and the small files carry a format version; one that is newer than this code is refused,
//! and a golden file of each version is in `tests/fixtures`. The manifest says of each sealed generation
//! its places, bytes, events by type, range of times, and the holes that damage made in it.
//!
//! # Commit
//!
//! Appends share commits, and two are under way at once: the intake thread forms a group and packs
//! its events into blocks, while the writer thread makes the group before it durable. A group goes when it is full (`max_events`), when
//! it is a single append that found the buffer idle, or `max_delay` after the last group went. A commit is:
//!
//! 1. bring the store within its size, with room for the group; roll a lane that is due;
//! 2. give the blocks their places, and make one record of all that the commit puts into both lanes;
//! 3. write that into the journal and call `fdatasync`;
//! 4. let readers see it (catalog, heads), answer the callers.
//!
//! Records are written one after the other, each when the one before is durable. A checkpoint takes them into the logs, and when they are
//! durable there, has sled know their places; until then they are read from memory. It is made when half of the
//! journal is full, by a thread of its own, beside the commits that fill the other half; before a generation is sealed; at a clean end;
//! and where a commit is longer than half of the journal, before it is answered.
//!
//! To roll: make a checkpoint; make the new generation, with the state in its log, sync it, its `conf` and the directories; replace the
//! manifest. To replace a small file: write and sync a new one beside it, rename it,
//! sync the directory. To delete: replace the manifest, then remove the directory.
//!
//! # When the disk refuses
//!
//! ENOSPC, EIO and whatever else a write or a sync may get are a state ([`Condition::Suspended`]), not an end. After
//! a failed `fdatasync` the system may hold pages for clean that never reached the disk, so no second sync of them
//! is believed: a log loses what was being added, the active generations end, by the manifest, at
//! the last commit that was durable, with all of it written into their logs from memory, and the commit after that, kept until
//! then, is made once more into new generations; a journal that failed is made anew. Before all that, the manifest is written as it is
//! in memory. The first attempt
//! is after 20 ms, then each after twice the time, up to 5 s. Meanwhile appends wait (so polling does), what is
//! durable is read (without sled) and acknowledged, and what is delivered is deleted if its time has come. A caller is
//! told nothing before its events are durable. Only a defect fails the buffer for good.
//!
//! A full disk has no room even for a manifest that forgets what is deleted, nor for what a start writes. So some is kept (`spare.rs`), given
//! back when nothing else is left, and taken again first of all. Where it cannot be had nothing is appended: then the next
//! start, at which it is wanted, has it.
//!
//! # What leaves the store
//!
//! Only whole generations. A pure policy (`writer/policy.rs`) says which is next, at each commit and once a second:
//!
//! 1. what every destination has and no replay needs, and is sealed for longer than `retain` or purged by an operator;
//!    while a destination that is no longer configured lacks it, only when it is purged or older than `max_age`;
//! 2. what is not delivered and sealed for longer than the lane's `max_age`; a lane with an age begins a
//!    generation after an eighth of it;
//! 3. above `max_bytes`, or below `min_free_bytes` of free disk: the oldest that every destination has, else
//!    the oldest telemetry;
//! 4. the oldest delivered business generation, while business events fill all but the room that telemetry needs.
//!
//! What some destination had not acknowledged of a generation that is given up becomes a `gateway.gap` event,
//! committed to the business lane in one batch with a mark; then the generation is deleted. Business
//! events are given up by age alone, where that is configured: when undelivered ones fill their room, appends
//! wait for acknowledgements. Ages are measured by this machine's clock, from when a generation was
//! sealed; a clock that was not set gives nothing up.
//!
//! # Recovery
//!
//! Opening takes the lock, reads the small files, deletes directories that the manifest does not
//! list, has the logs of the active generations take what only the journal has, opens their databases, has sled take what it lacks of the
//! logs, deletes what the marks in them
//! cover, and places new destinations behind the last event or at the oldest, as they are configured. Complete generations are
//! opened when they are read. The time depends on the size of one generation and not on the backlog.
//!
//! What counts of an active generation is what its log and the journal have, and what they lack of what was marked as durable or
//! acknowledged. Blocks of a commit longer than half of the journal may stand in the log beyond that, in part, when a power cut came before
//! it was answered: nobody was told of it, and such a generation ends, for no other block gets its place in the same file. It is looked
//! through before sled may touch it, and sled's snapshots are
//! deleted: sled takes one that a power cut left unfinished for whole. Where sled does not find its way through what it was never asked to
//! sync, the generation ends too, is read without it, and nothing is lost. One without a log is of an older version, and ends.
//!
//! Refused are a newer format, another process that has the store, and a directory that cannot be written. A start on a
//! disk that fails is tried again by whoever started it; one on a full disk is not refused, as above.
//!
//! # Damage
//!
//! | what | how it is noticed | what becomes of it |
//! |---|---|---|
//! | a complete generation | a read finds no block for a place that the manifest promises | looked through; the manifest learns of the holes, and readers pass over them |
//! | an active generation | at the start: its log does not reach the marks, or sled fails. While it runs: a read fails | it ends; what can be read in it is delivered, and the lane goes on in another |
//! | `manifest` | its checksum, or it is missing beside generations | made again from the generations, which takes as long as reading them |
//! | `cursors` | the same | everything that is retained is delivered again: twice is better than never |
//! | `marks` | the same | made again; a damaged end of a lane is then taken to reach a million places further |
//! | the journal, a log | a record's checksum, at the start; a block of its commit is missing between others | what neither has of that commit is lost; the generation ends as a damaged one |
//! | a dead letter | its checksum, when it is read | its loss is announced, and it stays beside the others as `.damaged` |
//! | a replay | its checksum, at the start | it stays beside the others as `.damaged`, and must be ordered again |
//!
//! What is lost is announced once, as a `gateway.gap` with the reason `damaged`, as far as some destination did not have it: no
//! two gaps name the same place, and damage that grows is announced by what it grew. The loss is
//! noted in `marks` before the manifest tells of the hole, and the number of the last one that was announced is committed
//! with the gap, so a crash in between neither repeats nor forgets it. What is noted and not in the manifest was told to
//! nobody: it is dropped, and the generation looked through anew. Nobody's read passes a hole before the loss is noted. Where the manifest
//! or the end of the business lane is damaged as well, what the gaps say that can be read is not said again. What is damaged
//! is moved to `quarantine`: a file at once, a generation when nothing in it is waited for any more. What gives way there to the
//! latest is told in the log.
//!
//! No place is used for two events. Places are reserved in `marks`, a million at a time, and a clean end gives back what was
//! not used. A lane that lost its end goes on behind what was reserved, unless the journal tells where it ended, and the gap that
//! announces this may cover places that never were.
//!
//! What it costs beyond the events that were hit:
//!
//! - The normalizer's state is that of the last commit whose piece is whole, and what the last event of a counter or a machine
//!   says beyond that. Where that event is lost too, `from` and `to` of the counter's next one begin before it: they tell
//!   what was lost. That a source is down or an alert is active may be said twice.
//! - That a piece is lost is noticed when one of the last 16,384 events says so, or when something else is damaged as well.
//!   Else a counter's next event overlaps with what was delivered.
//! - After a crash, and only then, damage to the last record of the journal looks like the torn end that a crash leaves, and is not
//!   announced. Of a journal that is missing or damaged all over, the same is true of the last minute that nobody acknowledged.
//! - Where the manifest is damaged as well, a loss that not every destination has passed is announced again if its gap was
//!   delivered and deleted.
//! - A loss from which some destination had a part, and one of several types, is announced without counts by type.
//!
//! A disk of which nothing can be read is no damage, nor is a log: reads fail, and succeed when it is back. A start waits
//! for the log of a generation that grew.
//!
//! What a crash costs, by where it strikes:
//!
//! | where | cost |
//! |---|---|
//! | before a commit is durable | appends that had not returned; one is there or not, and where it is longer than half of the journal, or the disk refused it, one lane's part may be there without the other's |
//! | between commit and answer | nothing: the events are there, and their ids are the same if they are appended again |
//! | while rolling or deleting | nothing: the directory is not listed, and deleted at the next start |
//! | between gap and deletion | nothing: the deletion is finished at the next start, and no second gap is made |
//! | between a dead letter and the cursor | nothing: the event is sent again, and its letter counts on or ends |
//! | within 100 ms of an acknowledgement | events that were acknowledged then are delivered again |
//! | within a second of a replay's progress | events that were replayed then are replayed again |
//!
//! All of this is held against power cuts at any call: `tests/powercut`.
//!
//! Every kind of damage, and 500 flipped bits: `tests/buffer/damage.rs`.

mod archive;
mod block;
mod buffer;
mod cursors;
mod dead;
mod directory;
mod durable_file;
mod error;
#[cfg(test)]
mod fault_injection;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod generation;
mod intake;
mod journal;
mod manifest;
mod marks;
pub mod meters;
mod options;
mod per_lane;
mod purge;
mod quarantine;
mod reader;
mod record;
mod recovery;
mod replay;
mod selection;
mod shared;
mod source;
mod spare;
mod state;
mod status;
mod verify;
mod writer;

pub use buffer::{Buffer, MAX_APPEND_EVENTS, Ticket};
pub use dead::{
    DeadLetter, DeadLetterCount, DeadLetterError, DeadLetterFilter, DeadLetterId, DeadLetters,
    InvalidDeadLetterId, Refusal, Refused,
};
pub use error::{AckError, AppendError, CloseError, OpenError, ReadError};
pub use options::{
    DEFAULT_DEAD_LETTERS, DEFAULT_GENERATION_BYTES, DEFAULT_MAX_BYTES, DEFAULT_MAX_DELAY, DEFAULT_MAX_EVENTS,
    DEFAULT_MIN_FREE_BYTES, DEFAULT_RETAIN, GroupCommit, MIN_MAX_BYTES, Options, StartAt, UnknownStart,
};
pub use per_lane::{Appended, Heads, PerLane, SequenceRange};
pub use purge::{Purge, PurgeError};
pub use reader::Batch;
pub use record::MAX_EVENT_BYTES;
pub use replay::{Replay, ReplayError, ReplayOrder, ReplaySpan, ReplayState, Replayed};
pub use selection::{Selected, Selection};
pub use status::{Cause, Condition, DestinationStatus, GenerationInfo, LaneStatus, Outage, Status};
pub use verify::{DamagedFile, FilesVerification, Problem, Verification, VerifyError};
