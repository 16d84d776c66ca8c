//! What a command needs to open sessions at OPC UA servers as the gateway would.

use std::time::Duration;

use penstock_adapters::opcua::pki::Passport;
use penstock_adapters::opcua::{Security, Server};

use super::owner;
use crate::config::{self, Config};
use crate::exit::Exit;

/// The gateway's certificates, for sessions at `servers`. They are made when they are missing.
///
/// # Errors
/// When the gateway could not use the files afterwards, or a password is out of reach of whoever asks: a server must
/// not be shown a wrong one, which counts as an attempt to break in.
pub(super) fn passport(config: &Config, servers: &[Server]) -> Result<Passport, Exit> {
    for server in servers {
        if server.identity.lacks_password() {
            return Err(Exit::no_permission(format_args!(
                "the password for {} is out of reach: ask as the gateway's user",
                server.name
            )));
        }
    }
    if servers.iter().any(|server| server.security != Security::None) {
        owner::may_write("the folder of certificates", &config.pki)?;
    }
    Ok(config::passport(config.pki.clone(), &config.plan.origin))
}

/// How long a server may take to tell the first value of every tag: a connect, and two replies that are late.
pub(super) fn patience(server: &Server) -> Duration {
    server.connect_timeout + 2 * server.request_timeout
}
