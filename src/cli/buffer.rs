//! `penstock buffer`: what is in the buffer, whether it is whole, getting events out of it and delivering them again.

mod export;
mod peek;
mod purge;
mod replay;
mod status;
mod verify;

use clap::Subcommand;

use crate::exit::Exit;
pub(super) use export::Destination;

/// What to do with the buffer.
///
/// Every command works while the gateway runs, over its control socket, and while it does not, on the buffer itself.
#[derive(Debug, Subcommand)]
pub(super) enum Buffer {
    /// What is in it, who still needs it, and which replays are under way
    Status(status::Status),
    /// Read all of it and tell what is damaged, by generation
    Verify(verify::Verify),
    /// Look at a few events: the newest, or the next that a destination is to get
    Peek(peek::Peek),
    /// Write events as CloudEvents, a line of JSON each
    Export(export::Export),
    /// Deliver events again that a destination has been given
    Replay(replay::Replay),
    /// Delete what every destination has, before its time
    Purge(purge::Purge),
}

impl Buffer {
    pub(super) fn execute(self) -> Result<(), Exit> {
        match self {
            Self::Status(status) => status.execute(),
            Self::Verify(verify) => verify.execute(),
            Self::Peek(peek) => peek.execute(),
            Self::Export(export) => export.execute(),
            Self::Replay(replay) => replay.execute(),
            Self::Purge(purge) => purge.execute(),
        }
    }
}
