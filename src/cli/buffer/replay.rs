//! `penstock buffer replay`.

use std::io;

use clap::Args;
use penstock_buffer::{self as buffer, ReplayOrder};
use penstock_events::DestinationName;

use crate::cli::reach::{Reach, parse};
use crate::cli::selecting::Selecting;
use crate::cli::{Configured, print};
use crate::desk::{ReplayPlanRecord, Request};
use crate::exit::Exit;
use crate::terminal::{Bar, Style, grouped, many};

/// Below what any broker takes beside live events.
const DEFAULT_RATE: &str = "200/s";
const MAX_RATE: u32 = 100_000;
/// The options that say what to replay.
const SELECTING: [&str; 9] =
    ["destination", "lane", "from", "to", "since", "until", "assets", "types", "dry_run"];

/// Deliver events again that a destination has been given
///
/// They are sent with the ids, streams and sequences that they always had, beside live events, which go first: a replay
/// waits while more than a thousand live events do. A replay survives a restart and goes on where it was; what it delivered in
/// the last second before a crash it delivers again. What it needs is retained until it is through; if the buffer runs
/// out of room all the same, what is gone is counted as missed.
///
/// Without a running gateway the order is noted, and the next start carries it out. See how far it is with
/// `penstock buffer status`.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock buffer replay --destination enterprise --since 2h --dry-run
  penstock buffer replay --destination enterprise --since 2026-01-31T06:00:00Z --until 2026-01-31T14:00:00Z
  penstock buffer replay --destination erp --asset stamping/line-1 --type production.completed --rate 50/s
  penstock buffer replay --cancel 3")]
pub(in crate::cli) struct Replay {
    #[command(flatten)]
    configured: Configured,
    /// To whom
    #[arg(long, short, value_name = "NAME", required_unless_present = "cancel")]
    destination: Option<DestinationName>,
    /// How many events a second, at most
    #[arg(long, value_name = "N/s", default_value = DEFAULT_RATE, value_parser = rate)]
    rate: u32,
    /// Only count what would be delivered
    #[arg(long)]
    dry_run: bool,
    /// Stop the replay of this number
    #[arg(long, value_name = "NUMBER", conflicts_with_all = SELECTING)]
    cancel: Option<u32>,
    /// Answer as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selecting: Selecting,
}

impl Replay {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let request = self.request()?;
        let mut reach = Reach::of(&self.configured)?;
        let mut bar = Bar::new("counting", "places");
        reach.ask(&request, &mut bar, |json| {
            if self.json {
                return print::line(&json);
            }
            match &request {
                Request::PlanReplay { .. } => planned(&parse(&json)?),
                Request::CancelReplay { .. } => cancelled(&parse(&json)?),
                _ => ordered(&parse(&json)?),
            }
        })
    }

    fn request(&self) -> Result<Request, Exit> {
        let destination = match (self.cancel, &self.destination) {
            (Some(id), _) => return Ok(Request::CancelReplay { id }),
            (None, Some(destination)) => destination.clone(),
            (None, None) => return Err(Exit::usage("name the destination with --destination")),
        };
        let order =
            ReplayOrder { destination, selection: self.selecting.selection()?, per_second: self.rate };
        Ok(if self.dry_run { Request::PlanReplay { order } } else { Request::Replay { order } })
    }
}

fn planned(plan: &ReplayPlanRecord) -> Result<(), Exit> {
    let ReplayPlanRecord { destination, events, lanes } = plan;
    print::line(&format!("{} would be delivered to {destination} again", many(*events, "event")))?;
    lanes.iter().try_for_each(|places| {
        let (first, last) = (grouped(places.first.0), grouped(places.last.0));
        print::line(&format!("  {:<9} looked through from {first} to {last}", places.lane.as_str()))
    })
}

fn ordered(replay: &buffer::Replay) -> Result<(), Exit> {
    let (_, places) = replay.progress();
    let (id, order) = (replay.id, &replay.order);
    let id = Style::of(&io::stdout()).bold(&format!("replay {id}"));
    print::line(&format!(
        "{id} to {} is ordered: it looks through {} and sends up to {} events a second",
        order.destination,
        many(places, "event"),
        grouped(order.per_second.into())
    ))?;
    print::line("see how far it is with `penstock buffer status`")
}

fn cancelled(replay: &buffer::Replay) -> Result<(), Exit> {
    let (id, events) = (replay.id, many(replay.delivered, "event"));
    print::line(&format!("replay {id} is cancelled; it had delivered {events}"))
}

fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text).parse().ok();
    number
        .filter(|rate| (1..=MAX_RATE).contains(rate))
        .ok_or_else(|| format!("1/s to {MAX_RATE}/s, such as {DEFAULT_RATE}"))
}
