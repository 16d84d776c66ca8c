//! One connection to the broker, from the dialling to its end.

use std::pin::pin;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, MqttOptions, Outgoing, PubAckReason,
};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::acks::{ForeignCodes, StandardAcks};
use super::dial::Dialer;
use super::granted::Granted;
use super::reason::{self, Trouble};
use super::vigil::Vigil;

/// A connection that the broker has accepted.
pub(super) struct Connection {
    pub(super) client: AsyncClient,
    eventloop: EventLoop,
    pub(super) granted: Granted,
    pub(super) foreign: ForeignCodes,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// In an orderly way, because the uplink stops.
    Stopped,
    /// By the network or the broker.
    Lost(Trouble),
}

impl Connection {
    /// Connects, with a queue for `queue` messages. Ends within the connect timeout of the options.
    pub(super) async fn open(
        mut options: MqttOptions,
        dialer: Dialer,
        queue: usize,
    ) -> Result<Self, Trouble> {
        let keep_alive = options.keep_alive();
        let foreign = ForeignCodes::default();
        let seen = foreign.clone();
        options.set_socket_connector(move |_, _| {
            let (dialer, foreign) = (dialer.clone(), seen.clone());
            async move { Ok(StandardAcks::new(dialer.dial().await?, foreign)) }
        });
        let (client, mut eventloop) = AsyncClient::builder(options)
            .capacity(queue)
            .try_build()
            .expect("the options were checked when the uplink was made");
        loop {
            match eventloop.poll().await {
                Ok(Event::Incoming(Incoming::ConnAck(connack))) => {
                    let granted = Granted::by(&connack, keep_alive)?;
                    return Ok(Self { client, eventloop, granted, foreign });
                }
                Ok(_) => {}
                Err(error) => return Err(reason::trouble(&error)),
            }
        }
    }

    /// Keeps the connection going until it ends, or until `farewell` has resolved. What is under way
    /// then fails when the connection is dropped.
    ///
    /// The first message on the connection is the status, so its PUBACK is looked at here.
    pub(super) async fn serve(&mut self, ack_timeout: Duration, farewell: impl Future<Output = ()>) -> End {
        let mut vigil = Vigil::new(ack_timeout, self.granted.keep_alive, Instant::now());
        let mut status = Status::NotSent;
        let mut farewell = pin!(farewell);
        let mut timer = pin!(sleep_until(Instant::now()));
        loop {
            // One poll is never dropped half way: it would lose PUBACKs that it has read.
            let mut poll = pin!(self.eventloop.poll());
            let polled = loop {
                tokio::select! {
                    biased;
                    polled = &mut poll => break polled,
                    () = &mut timer => {
                        let now = Instant::now();
                        if let Some(trouble) = vigil.overdue(now) {
                            return End::Lost(trouble);
                        }
                        // Set anew only when it has fired: packets are many, firings few.
                        let latest = now + ack_timeout;
                        timer.as_mut().reset(vigil.deadline().map_or(latest, |deadline| deadline.min(latest)));
                    }
                    () = &mut farewell => return End::Stopped,
                }
            };
            match polled {
                Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(ConnectionError::RequestsDone) => {
                    return End::Stopped;
                }
                Ok(event) => {
                    vigil.note(&event, Instant::now());
                    status.note(&event);
                }
                Err(error) => return End::Lost(reason::trouble(&error)),
            }
        }
    }
}

/// The first message of a connection: the retained status.
enum Status {
    NotSent,
    Sent(u16),
    Answered,
}

impl Status {
    fn note(&mut self, event: &Event) {
        match (&self, event) {
            (Self::NotSent, Event::Outgoing(Outgoing::Publish(packet_id))) => *self = Self::Sent(*packet_id),
            (Self::Sent(packet_id), Event::Incoming(Incoming::PubAck(puback)))
                if *packet_id == puback.pkid =>
            {
                if !matches!(puback.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers) {
                    warn!(answer = ?puback.reason, "the broker does not take the gateway's status");
                }
                *self = Self::Answered;
            }
            _ => {}
        }
    }
}
