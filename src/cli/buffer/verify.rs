//! `penstock buffer verify`.

use std::io;

use clap::Args;
use penstock_buffer::{FilesVerification, Verification};
use penstock_events::{Lane, Sequence};

use crate::cli::reach::{Reach, parse};
use crate::cli::selecting::lanes;
use crate::cli::{Configured, print};
use crate::desk::{Request, VerifyRecord};
use crate::exit::Exit;
use crate::terminal::{Align, Bar, Mark, Style, Table, counted, grouped, many, printable, size};

/// Read all of the buffer and tell what is damaged, by generation
///
/// Every block is decompressed and checked against its checksum and the manifest, and the small files and dead letters
/// against theirs. Nothing is taken away, and delivery
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
    /// Answer as JSON: a line for each generation, one for the small files, and one for the dead letters
    #[arg(long)]
    json: bool,
}

/// The columns of what was verified.
const VERIFIED: [(&str, Align); 8] = [
    ("LANE", Align::Left),
    ("GENERATION", Align::Right),
    ("STATE", Align::Left),
    ("EVENTS", Align::Right),
    ("FIRST", Align::Right),
    ("LAST", Align::Right),
    ("BLOCKS", Align::Right),
    ("SIZE", Align::Right),
];

impl Verify {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let mut reach = Reach::of(&self.configured)?;
        let mut bar = Bar::new("verifying", "events");
        let request = Request::Verify { lane: self.lane };
        if self.json {
            return reach.ask(&request, &mut bar, |json| print::line(&json));
        }
        let mut page = Page { table: Table::stdout(&VERIFIED), sum: Sum::default() };
        reach.ask(&request, &mut bar, |json| page.show(&parse(&json)?).map_err(|error| print::broken(&error)))
    }
}

/// What was found, for people.
struct Page {
    table: Table<io::StdoutLock<'static>>,
    sum: Sum,
}

#[derive(Default)]
struct Sum {
    generations: u64,
    events: u64,
    files: u64,
    /// Places that damage took before.
    lost: u64,
    is_damaged: bool,
}

impl Page {
    /// Shows each record as it comes: the next may take a while.
    fn show(&mut self, record: &VerifyRecord) -> io::Result<()> {
        match record {
            VerifyRecord::Generation(verified) => self.generation(verified),
            VerifyRecord::Files(files) => self.files(files),
            VerifyRecord::DeadLetters { letters, damaged } => self.end(*letters, *damaged),
        }
    }

    fn generation(&mut self, verified: &Verification) -> io::Result<()> {
        let Verification { generation, blocks, events, stored_bytes, problems, more_problems } = verified;
        self.sum.generations += 1;
        self.sum.events += events;
        self.sum.is_damaged |= !verified.is_sound();
        let place = |place: Option<Sequence>| place.map_or_else(|| "-".to_owned(), |place| grouped(place.0));
        let holes = &generation.holes;
        let (state, mark) = match (verified.is_sound(), holes.is_empty()) {
            (true, true) => ("whole".to_owned(), Mark::None),
            (true, false) => (format!("whole but {}", counted(holes.len(), "hole")), Mark::None),
            (false, _) => ("DAMAGED".to_owned(), Mark::Bad),
        };
        self.sum.lost += holes.iter().map(|hole| hole.last.0 - hole.first.0 + 1).sum::<u64>();
        let row = [
            generation.lane.to_string(),
            generation.number.to_string(),
            state,
            grouped(*events),
            place(generation.places.map(|places| places.first)),
            place(generation.places.map(|places| places.last)),
            grouped(*blocks),
            size(*stored_bytes),
        ];
        self.table.marked_row(mark, row)?;
        self.table.flush()?;
        for problem in problems {
            let detail = printable(&problem.detail);
            self.table.text(&format!("    at {}: {detail}", grouped(problem.sequence.0)))?;
        }
        if *more_problems > 0 {
            self.table.text(&format!("    and {}", many(*more_problems, "more problem")))?;
        }
        Ok(())
    }

    fn files(&mut self, FilesVerification { files, damaged }: &FilesVerification) -> io::Result<()> {
        self.sum.files = *files;
        self.sum.is_damaged |= !damaged.is_empty();
        if !damaged.is_empty() {
            self.table.text("")?;
        }
        for damaged in damaged {
            let (file, detail) = (printable(&damaged.file), printable(&damaged.detail));
            self.table.text(&format!("{file} is {}: {detail}", Style::of(&io::stdout()).bad("DAMAGED")))?;
        }
        Ok(())
    }

    fn end(&mut self, letters: u64, damaged: u64) -> io::Result<()> {
        let Sum { generations, events, files, lost, is_damaged } = self.sum;
        let read = format!(
            "{} in {}, {} and {} were read",
            many(events, "event"),
            many(generations, "generation"),
            many(files, "small file"),
            many(letters, "dead letter")
        );
        let good = |text: &str| Style::of(&io::stdout()).good(text);
        let verdict = match (is_damaged, damaged) {
            (false, 0) if lost == 0 => format!("{}: {read}", good("all is whole")),
            (false, 0) => format!(
                "{}: {read}; {} lost to damage before, and announced where not every destination had it",
                good("all that is there is whole"),
                many(lost, "event")
            ),
            (_, 0) => read,
            (_, damaged) => format!("{read}; {} set aside as .damaged", many(damaged, "dead letter")),
        };
        self.table.text(&format!("\n{verdict}"))
    }
}
