//! `penstock buffer status`.

use std::io;

use clap::Args;
use penstock_buffer::{Condition, DeadLetterCount, GenerationInfo, Replay, ReplayState};
use penstock_events::Lane;

use crate::cli::reach::{Reach, parse};
use crate::cli::{Configured, print};
use crate::desk::{Request, StatusRecord};
use crate::exit::Exit;
use crate::terminal::{Align, Bar, Style, Table, counted, grouped, many, moment, printable, size};

/// The arguments of `penstock buffer status`.
#[derive(Args, Debug)]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    configured: Configured,
    /// List every generation too: what is stored, sealed and deleted as one
    #[arg(long)]
    generations: bool,
    /// Answer as one line of JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let mut reach = Reach::of(&self.configured)?;
        let mut bar = Bar::new("looking", "events");
        reach.ask(&Request::Status, &mut bar, |json| {
            if self.json { print::line(&json) } else { show(&parse(&json)?, self.generations) }
        })
    }
}

fn show(status: &StatusRecord, with_generations: bool) -> Result<(), Exit> {
    print::line(&headline(status))?;
    let shown = lanes(status)
        .and_then(|()| destinations(status))
        .and_then(|()| replays(status))
        .and_then(|()| if with_generations { generations(&status.generations) } else { Ok(()) });
    shown.map_err(|error| print::broken(&error))
}

fn headline(status: &StatusRecord) -> String {
    let style = Style::of(&io::stdout());
    let condition = match &status.condition {
        Condition::Accepting if status.running => style.good("accepting events"),
        Condition::Accepting => "in order".to_owned(),
        Condition::Full => style.bad("FULL: polling waits until a destination takes events"),
        Condition::Suspended(outage) => {
            style.bad(&printable(&format!("SUSPENDED: {outage}; the disk is tried again")))
        }
        Condition::Failed(reason) => style.bad(&printable(&format!("FAILED: {reason}"))),
    };
    let gateway = if status.running { "running" } else { "not running" };
    let shed = match status.shed_events {
        0 => String::new(),
        events => style.doubtful(&format!("; {} given up (see gateway.gap)", many(events, "event"))),
    };
    format!("buffer of {} ({gateway}): {condition}{shed}", status.gateway)
}

fn lanes(status: &StatusRecord) -> io::Result<()> {
    print_blank()?;
    let mut table = Table::stdout(&[
        ("LANE", Align::Left),
        ("EVENTS", Align::Right),
        ("FIRST", Align::Right),
        ("LAST", Align::Right),
        ("SIZE", Align::Right),
        ("GENERATIONS", Align::Right),
        ("FROM", Align::Left),
        ("UNTIL", Align::Left),
    ]);
    for record in &status.lanes {
        let lane = &record.status;
        let events: u64 = of_lane(&status.generations, record.lane).map(|one| one.events).sum();
        let time = |time: Option<_>| time.map_or_else(|| "-".to_owned(), moment);
        table.row([
            record.lane.to_string(),
            grouped(events),
            grouped(lane.first_retained.0),
            grouped(lane.head.0),
            size(lane.stored_bytes),
            grouped(lane.generations as u64),
            time(record.earliest),
            time(record.latest),
        ])?;
    }
    table.flush()
}

fn destinations(status: &StatusRecord) -> io::Result<()> {
    print_blank()?;
    let mut table = Table::stdout(&[
        ("DESTINATION", Align::Left),
        ("LANE", Align::Left),
        ("DELIVERED", Align::Right),
        ("WAITING", Align::Right),
        ("DEAD LETTERS", Align::Left),
    ]);
    for destination in &status.destinations {
        let name = destination.name.to_string();
        let dead = dead_letters(destination.dead_letters);
        if !destination.configured {
            let name = format!("{name} (not configured)");
            table.row([name, "-".to_owned(), "-".to_owned(), "-".to_owned(), dead.clone()])?;
        }
        for (at, delivery) in destination.lanes.iter().enumerate() {
            let is_first = at == 0;
            table.row([
                if is_first { name.clone() } else { String::new() },
                delivery.lane.to_string(),
                grouped(delivery.status.cursor.0),
                grouped(delivery.status.backlog),
                if is_first { dead.clone() } else { String::new() },
            ])?;
        }
    }
    table.flush()
}

