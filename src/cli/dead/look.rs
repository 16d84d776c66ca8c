//! Looking at dead letters.

use clap::Args;
use penstock_buffer::DeadLetterId;

use super::Filter;
use crate::cli::buffer::Destination;
use crate::cli::reach::{Reach, parse};
use crate::cli::{Configured, print};
use crate::desk::{LetterRecord, Request};
use crate::exit::Exit;
use crate::terminal::{Align, Bar, Table, many, moment, printable};

/// The arguments of `penstock dead list`.
#[derive(Args, Debug)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    configured: Configured,
    /// How many at most
    #[arg(long, short = 'n', value_name = "COUNT")]
    limit: Option<u64>,
    /// Answer as JSON, a line for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: Filter,
}

impl List {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let request = Request::ListDead { filter: self.filter.filter(), limit: self.limit };
        let mut reach = Reach::of(&self.configured)?;
        let mut bar = Bar::hidden();
        if self.json {
            return reach.ask(&request, &mut bar, |json| print::line(&json));
        }
        let mut table = Table::stdout(&[
            ("DEAD LETTER", Align::Left),
            ("REFUSED LAST", Align::Left),
            ("TIMES", Align::Left),
            ("TYPE", Align::Left),
            ("ASSET", Align::Left),
            ("REASON", Align::Left),
        ]);
        let mut is_empty = true;
        reach.ask(&request, &mut bar, |json| {
            is_empty = false;
            table.row(row(parse(&json)?)).map_err(|error| print::broken(&error))
        })?;
        table.flush().map_err(|error| print::broken(&error))?;
        if is_empty { print::line("no dead letters") } else { Ok(()) }
    }
}

fn row(letter: LetterRecord) -> [String; 6] {
    [
        letter.id.to_string(),
        moment(letter.last_refused),
        format!("{}{}", letter.attempts, if letter.retry { ", sent again" } else { "" }),
        letter.kind.to_string(),
        letter.asset.to_string(),
        letter.reason,
    ]
}

/// The arguments of `penstock dead show`.
#[derive(Args, Debug)]
pub(in crate::cli) struct Show {
    /// Which, such as enterprise/business/42
    #[arg(value_name = "DEAD LETTER")]
    id: DeadLetterId,
    #[command(flatten)]
    configured: Configured,
    /// Answer as a line of JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let mut reach = Reach::of(&self.configured)?;
        reach.ask(&Request::ShowDead { id: self.id }, &mut Bar::hidden(), |json| {
            if self.json { print::line(&json) } else { show(&parse(&json)?) }
        })
    }
}

fn show(letter: &LetterRecord) -> Result<(), Exit> {
    let code = letter.code.map_or_else(|| "none given".to_owned(), |code| format!("{code} (0x{code:02x})"));
    let next =
        if letter.retry { "it is to be sent again" } else { "it waits: `penstock dead retry` or `discard`" };
    let event = &letter.event;
    let lines = [
        ("dead letter", letter.id.to_string()),
        ("type", letter.kind.to_string()),
        ("asset", letter.asset.to_string()),
        ("what", print::gist(event)),
        ("time", event["time"].as_str().unwrap_or("?").to_owned()),
        ("event id", event["id"].as_str().unwrap_or("?").to_owned()),
        ("reason", letter.reason.clone()),
        ("code", code),
        ("refused", many(letter.attempts.into(), "time")),
        ("first", letter.first_refused.to_string()),
        ("last", letter.last_refused.to_string()),
        ("next", next.to_owned()),
    ];
    for (label, text) in lines {
        print::line(&format!("{label:<12} {}", printable(&text)))?;
    }
    // Written anew, so no control character is left in it.
    print::line(&format!("\n{event:#}"))
}

/// The arguments of `penstock dead export`.
#[derive(Args, Debug)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    filter: Filter,
}

impl Export {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let mut reach = Reach::of(&self.configured)?;
        let request = Request::ExportDead { filter: self.filter.filter() };
        self.destination.export(&mut reach, &request, "letters")
    }
}
