//! How fast a backlog drains, against a bare publisher with the same client, broker and window.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use penstock_buffer::{Buffer, Options};
use penstock_events::cloudevent::{CloudEvent, Origin};
use penstock_events::{Event, Fact, Lane, Quality, Sequence, Timestamp, Value};
use rumqttc::{AsyncClient, MqttOptions, PublishOptions};
use tokio::runtime::Runtime;

use crate::gateway::{Gateway, mosquitto};

const BACKLOG: u64 = 200_000;
const WINDOW: u16 = 250;
const ROUNDS: usize = 3;
const DESTINATION: &str = "enterprise";

pub(crate) fn run(folder: &Path) -> anyhow::Result<()> {
    println!("drain of {BACKLOG} events, window {WINDOW}, mosquitto on loopback");
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let folder = folder.join(round.to_string());
        fs::create_dir_all(&folder)?;
        let (_broker, port) = mosquitto(&folder)?;
        let bare = Runtime::new()?.block_on(publish_bare(port))?;
        let drained = drain(&folder, port)?;
        let rate = |took: Duration| BACKLOG as f64 / took.as_secs_f64();
        let ratio = rate(drained) / rate(bare);
        println!(
            "  round {round}: penstock {:>8.0}/s   bare publisher {:>8.0}/s   ratio {ratio:.2}",
            rate(drained),
            rate(bare)
        );
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    println!("  median ratio {:.2} (aim: at least 0.6)\n", ratios[ROUNDS / 2]);
    Ok(())
}

/// From the start of the process, with its backlog on disk, to the last confirmed event.
fn drain(folder: &Path, port: u16) -> anyhow::Result<Duration> {
    let path = folder.join("buffer");
    let mut options = Options::new(path.clone(), "edge-01".parse()?, vec![DESTINATION.parse()?]);
    options.max_bytes = 4 << 30;
    let buffer = Buffer::open(options)?;
    Runtime::new()?.block_on(async {
        for first in (0..BACKLOG).step_by(1_000) {
            buffer.append((first..first + 1_000).map(sample).collect(), Vec::new()).await?;
        }
        anyhow::Ok(())
    })?;
    buffer.close()?;
    let gateway = Gateway::configured(
        folder,
        &format!(
            r#"
            [gateway]
            id = "edge-01"
            site = "plant-7"
            [[modbus]]
            name = "press-1"
            address = "tcp://127.0.0.1:1"
            tags = [{{ name = "temp", at = "input:10", type = "f32" }}]
            [[asset]]
            path = "stamping/line-1/press-1"
            telemetry = [{{ tag = "press-1.temp" }}]
            [buffer]
            path = "{}"
            [[mqtt]]
            name = "{DESTINATION}"
            url = "mqtt://127.0.0.1:{port}"
            inflight = {WINDOW}
            "#,
            path.display()
        ),
    )?;
    let begun = Instant::now();
    let _running = gateway.start()?;
    gateway.wait_until("the drain", |status| {
        let lane = &status["destinations"][0]["lanes"][1];
        (lane["cursor"].as_u64()? >= BACKLOG).then(|| begun.elapsed())
    })
}

/// The same documents, made beforehand, from a publisher that keeps as many in flight and no books.
async fn publish_bare(port: u16) -> anyhow::Result<Duration> {
    let origin = Origin { gateway: "edge-01".parse()?, site: "plant-7".parse()? };
    let stream = penstock_events::StreamId::new(&origin.gateway, Lane::Telemetry, 1);
    let documents: Vec<_> = (0..BACKLOG)
        .map(|index| {
            let (event, sequence) = (&sample(index), Sequence(index + 1));
            CloudEvent { origin: &origin, stream: &stream, sequence, event }.to_json()
        })
        .collect();
    let mut options = MqttOptions::new("bare", ("127.0.0.1", port));
    options.set_outgoing_inflight_upper_limit(WINDOW);
    options.set_max_request_batch(64);
    let (client, mut events) = AsyncClient::builder(options).capacity(WINDOW.into()).build();
    let begun = Instant::now();
    let driver = tokio::spawn(async move { while events.poll().await.is_ok() {} });
    let (notices, mut confirmed) = tokio::sync::mpsc::channel(usize::from(WINDOW));
    let counting = tokio::spawn(async move {
        let mut count = 0;
        while let Some(notice) = confirmed.recv().await {
            let notice: rumqttc::PublishNotice = notice;
            notice.wait_async().await?;
            count += 1;
        }
        anyhow::Ok(count)
    });
    for document in documents {
        let topic = "penstock/plant-7/stamping/line-1/press-1/telemetry.sampled";
        notices.send(client.publish_tracked(topic, document, PublishOptions::at_least_once()).await?).await?;
    }
    drop(notices);
    let count: u64 = counting.await??;
    anyhow::ensure!(count == BACKLOG, "{count} of {BACKLOG} were confirmed");
    driver.abort();
    Ok(begun.elapsed())
}

fn sample(index: u64) -> Event {
    let now = Timestamp::from(SystemTime::now());
    let value = Some(Value::Float(70.0 + (index % 997) as f64 / 100.0));
    let tag = "press-1.temp".parse().expect("a tag path");
    Event {
        asset: "stamping/line-1/press-1".parse().expect("an asset path"),
        time: now,
        observed: now,
        quality: Quality::Good,
        fact: Fact::TelemetrySampled { tag, value, unit: Some("Cel".into()) },
    }
}