fn dead_letters(count: DeadLetterCount) -> String {
    let DeadLetterCount { letters, retrying, damaged } = count;
    let mut parts = vec![grouped(letters)];
    if retrying > 0 {
        parts.push(format!("{} to be sent again", grouped(retrying)));
    }
    if damaged > 0 {
        parts.push(format!("{} damaged", grouped(damaged)));
    }
    parts.join(", ")
}

fn replays(status: &StatusRecord) -> io::Result<()> {
    if status.replays.is_empty() {
        return Ok(());
    }
    print_blank()?;
    let mut table = Table::stdout(&[
        ("REPLAY", Align::Right),
        ("TO", Align::Left),
        ("STATE", Align::Left),
        ("LOOKED AT", Align::Right),
        ("DELIVERED", Align::Right),
        ("REFUSED", Align::Right),
        ("MISSED", Align::Right),
        ("ORDERED", Align::Left),
        ("ENDED", Align::Left),
    ]);
    for replay in &status.replays {
        table.row([
            replay.id.to_string(),
            replay.order.destination.to_string(),
            state(replay, status.running).to_owned(),
            progress(replay),
            grouped(replay.delivered),
            grouped(replay.refused),
            grouped(replay.missed),
            moment(replay.ordered),
            replay.ended.map_or_else(|| "-".to_owned(), moment),
        ])?;
    }
    table.flush()
}

fn state(replay: &Replay, is_running: bool) -> &'static str {
    match (replay.state, is_running) {
        (ReplayState::Active, true) => "under way",
        (ReplayState::Active, false) => "at the next start",
        (ReplayState::Done, _) => "done",
        (ReplayState::Cancelled, _) => "cancelled",
    }
}

fn progress(replay: &Replay) -> String {
    let (done, all) = replay.progress();
    let percent = u128::from(done) * 100 / u128::from(all.max(1));
    format!("{} of {} ({percent} %)", grouped(done), grouped(all))
}

fn generations(generations: &[GenerationInfo]) -> io::Result<()> {
    print_blank()?;
    let mut table = Table::stdout(&GENERATION);
    generations.iter().try_for_each(|one| table.row(generation_row(one)))?;
    table.flush()
}

/// The columns of a table of generations.
pub(super) const GENERATION: [(&str, Align); 8] = [
    ("LANE", Align::Left),
    ("GENERATION", Align::Right),
    ("STATE", Align::Left),
    ("EVENTS", Align::Right),
    ("FIRST", Align::Right),
    ("LAST", Align::Right),
    ("SIZE", Align::Right),
    ("UNTIL", Align::Left),
];

/// The row of a generation in it.
pub(super) fn generation_row(one: &GenerationInfo) -> [String; 8] {
    let state = match (one.sealed, one.delivered) {
        (false, _) => "grows",
        (true, true) => "delivered",
        (true, false) => "waiting",
    };
    let holes =
        if one.holes.is_empty() { String::new() } else { format!(", {}", counted(one.holes.len(), "hole")) };
    let dash = || "-".to_owned();
    [
        one.lane.to_string(),
        one.number.to_string(),
        format!("{state}{holes}"),
        grouped(one.events),
        one.places.map_or_else(dash, |places| grouped(places.first.0)),
        one.places.map_or_else(dash, |places| grouped(places.last.0)),
        size(one.stored_bytes),
        one.latest.map_or_else(dash, moment),
    ]
}

fn of_lane(generations: &[GenerationInfo], lane: Lane) -> impl Iterator<Item = &GenerationInfo> {
    generations.iter().filter(move |one| one.lane == lane)
}

fn print_blank() -> io::Result<()> {
    io::Write::write_all(&mut io::stdout(), b"\n")
}
