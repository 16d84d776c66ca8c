//! `penstock run`: the gateway itself.

use clap::Args;

use super::{Configured, runtime};
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
        rustls::crypto::ring::default_provider()
            .install_default()
            .expect("nothing installs a provider before this");
        Ok(runtime()?.block_on(gateway::run(config))?)
    }
}
