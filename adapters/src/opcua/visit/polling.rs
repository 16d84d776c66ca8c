//! Cyclic reads, on a grid, of the tags that the server cannot or shall not watch itself.

use std::sync::Arc;
use std::time::Duration;

use opcua::types::{ReadValueId, StatusCode, TimestampsToReturn};
use penstock_events::Timestamp;
use tokio::time::Instant;

use super::{Ended, Visit};
use crate::opcua::account::News;
use crate::opcua::failure::{self, Failure};
use crate::opcua::request;
use crate::opcua::server::Server;

/// The longest that polling pauses for a clock that was set back, so that no slot is polled twice. After a longer
/// step the clock had been plainly wrong, and the grid begins anew.
const HOLD_MAX: Duration = Duration::from_secs(10);

/// The slots of the polls.
pub(super) struct Grid {
    interval: Duration,
    /// The next slot; none when no tag is read cyclically.
    next: Option<Timestamp>,
    tags: Vec<usize>,
}

impl Grid {
    /// The grid of a server's tags, from the next slot on.
    pub(super) fn new(server: &Server, now: Timestamp) -> Self {
        let tags = (0..server.tags.len())
            .filter(|index| request::sampling(&server.tags[*index].acquisition).is_none())
            .collect::<Vec<_>>();
        let interval = server.poll;
        let next = (!tags.is_empty()).then(|| now.slot(interval).saturating_add(interval));
        Self { interval, next, tags }
    }

    /// When to look again, at most one interval on: the clock may be set meanwhile.
    pub(super) fn wake(&self, now: Timestamp) -> Option<Instant> {
        let wait = self.next?.checked_since(now).unwrap_or_default();
        Some(Instant::now() + wait.min(self.interval))
    }

    /// The slot to poll at `now`, the latest that has begun.
    fn due(&mut self, now: Timestamp) -> Option<Timestamp> {
        let next = self.next?;
        if next.checked_since(now).is_some_and(|wait| wait > self.interval + HOLD_MAX) {
            self.next = Some(now.slot(self.interval).saturating_add(self.interval));
            return None;
        }
        if now < next {
            return None;
        }
        let slot = now.slot(self.interval);
        self.next = Some(slot.saturating_add(self.interval));
        Some(slot)
    }
}

impl Visit<'_> {
    /// Reads the tags that are read cyclically, when their slot has come.
    pub(super) async fn poll_if_due(&mut self) -> Result<(), Ended> {
        let Some(slot) = self.grid.due(self.account.clock.now()) else { return Ok(()) };
        let tags = std::mem::take(&mut self.grid.tags);
        let polled = self.poll(&tags, slot).await;
        self.grid.tags = tags;
        polled
    }

    async fn poll(&mut self, tags: &[usize], slot: Timestamp) -> Result<(), Ended> {
        let mut news = News::default();
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
                    self.account.refused(index, StatusCode::BadNodeIdUnknown, news);
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
            self.account.polled(index, value, slot, news);
        }
        Ok(())
    }
}
