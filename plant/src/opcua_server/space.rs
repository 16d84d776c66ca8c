//! The oven's folder in the server's address space: what is read of it, and every change to whoever subscribed.
//!
//! The library reads an item's first value and makes the item in two steps, and tells nobody of a change between
//! them. So the only writer there is catches up on what an item missed, before the next change: what a subscriber is
//! told is what happened, whole and in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opcua::server::address_space::{AddressSpace, NodeType, VariableBuilder};
use opcua::server::diagnostics::NamespaceMetadata;
use opcua::server::node_manager::memory::{InMemoryNodeManager, InMemoryNodeManagerImpl};
use opcua::server::node_manager::{HistoryNode, RequestContext, ServerContext};
use opcua::server::notify::SubscriptionDataNotifier;
use opcua::server::{ContinuationPoint, CreateMonitoredItem, MonitoredItemHandle, SubscriptionCache};
use opcua::sync::{Mutex, RwLock};
use opcua::types::{
    AttributeId, DataEncoding, DataValue, DateTime, HistoryData, NodeId, NumericRange, ObjectId,
    QualifiedName, ReadRawModifiedDetails, StatusCode, TimestampsToReturn, VariableTypeId,
};

use super::history::{Past, Span};
use super::variable::{Change, History, Variable};

/// How long an item may take to be made. The library makes it at once, unless its subscription is gone.
const MADE_WITHIN: Duration = Duration::from_secs(10);

/// The folder's name, in its node id and in the tree.
const FOLDER: &str = "Oven";

pub(super) type Manager = InMemoryNodeManager<Space>;

/// What the library asks about the folder.
pub(super) struct Space {
    namespace: NamespaceMetadata,
    // Requests of clients and the one writer meet here for moments; a task between them would only add waiting.
    pasts: RwLock<HashMap<NodeId, Past>>,
    newcomers: Mutex<Vec<Newcomer>>,
}

/// An item that may have missed something.
struct Newcomer {
    node: NodeId,
    item: MonitoredItemHandle,
    /// The time of the last value that it was told.
    told: DateTime,
    since: Instant,
}

impl Space {
    /// An empty folder in the namespace `uri`.
    pub(super) fn furnish(uri: &str, context: &ServerContext, space: &mut AddressSpace) -> Self {
        let index = context.type_tree.write().namespaces_mut().add_namespace(uri);
        space.add_namespace(uri, index);
        let folder = NodeId::new(index, FOLDER);
        space.add_folder(&folder, QualifiedName::new(index, FOLDER), FOLDER, &ObjectId::ObjectsFolder.into());
        let namespace =
            NamespaceMetadata { namespace_uri: uri.to_owned(), namespace_index: index, ..Default::default() };
        Self { namespace, pasts: RwLock::default(), newcomers: Mutex::default() }
    }

    fn id(&self, name: &str) -> NodeId {
        NodeId::new(self.namespace.namespace_index, name)
    }

    /// Tells the items that were made meanwhile what they missed.
    fn catch_up(
        &self,
        nodes: &AddressSpace,
        pasts: &HashMap<NodeId, Past>,
        notifier: &mut SubscriptionDataNotifier<'_>,
    ) {
        self.newcomers.lock().retain(|one| {
            let is_awaited = one.since.elapsed() < MADE_WITHIN;
            let Some(mut told) = notifier.notify_for(&one.node, AttributeId::Value) else {
                return is_awaited;
            };
            if !told.entries().any(|(item, _)| *item == one.item) {
                return is_awaited;
            }
            let missed = match pasts.get(&one.node) {
                Some(past) => past.after(one.told),
                None => held(nodes, &one.node)
                    .filter(|value| value.source_timestamp > Some(one.told))
                    .into_iter()
                    .collect(),
            };
            for value in missed {
                told.data_value_to_item(value, &one.item);
            }
            false
        });
    }

    fn welcome(&self, node: &NodeId, item: MonitoredItemHandle, told: &DataValue) {
        let told = told.source_timestamp.unwrap_or_else(DateTime::null);
        self.newcomers.lock().push(Newcomer { node: node.clone(), item, told, since: Instant::now() });
    }
}

