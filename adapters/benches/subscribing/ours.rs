//! The adapter as the gateway runs it: one observer of a server, whose observations are taken and counted.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use penstock_adapters::Clock;
use penstock_adapters::opcua::pki::{Application, Passport};
use penstock_adapters::opcua::{
    Acquisition, Deadband, Discard, Identity, Part, Sampling, Security, Server, ServerStatus, Tag, Trigger,
    Wiring, observe,
};
use penstock_events::{Observation, Sample, SourceId, TagId};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::measuring::{Measured, Measuring, SET_UP_WITHIN};
use crate::{PUBLISH, QUEUE, SUBSCRIPTION_SIZE, Task};

/// Observes the items for so long.
pub(crate) fn subscribe(task: Task) -> anyhow::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(count(task))
}

async fn count(task: Task) -> anyhow::Result<Measured> {
    let (sender, mut observations) = mpsc::channel(16);
    let clock = Clock::system();
    let server = server(&task)?;
    let status = watch::channel(ServerStatus::starting(server.name.clone(), clock.now())).0;
    let folder = tempfile::tempdir()?;
    let application = Application { name: "bench".to_owned(), uri: "urn:bench".to_owned() };
    let passport = Arc::new(Passport::new(folder.path().to_owned(), application));
    let stop = CancellationToken::new();
    let wiring = Wiring { observations: sender, status, passport, clock, stop: stop.clone() };
    let observing = tokio::spawn(observe(Arc::new(server), wiring));
    let mut next = async || -> anyhow::Result<u64> {
        let observation = timeout(SET_UP_WITHIN, observations.recv()).await?.context("the observer ended")?;
        let Observation::Polled { readings, .. } = observation else {
            anyhow::bail!("the server does not answer: {observation:?}");
        };
        anyhow::ensure!(
            readings.iter().all(|reading| matches!(reading.sample, Sample::Good(_))),
            "a tag is bad"
        );
        Ok(readings.len() as u64)
    };
    let mut values = 0;
    while values < task.items as u64 {
        values += next().await?;
    }
    let (measuring, mut values) = (Measuring::begin()?, 0);
    while measuring.lasts(task.time) {
        values += next().await?;
    }
    let measured = measuring.end(values)?;
    stop.cancel();
    // The observer may wait for room.
    drop(observations);
    observing.await?;
    Ok(measured)
}

fn server(task: &Task) -> anyhow::Result<Server> {
    let sampling = Sampling {
        interval: Duration::ZERO,
        queue: QUEUE,
        discard: Discard::Oldest,
        trigger: Trigger::Value,
        deadband: Deadband::None,
    };
    let tags = (0..task.items).map(|number| {
        Ok(Tag {
            id: TagId(number.try_into()?),
            path: format!("oven.t{number}").parse()?,
            node: format!("nsu=urn:plant:oven;s=T{number}").parse()?,
            part: Part::default(),
            acquisition: Acquisition::Subscribe(sampling),
        })
    });
    Ok(Server {
        source: SourceId(0),
        name: "oven".parse()?,
        endpoint: format!("opc.tcp://127.0.0.1:{}/oven", task.port).parse()?,
        security: Security::None,
        pin: None,
        identity: Identity::Anonymous,
        publish: PUBLISH,
        poll: PUBLISH,
        connect_timeout: SET_UP_WITHIN,
        request_timeout: SET_UP_WITHIN,
        session_timeout: SET_UP_WITHIN,
        history: Duration::ZERO,
        subscription_size: SUBSCRIPTION_SIZE,
        tags: tags.collect::<anyhow::Result<_>>()?,
        notifiers: Vec::new(),
    })
}
