//! Setting up what is configured: namespaces, the server's limits, subscriptions and their items. An item that
//! the server refuses is bad by itself and is tried again; the others flow.

use std::sync::Arc;
use std::time::Duration;

use opcua::types::{Error, NodeId, StatusCode, TimestampsToReturn, VariableId, Variant};
use tokio::time::Instant;

use super::messages::{Postbox, Shard};
use super::{Ended, MOST_NOTIFICATIONS, Visit};
use crate::opcua::account::News;
use crate::opcua::failure::{Failure, is_of_connection};
use crate::opcua::silence;
use crate::opcua::structure::Types;
use crate::opcua::{decode, request};

/// The first and the longest rest before items that were refused are tried again.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// What became of a tag that is to be monitored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Item {
    /// It is not monitored, or not yet.
    Absent,
    /// It is, by the item `id` of a subscription.
    Live { shard: usize, id: u32 },
    /// It was, until its node vanished. Some servers go on with the item when the node is back, some forgot it.
    Orphaned { shard: usize, id: u32 },
    /// The server refuses it.
    Refused { shard: usize, status: StatusCode },
}

impl Item {
    pub(super) const fn is_live_in(self, of: usize) -> bool {
        matches!(self, Self::Live { shard, .. } if shard == of)
    }

    /// Whether it is to be made anew in this subscription.
    pub(super) const fn is_missing_in(self, of: usize) -> bool {
        matches!(self, Self::Orphaned { shard, .. } | Self::Refused { shard, .. } if shard == of)
    }

    /// The same in the subscription `to`, if it is one of `from`.
    pub(super) fn moved(self, from: usize, to: usize) -> Option<Self> {
        match self {
            Self::Live { shard, id } if shard == from => Some(Self::Live { shard: to, id }),
            Self::Orphaned { shard, id } if shard == from => Some(Self::Orphaned { shard: to, id }),
            Self::Refused { shard, status } if shard == from => Some(Self::Refused { shard: to, status }),
            Self::Absent | Self::Live { .. } | Self::Orphaned { .. } | Self::Refused { .. } => None,
        }
    }
}

