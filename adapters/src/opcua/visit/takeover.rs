//! The middle rung: a session that the server does not know any more leaves its subscriptions behind for a while, and
//! another one takes them over, with their items and what they have to say (OPC 10000-4, section 5.14.7).

use opcua::client::Subscription;
use opcua::types::{DateTime, NodeId};

use super::items::Item;
use super::messages::Shard;
use super::{MOST_NOTIFICATIONS, Visit};
use crate::opcua::failure::Failure;
use crate::opcua::silence;

/// What a session that was lost left at the server.
pub(in crate::opcua) struct Legacy {
    /// Which start of the server it belongs to: the next one gives the same numbers to others.
    start: DateTime,
    nodes: Vec<Option<NodeId>>,
    items: Vec<Item>,
    notifiers: Vec<Item>,
    shards: Vec<Shard>,
}

/// What becomes of subscriptions whose session is lost.
#[derive(Default)]
pub(in crate::opcua) enum Succession {
    /// There is nothing to take over.
    #[default]
    Nothing,
    /// These may be.
    Legacy(Legacy),
    /// Subscriptions of this server say nothing any more once they are taken over.
    Futile,
}

impl Visit<'_> {
    /// Takes over what the session before left, as far as the server has it. It publishes what it kept and goes on in
    /// its numbers; so what is missing is found and asked for again as in a session that lives.
    pub(super) async fn take_over(&mut self) {
        if !matches!(self.account.succession, Succession::Legacy(_)) {
            return;
        }
        let Succession::Legacy(legacy) = std::mem::take(&mut self.account.succession) else { return };
        if Some(legacy.start) != self.server_start || legacy.nodes != self.nodes {
            return;
        }
        let ids: Vec<u32> = legacy.shards.iter().map(|shard| shard.id).collect();
        // Values that did not change were told: they are confirmed rather than sent again.
        let transferred = match self.session.transfer_subscriptions(&ids, false).await {
            Ok(transferred) => transferred,
            Err(error) => {
                tracing::debug!(%error, "subscriptions are not taken over");
                return;
            }
        };
        for (old, (shard, transferred)) in legacy.shards.into_iter().zip(transferred).enumerate() {
            if transferred.status_code.is_good() {
                self.adopt(shard, old, [&legacy.items, &legacy.notifiers]);
            }
        }
        self.has_taken_over = !self.shards.is_empty();
        if self.has_taken_over {
            self.account.ledger.taken_over(self.shards.len());
            self.session.trigger_publish_now();
        }
    }

    fn adopt(&mut self, shard: Shard, old: usize, [items, notifiers]: [&[Item]; 2]) {
        let index = self.shards.len();
        let subscription = Subscription::new(
            shard.id,
            shard.publish,
            silence::lifetime_count(shard.publish, self.account.server.session_timeout),
            shard.keep_alives,
            MOST_NOTIFICATIONS,
            0,
            true,
            Box::new(self.postbox(index)),
        );
        self.session.subscription_state().lock().add_subscription(subscription);
        let of_tags = self.items.iter_mut().zip(items);
        for (known, item) in of_tags.chain(self.alarms.notifiers.iter_mut().zip(notifiers)) {
            if let Some(item) = item.moved(old, index) {
                *known = item;
            }
        }
        self.shards.push(shard.resumed());
        if self.items.iter().any(|item| item.is_missing_in(index)) {
            self.retry_later();
        }
    }

    /// Leaves to the next session what this one had, when it ended for want of a connection.
    pub(super) fn bequeath(&mut self, failure: &Failure) {
        match failure {
            // Before everything was set up nobody knows what there is.
            Failure::Lost(_) if self.was_well && !matches!(self.account.succession, Succession::Futile) => {
                let Some(start) = self.server_start else { return };
                self.account.succession = Succession::Legacy(Legacy {
                    start,
                    nodes: std::mem::take(&mut self.nodes),
                    items: std::mem::take(&mut self.items),
                    notifiers: std::mem::take(&mut self.alarms.notifiers),
                    shards: std::mem::take(&mut self.shards),
                });
            }
            Failure::Silent(_) if self.has_taken_over => self.account.succession = Succession::Futile,
            _ => {}
        }
    }
}
