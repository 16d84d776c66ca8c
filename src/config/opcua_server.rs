//! The schema of `[[opcua]]`: a server, and how it is asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use penstock_adapters::opcua::{
    Discard, EndpointUrl, Identity, NodeAddress, Part, Password, Security, Server, Tag, Trigger,
};
use penstock_events::{SourceId, SourceName};

use super::Purpose;
use super::alarms;
use super::catalog::Catalog;
use super::credentials::{self, Login};
use super::opcua_tag::{self, Defaults};
use super::pki;
use super::setting::Text;
use super::table::Table;
use super::tag_list::{self, Incomplete};
use super::tls;

/// Nothing that an event gateway is for happens faster.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// What servers offer and clients ask for by habit.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a subscription may stay silent is a multiple of this: longer and a dead one is found too late.
const LONGEST_PUBLISH: Duration = Duration::from_secs(3600);
/// A secure channel and a session take five round trips, and a small PLC a second for its RSA operations.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A minute: a switch that starts again takes less.
const DEFAULT_SESSION_TIMEOUT: Duration = Duration::from_secs(60);
const SHORTEST_SESSION_TIMEOUT: Duration = Duration::from_secs(1);
const LONGEST_SESSION_TIMEOUT: Duration = Duration::from_secs(3600);
/// A day: a link that broke at night is mended in the morning.
const DEFAULT_HISTORY: Duration = Duration::from_secs(24 * 3600);
const LONGEST_HISTORY: Duration = Duration::from_secs(30 * 24 * 3600);
const LARGEST_SUBSCRIPTION: usize = 100_000;

const TAGS: &str = "tags = [{ name = \"temp\", node = \"nsu=http://plant.example/oven;s=Oven.Temp\" }]";

const ALARMS: &str = "alarms = [{ name = \"alarms\" }]";

impl Text for EndpointUrl {
    const ALLOWED: &'static str = "opc.tcp://HOST[:4840][/PATH]";
}

impl Text for Security {
    const ALLOWED: &'static str = "None, or Basic256Sha256, Aes128-Sha256-RsaOaep or Aes256-Sha256-RsaPss followed by \
                                   /Sign or /SignAndEncrypt";
}

impl Text for NodeAddress {
    const ALLOWED: &'static str =
        "nsu=URI;ID or ns=INDEX;ID, where ID is i=NUMBER, s=TEXT, g=GUID or b=BASE64";
}

impl Text for Part {
    const ALLOWED: &'static str =
        "names of fields with dots between them, and elements such as [1] or [1,2] behind what is an array";
}

/// What a server's schema needs to know of the rest.
pub(super) struct Context<'a> {
    /// Where relative paths start.
    pub(super) folder: &'a Path,
    /// What the configuration is read for.
    pub(super) purpose: Purpose,
}

/// Reads a server; what it declares goes into the catalog.
pub(super) fn read(table: &Table<'_>, context: &Context<'_>, catalog: &mut Catalog) -> Option<Server> {
    let name_field = table.key("name", "oven");
    let (source, name) = catalog.declare_source(name_field.required::<SourceName>(), name_field.spot());
    let endpoint = table.key("endpoint", "opc.tcp://192.168.10.40:4840").required::<EndpointUrl>();
    let security_field = table.key("security", "Basic256Sha256/SignAndEncrypt");
    let security = security_field.required::<Security>();
    let pin = pki::pin(table);
    let identity = identity(table, context);
    if let Some(security) = security
        && let Err(error) = Server::check_identity(security, &identity)
    {
        security_field.spot().error(error.to_string()).allowed("a policy other than None").record();
    }
    let intervals = SHORTEST_INTERVAL..=LONGEST_INTERVAL;
    let publish = table.key("publish", "1s").or_in(DEFAULT_INTERVAL, SHORTEST_INTERVAL..=LONGEST_PUBLISH);
    let poll = table.key("poll", "1s").or_in(DEFAULT_INTERVAL, intervals);
    let timeouts = SHORTEST_TIMEOUT..=LONGEST_TIMEOUT;
    let connect_timeout =
        table.key("connect_timeout", "10s").or_in(DEFAULT_CONNECT_TIMEOUT, timeouts.clone());
    let request_timeout = table.key("request_timeout", "10s").or_in(DEFAULT_REQUEST_TIMEOUT, timeouts);
    let session_timeout = table
        .key("session_timeout", "1m")
        .or_in(DEFAULT_SESSION_TIMEOUT, SHORTEST_SESSION_TIMEOUT..=LONGEST_SESSION_TIMEOUT);
    let history = table.key("history", "24h").or_in(DEFAULT_HISTORY, Duration::ZERO..=LONGEST_HISTORY);
    let subscription_size = table
        .key("subscription_size", "1000")
        .or_in(Server::DEFAULT_SUBSCRIPTION_SIZE, 1..=LARGEST_SUBSCRIPTION);
    let defaults = Defaults::read(table, publish);
    let notifiers = table.tables("alarms", ALARMS, |alarms| alarms::read(alarms, source, catalog));
    let tags = tags(table, source, &defaults, context.folder, catalog);
    Some(Server {
        source,
        name,
        endpoint: endpoint?,
        security: security?,
        pin,
        identity,
        publish,
        poll,
        connect_timeout,
        request_timeout,
        session_timeout,
        history,
        subscription_size,
        tags,
        notifiers,
    })
}

