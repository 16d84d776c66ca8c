//! `penstock trust`: which OPC UA servers are trusted, by their certificates.
//!
//! The commands work on the folder itself. A running gateway reads it for every connection, so what is decided
//! holds from its next attempt on.

mod decide;
mod look;

use clap::Subcommand;
use penstock_adapters::opcua::pki::{Kept, Standing, TrustList};

use super::Configured;
use crate::config::Purpose;
use crate::exit::Exit;

/// Which OPC UA servers to trust.
///
/// A server that shows a certificate which nobody accepted is refused, and its certificate is kept with the reason.
/// Compare its fingerprint with the one that the server's own tool shows before you accept it.
#[derive(Debug, Subcommand)]
pub(super) enum Trust {
    /// List the certificates: the gateway's own, those that are trusted and those that were refused
    List(look::List),
    /// Show one with all that it says, and what speaks against it
    Show(look::Show),
    /// Trust one, which was refused or comes in a file
    Accept(decide::Accept),
    /// Trust one no longer
    Reject(decide::Reject),
}

impl Trust {
    pub(super) fn execute(self) -> Result<(), Exit> {
        match self {
            Self::List(list) => list.execute(),
            Self::Show(show) => show.execute(),
            Self::Accept(accept) => accept.execute(),
            Self::Reject(reject) => reject.execute(),
        }
    }
}

fn trust_list(configured: &Configured) -> Result<TrustList, Exit> {
    Ok(TrustList::at(&configured.load(Purpose::Check)?.pki))
}

/// The one certificate whose fingerprint begins with `beginning`.
fn find(list: &TrustList, beginning: &str) -> Result<Kept, Exit> {
    let digits: String = beginning.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    let begins = |kept: &Kept| kept.certificate.fingerprint().to_string().starts_with(&digits);
    let mut found: Vec<Kept> = list.list()?.kept.into_iter().filter(begins).collect();
    found.dedup_by_key(|kept| kept.certificate.fingerprint());
    match (digits.is_empty(), found.len()) {
        (false, 1) => Ok(found.remove(0)),
        (_, 0) => Err(Exit::not_found(format_args!(
            "no certificate has a fingerprint that begins with {beginning:?}; `penstock trust list` shows them"
        ))),
        (_, several) => Err(Exit::usage(format_args!(
            "{several} certificates have a fingerprint that begins with {beginning:?}; give more of it"
        ))),
    }
}

const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Own => "own",
        Standing::Trusted => "trusted",
        Standing::Rejected => "refused",
    }
}
