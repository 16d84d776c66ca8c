//! `penstock`: the edge gateway. Parse, build, run; the exit status says what kind of end it was.

mod api;
mod cli;
mod config;
mod desk;
mod exit;
mod forward;
mod gateway;
mod ingest;
mod logging;
mod pulse;
mod status;
mod supervise;
mod terminal;
mod watchdog;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use exit::Exit;

fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => cli.execute(),
        Err(asked) => Err(cli::no_command(&asked)),
    };
    done.map_or_else(Exit::report, |()| ExitCode::SUCCESS)
}
