//! `penstock`: the edge gateway. Parse, build, run; the exit status says what kind of end it was.

mod api;
mod cli;
mod config;
mod exit;
mod forward;
mod gateway;
mod ingest;
mod logging;
mod pulse;
mod status;
mod supervise;
mod watchdog;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}
