//! An OPC UA server for a simulated machine: a folder of variables that only the machine writes.
//!
//! It stands on the server of the library whose client the gateway uses, which is why it is one of several peers of
//! the tests and never the only one. What clients may ask for is bounded here and by the library; it is meant for
//! loopback, where everybody may connect.

mod history;
mod identity;
mod space;
mod users;
mod variable;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use opcua::crypto::SecurityPolicy;
use opcua::server::address_space::AddressSpace;
use opcua::server::node_manager::ServerContext;
use opcua::server::node_manager::memory::InMemoryNodeManagerBuilder;
use opcua::server::{ANONYMOUS_USER_TOKEN_ID, Limits, Server, ServerBuilder, ServerEndpoint, ServerHandle};
use opcua::types::{BuildInfo, MessageSecurityMode, NodeId};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use space::{Manager, Space};
use users::Users;

pub use identity::{Identity, NoIdentity, make_user_certificate};
pub use variable::{Change, History, Value, Variable};

/// The namespace of the variables.
pub const NAMESPACE: &str = "urn:plant:oven";
/// The server's own URI, which is in its certificate.
pub const APPLICATION: &str = "urn:plant:oven-server";

const PATH: &str = "/oven";
/// How often the library looks whether something is to be published: what a publishing interval cannot undercut.
const PUBLISH_CHECK_MS: u64 = 10;
/// Sessions at a time: the tests' gateways and a few people who look.
const MAX_SESSIONS: usize = 50;
/// Subscriptions of a session, and publish requests that wait in it: a client that shards has dozens.
const MAX_SUBSCRIPTIONS: usize = 100;
/// Items of a subscription: a benchmark's.
const MAX_ITEMS: usize = 100_000;
/// Values that wait in an item: twenty seconds at fifty changes a second.
const MAX_QUEUE: usize = 1_000;
/// Messages that wait for a client which is away, for each subscription.
const MAX_MESSAGES: usize = 1_000;
/// Values in a message: some hundred kilobytes.
const MAX_VALUES_IN_MESSAGE: u64 = 10_000;

/// The policies that are not broken, each with what signs and, but for one, encrypts.
const SECURED: [(SecurityPolicy, MessageSecurityMode); 4] = [
    (SecurityPolicy::Basic256Sha256, MessageSecurityMode::Sign),
    (SecurityPolicy::Basic256Sha256, MessageSecurityMode::SignAndEncrypt),
    (SecurityPolicy::Aes128Sha256RsaOaep, MessageSecurityMode::SignAndEncrypt),
    (SecurityPolicy::Aes256Sha256RsaPss, MessageSecurityMode::SignAndEncrypt),
];

/// Who may speak to the server, and how.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Everybody, and everybody can listen.
    #[default]
    Open,
    /// With each security policy that is not broken, signed or encrypted. Which clients they are is not asked.
    Secured {
        /// The server's certificate.
        identity: Identity,
        /// Who is let in, by name and password.
        named: Option<(String, String)>,
        /// Who is let in, by certificate: its file. Where there is one, nobody is let in anonymously.
        holder: Option<PathBuf>,
    },
}

/// The server did not start.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The address is not to be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The library refused what it was told.
    #[error("the OPC UA server cannot be set up: {0}")]
    SetUp(String),
}

/// A running server. Dropping it closes the port and every connection.
pub struct OpcUaServer {
    address: SocketAddr,
    handle: ServerHandle,
    manager: Arc<Manager>,
    // Written when a variable comes later, which is once in a life; read at each change.
    ids: RwLock<Vec<NodeId>>,
    _stop: DropGuard,
}

