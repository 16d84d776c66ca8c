//! What the server publishes: values, that nothing changed, that a subscription ended, and what never came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opcua::client::{MonitoredItemMap, OnSubscriptionNotificationCore};
use opcua::types::{
    DataChangeNotification, DataValue, EventFieldList, EventNotificationList, ExtensionObject,
    MonitoredItemNotification, NotificationMessage, StatusChangeNotification, StatusCode,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Ended, Visit};
use crate::opcua::account::News;
use crate::opcua::failure::Failure;
use crate::opcua::sequence::{Expected, Gap};
use crate::opcua::silence;

/// One subscription.
pub(super) struct Shard {
    /// Its id at the server.
    pub(super) id: u32,
    /// How often it publishes, and after how many publications without news it says so.
    pub(super) publish: Duration,
    pub(super) keep_alives: u32,
    heard: Instant,
    expected: Expected,
    /// Whether what it says next confirms the values that were known before an outage.
    confirms: bool,
}

impl Shard {
    /// A subscription that was just made.
    pub(super) fn new(id: u32, publish: Duration, keep_alives: u32) -> Self {
        Self {
            id,
            publish,
            keep_alives,
            heard: Instant::now(),
            expected: Expected::default(),
            confirms: false,
        }
    }

    /// The subscription after an outage.
    pub(super) fn resumed(self) -> Self {
        Self { heard: Instant::now(), confirms: true, ..self }
    }

    /// How long it may be silent.
    fn silence(&self) -> Duration {
        silence::limit(self.publish, self.keep_alives)
    }
}

/// A message of one subscription.
pub(super) struct Letter {
    shard: usize,
    message: NotificationMessage,
}

