//! What the server publishes: values, that nothing changed, that a subscription ended, and what never came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opcua::client::{MonitoredItemMap, OnSubscriptionNotificationCore};
use opcua::types::{
    DataChangeNotification, DataValue, NotificationMessage, StatusChangeNotification, StatusCode,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Ended, Visit};
use crate::opcua::account::News;
use crate::opcua::failure::Failure;
use crate::opcua::sequence::{Expected, Gap};

/// One subscription.
pub(super) struct Shard {
    /// Its id at the server.
    pub(super) id: u32,
    /// How long it may be silent.
    pub(super) silence: Duration,
    heard: Instant,
    expected: Expected,
    /// Whether what it says next confirms the values that were known before an outage.
    confirms: bool,
}

impl Shard {
    /// A subscription that was just made.
    pub(super) fn new(id: u32, silence: Duration) -> Self {
        Self { id, silence, heard: Instant::now(), expected: Expected::default(), confirms: false }
    }
}

/// A message of one subscription.
pub(super) struct Letter {
    shard: usize,
    message: NotificationMessage,
}

/// Takes the messages of one subscription out of the session's callbacks, which hold a lock and must not wait.
pub(super) struct Postbox {
    pub(super) shard: usize,
    pub(super) post: mpsc::Sender<Letter>,
    pub(super) dropped: Arc<AtomicU64>,
}

impl OnSubscriptionNotificationCore for Postbox {
    fn on_subscription_notification(&mut self, message: NotificationMessage, _items: MonitoredItemMap<'_>) {
        if self.post.try_send(Letter { shard: self.shard, message }).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Visit<'_> {
    /// Takes what has come so far.
    pub(super) async fn take_all(&mut self) -> Result<(), Ended> {
        while let Ok(letter) = self.letters.try_recv() {
            self.take(letter).await?;
        }
        Ok(())
    }

    /// Takes one message, after what is missing before it.
    pub(super) async fn take(&mut self, letter: Letter) -> Result<(), Ended> {
        let Letter { shard: index, message } = letter;
        let Some(shard) = self.shards.get_mut(index) else { return Ok(()) };
        shard.heard = Instant::now();
        let has_data = message.notification_data.as_ref().is_some_and(|data| !data.is_empty());
        let gap = if has_data {
            shard.expected.data(message.sequence_number)
        } else {
            shard.expected.keep_alive(message.sequence_number)
        };
        let mut news = News::default();
        if let Some(gap) = gap {
            self.fetch(index, gap, &mut news).await?;
        }
        self.read(message, &mut news).await?;
        if std::mem::take(&mut self.shards[index].confirms) {
            self.confirm(index, &mut news);
        }
        self.account.tell(news).await?;
        Ok(())
    }

    /// Asks for missing messages again, while the server still has them (OPC 10000-4, section 5.14.6).
    async fn fetch(&mut self, index: usize, gap: Gap, news: &mut News) -> Result<(), Ended> {
        let id = self.shards[index].id;
        let mut missing = gap.count;
        for number in gap.numbers() {
            let Ok(message) = self.session.republish(id, number).await else { continue };
            missing = missing.saturating_sub(1);
            self.read(message, news).await?;
        }
        if missing > 0 {
            self.account.ledger.missing(missing);
        }
        Ok(())
    }

    async fn read(&mut self, message: NotificationMessage, news: &mut News) -> Result<(), Ended> {
        for part in message.notification_data.into_iter().flatten() {
            if let Some(changes) = part.inner_as::<DataChangeNotification>() {
                for change in changes.monitored_items.iter().flatten() {
                    self.changed(change.client_handle, &change.value, news).await?;
                }
            } else if let Some(change) = part.inner_as::<StatusChangeNotification>()
                && change.status.is_bad()
            {
                return Err(Failure::SubscriptionLost(change.status).into());
            }
        }
        Ok(())
    }

    /// Handles are indexes of tags, counted from 1.
    async fn changed(&mut self, handle: u32, value: &DataValue, news: &mut News) -> Result<(), Ended> {
        let index = usize::try_from(handle).unwrap_or(0).wrapping_sub(1);
        if index >= self.items.len() {
            return Ok(());
        }
        let received = self.received(index, value).await;
        let received =
            received.map_err(|status| Failure::Request { request: "reading data types", status })?;
        self.account.value(self.sharing.with(index), &received, news);
        if value.status == Some(StatusCode::BadNodeIdUnknown) {
            self.node_vanished(index);
        }
        Ok(())
    }

    fn confirm(&mut self, shard: usize, news: &mut News) {
        for index in 0..self.items.len() {
            if self.items[index].is_live_in(shard) {
                for tag in self.sharing.with(index) {
                    self.account.confirmed(*tag, news);
                }
            }
        }
    }

    /// The session goes on over another connection: the subscriptions begin to publish again.
    pub(super) fn resume(&mut self) {
        for shard in &mut self.shards {
            shard.heard = Instant::now();
            shard.confirms = true;
        }
        self.session.trigger_publish_now();
    }

    /// A subscription that says nothing is dead, whatever the connection says.
    pub(super) fn mind_silence(&self) -> Result<(), Failure> {
        match self.shards.iter().find(|shard| shard.heard.elapsed() > shard.silence) {
            Some(shard) => Err(Failure::Silent(shard.silence)),
            None => Ok(()),
        }
    }
}
