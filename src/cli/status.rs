//! `penstock status`: how the running gateway is.

use clap::Args;

use super::{Configured, print, runtime};
use crate::api;
use crate::config::Purpose;
use crate::exit::Exit;

/// The arguments of `penstock status`.
#[derive(Args, Debug)]
pub(super) struct Status {
    /// Which gateway
    #[command(flatten)]
    configured: Configured,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let config = self.configured.load(Purpose::Check)?;
        let resource = if self.json { "/status" } else { "/status.txt" };
        let answer = runtime()?.block_on(api::ask(&config.control_socket, resource));
        print::line(answer?.trim_end())
    }
}
