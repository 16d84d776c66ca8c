//! The command line: what can be asked of `penstock`. Each command has a file of its own, with its arguments and
//! what it does.

mod asked;
mod browse;
mod buffer;
mod cause;
mod check;
mod confirm;
mod dead;
mod owner;
mod print;
mod probe;
mod reach;
mod read;
mod run;
mod selecting;
mod session;
mod status;
mod trust;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::config::{self, Config, Purpose};
use crate::exit::Exit;
use crate::terminal::Style;

/// Where plant IT's configuration lies when it is installed as a service.
const DEFAULT_CONFIG: &str = "/etc/penstock/config.toml";
/// Threads for work that blocks: reading the buffer, resolving names, and the commands of operators, which may hold up
/// to four of them for long. Each lane of each destination reads one batch at a time, so more would only wait for the
/// same disk.
const BLOCKING_THREADS: usize = 12;

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
    /// Read tags once, or watch them: asks the devices of the configuration, and writes nothing to them
    Read(read::Read),
    /// Look who answers at an address and what can be read there, for commissioning
    #[command(subcommand)]
    Probe(probe::Probe),
    Browse(browse::Browse),
    /// Ask the running gateway how it is: sources, buffer, destinations
    Status(status::Status),
    /// Look into the buffer, get events out of it, deliver them again
    #[command(subcommand)]
    Buffer(buffer::Buffer),
    /// Decide what becomes of events that a destination refused for good
    #[command(subcommand)]
    Dead(dead::Dead),
    /// Decide which OPC UA servers are trusted, by their certificates
    #[command(subcommand)]
    Trust(trust::Trust),
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
            Command::Read(read) => read.execute(),
            Command::Probe(probe) => probe.execute(),
            Command::Browse(browse) => browse.execute(),
            Command::Status(status) => status.execute(),
            Command::Buffer(buffer) => buffer.execute(),
            Command::Dead(dead) => dead.execute(),
            Command::Trust(trust) => trust.execute(),
        }
    }
}

impl Configured {
    fn load(&self, purpose: Purpose) -> Result<Config, Exit> {
        load(&self.config, purpose)
    }
}

/// The end of a process that was not given a command to carry out: help, the version, or what is wrong with its arguments.
pub(crate) fn no_command(asked: &clap::Error) -> Exit {
    let told = asked.print();
    match (told, asked.use_stderr()) {
        (Err(error), _) => Exit::cannot_write("the terminal", &error),
        (Ok(()), true) => Exit::bad_arguments(),
        (Ok(()), false) => Exit::help(),
    }
}

fn load(path: &Path, purpose: Purpose) -> Result<Config, Exit> {
    config::load(path, purpose).map_err(|report| Exit::bad_config(report.render(Style::of(&io::stderr()))))
}

fn runtime() -> Result<Runtime, Exit> {
    let built = Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build();
    Ok(built.context("cannot start threads")?)
}

/// Gives TLS its cryptography. Called once, before any connection.
fn install_cryptography() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nothing installs a provider before this");
}
