//! `penstock buffer peek`.

use clap::Args;
use penstock_events::DestinationName;

use crate::cli::reach::{Reach, parse};
use crate::cli::selecting::Selecting;
use crate::cli::{Configured, print};
use crate::desk::Request;
use crate::exit::Exit;
use crate::terminal::Bar;

/// Look at a few events: the newest, or the next that a destination is to get
///
/// Nothing is taken away or acknowledged.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock buffer peek
  penstock buffer peek --destination enterprise --limit 3
  penstock buffer peek --type machine.state_changed --asset stamping/line-1")]
pub(in crate::cli) struct Peek {
    #[command(flatten)]
    configured: Configured,
    /// The next that this destination is to get, rather than the newest
    #[arg(long, short, value_name = "NAME")]
    destination: Option<DestinationName>,
    /// How many of each lane, at most 10000
    #[arg(long, short = 'n', default_value_t = 10, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
    /// Write them as CloudEvents, a line of JSON each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selecting: Selecting,
}

impl Peek {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let request = Request::Peek {
            destination: self.destination,
            selection: self.selecting.selection()?,
            limit: self.limit.into(),
        };
        let mut reach = Reach::of(&self.configured)?;
        let mut bar = Bar::new("looking", "places");
        if self.json {
            return reach.ask(&request, &mut bar, |json| print::line(&json));
        }
        let mut table = print::event_table();
        let mut is_empty = true;
        reach.ask(&request, &mut bar, |json| {
            is_empty = false;
            table.row(print::event_row(&parse(&json)?)).map_err(|error| print::broken(&error))
        })?;
        table.flush().map_err(|error| print::broken(&error))?;
        if is_empty { print::line("no such events") } else { Ok(()) }
    }
}
