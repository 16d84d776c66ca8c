//! The gateway: wires the stages, and reads like the diagram.
//!
//! ```text
//! adapters ──► ingest (normalizer) ──► buffer ──► forwarders ──► uplinks
//! ```
//!
//! It stops in the order of the flow: adapters stop, ingest drains, the buffer commits, and the
//! forwarders get the rest of the grace period.

mod adapters;
mod destination;
mod shutdown;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use penstock_buffer::{Buffer, OpenError, Options};
use penstock_events::cloudevent::Origin;
use penstock_events::normalizer::Normalizer;
use penstock_events::{AssetPath, Event, Fact, GatewayId, Quality, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api;
use crate::config::{self, Config, Destination};
use crate::desk::Desk;
use crate::ingest::{self, Ingest};
use crate::pulse::Pulse;
use crate::status::{DestinationView, Observer, Views};
use crate::supervise::Stage;
use crate::watchdog::{self, Vitals};
use destination::Delivery;
use shutdown::{Signals, Stages, Tokens};

/// How long the control socket may take to close: a client that hangs, or a socket that cannot be
/// made, must not keep the buffer from closing.
const HOUSE_ENDS_WITHIN: Duration = Duration::from_secs(1);

/// How long somebody else may have the buffer before the gateway gives up: longer than a look into it takes.
const COMMANDS_END_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the gateway until it is told to stop or its buffer fails.
///
/// # Errors
/// When the buffer cannot be opened, its state cannot be restored, or it fails while running.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let Config { plan, modbus, opcua, pki, buffer, mqtt, shutdown_grace, control_socket, warnings, .. } =
        config;
    for warning in warnings.problems() {
        warn!(at = %warning.path, "{}", warning.message);
    }
    let mut signals = Signals::listen()?;
    let started = started(&plan.origin.gateway);
    info!(version = env!("CARGO_PKG_VERSION"), gateway = %plan.origin.gateway, site = %plan.origin.site, "penstock starts");

    let buffer = open(buffer).await?;
    let origin = plan.origin.clone();
    let normalizer = Normalizer::restore(plan, |key| buffer.state().get(key).map(Vec::as_slice))?;
    let (observed, observations) = mpsc::channel(ingest::QUEUE);
    let tokens = Tokens::default();
    let pulse = Pulse::default();

    let passport = config::passport(pki, &origin);
    let (adapters, sources) = adapters::start(modbus, opcua, passport, &observed, &tokens.adapters);
    let vitals = Vitals { buffer: buffer.clone(), observations: observed.downgrade(), ingest: pulse.clone() };
    // The adapters hold the only senders left: ingest ends when they have.
    drop(observed);

    let mut core = Stage::default();
    let ingest = Ingest::new(normalizer, buffer.clone(), observations, pulse);
    let left_out = ingest.left_out();
    core.spawn_essential("ingest".to_owned(), ingest.run(started));

    let (forwarders, destinations) = start_destinations(mqtt, &origin, &buffer, &tokens.forwarders);
    let observer = Observer::new(origin.clone(), buffer.clone(), Views { sources, left_out, destinations });
    let desk = Desk { origin, buffer: buffer.clone(), is_running: true };
    let house = House { socket: control_socket, observer: observer.clone(), desk, vitals };
    let mut house = house.start(&tokens.house);
    let mut stages = Stages { adapters, core, destinations: forwarders };
    watchdog::say_ready();

    tokio::select! {
        signal = signals.next() => info!(signal, "penstock stops"),
        failed = stages.core.ended() => return failed.and_then(|()| anyhow::bail!("ingest ended without being told to")),
    }
    watchdog::say_stopping();
    tokio::select! {
        drained = shutdown::drain(&mut stages, &tokens, &observer, shutdown_grace) => drained?,
        signal = signals.next() => warn!(signal, "told again: penstock stops without waiting any longer"),
    }
    tokens.house.cancel();
    if timeout(HOUSE_ENDS_WITHIN, house.ended()).await.is_err() {
        warn!("the control socket did not close in time");
    }
    tokio::task::spawn_blocking(move || buffer.close()).await?.context("the buffer did not close cleanly")
}

/// Opens the buffer. A command of an operator may have it for a moment, and then the gateway waits.
async fn open(options: Options) -> Result<Buffer, OpenError> {
    let started = Instant::now();
    loop {
        match Buffer::open(options.clone()) {
            Err(OpenError::Locked { .. }) if started.elapsed() < COMMANDS_END_WITHIN => {
                sleep(LOOK_EVERY).await;
            }
            opened => return opened,
        }
    }
}

fn start_destinations(
    destinations: Vec<Destination>,
    origin: &Origin,
    buffer: &Buffer,
    stop: &CancellationToken,
) -> (Stage, Vec<DestinationView>) {
    let mut stage = Stage::default();
    let mut views = Vec::with_capacity(destinations.len());
    for destination in destinations {
        let (link, view) = watch::channel(None);
        let name = destination.name.clone();
        views.push(DestinationView { name: name.clone(), link: view });
        let (origin, buffer, stop) = (origin.clone(), buffer.clone(), stop.clone());
        let delivery = Arc::new(Delivery { destination, origin, buffer, link, stop });
        stage.spawn_restarting(format!("destination {name}"), move || Arc::clone(&delivery).run());
    }
    (stage, views)
}

/// What serves the operator and systemd rather than the events.
struct House {
    socket: PathBuf,
    observer: Observer,
    desk: Desk,
    vitals: Vitals,
}

impl House {
    fn start(self, stop: &CancellationToken) -> Stage {
        let Self { socket, observer, desk, vitals } = self;
        let mut stage = Stage::default();
        let until = stop.clone();
        stage.spawn_restarting("control socket".to_owned(), move || {
            api::serve(socket.clone(), observer.clone(), desk.clone(), until.clone())
        });
        let until = stop.clone();
        stage.spawn_restarting("watchdog".to_owned(), move || watchdog::run(vitals.clone(), until.clone()));
        stage
    }
}

fn started(gateway: &GatewayId) -> Event {
    let now = Timestamp::from(SystemTime::now());
    Event {
        asset: AssetPath::of_gateway(gateway),
        time: now,
        observed: now,
        quality: Quality::Good,
        fact: Fact::GatewayStarted { version: env!("CARGO_PKG_VERSION").into() },
    }
}
