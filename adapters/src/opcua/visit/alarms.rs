//! Conditions: their notifiers are items of the last subscription, made one by one so that a server which refuses
//! one refuses nothing else. What is active is asked for whenever something may have been missed.

use std::sync::Arc;
use std::time::Duration;

use opcua::types::{StatusCode, TimestampsToReturn, Variant};
use tokio::time::Instant;
use tokio_util::sync::ReusableBoxFuture;

use super::items::Item;
use super::{Ended, Visit};
use crate::opcua::account::News;
use crate::opcua::conditions::{self, Notice};
use crate::opcua::decode;
use crate::opcua::failure::{Failure, is_of_connection};

/// The rest before the server is asked again while it is busy with an answer, or has no connection.
const REST: Duration = Duration::from_secs(2);
/// How long it may take to tell of all that is active, and how long one that refuses to is left alone.
const PATIENCE: Duration = Duration::from_secs(60);

/// The notifiers of one session.
#[derive(Default)]
pub(super) struct Alarms {
    pub(super) notifiers: Vec<Item>,
    /// Those that have yet to tell of all that is active.
    expected: Vec<bool>,
    /// When to ask for it.
    pub(super) due: Option<Instant>,
    /// The question under way. It waits beside the messages, which come on while a server thinks.
    asked: Option<ReusableBoxFuture<'static, StatusCode>>,
}

impl Alarms {
    /// No notifier of so many is an item yet.
    pub(super) fn new(notifiers: usize) -> Self {
        Self {
            notifiers: vec![Item::Absent; notifiers],
            expected: vec![true; notifiers],
            due: None,
            asked: None,
        }
    }

    /// What the server says to the question; never while there is none.
    pub(super) async fn answered(&mut self) -> StatusCode {
        let Some(asked) = &mut self.asked else { return std::future::pending().await };
        let status = asked.await;
        self.asked = None;
        status
    }
}

impl Visit<'_> {
    /// Makes every notifier an item.
    pub(super) async fn watch_alarms(&mut self) -> Result<(), Ended> {
        if self.account.server.notifiers.is_empty() {
            return Ok(());
        }
        if self.shards.is_empty() {
            self.subscribe(0).await?;
        }
        self.watch_refused_alarms().await?;
        // Those of a subscription that was taken over may have told what nobody heard.
        self.doubt_alarms();
        Ok(())
    }

    /// Makes the notifiers items that are not.
    pub(super) async fn watch_refused_alarms(&mut self) -> Result<(), Ended> {
        for index in 0..self.alarms.notifiers.len() {
            if !matches!(self.alarms.notifiers[index], Item::Live { .. }) {
                self.watch_notifier(index).await?;
                self.take_all().await?;
            }
        }
        Ok(())
    }

    async fn watch_notifier(&mut self, index: usize) -> Result<(), Failure> {
        let shard = self.shard_of_alarms().expect("there is a subscription before there are items");
        match self.create_notifier(shard, index).await {
            Ok(id) => {
                self.alarms.notifiers[index] = Item::Live { shard, id };
                self.account.notifier_refused(index, None);
                self.doubt_alarms();
            }
            Err(status) if is_of_connection(status) => {
                return Err(Failure::Request { request: "creating an item of events", status });
            }
            Err(status) => {
                let refused = Item::Refused { shard, status };
                if self.alarms.notifiers[index] != refused {
                    let reason = format!("{status} ({})", decode::cause(status));
                    self.account.notifier_refused(index, Some(&reason));
                }
                self.alarms.notifiers[index] = refused;
                self.retry_later();
            }
        }
        Ok(())
    }

    /// The subscription that all notifiers are in, so that one question asks all: the last one when they are made.
    fn shard_of_alarms(&self) -> Option<usize> {
        let mut live = self.alarms.notifiers.iter().filter_map(|item| match item {
            Item::Live { shard, .. } => Some(*shard),
            _ => None,
        });
        live.next().or_else(|| self.shards.len().checked_sub(1))
    }

    async fn create_notifier(&mut self, shard: usize, index: usize) -> Result<u32, StatusCode> {
        let node = self.account.server.notifiers[index].node.resolve(&self.namespaces);
        let node = node.ok_or(StatusCode::BadNodeIdUnknown)?;
        let handle = u32::try_from(self.items.len() + index + 1).expect("tags are numbered in 32 bits");
        let (id, requests) = (self.shards[shard].id, vec![conditions::monitored(handle, node)]);
        let created = self.session.create_monitored_items(id, TimestampsToReturn::Neither, requests).await;
        let created = created.map_err(|error| error.status())?;
        let item = created.into_iter().next().ok_or(StatusCode::BadUnknownResponse)?;
        match item.result.status_code {
            status if status.is_bad() => Err(status),
            _ => Ok(item.result.monitored_item_id),
        }
    }

    /// The notifier that a handle of an item stands for: they are numbered on after the tags.
    pub(super) fn notifier_of(&self, handle: u32) -> Option<usize> {
        let index = usize::try_from(handle).ok()?.checked_sub(self.items.len() + 1)?;
        (index < self.alarms.notifiers.len()).then_some(index)
    }

    /// Takes an event of the notifier at `index`.
    pub(super) fn noticed(&mut self, index: usize, fields: &[Variant], news: &mut News) {
        let notice = Notice::read(fields, &self.namespaces, self.account.clock.now());
        match &notice {
            Notice::RefreshRequired | Notice::Overflow => self.doubt_alarms(),
            Notice::RefreshEnds(_) => {
                self.alarms.expected[index] = false;
                let live = self.alarms.notifiers.iter().zip(&self.alarms.expected);
                if !live.into_iter().any(|(item, expected)| matches!(item, Item::Live { .. }) && *expected) {
                    self.alarms.due = None;
                }
            }
            _ => {}
        }
        self.account.noticed(index, notice, news);
    }

    /// Something may have been missed: what is active is asked for at once, and what the server is just telling
    /// proves nothing.
    pub(super) fn doubt_alarms(&mut self) {
        if self.alarms.notifiers.iter().any(|item| matches!(item, Item::Live { .. })) {
            self.account.doubt_alarms();
            self.alarms.expected.fill(true);
            self.alarms.asked = None;
            self.alarms.due = Some(Instant::now());
        }
    }

    /// Asks for what is active, when it is time.
    pub(super) fn ask_for_alarms_if_due(&mut self) {
        if self.alarms.asked.is_some() || self.alarms.due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        let Some(shard) = self.shard_of_alarms() else { return };
        let (session, call) = (Arc::clone(&self.session), conditions::refresh(self.shards[shard].id));
        self.alarms.due = Some(Instant::now() + PATIENCE);
        self.alarms.asked = Some(ReusableBoxFuture::new(async move {
            let called = session.call_one(call).await;
            called.map_or_else(|error| error.status(), |result| result.status_code)
        }));
    }

    /// The server has answered whether it will tell. One that refuses is asked again in time, and its alarms are
    /// told as they come.
    pub(super) fn alarms_answered(&mut self, status: StatusCode) {
        if status == StatusCode::BadRefreshInProgress || is_of_connection(status) {
            self.alarms.due = Some(Instant::now() + REST);
        } else {
            let reason = status.is_bad().then(|| format!("{status} ({})", decode::cause(status)));
            self.account.ledger.refresh_refused(reason);
        }
    }
}
