//! A client of the same library that does what its examples do, and only counts the values.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use opcua::client::{ClientBuilder, DataChangeCallback, IdentityToken, Session};
use opcua::crypto::SecurityPolicy;
use opcua::types::{
    MessageSecurityMode, MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NodeId,
    ReadValueId, TimestampsToReturn, UserTokenPolicy,
};
use tokio::time::{sleep, timeout};

use crate::measuring::{Measured, Measuring, SET_UP_WITHIN};
use crate::{PUBLISH, QUEUE, SUBSCRIPTION_SIZE, Task};

/// How often the count is looked at: seldom enough to cost nothing.
const LOOK: Duration = Duration::from_millis(20);
/// Keep-alives that are missed before the server is asked, and forgotten.
const KEEP_ALIVES: u32 = 30;
const LIFETIME: u32 = 1_000;
/// As the gateway's own client is set up.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const MAX_ARRAY_LENGTH: usize = 100_000;
/// The oven's namespace is the first after the standard's and the server's own.
const NAMESPACE: &str = "urn:plant:oven";

/// Counts the values of the items for so long.
pub(crate) fn subscribe(task: Task) -> anyhow::Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(count(task))
}

async fn count(task: Task) -> anyhow::Result<Measured> {
    let mut client = ClientBuilder::new()
        .application_name("bare")
        .application_uri("urn:bare")
        .session_retry_limit(0)
        .min_publish_interval(PUBLISH)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_array_length(MAX_ARRAY_LENGTH)
        .client()
        .map_err(|problems| anyhow::anyhow!(problems.join("; ")))?;
    let url = format!("opc.tcp://127.0.0.1:{}/oven", task.port);
    let endpoint = (
        url.as_str(),
        SecurityPolicy::None.to_str(),
        MessageSecurityMode::None,
        UserTokenPolicy::anonymous(),
    );
    let (session, event_loop) =
        client.connect_to_matching_endpoint(endpoint, IdentityToken::Anonymous).await?;
    let events = tokio::spawn(event_loop.run());
    timeout(SET_UP_WITHIN, session.wait_for_connection()).await?;
    let counted = Arc::new(AtomicU64::new(0));
    create(&session, task.items, &counted).await?;
    let set_up = async {
        while counted.load(Ordering::Relaxed) < task.items as u64 {
            sleep(LOOK).await;
        }
    };
    timeout(SET_UP_WITHIN, set_up).await.context("not every item has a value")?;
    let (measuring, before) = (Measuring::begin()?, counted.load(Ordering::Relaxed));
    while measuring.lasts(task.time) {
        sleep(LOOK).await;
    }
    let measured = measuring.end(counted.load(Ordering::Relaxed) - before)?;
    session.disconnect().await?;
    events.await?;
    Ok(measured)
}

async fn create(session: &Session, items: usize, counted: &Arc<AtomicU64>) -> anyhow::Result<()> {
    let namespace = session.get_namespace_index(NAMESPACE).await?;
    let all: Vec<usize> = (0..items).collect();
    for part in all.chunks(SUBSCRIPTION_SIZE) {
        let counted = Arc::clone(counted);
        let callback = DataChangeCallback::new(move |_value, _item| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let id = session.create_subscription(PUBLISH, LIFETIME, KEEP_ALIVES, 0, 0, true, callback).await?;
        let asked = part.iter().map(|number| MonitoredItemCreateRequest {
            item_to_monitor: ReadValueId::from(NodeId::new(namespace, format!("T{number}"))),
            monitoring_mode: MonitoringMode::Reporting,
            requested_parameters: MonitoringParameters {
                sampling_interval: 0.0,
                queue_size: QUEUE,
                discard_oldest: true,
                ..MonitoringParameters::default()
            },
        });
        let created = session.create_monitored_items(id, TimestampsToReturn::Both, asked.collect()).await?;
        ensure!(created.iter().all(|item| item.result.status_code.is_good()), "an item was refused");
    }
    Ok(())
}
