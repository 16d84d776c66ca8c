//! The watch over one connection: whether the broker still answers. Pure: time comes in.

use std::collections::VecDeque;
use std::time::Duration;

use rumqttc::{Event, Incoming, Outgoing};
use tokio::time::Instant;

use super::reason::Trouble;

/// How many keep-alive times without any packet are silence. A live connection has a ping and its
/// answer in each.
const SILENT_KEEP_ALIVES: u32 = 2;

/// Notices when a broker holds the connection open and does not do its part.
///
/// The client library notices unanswered pings, but pings get answers from brokers that have
/// stopped to acknowledge, and a write that does not end holds up the pings themselves.
#[derive(Debug)]
pub(super) struct Vigil {
    ack_timeout: Duration,
    silence_timeout: Option<Duration>,
    /// Messages without a PUBACK, oldest first.
    unacknowledged: VecDeque<(u16, Instant)>,
    last_packet: Instant,
}

impl Vigil {
    /// A watch that starts at `now`. `keep_alive` is what the broker granted.
    pub(super) fn new(ack_timeout: Duration, keep_alive: Option<Duration>, now: Instant) -> Self {
        Self {
            ack_timeout,
            silence_timeout: keep_alive.map(|keep_alive| keep_alive * SILENT_KEEP_ALIVES),
            unacknowledged: VecDeque::new(),
            last_packet: now,
        }
    }

    /// A packet was sent or received.
    pub(super) fn note(&mut self, event: &Event, now: Instant) {
        self.last_packet = now;
        match event {
            Event::Outgoing(Outgoing::Publish(packet_id)) => self.unacknowledged.push_back((*packet_id, now)),
            Event::Incoming(Incoming::PubAck(puback)) => self.acknowledged(puback.pkid),
            _ => {}
        }
    }

    /// Brokers acknowledge in order (MQTT 5.0, section 4.6), so this is the oldest message, save with
    /// a broker that does not keep to it.
    fn acknowledged(&mut self, packet_id: u16) {
        if let Some(at) = self.unacknowledged.iter().position(|(sent, _)| *sent == packet_id) {
            self.unacknowledged.remove(at);
        }
    }

    /// When to look again; none while there is nothing to wait for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let acknowledged = self.unacknowledged.front().map(|(_, sent)| *sent + self.ack_timeout);
        let heard = self.silence_timeout.map(|timeout| self.last_packet + timeout);
        acknowledged.into_iter().chain(heard).min()
    }

    /// What the broker failed to do by `now`.
    pub(super) fn overdue(&self, now: Instant) -> Option<Trouble> {
        let waited = |since: Instant| now.saturating_duration_since(since);
        if self.unacknowledged.front().is_some_and(|(_, sent)| waited(*sent) >= self.ack_timeout) {
            let timeout = self.ack_timeout;
            return Some(Trouble::heals(format!(
                "the broker did not acknowledge a message within {timeout:?}"
            )));
        }
        let timeout = self.silence_timeout.filter(|timeout| waited(self.last_packet) >= *timeout)?;
        Some(Trouble::heals(format!("no packet passed for {timeout:?}")))
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::PubAck;

    use super::*;

    const ACK_TIMEOUT: Duration = Duration::from_secs(30);

    fn sent(packet_id: u16) -> Event {
        Event::Outgoing(Outgoing::Publish(packet_id))
    }

    fn acknowledged(packet_id: u16) -> Event {
        Event::Incoming(Incoming::PubAck(PubAck::new(packet_id, None)))
    }

    #[test]
    fn the_oldest_message_sets_the_deadline_whatever_the_order_of_acknowledgements() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut vigil = Vigil::new(ACK_TIMEOUT, None, start);
        assert_eq!(vigil.deadline(), None);
        vigil.note(&sent(1), at(0));
        vigil.note(&sent(2), at(1));
        vigil.note(&sent(3), at(2));
        vigil.note(&acknowledged(2), at(3));
        assert_eq!(vigil.deadline(), Some(at(30)));
        assert_eq!(vigil.overdue(at(29)), None);
        assert!(vigil.overdue(at(30)).is_some());
        vigil.note(&acknowledged(1), at(3));
        assert_eq!(vigil.deadline(), Some(at(32)));
        vigil.note(&acknowledged(9), at(3));
        vigil.note(&acknowledged(3), at(3));
        assert_eq!(vigil.deadline(), None);
        assert_eq!(vigil.overdue(at(1_000_000)), None);
    }

    #[test]
    fn silence_is_noticed_after_two_keep_alives() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut vigil = Vigil::new(ACK_TIMEOUT, Some(Duration::from_secs(10)), start);
        assert_eq!(vigil.deadline(), Some(at(20)));
        vigil.note(&Event::Outgoing(Outgoing::PingReq), at(10));
        assert_eq!(vigil.deadline(), Some(at(30)));
        assert_eq!(vigil.overdue(at(29)), None);
        assert!(vigil.overdue(at(30)).is_some());
    }
}
