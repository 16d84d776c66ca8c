//! `penstock buffer verify`.

use std::io;

use clap::Args;
use penstock_buffer::Verification;
use penstock_events::Lane;

use crate::cli::reach::{Reach, parse};
use crate::cli::selecting::lanes;
use crate::cli::{Configured, print};
use crate::desk::{Request, VerifyRecord};
use crate::exit::Exit;
use crate::terminal::{Bar, Style, grouped, many, printable, size};

/// Read all of the buffer and tell what is damaged, by generation
///
/// Every block is decompressed and checked against its checksum and the manifest. Nothing is taken away, and delivery
/// goes on meanwhile. The exit status is 0 when all is whole and 65 when something is not.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock buffer verify
  penstock buffer verify --lane business --json | jq 'select(.problems != [])'")]
pub(in crate::cli) struct Verify {
    #[command(flatten)]
    configured: Configured,
    /// Only this lane
    #[arg(long, value_parser = lanes(), value_name = "LANE")]
    lane: Option<Lane>,
    /// Answer as JSON: a line for each generation, and one for the dead letters
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let mut reach = Reach::of(&self.configured)?;
        let mut bar = Bar::new("verifying", "events");
        reach.ask(&Request::Verify { lane: self.lane }, &mut bar, |json| {
            if self.json { print::line(&json) } else { show(&parse(&json)?) }
        })
    }
}

fn show(record: &VerifyRecord) -> Result<(), Exit> {
    let style = Style::of(&io::stdout());
    match record {
        VerifyRecord::Generation(verified) => generation(verified, style),
        VerifyRecord::DeadLetters { letters, damaged: 0 } => {
            print::line(&format!("{} dead letters        {}", style.good("whole"), grouped(*letters)))
        }
        VerifyRecord::DeadLetters { letters, damaged } => print::line(&format!(
            "{} dead letters      {letters} whole, {damaged} set aside as .damaged",
            style.bad("DAMAGED")
        )),
    }
}

fn generation(verified: &Verification, style: Style) -> Result<(), Exit> {
    let Verification { generation, blocks, events, stored_bytes, problems, more_problems } = verified;
    let word = if verified.is_sound() { style.good("whole") } else { style.bad("DAMAGED") };
    let places = generation.places.map_or_else(
        || "empty".to_owned(),
        |places| format!("{} to {}", grouped(places.first.0), grouped(places.last.0)),
    );
    let pad = if verified.is_sound() { "  " } else { "" };
    print::line(&format!(
        "{word}{pad} {:<9} {:>8}  {places}: {} in {}, {}",
        generation.lane.as_str(),
        generation.number,
        many(*events, "event"),
        many(*blocks, "block"),
        size(*stored_bytes)
    ))?;
    for problem in problems {
        let detail = printable(&problem.detail);
        print::line(&format!("          at {}: {detail}", grouped(problem.sequence.0)))?;
    }
    if *more_problems > 0 {
        print::line(&format!("          and {}", many(*more_problems, "problem")))?;
    }
    Ok(())
}
