//! The durable store-and-forward buffer.

mod block;
mod buffer;
mod cursors;
mod directory;
mod durable_file;
mod error;
mod generation;
mod intake;
mod manifest;
mod meters;
mod options;
mod per_lane;
mod reader;
mod record;
mod recovery;
mod shared;
mod status;
mod writer;

pub use buffer::{Buffer, MAX_APPEND_EVENTS, Ticket};
pub use error::{AckError, AppendError, CloseError, OpenError, ReadError};
pub use options::{
    DEFAULT_GENERATION_BYTES, DEFAULT_MAX_BYTES, DEFAULT_MAX_DELAY, DEFAULT_MAX_EVENTS, GroupCommit,
    MIN_MAX_BYTES, Options,
};
pub use per_lane::{Appended, Heads, PerLane, SequenceRange};
pub use reader::Batch;
pub use record::MAX_EVENT_BYTES;
pub use status::{Condition, DestinationStatus, LaneStatus, Status};
