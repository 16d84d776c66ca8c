//! The plant's pieces as commands, each until interrupted.

pub(crate) mod oven;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use penstock_plant::broker::Broker;
use penstock_plant::fleet::DriftingBlock;
use penstock_plant::modbus_server::ModbusServer;
use penstock_plant::press_line::registers::UNIT;
use penstock_plant::press_line::{LiveLine, Order};
use penstock_plant::witness::Witness;
use tokio::signal::ctrl_c;

use crate::{Fleet, PressLine};

/// How long `watch` waits for an event before it looks up: it only bounds one wait.
const QUIET: Duration = Duration::from_secs(3_600);

/// Serves a press line that works as a line does.
pub(crate) async fn press_line(options: &PressLine) -> anyhow::Result<ExitCode> {
    let line = LiveLine::new(options.seed, options.time_scale);
    line.give(Order::Work);
    let server = ModbusServer::start(options.listen, UNIT, Arc::new(line))
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    println!("press line on tcp://{}, unit {UNIT}", server.address());
    until_interrupted().await
}

/// Runs a broker.
pub(crate) async fn broker(listen: SocketAddr) -> anyhow::Result<ExitCode> {
    let broker = Broker::start(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    println!("MQTT 5 broker on mqtt://{}", broker.address());
    until_interrupted().await
}

/// Prints events as they arrive.
pub(crate) async fn watch(broker: SocketAddr, filter: &str) -> anyhow::Result<ExitCode> {
    let mut witness = Witness::subscribe(broker, filter).await?;
    let mut printed = 0;
    let printing = async {
        loop {
            witness.wait_until(QUIET, |testimony| testimony.received().len() > printed).await;
            witness.look(|testimony| {
                for event in &testimony.received()[printed..] {
                    println!("{} {:>6} {:<22} {}", event.time, event.sequence, event.kind, event.data);
                }
                printed = testimony.received().len();
            });
        }
    };
    tokio::select! {
        () = printing => Ok(ExitCode::SUCCESS),
        interrupted = until_interrupted() => interrupted,
    }
}

/// Serves devices for load.
pub(crate) async fn fleet(options: &Fleet) -> anyhow::Result<ExitCode> {
    let mut servers = Vec::new();
    for index in 0..options.devices {
        let mut listen = options.listen_base;
        listen.set_port(listen.port().checked_add(index).context("the ports run out")?);
        let device = Arc::new(DriftingBlock::new(options.tags, index.into()));
        let server = ModbusServer::start(listen, UNIT, device).await;
        servers.push(server.with_context(|| format!("cannot listen on {listen}"))?);
    }
    println!(
        "{} devices from tcp://{} on, {} registers each",
        servers.len(),
        options.listen_base,
        options.tags
    );
    until_interrupted().await
}

/// Waits for SIGINT.
pub(crate) async fn until_interrupted() -> anyhow::Result<ExitCode> {
    ctrl_c().await.context("cannot wait for an interrupt")?;
    Ok(ExitCode::SUCCESS)
}
