//! An independent subscriber: it hears every event that a broker delivers and judges them against
//! the truth. It parses the events on its own, with nothing of the gateway's.

mod testimony;
mod verdict;

use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v5::Packet;
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use testimony::{Received, Testimony};
pub use verdict::{StreamTally, Tally, Verdict};

/// How long the first subscription may take, on a machine that is busy building something.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before connecting again: short, since what is published in it is not heard.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
/// Commands to the client: there is one, SUBSCRIBE.
const COMMANDS: usize = 8;
const KEEP_ALIVE_SECONDS: u16 = 30;

/// The broker did not accept the witness.
#[derive(Debug, thiserror::Error)]
#[error("no subscription to {filter:?} at {broker} within {SUBSCRIBE_TIMEOUT:?}")]
pub struct NotSubscribed {
    broker: SocketAddr,
    filter: String,
}

/// A subscriber at work. Dropping it ends it.
///
/// When its connection breaks it connects and subscribes again. It has no session, so what the
/// broker delivers in between is not heard and counts as lost: connect it past any [`crate::link::Link`],
/// and after a restart of the broker wait for [`Testimony::subscriptions`] before letting a gateway in.
#[derive(Debug)]
pub struct Witness {
    heard: watch::Receiver<Testimony>,
    _stop: DropGuard,
}

impl Witness {
    /// Subscribes to `filter` with QoS 1, and returns once the broker has granted it.
    ///
    /// # Errors
    ///
    /// When the broker cannot be reached or grants nothing within ten seconds.
    pub async fn subscribe(broker: SocketAddr, filter: &str) -> Result<Self, NotSubscribed> {
        let client_id = format!("witness-{:016x}", fastrand::u64(..));
        let mut options = MqttOptions::new(client_id, (broker.ip().to_string(), broker.port()));
        options.set_keep_alive(KEEP_ALIVE_SECONDS);
        // A PUBACK that waits for Nagle's algorithm holds the broker's window back by 40 ms.
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, events) = AsyncClient::builder(options).capacity(COMMANDS).build();
        let (hears, heard) = watch::channel(Testimony::default());
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(listen(
            client,
            events,
            filter.to_owned(),
            hears,
        )));
        let mut witness = Self { heard, _stop: stop.drop_guard() };
        if witness.wait_until(SUBSCRIBE_TIMEOUT, |testimony| testimony.subscriptions() > 0).await {
            Ok(witness)
        } else {
            Err(NotSubscribed { broker, filter: filter.to_owned() })
        }
    }

    /// Looks at what was heard so far. Hearing waits while `look` runs.
    pub fn look<T>(&self, look: impl FnOnce(&Testimony) -> T) -> T {
        look(&self.heard.borrow())
    }

    /// Waits until what was heard fulfils `condition`; false when it does not within `deadline`.
    pub async fn wait_until(
        &mut self,
        deadline: Duration,
        condition: impl FnMut(&Testimony) -> bool,
    ) -> bool {
        timeout(deadline, self.heard.wait_for(condition)).await.is_ok_and(|waited| waited.is_ok())
    }
}

async fn listen(client: AsyncClient, mut events: EventLoop, filter: String, hears: watch::Sender<Testimony>) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                // The queue of commands is empty right after connecting, so there is room.
                client.try_subscribe(&*filter, QoS::AtLeastOnce).expect("there is room for one command");
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => hears.send_modify(Testimony::subscribed),
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                hears.send_modify(|testimony| testimony.hear(&publish.payload));
            }
            Ok(_) => {}
            Err(_) => sleep(RECONNECT_PAUSE).await,
        }
    }
}
