//! The command line: what can be asked of `penstock`. Each command has a file of its own, with its arguments and
//! what it does.

mod check;
mod run;
mod status;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::config::{self, Config, Purpose, Style};
use crate::exit::Exit;

/// Where plant IT's configuration lies when it is installed as a service.
const DEFAULT_CONFIG: &str = "/etc/penstock/config.toml";
/// Threads for work that blocks: reading the buffer, resolving names. Each lane of each destination
/// reads one batch at a time, so more would only wait for the same disk.
const BLOCKING_THREADS: usize = 8;

/// Edge gateway: PLC readings become governed events that survive every outage.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT
    Run(run::Run),
    /// Check a configuration and report every problem in it; nothing is started
    Check(check::Check),
    /// Ask the running gateway how it is: sources, buffer, destinations
    Status(status::Status),
}

/// The configuration that a command is about.
#[derive(Args, Debug)]
struct Configured {
    /// The configuration
    #[arg(long, short, default_value = DEFAULT_CONFIG, value_name = "FILE")]
    config: PathBuf,
}

impl Cli {
    /// Does it.
    ///
    /// # Errors
    /// How the process ends when it is not with success.
    pub(crate) fn execute(self) -> Result<(), Exit> {
        match self.command {
            Command::Run(run) => run.execute(),
            Command::Check(check) => check.execute(),
            Command::Status(status) => status.execute(),
        }
    }
}

impl Configured {
    fn load(&self, purpose: Purpose) -> Result<Config, Exit> {
        load(&self.config, purpose)
    }
}

fn load(path: &Path, purpose: Purpose) -> Result<Config, Exit> {
    config::load(path, purpose).map_err(|report| Exit::bad_config(report.render(Style::of(&io::stderr()))))
}

fn runtime() -> Result<Runtime, Exit> {
    let built = Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build();
    Ok(built.context("cannot start threads")?)
}
