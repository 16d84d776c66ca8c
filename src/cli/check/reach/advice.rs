//! What to do about an OPC UA server that cannot be used as it is configured. Pure.

use penstock_adapters::opcua::{Login, Offer, Server};
use penstock_events::Cause;

use super::server::{Report, line_of, user_of};
use crate::terminal::counted;

/// What to do, if anything is known.
pub(super) fn of(server: &Server, report: &Report, is_reached: bool) -> Option<String> {
    let discovery = &report.discovery;
    if !is_reached {
        return Some("Is it on, are name and port right, is a firewall in between?".to_owned());
    }
    if !discovery.answers {
        return Some("Is it an OPC UA server, and is its port the one for opc.tcp?".to_owned());
    }
    if let Some(presented) = discovery.certificate.as_ref().filter(|presented| !presented.against.is_empty())
    {
        let fingerprint = presented.certificate.fingerprint().to_string();
        return Some(if presented.is_trusted {
            "Its certificate is trusted, and refused for what speaks against it below.".to_owned()
        } else {
            format!(
                "Compare its fingerprint with the server's, then `penstock trust accept {}`.",
                &fingerprint[..16]
            )
        });
    }
    if discovery.trouble.is_some() {
        return Some(what_to_write(server, &discovery.offers));
    }
    (!report.bad.is_empty()).then(|| {
        format!("`penstock browse {0}` shows what there is, `penstock read {0}` every tag.", server.name)
    })
}

/// The lines for what the server does offer.
fn what_to_write(server: &Server, offers: &[Offer]) -> String {
    let user = user_of(server);
    let spoken = || offers.iter().filter_map(|offer| Some((offer.security?, offer)));
    if let Some((security, _)) = spoken().find(|(_, offer)| offer.users.contains(&user)) {
        return format!("Write  {}", line_of(security));
    }
    let Some((security, offer)) = spoken().find(|(_, offer)| !offer.users.is_empty()) else {
        return "Nothing that it offers is spoken here: let it offer Basic256Sha256 to users of some kind."
            .to_owned();
    };
    let login = match offer.users.first() {
        Some(Login::UserName) => "username = \"…\" and password = { file = \"…\" }",
        Some(Login::Certificate) => "certificate_file = \"…\" and key_file = \"…\"",
        Some(Login::Anonymous) | None => "no username, password or certificate_file",
    };
    format!("Write  {}  with {login}", line_of(security))
}

/// `2 of 8 tags not good`; none when all are.
pub(super) fn tags_in_words(bad: &[(String, Option<Cause>)], all: usize) -> Option<String> {
    (!bad.is_empty()).then(|| format!("{} of {} not good", bad.len(), counted(all, "tag")))
}
