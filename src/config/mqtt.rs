//! The schema of `[[mqtt]]`: a broker that events are delivered to.

use std::path::Path;
use std::time::Duration;

use penstock_buffer::StartAt;
use penstock_events::DestinationName;
use penstock_events::cloudevent::Origin;
use penstock_uplink::mqtt::{
    BrokerAddress, Credentials, DEFAULT_ACK_TIMEOUT, DEFAULT_CONNECT_TIMEOUT, DEFAULT_INFLIGHT,
    DEFAULT_KEEP_ALIVE, IdentityFiles, MAX_INFLIGHT, MAX_TIMEOUT, Security, Settings, SettingsError,
    TlsFiles, TopicPrefix, TopicTemplate, uplink,
};

use super::Purpose;
use super::catalog::Names;
use super::credentials::{self, Login};
use super::setting::Text;
use super::source::Spot;
use super::table::Table;
use super::tls;

const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(1);
/// What MQTT's field holds (MQTT 5.0, section 3.1.2.10).
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(u16::MAX as u64);

impl Text for BrokerAddress {
    const ALLOWED: &'static str = "mqtt://HOST[:1883], or mqtts://HOST[:8883] for TLS";
}

impl Text for TopicPrefix {
    const ALLOWED: &'static str = "levels joined by '/', without wildcards and placeholders";
}

impl Text for TopicTemplate {
    const ALLOWED: &'static str =
        "levels of text and of {prefix}, {site}, {gateway}, {asset}, {type} and {lane}";
}

/// A place that events are delivered to.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// Its name.
    pub(crate) name: DestinationName,
    /// How to reach it.
    pub(crate) settings: Settings,
    /// Where each event is published.
    pub(crate) topic: TopicTemplate,
    /// Where it starts when the buffer does not know it.
    pub(crate) start: StartAt,
}

impl Text for StartAt {
    const ALLOWED: &'static str = "\"newest\" or \"oldest\"";
}

/// What a destination's schema needs to know of the rest.
pub(super) struct Context<'a> {
    /// Whose events they are, if that is known.
    pub(super) origin: Option<&'a Origin>,
    /// Where relative paths start.
    pub(super) folder: &'a Path,
    /// What the configuration is read for.
    pub(super) purpose: Purpose,
}

/// Reads a destination.
pub(super) fn read(table: &Table<'_>, context: &Context<'_>, names: &mut Names) -> Option<Destination> {
    let name_field = table.key("name", "enterprise");
    let name: Option<DestinationName> = name_field.required();
    if let Some(name) = &name {
        names.add(name.as_str(), name_field.spot());
    }
    let broker = table.key("url", "mqtts://broker.example.com:8883").required::<BrokerAddress>();
    let prefix = table.key("prefix", "penstock").or("penstock".parse().expect("a level of plain letters"));
    let topic = table.key("topic", "{prefix}/{site}/{asset}/{type}").or(TopicTemplate::default());
    let start = table.key("start", "oldest").or(StartAt::default());
    let client_id = table.key("client_id", "penstock-edge-01-enterprise").optional::<String>();
    let credentials = credentials(table, context);
    let tls = tls(table, context.folder);
    let inflight = table.key("inflight", "250").or_in(DEFAULT_INFLIGHT, 1..=MAX_INFLIGHT);
    let keep_alive =
        table.key("keep_alive", "30s").or_in(DEFAULT_KEEP_ALIVE, SHORTEST_KEEP_ALIVE..=LONGEST_KEEP_ALIVE);
    let timeouts = SHORTEST_TIMEOUT..=MAX_TIMEOUT;
    let connect_timeout =
        table.key("connect_timeout", "10s").or_in(DEFAULT_CONNECT_TIMEOUT, timeouts.clone());
    let ack_timeout = table.key("ack_timeout", "30s").or_in(DEFAULT_ACK_TIMEOUT, timeouts);

    let (name, broker, origin) = (name?, broker?, context.origin?.clone());
    warn_of_plain_text(table, &broker, credentials.is_some());
    // The destination's name is in it, so that two destinations at one broker do not throw each other out.
    let client_id = client_id.unwrap_or_else(|| format!("penstock-{}-{name}", origin.gateway));
    let settings = Settings {
        tls,
        credentials,
        keep_alive,
        connect_timeout,
        ack_timeout,
        inflight,
        ..Settings::new(broker, client_id, prefix, origin)
    };
    // What only shows when the settings are put to use, such as a certificate that is none. No
    // connection is made.
    if let Err(error) = uplink(settings.clone()) {
        let spot = spot_of(table, &settings.tls, &error);
        let is_tolerable = context.purpose == Purpose::Check && is_out_of_reach(&error);
        if is_tolerable { spot.warning(error.to_string()) } else { spot.error(error.to_string()) }.record();
    }
    Some(Destination { name, settings, topic, start })
}

fn credentials(table: &Table<'_>, context: &Context<'_>) -> Option<Credentials> {
    let Login { username, password } = credentials::login(table, context.folder, context.purpose)?;
    Some(Credentials { username, password })
}

fn tls(table: &Table<'_>, folder: &Path) -> TlsFiles {
    let tls::ClientFiles { ca, identity } = tls::read(table, folder);
    TlsFiles { ca, identity: identity.map(|(certificate, key)| IdentityFiles { certificate, key }) }
}

fn warn_of_plain_text(table: &Table<'_>, broker: &BrokerAddress, has_credentials: bool) {
    if broker.security == Security::Tls {
        return;
    }
    let url = table.key("url", "");
    let is_local = broker.host == "localhost"
        || broker.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if has_credentials && !is_local {
        url.spot()
            .warning("the password goes over the network unencrypted")
            .allowed("mqtts:// for TLS")
            .record();
    }
    tls::warn_of_idle(table, "mqtt://", "mqtts://");
}

/// Whether the service may have what who checks has not.
fn is_out_of_reach(error: &SettingsError) -> bool {
    match error {
        SettingsError::NoSystemRoots { .. } => true,
        SettingsError::Pem { path, .. } => tls::is_out_of_reach(path),
        _ => false,
    }
}

fn spot_of(table: &Table<'_>, tls: &TlsFiles, error: &SettingsError) -> Spot {
    let key = match error {
        SettingsError::ClientId { .. } => "client_id",
        SettingsError::Inflight { .. } => "inflight",
        SettingsError::KeepAlive { .. } => "keep_alive",
        SettingsError::Timeout { .. } => "connect_timeout",
        SettingsError::Identity { .. } => "certificate_file",
        SettingsError::NoSystemRoots { .. } => "ca_file",
        SettingsError::ServerName { .. } => "url",
        SettingsError::Pem { path, .. } => match &tls.identity {
            Some(identity) if identity.certificate == *path => "certificate_file",
            Some(identity) if identity.key == *path => "key_file",
            _ => "ca_file",
        },
    };
    table.key(key, "").spot().clone()
}