impl Visit<'_> {
    /// Sets everything up.
    pub(super) async fn set_up(&mut self) -> Result<(), Ended> {
        self.read_namespaces().await?;
        self.read_limits().await;
        let learnt = self.learn_all().await;
        learnt.map_err(|status| Failure::Request { request: "reading data types", status })?;
        let server = Arc::clone(&self.account.server);
        let is_monitored = |index: &usize| request::sampling(&server.tags[*index].acquisition).is_some();
        self.take_over().await;
        let is_absent = |index: &usize| self.items[*index] == Item::Absent;
        let absent: Vec<usize> = self.sharing.firsts().filter(is_monitored).filter(is_absent).collect();
        for tags in absent.chunks(server.subscription_size) {
            let shard = self.shards.len();
            self.subscribe(shard).await?;
            self.create_items(shard, tags).await?;
        }
        self.watch_alarms().await
    }

    async fn read_namespaces(&mut self) -> Result<(), Failure> {
        let values = self.values(&[VariableId::Server_NamespaceArray.into()]).await;
        let values =
            values.map_err(|status| Failure::Request { request: "reading the namespaces", status })?;
        let namespaces = match values.into_iter().next().flatten() {
            Some(Variant::Array(array)) => array.values.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        if namespaces != self.namespaces {
            // The ids of types are other ones, too.
            self.types = Types::default();
        }
        self.namespaces = namespaces;
        for (node, tag) in self.nodes.iter_mut().zip(&self.account.server.tags) {
            *node = tag.node.resolve(&self.namespaces);
        }
        Ok(())
    }

    /// What the server takes in a call (OPC 10000-5, section 6.3.11), where what it does not tell is tried; and since
    /// when it runs.
    async fn read_limits(&mut self) {
        let limits = [
            VariableId::Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
            VariableId::Server_ServerStatus_StartTime,
        ];
        let told = self.values(&limits.map(NodeId::from)).await.unwrap_or_default();
        let number = |value: Option<&Option<Variant>>| match value {
            Some(Some(Variant::UInt32(limit))) => Some(u64::from(*limit)),
            _ => None,
        };
        self.create_size = request::operations(number(told.first()));
        self.read_size = request::operations(number(told.get(1)));
        self.retrieval.most_nodes = Some(request::operations(number(told.get(2))));
        self.server_start = match told.get(3) {
            Some(Some(Variant::DateTime(start))) => Some(**start),
            _ => None,
        };
    }

    pub(super) async fn values(&mut self, nodes: &[NodeId]) -> Result<Vec<Option<Variant>>, StatusCode> {
        let nodes: Vec<_> = nodes.iter().cloned().map(request::value_of).collect();
        let values = self.session.read(&nodes, TimestampsToReturn::Neither, 0.0).await;
        let values = values.map_err(|error| error.status())?;
        Ok(values.into_iter().map(|value| value.value).collect())
    }

    /// Makes a subscription.
    pub(super) async fn subscribe(&mut self, shard: usize) -> Result<(), Failure> {
        let publish = self.account.server.publish;
        let keep_alives = silence::keep_alive_count(publish);
        let lifetime = silence::lifetime_count(publish, self.account.server.session_timeout);
        let postbox = self.postbox(shard);
        let created = self
            .session
            .create_subscription(publish, lifetime, keep_alives, MOST_NOTIFICATIONS, 0, true, postbox)
            .await;
        let id = created.map_err(|error| Failure::Request {
            request: "creating a subscription",
            status: error.status(),
        })?;
        let granted = {
            let known = self.session.subscription_state().lock();
            known.get(id).map(|granted| (granted.publishing_interval(), granted.max_keep_alive_count()))
        };
        let (publish, keep_alives) = granted.unwrap_or((publish, keep_alives));
        self.pace.published(publish);
        self.shards.push(Shard::new(id, publish, keep_alives));
        Ok(())
    }

    pub(super) fn postbox(&self, shard: usize) -> Postbox {
        Postbox { shard, post: self.post.clone(), dropped: Arc::clone(&self.dropped) }
    }

    /// Creates the items of `tags` in a subscription, in calls that the server takes.
    async fn create_items(&mut self, shard: usize, tags: &[usize]) -> Result<(), Ended> {
        let mut rest = tags;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(self.create_size));
            match self.create_some(shard, part).await {
                Ok(()) => rest = after,
                Err(Ended::Failed(Failure::Request { status, .. }))
                    if request::is_too_large(status) && self.create_size > 1 =>
                {
                    self.create_size = part.len().div_ceil(2);
                }
                Err(ended) => return Err(ended),
            }
            // Values come while other items are still being made.
            self.take_all().await?;
        }
        Ok(())
    }

    async fn create_some(&mut self, shard: usize, tags: &[usize]) -> Result<(), Ended> {
        let server = Arc::clone(&self.account.server);
        let mut news = News::at(self.account.clock.now());
        let (mut asked, mut requests) = (Vec::new(), Vec::new());
        for &index in tags {
            let Some(sampling) = request::sampling(&server.tags[index].acquisition) else { continue };
            let Some(node) = self.nodes[index].clone() else {
                self.refuse(shard, index, StatusCode::BadNodeIdUnknown, &mut news);
                continue;
            };
            let handle = u32::try_from(index + 1).expect("tags are numbered in 32 bits");
            asked.push(index);
            requests.push(request::monitored(handle, node, sampling));
        }
        if !requests.is_empty() {
            let id = self.shards[shard].id;
            let created = self.session.create_monitored_items(id, TimestampsToReturn::Both, requests).await;
            let created = created.map_err(|error: Error| Failure::Request {
                request: "creating monitored items",
                status: error.status(),
            })?;
            for (index, created) in asked.into_iter().zip(created) {
                let status = created.result.status_code;
                if status.is_bad() {
                    self.refuse(shard, index, status, &mut news);
                } else {
                    if let Some(sampling) = request::sampling(&server.tags[index].acquisition) {
                        let granted = created.result.revised_sampling_interval;
                        self.pace.sampled(&server.tags[index].path, sampling.interval, granted);
                    }
                    self.accept(shard, index, created.result.monitored_item_id);
                }
            }
        }
        if !news.is_empty() {
            self.account.tell(news).await?;
        }
        Ok(())
    }

    fn accept(&mut self, shard: usize, index: usize, id: u32) {
        for tag in self.sharing.with(index) {
            self.account.ledger.refused(self.account.server.tags[*tag].path.as_str(), None);
        }
        self.items[index] = Item::Live { shard, id };
        // It begins with the present value, whatever was before.
        self.account.absences.interrupted(index);
    }

    /// Those who share the item are bad, which is said once for each reason, and tried again.
    fn refuse(&mut self, shard: usize, index: usize, status: StatusCode, news: &mut News) {
        let refused = Item::Refused { shard, status };
        if self.items[index] != refused {
            let reason = match &self.nodes[index] {
                Some(_) => format!("{status} ({})", decode::cause(status)),
                None => format!("the server has no namespace of {}", self.account.server.tags[index].node),
            };
            for &tag in self.sharing.with(index) {
                self.account.ledger.refused(self.account.server.tags[tag].path.as_str(), Some(&reason));
                self.account.refused(tag, status, news);
            }
        }
        self.items[index] = refused;
        self.retry_later();
    }

    /// The server says of an item whether its node is there. One whose node is gone is made anew in time.
    pub(super) fn node_is_there(&mut self, index: usize, status: StatusCode) {
        let is_gone = matches!(status, StatusCode::BadNodeIdUnknown | StatusCode::BadNodeIdInvalid);
        match self.items[index] {
            Item::Live { shard, id } if is_gone => {
                self.items[index] = Item::Orphaned { shard, id };
                self.retry_later();
            }
            Item::Orphaned { shard, id } if !is_gone => self.items[index] = Item::Live { shard, id },
            _ => {}
        }
    }

    /// Deletes the items of a subscription whose nodes vanished: made anew beside them they would tell all twice.
    async fn delete_orphans(&mut self, shard: usize) -> Result<(), Failure> {
        let orphan = |item: &Item| match item {
            Item::Orphaned { shard: of, id } if *of == shard => Some(*id),
            _ => None,
        };
        let orphans: Vec<u32> = self.items.iter().filter_map(orphan).collect();
        for ids in orphans.chunks(self.create_size) {
            // Each is gone afterwards: those that it cannot delete the server does not know any more.
            let deleted = self.session.delete_monitored_items(self.shards[shard].id, ids).await;
            deleted.map_err(|error| Failure::Request {
                request: "deleting monitored items",
                status: error.status(),
            })?;
        }
        for item in &mut self.items {
            if orphan(item).is_some() {
                *item = Item::Refused { shard, status: StatusCode::BadNodeIdUnknown };
            }
        }
        Ok(())
    }

    /// What the server refuses is tried again after a rest.
    pub(super) fn retry_later(&mut self) {
        self.retry.get_or_insert_with(|| (Instant::now() + RETRY_FIRST, RETRY_FIRST));
    }

    /// Tries the items that were refused again, with the namespaces as they are by then.
    pub(super) async fn retry_if_due(&mut self) -> Result<(), Ended> {
        let Some((at, rest)) = self.retry else { return Ok(()) };
        if Instant::now() < at {
            return Ok(());
        }
        self.retry = None;
        match self.read_namespaces().await {
            Err(Failure::Request { status, .. }) if is_of_connection(status) => {
                self.retry = Some((Instant::now() + rest, rest));
                return Ok(());
            }
            read => read?,
        }
        for shard in 0..self.shards.len() {
            self.delete_orphans(shard).await?;
            let refused = |item: &Item| matches!(item, Item::Refused { shard: of, .. } if *of == shard);
            let tags: Vec<usize> =
                (0..self.items.len()).filter(|index| refused(&self.items[*index])).collect();
            self.create_items(shard, &tags).await?;
        }
        self.watch_refused_alarms().await?;
        if self.retry.is_some() {
            let rest = (rest * 2).min(RETRY_LONGEST);
            self.retry = Some((Instant::now() + rest, rest));
        }
        Ok(())
    }
}
