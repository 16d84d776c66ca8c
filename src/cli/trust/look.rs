//! Looking at certificates.

use std::time::SystemTime;

use clap::Args;
use penstock_adapters::opcua::pki::{Expiry, Kept, Standing};
use penstock_events::Timestamp;
use serde::Serialize;

use super::{find, trust_list, word};
use crate::cli::{Configured, print};
use crate::exit::Exit;
use crate::terminal::{Align, Table, moment, printable};

/// As much of a fingerprint as tells it from others, and fits a terminal.
const SHORT: usize = 16;

/// The arguments of `penstock trust list`.
#[derive(Args, Debug)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    configured: Configured,
    /// Answer as JSON, a line for each
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let listing = trust_list(&self.configured)?.list()?;
        for (path, error) in &listing.unreadable {
            eprintln!("penstock: {}: {error}; move it away", path.display());
        }
        if self.json {
            return listing.kept.iter().try_for_each(|kept| print::json(&Record::of(kept)));
        }
        if listing.kept.is_empty() {
            return print::line("no certificates");
        }
        let mut table = Table::stdout(&[
            ("STANDING", Align::Left),
            ("FINGERPRINT", Align::Left),
            ("SINCE", Align::Left),
            ("VALID UNTIL", Align::Left),
            ("SUBJECT", Align::Left),
            ("WHAT SPEAKS AGAINST IT", Align::Left),
        ]);
        for kept in &listing.kept {
            table.row(row(kept)).map_err(|error| print::broken(&error))?;
        }
        table.flush().map_err(|error| print::broken(&error))
    }
}

fn row(kept: &Kept) -> [String; 6] {
    let certificate = &kept.certificate;
    let fingerprint = certificate.fingerprint().to_string();
    [
        word(kept.standing).to_owned(),
        fingerprint[..SHORT].to_owned(),
        moment(kept.since),
        moment(certificate.not_after()),
        certificate.subject().to_owned(),
        against(kept).join("; "),
    ]
}

/// What spoke against it when it was presented last, or what its dates say.
fn against(kept: &Kept) -> Vec<String> {
    if let Some(rejection) = &kept.rejection
        && !rejection.reasons.is_empty()
    {
        return rejection.reasons.clone();
    }
    match (kept.standing, Expiry::of(&kept.certificate, SystemTime::now().into())) {
        (_, Expiry::Over(at)) => vec![format!("it expired at {}", moment(at))],
        (_, Expiry::Soon(at)) => vec![format!("it expires soon, at {}", moment(at))],
        (Standing::Rejected, Expiry::Far) => vec!["nobody has accepted it".to_owned()],
        (_, Expiry::Far) => Vec::new(),
    }
}

/// The arguments of `penstock trust show`.
#[derive(Args, Debug)]
pub(in crate::cli) struct Show {
    /// Which: how its fingerprint begins, such as 3fa9
    #[arg(value_name = "FINGERPRINT")]
    fingerprint: String,
    #[command(flatten)]
    configured: Configured,
    /// Answer as a line of JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn execute(self) -> Result<(), Exit> {
        let kept = find(&trust_list(&self.configured)?, &self.fingerprint)?;
        if self.json { print::json(&Record::of(&kept)) } else { show(&kept) }
    }
}

/// Shows a certificate with all that it says.
pub(super) fn show(kept: &Kept) -> Result<(), Exit> {
    let certificate = &kept.certificate;
    let listed = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let signer = if certificate.issuer() == certificate.subject() { "itself" } else { certificate.issuer() };
    let key = certificate.key_bits().map_or_else(|| "not RSA".to_owned(), |bits| format!("RSA, {bits} bits"));
    let lines = [
        ("standing", word(kept.standing).to_owned()),
        ("fingerprint", certificate.fingerprint().to_string()),
        ("subject", certificate.subject().to_owned()),
        ("issuer", signer.to_owned()),
        ("application", listed(certificate.application_uris())),
        ("hosts", listed(&certificate.hosts())),
        ("valid", format!("{} to {}", moment(certificate.not_before()), moment(certificate.not_after()))),
        ("key", key),
        ("signature", certificate.signature().to_string()),
        ("file", format!("{}, since {}", kept.path.display(), moment(kept.since))),
    ];
    for (label, text) in lines {
        print::line(&format!("{label:<12} {}", printable(&text)))?;
    }
    if let Some(rejection) = &kept.rejection
        && !rejection.presented_by.is_empty()
    {
        print::line(&format!("{:<12} {}", "shown by", printable(&rejection.presented_by)))?;
    }
    against(kept)
        .iter()
        .try_for_each(|reason| print::line(&format!("{:<12} {}", "against it", printable(reason))))
}

/// A certificate as JSON.
#[derive(Serialize)]
struct Record<'a> {
    standing: &'static str,
    fingerprint: String,
    subject: &'a str,
    issuer: &'a str,
    application_uris: &'a [String],
    hosts: Vec<String>,
    not_before: Timestamp,
    not_after: Timestamp,
    key_bits: Option<usize>,
    signature: String,
    file: String,
    since: Timestamp,
    presented_by: Option<&'a str>,
    against: Vec<String>,
}

impl<'a> Record<'a> {
    fn of(kept: &'a Kept) -> Self {
        let certificate = &kept.certificate;
        Self {
            standing: word(kept.standing),
            fingerprint: certificate.fingerprint().to_string(),
            subject: certificate.subject(),
            issuer: certificate.issuer(),
            application_uris: certificate.application_uris(),
            hosts: certificate.hosts(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            key_bits: certificate.key_bits(),
            signature: certificate.signature().to_string(),
            file: kept.path.display().to_string(),
            since: kept.since,
            presented_by: kept.rejection.as_ref().map(|rejection| rejection.presented_by.as_str()),
            against: against(kept),
        }
    }
}
