//! The adapter as the gateway runs it: one poller for a line, whose observations are taken and counted.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use penstock_adapters::Clock;
use penstock_adapters::modbus::{Device, DeviceStatus, Host, Line, Transport, Wiring, poll};
use penstock_events::{Observation, Sample};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::Measured;

/// Polls the devices for so long, each as often as it can be.
pub(crate) fn read(devices: &[Device], port: u16, time: Duration) -> anyhow::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(count(devices, port, time))
}

async fn count(devices: &[Device], port: u16, time: Duration) -> anyhow::Result<Measured> {
    let (sender, mut observations) = mpsc::channel(16);
    let clock = Clock::system();
    let transport = Transport::Tcp(Host { host: "127.0.0.1".to_owned(), port });
    let line = Line { transport, devices: devices.iter().cloned().map(Arc::new).collect() };
    let statuses = line
        .devices
        .iter()
        .map(|device| watch::channel(DeviceStatus::starting(device.name.clone(), clock.now())).0);
    let statuses = statuses.collect();
    let stop = CancellationToken::new();
    let wiring = Wiring { observations: sender, statuses, clock, stop: stop.clone() };
    let polling = tokio::spawn(poll(Arc::new(line), wiring));
    let (mut readings, cpu, begun) = (0, cpu_time()?, Instant::now());
    while begun.elapsed() < time || readings == 0 {
        let observation = observations.recv().await.context("the poller ended")?;
        let Observation::Polled { readings: read, .. } = observation else {
            anyhow::bail!("the device does not answer: {observation:?}");
        };
        anyhow::ensure!(read.iter().all(|reading| matches!(reading.sample, Sample::Good(_))), "a tag is bad");
        readings += read.len() as u64;
    }
    let measured = Measured { readings, cpu: cpu_time()? - cpu, wall: begun.elapsed() };
    stop.cancel();
    polling.await?;
    Ok(measured)
}

/// Processor time of this process so far (proc(5); 100 ticks a second).
fn cpu_time() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/self/stat")?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
