//! Orders to deliver again what was delivered. The forwarders carry them out.

use penstock_buffer::{ReplayOrder, SequenceRange};
use penstock_events::Lane;

use super::record::{PlacesRecord, ReplayPlanRecord};
use super::{Desk, Replies, Stop, now};

impl Desk {
    pub(super) fn order_replay(&self, order: ReplayOrder, replies: &mut Replies<'_>) -> Result<(), Stop> {
        replies.record(&self.buffer.order_replay(order, now())?)
    }

    pub(super) fn plan_replay(&self, order: &ReplayOrder, replies: &mut Replies<'_>) -> Result<(), Stop> {
        let spans = self.buffer.replay_spans(order)?;
        let lanes: Vec<(Lane, SequenceRange)> = Lane::ALL
            .into_iter()
            .filter_map(|lane| {
                spans[lane].map(|span| (lane, SequenceRange { first: span.first, last: span.last }))
            })
            .collect();
        let events = self.count(&lanes, &order.selection, replies)?;
        let lanes = lanes.into_iter();
        replies.record(&ReplayPlanRecord {
            destination: order.destination.clone(),
            events,
            lanes: lanes
                .map(|(lane, SequenceRange { first, last })| PlacesRecord { lane, first, last })
                .collect(),
        })
    }

    pub(super) fn cancel_replay(&self, id: u32, replies: &mut Replies<'_>) -> Result<(), Stop> {
        replies.record(&self.buffer.cancel_replay(id, now())?)
    }
}