impl OpcUaServer {
    /// Serves `variables` on `listen` (port 0 for a free one). Their namespace comes after `shift` others.
    ///
    /// # Errors
    ///
    /// [`NotStarted`].
    pub async fn start(
        listen: SocketAddr,
        access: Access,
        shift: u16,
        variables: &[Variable],
    ) -> Result<Self, NotStarted> {
        let listener = TcpListener::bind(listen).await.map_err(|error| NotStarted::Listen(listen, error))?;
        let address = listener.local_addr().map_err(|error| NotStarted::Listen(listen, error))?;
        let stop = CancellationToken::new();
        let (server, handle) = built(address, access, shift, stop.clone())?;
        let manager = space::of(handle.node_managers())
            .ok_or_else(|| NotStarted::SetUp("it lost the variables".to_owned()))?;
        let ids = variables.iter().map(|variable| space::add(&manager, variable)).collect();
        tokio::spawn(serve(server, listener));
        Ok(Self { address, handle, manager, ids: RwLock::new(ids), _stop: stop.drop_guard() })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a variable, after those that the server was started with.
    pub fn add(&self, variable: &Variable) {
        let id = space::add(&self.manager, variable);
        self.ids.write().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// Makes changes, in their order. To be called at short intervals even when there are none: items that were made
    /// meanwhile catch up here.
    pub fn publish(&self, changes: &[Change]) {
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        space::publish(&self.manager, self.handle.subscriptions(), &ids, changes);
    }
}

async fn serve(server: Server, listener: TcpListener) {
    if let Err(error) = server.run_with(listener).await {
        eprintln!("the OPC UA server has ended: {error}");
    }
}

fn built(
    address: SocketAddr,
    access: Access,
    shift: u16,
    stop: CancellationToken,
) -> Result<(Server, ServerHandle), NotStarted> {
    let builder = ServerBuilder::new()
        .application_name("oven")
        .application_uri(APPLICATION)
        .product_uri("urn:plant:oven-product")
        .build_info(BuildInfo { product_name: "simulated oven".into(), ..BuildInfo::default() })
        .host(address.ip().to_string())
        .port(address.port())
        .discovery_urls(vec![PATH.to_owned()])
        .subscription_poll_interval_ms(PUBLISH_CHECK_MS)
        .trust_client_certs(true)
        .limits(limits())
        .token(stop)
        .with_node_manager(InMemoryNodeManagerBuilder::new(
            move |context: ServerContext, nodes: &mut AddressSpace| {
                for other in 0..shift {
                    context
                        .type_tree
                        .write()
                        .namespaces_mut()
                        .add_namespace(&format!("urn:plant:other-{other}"));
                }
                Space::furnish(NAMESPACE, &context, nodes)
            },
        ));
    let builder = match access {
        Access::Open => with_endpoints(builder, &[(SecurityPolicy::None, MessageSecurityMode::None)])
            // There are no certificates, and nowhere to look for them.
            .pki_dir("/dev/null")
            .with_authenticator(Arc::new(Users { takes_anonymous: true, ..Users::default() })),
        Access::Secured { identity, named, holder } => {
            let takes_anonymous = holder.is_none();
            let holder = holder.map(|file| identity::thumbprint(&file)).transpose();
            let holder = holder.map_err(|error| NotStarted::SetUp(error.to_string()))?;
            with_endpoints(builder, &SECURED)
                .pki_dir(identity.folder())
                .certificate_path(identity.certificate())
                .private_key_path(identity.key())
                .with_authenticator(Arc::new(Users { takes_anonymous, named, holder }))
        }
    };
    builder.build().map_err(NotStarted::SetUp)
}

fn with_endpoints(builder: ServerBuilder, offers: &[(SecurityPolicy, MessageSecurityMode)]) -> ServerBuilder {
    // The library wants a token named for each endpoint; who is let in is up to `Users`.
    let anybody = [ANONYMOUS_USER_TOKEN_ID.to_owned()];
    offers.iter().fold(builder, |builder, (policy, mode)| {
        builder.add_endpoint(format!("{policy}/{mode}"), ServerEndpoint::new(PATH, *policy, *mode, &anybody))
    })
}

fn limits() -> Limits {
    let mut limits = Limits { max_sessions: MAX_SESSIONS, ..Limits::default() };
    let subscriptions = &mut limits.subscriptions;
    subscriptions.max_subscriptions_per_session = MAX_SUBSCRIPTIONS;
    subscriptions.max_pending_publish_requests = MAX_SUBSCRIPTIONS;
    // Each change is told: there is no sampling between the machine and its subscribers.
    subscriptions.min_sampling_interval_ms = 0.0;
    subscriptions.min_publishing_interval_ms = PUBLISH_CHECK_MS as f64;
    subscriptions.max_monitored_items_per_sub = MAX_ITEMS;
    subscriptions.max_monitored_item_queue_size = MAX_QUEUE;
    subscriptions.max_queued_notifications = MAX_MESSAGES;
    subscriptions.max_notifications_per_publish = MAX_VALUES_IN_MESSAGE;
    limits
}
