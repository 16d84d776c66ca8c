//! One destination: its connection and a forwarder for each lane, started and stopped together.

use std::sync::Arc;

use penstock_buffer::Buffer;
use penstock_events::Lane;
use penstock_events::cloudevent::Origin;
use penstock_uplink::mqtt::{self, Link};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Destination;
use crate::forward::{Courier, Forwarder, Replays, Retry, Route};
use crate::supervise::Stage;

/// What it takes to deliver to one destination.
pub(super) struct Delivery {
    pub(super) destination: Destination,
    pub(super) origin: Origin,
    pub(super) buffer: Buffer,
    /// Where the status page finds the state of the connection of this run.
    pub(super) link: watch::Sender<Option<watch::Receiver<Link>>>,
    pub(super) stop: CancellationToken,
}

impl Delivery {
    /// Delivers until it is told to stop. Forwarders stop first, so that what they have handed over is
    /// confirmed before the connection says goodbye.
    ///
    /// # Errors
    /// When a part of it fails; the other parts end with it.
    pub(super) async fn run(self: Arc<Self>) -> anyhow::Result<()> {
        let Destination { name, settings, topic, .. } = &self.destination;
        let (uplink, driver) = mqtt::uplink(settings.clone())?;
        self.link.send_replace(Some(uplink.link()));

        let goodbye = CancellationToken::new();
        let mut connection = Stage::default();
        let stop = goodbye.clone();
        connection.spawn_essential(format!("connection to {name}"), async move {
            driver.run(stop).await;
            Ok(())
        });
        let mut lanes = Stage::default();
        let route = Route {
            destination: name.clone(),
            origin: self.origin.clone(),
            prefix: settings.prefix.clone(),
            topic: topic.clone(),
        };
        for lane in Lane::ALL {
            let window = settings.inflight.into();
            let forwarder = Forwarder::new(route.clone(), lane, window, self.buffer.clone(), uplink.clone());
            lanes.spawn_essential(format!("{lane} lane to {name}"), forwarder.run(self.stop.clone()));
        }
        let courier = Courier::new(route, self.buffer.clone(), uplink);
        let retry = courier.clone().run(Retry, self.stop.clone());
        lanes.spawn_essential(format!("dead letters to {name}"), retry);
        let replays = courier.run(Replays::default(), self.stop.clone());
        lanes.spawn_essential(format!("replays to {name}"), replays);
        tokio::select! {
            ended = lanes.ended() => ended?,
            ended = connection.ended() => {
                ended?;
                anyhow::bail!("the connection to {name} ended without being told to");
            }
        }
        goodbye.cancel();
        connection.ended().await
    }
}
