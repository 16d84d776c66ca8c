//! `penstock browse`: what an OPC UA server has to be read.

mod filter;
mod listing;
mod naming;
mod tags;
mod target;
mod tree;

use std::io;
use std::time::Duration;

use clap::Args;
use penstock_adapters::Clock;
use penstock_adapters::opcua::{Browse as Search, BrowseProgress, Found, NodeAddress};
use tokio::signal::ctrl_c;
use tokio_util::sync::CancellationToken;

use super::{print, runtime};
use crate::exit::Exit;
use crate::terminal::{Bar, counted, grouped};
use filter::Filter;
use target::Target;

/// Plants are a dozen levels deep; a server that makes up nodes as it goes has no end.
const DEFAULT_DEPTH: usize = 100;
/// More would take gigabytes.
const MOST_NODES: usize = 1_000_000;

/// Look through an OPC UA server
///
/// It only looks: nothing is written and no method is called. A server that is secured is judged by its certificate as
/// the gateway judges it.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock browse opc.tcp://192.168.10.40
  penstock browse opc.tcp://192.168.10.40 --security Basic256Sha256/SignAndEncrypt --username edge
  penstock browse oven --filter '*temp*' --values
  penstock browse oven --from 'nsu=urn:plant:oven;s=Zones' --toml > oven.toml")]
pub(super) struct Browse {
    #[command(flatten)]
    target: Target,
    /// Where to begin: as `node` of a tag. The folder Objects unless given
    #[arg(long, default_value = "i=85", value_name = "NODE")]
    from: NodeAddress,
    /// How many levels below that
    #[arg(long, default_value_t = DEFAULT_DEPTH, value_name = "LEVELS")]
    depth: usize,
    /// Only what has this in its name, its path or its node id, whatever the case; with * and ? for the whole of one
    #[arg(long, value_name = "TEXT")]
    filter: Option<Filter>,
    /// Read the values of variables, too
    #[arg(long)]
    values: bool,
    /// How many nodes at most
    #[arg(long, default_value_t = 10_000, value_name = "NODES", value_parser = most_nodes)]
    most: usize,
    /// How long all of it may take
    #[arg(long, default_value = "15m", value_name = "DURATION", value_parser = super::read::duration)]
    within: Duration,
    #[command(flatten)]
    form: Form,
}

/// How it is shown: a tree unless told otherwise.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct Form {
    /// As a table, a row for each node
    #[arg(long)]
    table: bool,
    /// As JSON, a line for each node
    #[arg(long)]
    json: bool,
    /// As a configuration to begin with, a tag for each variable
    #[arg(long)]
    toml: bool,
}

/// What there is to show.
struct View<'a> {
    found: &'a Found,
    /// The path of each node from below the start.
    paths: Vec<String>,
    /// Whether it was looked for.
    is_wanted: Vec<bool>,
}

impl Browse {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let (server, passport) = self.target.settings()?;
        let search = Search {
            server,
            from: self.from.clone(),
            depth: self.depth,
            most_nodes: self.most,
            with_values: self.values,
            within: self.within,
        };
        let mut bars = Bars::new();
        let (clock, stop) = (Clock::system(), CancellationToken::new());
        let found = runtime()?.block_on(async {
            let browsing = search.run(&passport, &clock, &stop, |progress| bars.draw(progress));
            let interrupted = async {
                match ctrl_c().await {
                    Ok(()) => stop.cancel(),
                    Err(_no_signals) => std::future::pending().await,
                }
            };
            tokio::pin!(browsing);
            tokio::select! {
                found = &mut browsing => found,
                () = interrupted => browsing.await,
            }
        });
        bars.clear()?;
        let found = found.map_err(|error| target::unreachable(&search.server, &error))?;
        if let (true, Some(reason)) = (found.nodes.is_empty(), &found.cut_short) {
            return Err(Exit::unreachable(format_args!("{}: {reason}", search.server.endpoint)));
        }
        let view = View::of(&found, self.filter.as_ref());
        match &self.form {
            Form { json: true, .. } => listing::json(&view),
            Form { toml: true, .. } => {
                print::line(tags::toml(&search.server, &self.target, &view).trim_end())
            }
            Form { table: true, .. } => listing::table(&view),
            _ => listing::tree(&view),
        }?;
        conclude(&found, &view, self.form.json || self.form.toml)
    }
}

/// What is to be said to people of the whole, and how the command ends.
fn conclude(found: &Found, view: &View<'_>, is_for_programs: bool) -> Result<(), Exit> {
    let nodes = grouped(found.nodes.len() as u64);
    let wanted = view.wanted().count();
    let mut lines = vec![if wanted < found.nodes.len() {
        format!("{} of {nodes} nodes, nothing written", grouped(wanted as u64))
    } else {
        let variables = found.nodes.iter().filter(|node| node.variable.is_some()).count();
        format!("{nodes} nodes with {}, nothing written", counted(variables, "variable"))
    }];
    if found.repeated > 0 {
        lines.push(format!(
            "{} to nodes that stand elsewhere in the tree",
            counted(found.repeated, "more reference")
        ));
    }
    if found.elsewhere > 0 {
        lines.push(format!("{} to other servers, not followed", counted(found.elsewhere, "reference")));
    }
    if !is_for_programs {
        lines.iter().try_for_each(|line| print::line(line))?;
    }
    match &found.cut_short {
        Some(reason) => Err(Exit::unreachable(format_args!(
            "not everything was looked at: {reason}; --from, --depth, --most and --within choose what is"
        ))),
        None if wanted == 0 => Err(Exit::not_found("nothing there is as looked for")),
        None => Ok(()),
    }
}

impl<'a> View<'a> {
    fn of(found: &'a Found, filter: Option<&Filter>) -> Self {
        let paths = found.paths();
        let nodes = found.nodes.iter().zip(&paths);
        let is_wanted =
            nodes.map(|(node, path)| filter.is_none_or(|filter| filter.takes(node, path))).collect();
        Self { found, paths, is_wanted }
    }

    /// The indexes of what was looked for.
    fn wanted(&self) -> impl Iterator<Item = usize> {
        (0..self.found.nodes.len()).filter(|index| self.is_wanted[*index])
    }
}

/// A bar for each phase.
struct Bars {
    bar: Bar,
    is_reading: bool,
    broken: Option<io::Error>,
}

impl Bars {
    fn new() -> Self {
        Self { bar: Bar::new("browsing", "nodes"), is_reading: false, broken: None }
    }

    fn draw(&mut self, progress: BrowseProgress) {
        if let BrowseProgress::Attributes { .. } = progress
            && !std::mem::replace(&mut self.is_reading, true)
        {
            self.broken = self.bar.clear().err();
            self.bar = Bar::new("reading", "attributes");
        }
        let (BrowseProgress::Nodes { done, total } | BrowseProgress::Attributes { done, total }) = progress;
        if self.broken.is_none() {
            self.broken = self.bar.draw(done, total).err();
        }
    }

    fn clear(mut self) -> Result<(), Exit> {
        let cleared = self.bar.clear();
        self.broken.map_or(cleared, Err).map_err(|error| Exit::cannot_write("the terminal", &error))
    }
}

fn most_nodes(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_NODES).contains(number));
    number.ok_or_else(|| format!("a number from 1 to {MOST_NODES}"))
}
