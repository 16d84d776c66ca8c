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

use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use cli::{Cli, Command, Configured};
use config::{Config, Purpose, Report, Style};
use exit::Exit;

/// Threads for work that blocks: reading the buffer, resolving names. Each lane of each destination
/// reads one batch at a time, so more would only wait for the same disk.
const BLOCKING_THREADS: usize = 8;

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}

fn execute(command: Command) -> Result<(), Exit> {
    match command {
        Command::Run(Configured { config }) => {
            let config = load(&config, Purpose::Run)?;
            logging::start(&config.log)?;
            rustls::crypto::ring::default_provider()
                .install_default()
                .expect("nothing installs a provider before this");
            Ok(runtime()?.block_on(gateway::run(config))?)
        }
        Command::Check { config, json } => check(&config, json),
        Command::Status { configured, json } => {
            let config = load(&configured.config, Purpose::Check)?;
            let resource = if json { "/status" } else { "/status.txt" };
            let answer = runtime()?.block_on(api::ask(&config.control_socket, resource));
            println!("{}", answer.map_err(Exit::unavailable)?.trim_end());
            Ok(())
        }
    }
}

fn load(path: &Path, purpose: Purpose) -> Result<Config, Exit> {
    config::load(path, purpose).map_err(|report| Exit::bad_config(report.render(Style::of(&io::stderr()))))
}

fn check(path: &Path, json: bool) -> Result<(), Exit> {
    let loaded = config::load(path, Purpose::Check);
    let is_good = loaded.is_ok();
    let report: Report = loaded.map_or_else(|report| report, |config| config.warnings);
    match (json, is_good) {
        (true, _) => println!("{:#}", report.to_json()),
        (false, true) => println!("{}", report.render(Style::of(&io::stdout()))),
        (false, false) => return Err(Exit::bad_config(report.render(Style::of(&io::stderr())))),
    }
    if is_good { Ok(()) } else { Err(Exit::bad_config(String::new())) }
}

fn runtime() -> Result<Runtime, Exit> {
    let built = Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build();
    Ok(built.context("cannot start threads")?)
}
