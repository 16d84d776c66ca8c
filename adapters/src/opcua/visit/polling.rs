//! Cyclic reads, on a grid, of the tags that the server cannot or shall not watch itself.

use std::sync::Arc;

use opcua::types::{ReadValueId, StatusCode, TimestampsToReturn};
use penstock_events::Timestamp;
use tokio::time::Instant;

use super::{Ended, Visit};
use crate::opcua::account::News;
use crate::opcua::failure::{self, Failure};
use crate::opcua::request;
use crate::opcua::server::Server;
use crate::opcua::sharing::Sharing;
use crate::schedule::{Due, Schedule};

/// The tags that are read cyclically, and when. A slot that passes while another is read is skipped and counted.
pub(super) struct Grid {
    tags: Vec<usize>,
    schedule: Schedule,
}

impl Grid {
    /// The grid of a server's tags, from the next slot on.
    pub(super) fn new(server: &Server, sharing: &Sharing, now: Timestamp) -> Self {
        let is_read = |index: &usize| request::sampling(&server.tags[*index].acquisition).is_none();
        let tags = sharing.firsts().filter(is_read).collect();
        Self { tags, schedule: Schedule::new(server.poll, now) }
    }

    /// Leaves out the slots that passed by `now`, in which the server could not be asked.
    pub(super) fn rested(&mut self, now: Timestamp) {
        self.schedule.rested(now);
    }

    /// When to look again; never when no tag is read.
    pub(super) fn wake(&self, now: Timestamp) -> Option<Instant> {
        (!self.tags.is_empty()).then(|| Instant::now() + self.schedule.wait(now))
    }
}

impl Visit<'_> {
    /// Reads the tags that are read cyclically, when their slot has come.
    pub(super) async fn poll_if_due(&mut self) -> Result<(), Ended> {
        if self.grid.tags.is_empty() {
            return Ok(());
        }
        let slot = loop {
            match self.grid.schedule.due(self.account.clock.now()) {
                Due::Poll(slot) => break slot,
                Due::Wait(_) => return Ok(()),
                Due::Skipped(slots) => self.account.ledger.skipped(slots),
                Due::Restarted => self.account.ledger.clock_stepped_back(),
            }
        };
        let tags = std::mem::take(&mut self.grid.tags);
        let polled = self.poll(&tags, slot).await;
        self.grid.tags = tags;
        polled
    }

    async fn poll(&mut self, tags: &[usize], slot: Timestamp) -> Result<(), Ended> {
        let mut news = News::at(self.account.clock.now());
        let mut rest = tags;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.len().min(self.read_size));
            match self.poll_some(part, slot, &mut news).await {
                Ok(()) => rest = after,
                Err(status) if request::is_too_large(status) && self.read_size > 1 => {
                    self.read_size = part.len().div_ceil(2);
                }
                // The session may go on over another connection; until then polls are left out.
                Err(status) if failure::is_of_connection(status) => break,
                Err(status) => return Err(Failure::Request { request: "reading values", status }.into()),
            }
        }
        self.account.tell(news).await?;
        Ok(())
    }

    async fn poll_some(
        &mut self,
        tags: &[usize],
        slot: Timestamp,
        news: &mut News,
    ) -> Result<(), StatusCode> {
        let (mut asked, mut requests): (Vec<usize>, Vec<ReadValueId>) = (Vec::new(), Vec::new());
        for &index in tags {
            match self.nodes[index].clone() {
                Some(node) => {
                    asked.push(index);
                    requests.push(request::value_of(node));
                }
                None => {
                    for tag in self.sharing.with(index) {
                        self.account.refused(*tag, StatusCode::BadNodeIdUnknown, news);
                    }
                    self.retry_later();
                }
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        let session = Arc::clone(&self.session);
        let values = session.read(&requests, TimestampsToReturn::Both, 0.0).await;
        let values = values.map_err(|error| error.status())?;
        if values.len() != asked.len() {
            return Err(StatusCode::BadUnknownResponse);
        }
        for (index, value) in asked.into_iter().zip(&values) {
            let received = self.received(index, value).await?;
            self.account.polled(self.sharing.with(index), &received, slot, news);
        }
        Ok(())
    }
}
