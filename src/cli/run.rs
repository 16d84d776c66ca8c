//! `penstock run`: the gateway itself.

use clap::Args;

use super::{Configured, install_cryptography, runtime};
use crate::config::Purpose;
use crate::exit::Exit;
use crate::{gateway, logging};

/// The arguments of `penstock run`.
#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    configured: Configured,
}

impl Run {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let config = self.configured.load(Purpose::Run)?;
        logging::start(&config.log)?;
        install_cryptography();
        Ok(runtime()?.block_on(gateway::run(config))?)
    }
}
