//! What is told of an OPC UA server beside the table: for people, and for programs.

use std::time::SystemTime;

use penstock_adapters::opcua::pki::{Certificate, Expiry};
use penstock_adapters::opcua::{Login, Offer, SlowedTag};
use penstock_events::Timestamp;
use serde_json::{Value, json};

use super::server::{Report, Slower, line_of};
use crate::cli::cause::in_words;
use crate::terminal::{Style, counted, moment, printable};

/// How many bad tags are named.
const MOST_TAGS: usize = 20;
const LABEL: usize = 13;

impl Report {
    /// Lines below the server's name.
    pub(super) fn lines(&self, style: Style) -> Vec<String> {
        let now = SystemTime::now().into();
        let mut lines = Vec::new();
        let mut say = |label: &str, texts: Vec<String>| {
            for (place, text) in texts.into_iter().enumerate() {
                let label = if place == 0 { label } else { "" };
                lines.push(format!("  {label:<LABEL$}{text}"));
            }
        };
        say("offers", self.offers());
        if let Some(presented) = &self.discovery.certificate {
            let standing = if presented.is_trusted { "trusted" } else { "not trusted" };
            let mut texts = vec![format!("{}, {standing}", described(&presented.certificate, now, style))];
            texts.extend(presented.against.iter().map(|reason| style.bad(&printable(reason))));
            say("certificate", texts);
        }
        if let Some(own) = &self.discovery.own {
            say("our own", vec![described(own, now, style)]);
        }
        let named = self.bad.iter().take(MOST_TAGS);
        let width = named.clone().map(|(tag, _)| tag.chars().count()).max().unwrap_or_default();
        let mut texts: Vec<String> = named
            .map(|(tag, cause)| {
                let why = cause.map_or_else(|| "no value in time".to_owned(), in_words);
                format!("{tag:<width$}  {}", style.doubtful(&why))
            })
            .collect();
        if self.bad.len() > MOST_TAGS {
            texts.push(format!("and {} more", self.bad.len() - MOST_TAGS));
        }
        say("bad tags", texts);
        say("slower", self.slower.iter().flat_map(Slower::lines).collect());
        lines
    }

    fn offers(&self) -> Vec<String> {
        let offers = &self.discovery.offers;
        let width = offers.iter().map(|offer| offer.name.chars().count()).max().unwrap_or_default();
        let line = |offer: &Offer| {
            let mark = if offer.is_configured { '*' } else { ' ' };
            let users: Vec<&str> = offer.users.iter().map(|user| user.as_str()).collect();
            let users = match offer.security {
                None => "not spoken here".to_owned(),
                Some(_) if users.is_empty() => "nobody can log in safely".to_owned(),
                Some(_) => users.join(", "),
            };
            format!("{mark} {:<width$}  {users}", printable(&offer.name))
        };
        offers.iter().map(line).collect()
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> Value {
        let offer = |offer: &Offer| {
            json!({
                "security": offer.name,
                "spoken": offer.security.is_some(),
                "users": offer.users.iter().map(|user| Login::as_str(*user)).collect::<Vec<_>>(),
                "configured": offer.is_configured,
                "write": offer.security.map(line_of),
            })
        };
        let certificate = |certificate: &Certificate| {
            json!({
                "fingerprint": certificate.fingerprint().to_string(),
                "subject": certificate.subject(),
                "not_after": certificate.not_after().to_string(),
            })
        };
        let presented = self.discovery.certificate.as_ref().map(|presented| {
            let mut told = certificate(&presented.certificate);
            told["trusted"] = presented.is_trusted.into();
            told["against"] = presented.against.clone().into();
            told
        });
        let bad = |(tag, cause): &(String, Option<penstock_events::Cause>)| {
            json!({
                "tag": tag,
                "cause": cause.map(|cause| cause.to_string()),
                "detail": cause.map_or_else(|| "no value in time".to_owned(), in_words),
            })
        };
        json!({
            "offers": self.discovery.offers.iter().map(offer).collect::<Vec<_>>(),
            "certificate": presented,
            "own_certificate": self.discovery.own.as_ref().map(certificate),
            "tags": self.tags,
            "bad_tags": self.bad.iter().map(bad).collect::<Vec<_>>(),
            "slower": self.slower.as_ref().map(Slower::to_json),
        })
    }
}

/// Its fingerprint and its end, which stands out when it is near.
fn described(certificate: &Certificate, now: Timestamp, style: Style) -> String {
    let end = moment(certificate.not_after());
    let validity = match Expiry::of(certificate, now) {
        Expiry::Far => format!("valid until {end}"),
        Expiry::Soon(_) => style.doubtful(&format!("expires soon, at {end}")),
        Expiry::Over(_) => style.bad(&format!("expired at {end}")),
    };
    format!("{}, {validity}", certificate.fingerprint())
}

impl Slower {
    fn lines(&self) -> Vec<String> {
        let publishes = self.publish_ms.map(|ms| format!("it publishes every {ms} ms only"));
        let samples = self.slowest.as_ref().map(|SlowedTag { tag, asked_ms, granted_ms }| {
            let tags = counted(self.tags, "tag");
            format!("it looks at {tags} less often than asked for: at {tag} every {granted_ms} ms, not {asked_ms} ms")
        });
        publishes.into_iter().chain(samples).collect()
    }

    fn to_json(&self) -> Value {
        json!({ "publish_ms": self.publish_ms, "slowed_tags": self.tags, "slowest": self.slowest })
    }
}
