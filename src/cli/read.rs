//! `penstock read`: what tags show at present, asked of the devices themselves.

mod selection;
mod sheet;

use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use penstock_events::SourceId;
use tokio::signal::ctrl_c;
use tokio::time::sleep;

use super::asked::{Asked, narrowed, narrowed_servers};
use super::{Configured, install_cryptography, print, runtime, session};
use crate::config::{Config, Purpose};
use crate::exit::Exit;
use crate::terminal::counted;
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
        let servers = narrowed_servers(&config.opcua, every, |tag| wanted.contains(&tag.id));
        let passport = Arc::new(session::passport(&config, &servers)?);
        install_cryptography();
        let sheet = Sheet::of(&config.plan, &lines, &servers);
        let patience = servers.iter().map(session::patience).max();
        runtime()?.block_on(async {
            let asked = Asked::polling(lines, servers, &passport);
            self.show(asked, sheet, patience, &config).await
        })
    }

    async fn show(
        &self,
        mut asked: Asked,
        mut sheet: Sheet,
        patience: Option<Duration>,
        config: &Config,
    ) -> Result<(), Exit> {
        let shown = self.follow(&mut asked, &mut sheet, patience).await;
        let name = |source: SourceId| &config.plan.sources[source.0 as usize];
        let silent = sheet.silent().iter().filter_map(|source| Some((*source, asked.trouble(*source)?)));
        let mut told: Vec<String> =
            silent.map(|(source, trouble)| format!("{} does not answer: {trouble}", name(source))).collect();
        let unheard = sheet.unheard();
        if !self.watch && unheard > 0 {
            told.push(format!("the servers told no value of {} in time", counted(unheard, "tag")));
        }
        asked.end().await;
        shown?;
        if told.is_empty() { Ok(()) } else { Err(Exit::unreachable(told.join("\npenstock: "))) }
    }

    /// Shows what is observed until there is enough, or until the user interrupts.
    async fn follow(
        &self,
        asked: &mut Asked,
        sheet: &mut Sheet,
        patience: Option<Duration>,
    ) -> Result<(), Exit> {
        let (mut is_overdue, mut is_shown) = (false, false);
        let mut overdue = pin!(sleep(patience.unwrap_or_default()));
        let mut interrupted = pin!(ctrl_c());
        loop {
            let changed = tokio::select! {
                observation = asked.next() => match observation {
                    Some(observation) => sheet.take(observation),
                    None => return Ok(()),
                },
                () = &mut overdue, if patience.is_some() && !is_overdue => {
                    is_overdue = true;
                    Vec::new()
                }
                _ = &mut interrupted => return Ok(()),
            };
            let is_due = is_overdue || sheet.is_complete();
            match (self.json, self.watch) {
                (true, true) => changed.iter().try_for_each(|tag| print::json(&sheet.record(*tag)))?,
                (true, false) if is_due => sheet.records().try_for_each(|record| print::json(&record))?,
                (false, _) if is_due => {
                    sheet.show(is_shown, io::stdout().is_terminal(), &changed)?;
                    is_shown = true;
                }
                _ => {}
            }
            if is_due && !self.watch {
                return Ok(());
            }
        }
    }
}

/// `250ms`, `2s`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|duration| duration.try_into().ok());
    parsed.ok_or_else(|| "a duration has a unit: 250ms, 2s, 5m".to_owned())
}
