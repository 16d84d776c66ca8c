//! Deciding about certificates.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use penstock_adapters::opcua::pki::{Certificate, Rejection, Standing};

use super::{find, look, trust_list};
use crate::cli::confirm::Leave;
use crate::cli::{Configured, print};
use crate::exit::Exit;
use crate::terminal::printable;

/// Trust a server
///
/// The gateway speaks to whoever holds the key of this certificate. Everything else that speaks against the
/// certificate, such as another host name or its end, goes on to be checked.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock trust accept 3fa9
  penstock trust accept --file oven.der --yes")]
pub(in crate::cli) struct Accept {
    /// Which: how its fingerprint begins, such as 3fa9
    #[arg(value_name = "FINGERPRINT", required_unless_present = "file")]
    fingerprint: Option<String>,
    /// One that is not there yet, in DER or PEM form
    #[arg(long, value_name = "FILE", conflicts_with = "fingerprint")]
    file: Option<PathBuf>,
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    leave: Leave,
}

impl Accept {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let list = trust_list(&self.configured)?;
        let certificate = match (&self.file, &self.fingerprint) {
            (Some(file), _) => read(file)?,
            (None, beginning) => {
                let kept = find(&list, beginning.as_deref().unwrap_or_default())?;
                if kept.standing != Standing::Rejected {
                    return print::line("nothing to do: it is trusted, or the gateway's own");
                }
                if !self.leave.dry_run {
                    look::show(&kept)?;
                }
                kept.certificate
            }
        };
        let subject = printable(certificate.subject());
        let fingerprint = certificate.fingerprint();
        if self.leave.dry_run {
            return print::line(&format!("{subject} would be trusted: {fingerprint}"));
        }
        if !self.leave.is_given("Is this the fingerprint that the server shows, and do you trust it?")? {
            return Ok(());
        }
        list.accept(&certificate)?;
        print::line(&format!("{subject} is trusted: {fingerprint}"))
    }
}

fn read(file: &Path) -> Result<Certificate, Exit> {
    let refuse = |why: String| Exit::not_found(format_args!("{}: {why}", file.display()));
    let content = fs::read(file).map_err(|error| refuse(error.to_string()))?;
    Certificate::from_file_content(&content).map_err(|error| refuse(error.to_string()))
}

/// Trust a server no longer
///
/// A connection that is open goes on until it breaks; the next one is refused. The certificate stays among the
/// refused ones.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  penstock trust reject 3fa9")]
pub(in crate::cli) struct Reject {
    /// Which: how its fingerprint begins, such as 3fa9
    #[arg(value_name = "FINGERPRINT")]
    fingerprint: String,
    #[command(flatten)]
    configured: Configured,
    #[command(flatten)]
    leave: Leave,
}

impl Reject {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let list = trust_list(&self.configured)?;
        let kept = find(&list, &self.fingerprint)?;
        let subject = printable(kept.certificate.subject());
        match kept.standing {
            Standing::Trusted => {}
            Standing::Rejected => return print::line("nothing to do: it is not trusted"),
            Standing::Own => return Err(Exit::usage("this is the gateway's own certificate")),
        }
        if self.leave.dry_run {
            return print::line(&format!("{subject} would no longer be trusted"));
        }
        if !self.leave.is_given(&format!("Refuse {subject} from the next connection on?"))? {
            return Ok(());
        }
        let rejection =
            Rejection { presented_by: String::new(), reasons: vec!["an operator refused it".to_owned()] };
        list.withdraw(&kept, &rejection)?;
        print::line(&format!("{subject} is no longer trusted: {}", kept.certificate.fingerprint()))
    }
}
