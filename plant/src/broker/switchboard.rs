//! Who is connected, who wants what, and what is retained. It decides where a message goes and
//! carries nothing itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rumqttc::mqttbytes::v5::{Publish, RetainForwardRule, SubscribeFilter};
use rumqttc::mqttbytes::{QoS, matches};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::connection::Outbound;

/// The connections of the broker and its retained messages.
#[derive(Debug, Default)]
pub(super) struct Switchboard {
    // Looked into for each message by the connection that received it, never across an await: the
    // waiting is then that connection's, which is the backpressure that is wanted.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: BTreeMap<SessionId, Session>,
    tenants: HashMap<String, Tenant>,
    retained: BTreeMap<Bytes, Publish>,
    last_session: u64,
}

/// One connection's session; it ends with the connection.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct SessionId(u64);

#[derive(Debug)]
struct Session {
    filters: Vec<SubscribeFilter>,
    outbox: mpsc::Sender<Outbound>,
}

/// The connection that holds a client id.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    /// Cancelled when another connection takes the client id over.
    pub(super) evicted: CancellationToken,
    /// Cancelled when the connection has gone and its will has been published.
    pub(super) gone: CancellationToken,
}

impl Tenant {
    fn new() -> Self {
        Self { evicted: CancellationToken::new(), gone: CancellationToken::new() }
    }
}

/// A message for one subscriber.
pub(super) type Delivery = (mpsc::Sender<Outbound>, Publish);

impl Switchboard {
    /// Gives a client id to a connection, and evicts and returns who held it until now.
    pub(super) fn move_in(&self, client_id: &str) -> (Tenant, Option<Tenant>) {
        let tenant = Tenant::new();
        let mut state = self.state();
        let former = state.tenants.insert(client_id.to_owned(), tenant.clone());
        if let Some(former) = &former {
            former.evicted.cancel();
        }
        (tenant, former)
    }

    /// Frees a client id, unless it is another's by now.
    pub(super) fn move_out(&self, client_id: &str, tenant: &Tenant) {
        let mut state = self.state();
        if !tenant.evicted.is_cancelled() {
            state.tenants.remove(client_id);
        }
        tenant.gone.cancel();
    }

    /// Opens a session that delivers to `outbox`.
    pub(super) fn open(&self, outbox: mpsc::Sender<Outbound>) -> SessionId {
        let mut state = self.state();
        state.last_session += 1;
        let id = SessionId(state.last_session);
        state.sessions.insert(id, Session { filters: Vec::new(), outbox });
        id
    }

    /// Closes a session.
    pub(super) fn close(&self, id: SessionId) {
        self.state().sessions.remove(&id);
    }

    /// Adds a valid filter to a session, or replaces the same one, and returns the retained messages
    /// that are due to it (MQTT 5.0, section 3.3.1.3).
    pub(super) fn subscribe(&self, id: SessionId, filter: &SubscribeFilter) -> Vec<Publish> {
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(&id) else { return Vec::new() };
        let known = session.filters.iter().position(|held| held.path == filter.path);
        if let Some(index) = known {
            session.filters.remove(index);
        }
        session.filters.push(filter.clone());
        let due = match filter.retain_forward_rule {
            RetainForwardRule::OnEverySubscribe => true,
            RetainForwardRule::OnNewSubscribe => known.is_none(),
            RetainForwardRule::Never => false,
        };
        let wanted = state.retained.values().filter(|publish| due && wants(filter, &publish.topic));
        wanted.map(|publish| Publish { qos: lower(publish.qos, filter.qos), ..publish.clone() }).collect()
    }

    /// Removes a filter from a session, and says whether it was there.
    pub(super) fn unsubscribe(&self, id: SessionId, path: &str) -> bool {
        let mut state = self.state();
        let Some(session) = state.sessions.get_mut(&id) else { return false };
        let before = session.filters.len();
        session.filters.retain(|filter| filter.path != path);
        session.filters.len() < before
    }

    /// Keeps a message if it is to be retained, and returns one delivery for each session that wants
    /// it: `from` is its publisher.
    pub(super) fn route(&self, from: SessionId, publish: &Publish) -> Vec<Delivery> {
        let mut state = self.state();
        if publish.retain {
            retain(&mut state.retained, publish);
        }
        let deliver = |(&id, session): (&SessionId, &Session)| {
            let wanting =
                |filter: &&SubscribeFilter| wants(filter, &publish.topic) && !(filter.nolocal && id == from);
            let granted = session.filters.iter().filter(wanting).map(|filter| filter.qos).reduce(higher)?;
            let as_published = session.filters.iter().filter(wanting).any(|filter| filter.preserve_retain);
            let message = Publish {
                dup: false,
                qos: lower(publish.qos, granted),
                retain: publish.retain && as_published,
                pkid: 0,
                ..publish.clone()
            };
            Some((session.outbox.clone(), message))
        };
        state.sessions.iter().filter_map(deliver).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An empty payload clears the topic.
fn retain(retained: &mut BTreeMap<Bytes, Publish>, publish: &Publish) {
    if publish.payload.is_empty() {
        retained.remove(&publish.topic);
    } else {
        let kept = Publish { dup: false, pkid: 0, ..publish.clone() };
        retained.insert(publish.topic.clone(), kept);
    }
}

fn wants(filter: &SubscribeFilter, topic: &Bytes) -> bool {
    std::str::from_utf8(topic).is_ok_and(|topic| matches(topic, &filter.path))
}

/// The highest QoS that is granted.
pub(super) const MAX_QOS: QoS = QoS::AtLeastOnce;

/// The lower of two.
pub(super) fn lower(one: QoS, other: QoS) -> QoS {
    if one < other { one } else { other }
}

fn higher(one: QoS, other: QoS) -> QoS {
    if one < other { other } else { one }
}