/// Adds a variable, and returns its node id.
pub(super) fn add(manager: &Manager, variable: &Variable) -> NodeId {
    let space = manager.inner();
    let id = space.id(&variable.name);
    let first = variable.value.since(variable.since_us);
    let name = variable.name.as_str();
    let mut builder =
        VariableBuilder::new(&id, QualifiedName::new(space.namespace.namespace_index, name), name)
            .data_type(variable.value.data_type())
            .value_rank(variable.value.rank())
            .has_type_definition(VariableTypeId::BaseDataVariableType)
            .component_of(space.id(FOLDER));
    if variable.history == History::Kept {
        builder = builder.historizing(true).history_readable();
        let mut past = Past::default();
        past.push(first.clone());
        space.pasts.write().insert(id.clone(), past);
    }
    let mut nodes = manager.address_space().write();
    builder.insert(&mut *nodes);
    if let Some(NodeType::Variable(node)) = nodes.find_mut(&id) {
        node.set_data_value(first);
    }
    drop(nodes);
    id
}

/// Makes changes to the variables `ids`, and tells those who subscribed of each.
pub(super) fn publish(
    manager: &Manager,
    subscriptions: &SubscriptionCache,
    ids: &[NodeId],
    changes: &[Change],
) {
    let mut nodes = manager.address_space().write();
    let mut pasts = manager.inner().pasts.write();
    // While there is a notifier no item is made, and what it is given is told in that order.
    let mut notifier = subscriptions.data_notifier();
    manager.inner().catch_up(&nodes, &pasts, &mut notifier);
    for change in changes {
        let id = &ids[change.variable];
        let value = change.value.since(change.at_us);
        if let Some(past) = pasts.get_mut(id) {
            past.push(value.clone());
        }
        if let Some(mut told) = notifier.notify_for(id, AttributeId::Value) {
            told.data_value(value.clone());
        }
        if let Some(NodeType::Variable(node)) = nodes.find_mut(id) {
            node.set_data_value(value);
        }
    }
}

fn held(nodes: &AddressSpace, id: &NodeId) -> Option<DataValue> {
    let NodeType::Variable(node) = nodes.find(id)? else { return None };
    let whole = NumericRange::None;
    Some(node.value(TimestampsToReturn::Both, &whole, &DataEncoding::Binary, 0.0))
}

#[async_trait]
impl InMemoryNodeManagerImpl for Space {
    async fn init(&self, _space: &mut AddressSpace, _context: ServerContext) {}

    fn name(&self) -> &str {
        FOLDER
    }

    fn namespaces(&self) -> Vec<NamespaceMetadata> {
        vec![self.namespace.clone()]
    }

    async fn create_value_monitored_items(
        &self,
        _context: &RequestContext,
        space: &RwLock<AddressSpace>,
        items: &mut [&mut &mut CreateMonitoredItem],
    ) {
        let nodes = space.read();
        for item in items {
            let node = item.item_to_monitor().node_id.clone();
            let Some(value) = held(&nodes, &node) else {
                item.set_status(StatusCode::BadNodeIdUnknown);
                continue;
            };
            self.welcome(&node, item.handle(), &value);
            item.set_initial_value(value);
            item.set_status(StatusCode::Good);
        }
    }

    async fn history_read_raw_modified(
        &self,
        _context: &RequestContext,
        details: &ReadRawModifiedDetails,
        nodes: &mut [&mut &mut HistoryNode],
        _timestamps: TimestampsToReturn,
    ) -> Result<(), StatusCode> {
        if details.is_read_modified {
            return Err(StatusCode::BadHistoryOperationUnsupported);
        }
        let pasts = self.pasts.read();
        for node in nodes {
            let Some(past) = pasts.get(node.node_id()) else {
                node.set_status(StatusCode::BadHistoryOperationUnsupported);
                continue;
            };
            let skip = node.continuation_point().and_then(|point| point.get::<usize>()).copied();
            let skip = skip.unwrap_or_default();
            let most = details.num_values_per_node as usize;
            let (values, has_more) =
                past.values(Span { start: details.start_time, end: details.end_time, most, skip });
            let next = has_more.then(|| ContinuationPoint::new(Box::new(skip + values.len())));
            node.set_next_continuation_point(next);
            // Good even when there is nothing in the span: the variable has a history.
            node.set_status(StatusCode::Good);
            node.set_result(HistoryData { data_values: Some(values) });
        }
        Ok(())
    }
}

/// How the library finds the folder again.
pub(super) fn of(managers: &opcua::server::node_manager::NodeManagers) -> Option<Arc<Manager>> {
    managers.get_of_type::<Manager>()
}
