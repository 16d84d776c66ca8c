//! `penstock check`: every problem of a configuration at once.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::DEFAULT_CONFIG;
use crate::config::{self, Purpose, Report};
use crate::exit::Exit;
use crate::terminal::Style;

/// The arguments of `penstock check`.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// The configuration
    #[arg(default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let loaded = config::load(&self.config, Purpose::Check);
        let is_good = loaded.is_ok();
        let report: Report = loaded.map_or_else(|report| report, |config| config.warnings);
        match (self.json, is_good) {
            (true, _) => println!("{:#}", report.to_json()),
            (false, true) => println!("{}", report.render(Style::of(&io::stdout()))),
            (false, false) => return Err(Exit::bad_config(report.render(Style::of(&io::stderr())))),
        }
        if is_good { Ok(()) } else { Err(Exit::bad_config(String::new())) }
    }
}
