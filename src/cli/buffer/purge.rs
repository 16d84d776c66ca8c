//! `penstock buffer purge`.

use clap::Args;
use penstock_buffer::GenerationInfo;
use penstock_events::{Lane, Sequence, Timestamp};

use super::status::{GENERATION, generation_row};
use crate::cli::confirm::Leave;
use crate::cli::reach::Reach;
use crate::cli::selecting::{lanes, moment, sequence};
use crate::cli::{Configured, print};
use crate::desk::{Request, WhatIf};
use crate::exit::Exit;
use crate::terminal::{Bar, Table, counted, many, size};

/// Delete what every destination has, before its time
///
/// Delivered events are retained for a while (`retain` in [buffer]) so that they can be delivered again. This gives
/// their room back at once. Events go by the generation: whole ones that are sealed, that every configured
/// destination has, and that no replay needs. Nothing that is still to be delivered is ever purged.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock buffer purge --dry-run
  penstock buffer purge --lane telemetry --until 6h --yes")]
pub(in crate::cli) struct Purge {
    #[command(flatten)]
    configured: Configured,
    /// Only this lane
    #[arg(long, value_parser = lanes(), value_name = "LANE")]
    lane: Option<Lane>,
    /// Only generations that end with this sequence number or before it
    #[arg(long, value_name = "SEQUENCE", requires = "lane", value_parser = sequence)]
    to: Option<Sequence>,
    /// Only generations whose events are all of an earlier time: 90m, 2h, 3d ago, or 2026-01-31T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    #[command(flatten)]
    leave: Leave,
    /// Answer as JSON: a line for each generation
    #[arg(long)]
    json: bool,
}

impl Purge {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let Self { lane, to, until, leave, json, .. } = self;
        let purge = penstock_buffer::Purge { lane, to, until };
        let mut reach = Reach::of(&self.configured)?;
        let mut bar = Bar::new("purging", "generations");
        let mut ask = |dry_run| -> Result<Vec<WhatIf<GenerationInfo>>, Exit> {
            reach.records(&Request::Purge { purge, dry_run }, &mut bar)
        };
        let going = ask(true)?;
        let question = format!("Delete {}?", summary(&going));
        if leave.dry_run || going.is_empty() {
            return show(&going, json);
        }
        if !leave.is_given(&question)? {
            return Ok(());
        }
        show(&ask(false)?, json)
    }
}

fn show(generations: &[WhatIf<GenerationInfo>], json: bool) -> Result<(), Exit> {
    if json {
        return generations.iter().try_for_each(print::json);
    }
    let Some(WhatIf { dry_run, .. }) = generations.first() else {
        return print::line("nothing can be purged: no sealed generation is delivered to every destination");
    };
    let mut table = Table::stdout(&GENERATION);
    let shown = generations.iter().try_for_each(|one| table.row(generation_row(&one.what)));
    shown.and_then(|()| table.flush()).map_err(|error| print::broken(&error))?;
    let done = if *dry_run { "would be deleted" } else { "deleted" };
    print::line(&format!("{} {done}", summary(generations)))
}

fn summary(generations: &[WhatIf<GenerationInfo>]) -> String {
    let events = generations.iter().map(|one| one.what.events).sum();
    let bytes = generations.iter().map(|one| one.what.stored_bytes).sum();
    format!("{} with {}, {}", counted(generations.len(), "generation"), many(events, "event"), size(bytes))
}
