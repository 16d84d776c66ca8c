//! `penstock read`: what tags show at present, asked of the devices themselves.

mod selection;
mod sheet;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use penstock_events::Observation;

use super::asked::{Asked, narrowed};
use super::{Configured, print, runtime};
use crate::config::{Config, Purpose};
use crate::exit::Exit;
use selection::select;
use sheet::Sheet;

/// The time grid of a command that reads once: it begins with the next slot.
const AT_ONCE: Duration = Duration::from_millis(50);
const SHORTEST_WATCH: Duration = Duration::from_millis(50);

/// The arguments of `penstock read`.
#[derive(Args, Debug)]
pub(super) struct Read {
    /// Which configuration
    #[command(flatten)]
    configured: Configured,
    /// Whose tags: a source, or one tag of it
    #[arg(required = true, value_name = "SOURCE[.TAG]")]
    wanted: Vec<String>,
    /// Go on reading and show what changes, until interrupted
    #[arg(long, short)]
    watch: bool,
    /// The time between two readings with --watch
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = duration)]
    every: Duration,
    /// A line of JSON for each tag, and with --watch for each change
    #[arg(long)]
    json: bool,
}

impl Read {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let config = self.configured.load(Purpose::Check)?;
        let wanted = select(&self.wanted, &config.plan).map_err(Exit::not_found)?;
        let every = if self.watch { self.every.max(SHORTEST_WATCH) } else { AT_ONCE };
        let lines = narrowed(&config.modbus, every, |tag| wanted.contains(&tag.id()));
        if let Some(server) =
            config.opcua.iter().find(|server| server.tags.iter().any(|tag| wanted.contains(&tag.id)))
        {
            let message =
                format_args!("{} is an OPC UA server, and `read` asks Modbus devices only", server.name);
            return Err(Exit::usage(message));
        }
        let sheet = Sheet::of(&config.plan, &lines);
        runtime()?.block_on(self.show(Asked::polling(lines), sheet, &config))
    }

    async fn show(&self, mut asked: Asked, mut sheet: Sheet, config: &Config) -> Result<(), Exit> {
        let mut awaited: BTreeSet<_> = asked.sources().collect();
        let (mut silent, mut is_shown) = (BTreeSet::new(), false);
        while let Some(observation) = asked.next().await {
            awaited.remove(&observation.source());
            if let Observation::Lost { source, .. } = observation {
                silent.insert(source);
            } else {
                silent.remove(&observation.source());
            }
            let changed = sheet.take(observation);
            if self.json {
                for tag in changed {
                    print::json(&sheet.record(tag))?;
                }
            } else if awaited.is_empty() {
                sheet.show(is_shown, io::stdout().is_terminal(), &changed)?;
                is_shown = true;
            }
            if awaited.is_empty() && !self.watch {
                break;
            }
        }
        let told: Vec<String> = silent
            .into_iter()
            .filter_map(|source| {
                let name = &config.plan.sources[source.0 as usize];
                Some(format!("{name} does not answer: {}", asked.trouble(source)?))
            })
            .collect();
        if told.is_empty() { Ok(()) } else { Err(Exit::unreachable(told.join("\npenstock: "))) }
    }
}

/// `250ms`, `2s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|duration| duration.try_into().ok());
    parsed.ok_or_else(|| "a duration has a unit: 250ms, 2s, 5m".to_owned())
}
