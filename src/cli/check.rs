//! `penstock check`: every problem of a configuration at once, and what it would do.

mod plan;
mod reach;

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::{DEFAULT_CONFIG, print};
use crate::config::{self, Config, Purpose};
use crate::exit::Exit;
use crate::terminal::Style;

/// The arguments of `penstock check`.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// The configuration
    #[arg(default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Tell what polling will ask of the devices: requests, registers, bytes
    #[arg(long)]
    plan: bool,
    /// Connect to every source and destination and tell how far that went; nothing is written and nothing published
    #[arg(long)]
    probe: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn execute(self) -> Result<(), Exit> {
        // Whoever is visited must be shown the right password.
        let purpose = if self.probe { Purpose::Run } else { Purpose::Check };
        match config::load(&self.config, purpose) {
            Ok(config) => self.tell(&config),
            Err(report) if self.json => {
                print::line(&format!("{:#}", report.to_json()))?;
                Err(Exit::bad_config(String::new()))
            }
            Err(report) => Err(Exit::bad_config(report.render(Style::of(&io::stderr())))),
        }
    }

    /// What there is to tell of a configuration without an error.
    fn tell(&self, config: &Config) -> Result<(), Exit> {
        let reached = if self.probe { reach::probe(config)? } else { Vec::new() };
        if self.json {
            let mut report = config.warnings.to_json();
            if self.plan {
                report["plan"] = plan::to_json(&config.modbus);
            }
            if self.probe {
                report["reached"] = reach::to_json(&reached);
            }
            print::line(&format!("{report:#}"))?;
            return reach::verdict(&reached);
        }
        if self.plan {
            plan::print(&config.modbus)?;
        }
        if self.probe {
            reach::print(&reached)?;
        }
        print::line(&config.warnings.render(Style::of(&io::stdout())))?;
        reach::verdict(&reached)
    }
}
