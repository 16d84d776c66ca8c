//! Deciding about dead letters: another attempt, or the end.

use clap::Args;
use penstock_buffer::{DeadLetterFilter, DeadLetterId};

use super::Filter;
use crate::cli::confirm::Leave;
use crate::cli::reach::Reach;
use crate::cli::{Configured, print};
use crate::desk::{DeadLettersRecord, Letters, Request, WhatIf};
use crate::exit::Exit;
use crate::terminal::{Bar, many};

/// Some dead letters: by name, by what they have in common, or all.
#[derive(Args, Debug)]
struct Which {
    /// These, such as enterprise/business/42
    #[arg(value_name = "DEAD LETTER", conflicts_with_all = ["destination", "lane", "asset", "kind", "all"])]
    ids: Vec<DeadLetterId>,
    #[command(flatten)]
    filter: Filter,
    /// All of them
    #[arg(long, conflicts_with_all = ["destination", "lane", "asset", "kind"])]
    all: bool,
}

impl Which {
    fn letters(mut self) -> Result<Letters, Exit> {
        if !self.ids.is_empty() {
            self.ids.sort_unstable();
            self.ids.dedup();
            return Ok(Letters::These(self.ids));
        }
        let filter = self.filter.filter();
        if filter == DeadLetterFilter::default() && !self.all {
            return Err(Exit::usage(
                "name dead letters, say with --destination, --lane, --asset or --type which, or take --all",
            ));
        }
        Ok(Letters::Matching(filter))
    }
}

/// Send dead letters again
///
/// They are sent beside live events, with the ids that they always had. One that is refused again stays, and its
/// attempts count on. Without a running gateway the next start sends them.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock dead retry enterprise/business/42
  penstock dead retry --destination enterprise --type machine.state_changed
  penstock dead retry --all")]
pub(in crate::cli) struct Retry {
    #[command(flatten)]
    configured: Configured,
    /// Answer as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Retry {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let request = Request::RetryDead { letters: self.which.letters()? };
        let mut reach = Reach::of(&self.configured)?;
        for record in reach.records::<DeadLettersRecord>(&request, &mut Bar::hidden())? {
            match self.json {
                true => print::json(&record)?,
                false => print::line(&format!("{} to be sent again", many(record.letters, "dead letter")))?,
            }
        }
        Ok(())
    }
}

/// Give dead letters up for good
///
/// Their loss is announced to every receiver with a gateway.gap event; then they are deleted.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock dead discard enterprise/business/42
  penstock dead discard --lane telemetry --dry-run
  penstock dead export > kept.jsonl && penstock dead discard --all --yes")]
pub(in crate::cli) struct Discard {
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    leave: Leave,
    /// Answer as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Discard {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let letters = self.which.letters()?;
        let mut reach = Reach::of(&self.configured)?;
        let mut ask = |dry_run| -> Result<WhatIf<DeadLettersRecord>, Exit> {
            let request = Request::DiscardDead { letters: letters.clone(), dry_run };
            let records = reach.records(&request, &mut Bar::hidden())?;
            Ok(records.into_iter().fold(nothing(dry_run), |_, last| last))
        };
        let going = ask(true)?;
        if self.leave.dry_run || going.what.letters == 0 {
            return show(&going, self.json);
        }
        let question = format!("Discard {} for good?", many(going.what.letters, "dead letter"));
        if !self.leave.is_given(&question)? {
            return Ok(());
        }
        show(&ask(false)?, self.json)
    }
}

fn nothing(dry_run: bool) -> WhatIf<DeadLettersRecord> {
    WhatIf { dry_run, what: DeadLettersRecord { letters: 0 } }
}

fn show(record: &WhatIf<DeadLettersRecord>, json: bool) -> Result<(), Exit> {
    if json {
        return print::json(record);
    }
    let done = if record.dry_run { "would be discarded" } else { "discarded" };
    print::line(&format!("{} {done}", many(record.what.letters, "dead letter")))
}
