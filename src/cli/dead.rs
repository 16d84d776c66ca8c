//! `penstock dead`: what becomes of events that a destination refused for good.

mod decide;
mod look;

use clap::{Args, Subcommand};
use penstock_buffer::DeadLetterFilter;
use penstock_events::{AssetPath, DestinationName, EventType, Lane};

use super::selecting::{event_type, lanes};
use crate::exit::Exit;

/// What to do with dead letters.
///
/// A dead letter is an event that a destination refused for good: it is kept with the destination's answer, and the
/// others flow past. Its name is DESTINATION/LANE/SEQUENCE, such as enterprise/business/42.
#[derive(Debug, Subcommand)]
pub(super) enum Dead {
    /// List them, with the reason of each
    List(look::List),
    /// Show one with all that is known of it
    Show(look::Show),
    /// Send some again
    Retry(decide::Retry),
    /// Give some up for good; receivers are told with gateway.gap
    Discard(decide::Discard),
    /// Write their events as CloudEvents, a line of JSON each
    Export(look::Export),
}

impl Dead {
    pub(super) fn execute(self) -> Result<(), Exit> {
        match self {
            Self::List(list) => list.execute(),
            Self::Show(show) => show.execute(),
            Self::Retry(retry) => retry.execute(),
            Self::Discard(discard) => discard.execute(),
            Self::Export(export) => export.execute(),
        }
    }
}

/// Which dead letters.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which dead letters")]
struct Filter {
    /// Those that this destination refused
    #[arg(long, short, value_name = "NAME")]
    destination: Option<DestinationName>,
    /// Those of this lane
    #[arg(long, value_parser = lanes(), value_name = "LANE")]
    lane: Option<Lane>,
    /// Those of this asset and of all below it
    #[arg(long, value_name = "PATH")]
    asset: Option<AssetPath>,
    /// Those of this type
    #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
    kind: Option<EventType>,
}

impl Filter {
    fn filter(self) -> DeadLetterFilter {
        let Self { destination, lane, asset, kind } = self;
        DeadLetterFilter { destination, lane, asset, kind }
    }
}
