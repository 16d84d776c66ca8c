//! The command line: what can be asked of `penstock`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Where plant IT's configuration lies when it is installed as a service.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/penstock/config.toml";

/// Edge gateway: PLC readings become governed events that survive every outage.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway until SIGTERM or SIGINT
    Run(Configured),
    /// Check a configuration and report every problem in it; nothing is started
    Check {
        /// The configuration
        #[arg(default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// Report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask the running gateway how it is: sources, buffer, destinations
    Status {
        /// Which gateway
        #[command(flatten)]
        configured: Configured,
        /// Answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// The configuration that a command is about.
#[derive(Args, Debug)]
pub(crate) struct Configured {
    /// The configuration
    #[arg(long, short, default_value = DEFAULT_CONFIG, value_name = "FILE")]
    pub(crate) config: PathBuf,
}