/// What a part of a message says.
enum Said<'m> {
    /// Items have these values.
    Values(&'m [MonitoredItemNotification]),
    /// Notifiers tell of these events.
    Events(&'m [EventFieldList]),
    /// The subscription has ended.
    Over(StatusCode),
}

impl<'m> Said<'m> {
    fn by(part: &'m ExtensionObject) -> Option<Self> {
        if let Some(changes) = part.inner_as::<DataChangeNotification>() {
            Some(Self::Values(changes.monitored_items.as_deref().unwrap_or_default()))
        } else if let Some(events) = part.inner_as::<EventNotificationList>() {
            Some(Self::Events(events.events.as_deref().unwrap_or_default()))
        } else {
            let status = part.inner_as::<StatusChangeNotification>()?.status;
            status.is_bad().then_some(Self::Over(status))
        }
    }
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

    /// Reads the messages that have come and were not taken when the session ended, of each shard up to one that is
    /// missing: what came after that one must not be told before it is known what it said.
    pub(super) fn read_rest(&mut self, news: &mut News) {
        while let Ok(Letter { shard, message }) = self.letters.try_recv() {
            let Some(shard) = self.shards.get_mut(shard) else { continue };
            let parts = message.notification_data.unwrap_or_default();
            if parts.is_empty() {
                continue;
            }
            let mut expected = shard.expected;
            if expected.data(message.sequence_number).is_some() {
                continue;
            }
            shard.expected = expected;
            for said in parts.iter().filter_map(Said::by) {
                match said {
                    Said::Values(changes) => self.changed_at_last(changes, news),
                    Said::Events(events) => self.happened(events, news),
                    Said::Over(_) => {}
                }
            }
        }
    }

    /// Takes values when nobody can be asked any more what they are.
    fn changed_at_last(&mut self, changes: &[MonitoredItemNotification], news: &mut News) {
        for change in changes {
            if let Some(index) = self.item_of(change.client_handle)
                && self.is_told(index, &change.value, news)
            {
                let received = self.received_as_known(index, &change.value);
                self.account.value(self.sharing.with(index), &received, news);
            }
        }
    }

    /// Takes one message, after what is missing before it. What it said before a part that ends the session is told.
    pub(super) async fn take(&mut self, letter: Letter) -> Result<(), Ended> {
        let mut news = News::at(self.account.clock.now());
        let taken = self.read_in_turn(letter, &mut news).await;
        self.account.tell(news).await?;
        taken
    }

    async fn read_in_turn(&mut self, letter: Letter, news: &mut News) -> Result<(), Ended> {
        let Letter { shard: index, message } = letter;
        let Some(shard) = self.shards.get_mut(index) else { return Ok(()) };
        shard.heard = Instant::now();
        let has_data = message.notification_data.as_ref().is_some_and(|data| !data.is_empty());
        let gap = if has_data {
            shard.expected.data(message.sequence_number)
        } else {
            shard.expected.keep_alive(message.sequence_number)
        };
        if let Some(gap) = gap {
            self.fetch(index, gap, news).await?;
        }
        self.read(message, news).await?;
        if std::mem::take(&mut self.shards[index].confirms) {
            self.confirm(index, news);
        }
        Ok(())
    }

    /// Asks for missing messages again, while the server still has them (OPC 10000-4, section 5.14.6).
    async fn fetch(&mut self, index: usize, gap: Gap, news: &mut News) -> Result<(), Ended> {
        let id = self.shards[index].id;
        let mut missing = gap.count;
        for number in gap.numbers() {
            // Some servers answer with an empty message for one that they do not have.
            let republished = self.session.republish(id, number).await;
            match republished.ok().filter(|message| message.sequence_number == number) {
                Some(message) => {
                    missing = missing.saturating_sub(1);
                    self.read(message, news).await?;
                }
                None => self.interrupt(index),
            }
        }
        if missing > 0 {
            self.account.ledger.missing(missing);
            self.interrupt(index);
            self.doubt_alarms();
        }
        Ok(())
    }

    async fn read(&mut self, message: NotificationMessage, news: &mut News) -> Result<(), Ended> {
        for said in message.notification_data.iter().flatten().filter_map(Said::by) {
            match said {
                Said::Values(changes) => {
                    for change in changes {
                        self.changed(change.client_handle, &change.value, news).await?;
                    }
                }
                Said::Events(events) => self.happened(events, news),
                Said::Over(status) => return Err(Failure::SubscriptionLost(status).into()),
            }
        }
        Ok(())
    }

    fn happened(&mut self, events: &[EventFieldList], news: &mut News) {
        for event in events {
            if let Some(notifier) = self.notifier_of(event.client_handle) {
                self.noticed(notifier, event.event_fields.as_deref().unwrap_or_default(), news);
            }
        }
    }

    async fn changed(&mut self, handle: u32, value: &DataValue, news: &mut News) -> Result<(), Ended> {
        let Some(index) = self.item_of(handle) else { return Ok(()) };
        if self.is_told(index, value, news) {
            self.hand_on(index, value, news).await?;
        }
        self.node_is_there(index, value.status.unwrap_or(StatusCode::Good));
        Ok(())
    }

    /// Handles are indexes of tags, counted from 1.
    fn item_of(&self, handle: u32) -> Option<usize> {
        let index = usize::try_from(handle).ok()?.checked_sub(1)?;
        (index < self.items.len()).then_some(index)
    }

    /// Whether a value is to be told, and does not wait for others that are missing.
    fn is_told(&mut self, index: usize, value: &DataValue, news: &News) -> bool {
        self.account.absences.arrived(index, value, news.observed)
    }

    /// Gives a value to the tags that share it.
    pub(super) async fn hand_on(
        &mut self,
        index: usize,
        value: &DataValue,
        news: &mut News,
    ) -> Result<(), Ended> {
        let received = self.received(index, value).await;
        let received =
            received.map_err(|status| Failure::Request { request: "reading data types", status })?;
        self.account.value(self.sharing.with(index), &received, news);
        Ok(())
    }

    /// Values of any item of the shard may be missing.
    fn interrupt(&mut self, shard: usize) {
        for index in 0..self.items.len() {
            if self.items[index].is_live_in(shard) {
                self.account.absences.interrupted(index);
            }
        }
    }

    fn confirm(&mut self, shard: usize, news: &mut News) {
        for index in 0..self.items.len() {
            if self.items[index].is_live_in(shard) && self.account.absences.is_whole(index) {
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
        self.doubt_alarms();
        self.session.trigger_publish_now();
    }

    /// A subscription that says nothing is dead, whatever the connection says.
    pub(super) fn mind_silence(&self) -> Result<(), Failure> {
        match self.shards.iter().find(|shard| shard.heard.elapsed() > shard.silence()) {
            Some(shard) => Err(Failure::Silent(shard.silence())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
