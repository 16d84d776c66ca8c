//! `penstock buffer export`, and where exports go.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Configured;
use crate::cli::reach::Reach;
use crate::cli::selecting::Selecting;
use crate::desk::Request;
use crate::exit::Exit;
use crate::terminal::{Bar, many};

const BUFFERED: usize = 256 * 1024;

/// Write events as CloudEvents, a line of JSON each
///
/// What is durable when the command begins is written, business events first, each lane in the order of its sequence.
/// Nothing is taken away.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock buffer export --since 2h > last-two-hours.jsonl
  penstock buffer export --asset stamping/line-1 --type production.completed --output pieces.jsonl
  penstock buffer export --lane business --from 4711 --to 4720")]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    configured: Configured,
    /// How many at most
    #[arg(long, short = 'n', value_name = "COUNT")]
    limit: Option<u64>,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    selecting: Selecting,
}

/// Where an export goes.
#[derive(Args, Debug)]
pub(in crate::cli) struct Destination {
    /// Write to this file, which is there once it is complete; else to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists
    #[arg(long, requires = "output")]
    force: bool,
}

impl Export {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let request = Request::Export { selection: self.selecting.selection()?, limit: self.limit };
        let mut reach = Reach::of(&self.configured)?;
        self.destination.export(&mut reach, &request, "places")
    }
}

impl Destination {
    /// Writes the records of `request`, which passes so many of a `noun`.
    pub(in crate::cli) fn export(
        &self,
        reach: &mut Reach,
        request: &Request,
        noun: &'static str,
    ) -> Result<(), Exit> {
        let Some(output) = &self.output else {
            // A bar between the lines of a terminal would only disturb.
            let mut bar =
                if io::stdout().is_terminal() { Bar::hidden() } else { Bar::new("exporting", noun) };
            let out = &mut BufWriter::with_capacity(BUFFERED, io::stdout().lock());
            return copy(reach, request, &mut bar, out, "standard output").map(drop);
        };
        if !self.force && output.exists() {
            return Err(Exit::usage(format_args!(
                "{} exists already; add --force to replace it",
                output.display()
            )));
        }
        let partial = beside(output);
        let name = output.display().to_string();
        let cannot = |error: io::Error| Exit::cannot_write(&name, &error);
        let mut file = BufWriter::with_capacity(BUFFERED, File::create(&partial).map_err(cannot)?);
        let copied = copy(reach, request, &mut Bar::new("exporting", noun), &mut file, &name);
        let finished = copied.and_then(|events| {
            file.get_ref().sync_all().and_then(|()| fs::rename(&partial, output)).map_err(cannot)?;
            Ok(events)
        });
        match finished {
            Ok(events) => {
                writeln!(io::stderr(), "{} written to {name}", many(events, "event")).map_err(cannot)
            }
            Err(exit) => {
                if let Err(error) = fs::remove_file(&partial) {
                    tracing::warn!(file = %partial.display(), %error, "the unfinished export could not be deleted");
                }
                Err(exit)
            }
        }
    }
}

/// Copies the records of `request` to `out`; how many there were.
fn copy(
    reach: &mut Reach,
    request: &Request,
    bar: &mut Bar,
    out: &mut dyn Write,
    name: &str,
) -> Result<u64, Exit> {
    let mut events = 0;
    let cannot = |error: io::Error| Exit::cannot_write(name, &error);
    reach.ask(request, bar, |json| {
        events += 1;
        writeln!(out, "{json}").map_err(cannot)
    })?;
    out.flush().map_err(cannot)?;
    Ok(events)
}

fn beside(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}