/// A server that no configuration knows, with what a configuration does not have to say.
pub(crate) fn ad_hoc_server(
    name: SourceName,
    endpoint: EndpointUrl,
    security: Security,
    identity: Identity,
) -> Server {
    Server {
        source: SourceId(0),
        name,
        endpoint,
        security,
        pin: None,
        identity,
        publish: DEFAULT_INTERVAL,
        poll: DEFAULT_INTERVAL,
        connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        request_timeout: DEFAULT_REQUEST_TIMEOUT,
        session_timeout: DEFAULT_SESSION_TIMEOUT,
        history: Duration::ZERO,
        subscription_size: Server::DEFAULT_SUBSCRIPTION_SIZE,
        tags: Vec::new(),
        notifiers: Vec::new(),
    }
}

fn identity(table: &Table<'_>, context: &Context<'_>) -> Identity {
    let login = credentials::login(table, context.folder, context.purpose);
    let certificate = tls::identity(table, context.folder);
    match (login, certificate) {
        (None, None) => Identity::Anonymous,
        (Some(Login { username, password }), None) => {
            Identity::UserName { name: username, password: Password::new(password) }
        }
        (None, Some((certificate, key))) => Identity::Certificate { certificate, key },
        (Some(_), Some(_)) => {
            let spot = table.key("certificate_file", "").spot().clone();
            spot.error("the user has a password and a certificate").allowed("one of them").record();
            Identity::Anonymous
        }
    }
}

fn tags(
    table: &Table<'_>,
    source: SourceId,
    defaults: &Defaults,
    folder: &Path,
    catalog: &mut Catalog,
) -> Vec<Tag> {
    let mut tags = table.tables("tags", TAGS, |tag| opcua_tag::read(tag, source, defaults, catalog));
    let list_field = table.key("tags_file", "oven.csv");
    if let Some(list) = list_field.optional::<PathBuf>() {
        let read = tag_list::read(&folder.join(list), list_field.spot(), &opcua_tag::LIST, |row| {
            tags.extend(opcua_tag::read(row, source, defaults, catalog));
        });
        if let Err(Incomplete) = read {
            catalog.mark_incomplete(source);
        }
    }
    if catalog.tags_of(source) == 0 && catalog.is_complete(source) {
        table
            .spot()
            .error("the server has no tags")
            .found("none in `tags`, none in a `tags_file`, and no `alarms`")
            .allowed("at least one tag")
            .example(TAGS)
            .record();
    }
    tags
}

/// The words for what a full queue gives up.
pub(super) const DISCARDS: [(&str, Discard); 2] = [("oldest", Discard::Oldest), ("newest", Discard::Newest)];
/// The words for what counts as a change.
pub(super) const TRIGGERS: [(&str, Trigger); 3] =
    [("status", Trigger::Status), ("value", Trigger::Value), ("timestamp", Trigger::Timestamp)];
