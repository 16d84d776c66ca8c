//! The task that owns the connection: it connects, keeps it going, and connects again.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use penstock_events::Timestamp;
use rumqttc::{
    AsyncClient, Broker, LastWill, LastWillProperties, MqttOptions, PublishOptions, PublishProperties, QoS,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::connection::{Connection, End};
use super::dial::Dialer;
use super::granted::Retain;
use super::handle::{Answers, Current, MqttUplink};
use super::link::{Link, now};
use super::reason::{Remedy, Trouble};
use super::settings::{Settings, SettingsError};
use super::status;
use super::topic::Topic;

/// How many queued messages the client takes in one go. More does not make it faster.
const REQUEST_BATCH: usize = 64;
/// A connection that held for this long was a good one: the next attempt comes after the shortest
/// delay. Without it, a broker that accepts and then drops would be called at that pace for ever.
const STABLE: Duration = Duration::from_secs(30);
/// How long an orderly end may take: outstanding PUBACKs, the offline status and the DISCONNECT.
/// After it the connection is cut and the broker publishes the will.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);

/// Owns the connection of an uplink. Nothing is published before [`Driver::run`] runs.
pub struct Driver {
    settings: Settings,
    options: MqttOptions,
    dialer: Dialer,
    status_topic: Topic,
    retain: Retain,
    link: watch::Sender<Link>,
    current: watch::Sender<Option<Arc<Current>>>,
    /// What was logged last, so that an outage is one line and not one a minute.
    told: Option<Trouble>,
}

impl Driver {
    pub(super) fn new(settings: Settings) -> Result<(MqttUplink, Self), SettingsError> {
        let status_topic = Topic::of_status(&settings.prefix, &settings.origin);
        let options = options(&settings, &status_topic)?;
        let dialer = Dialer::new(&settings)?;
        let (link, link_seen) = watch::channel(Link::Connecting);
        let (current, current_seen) = watch::channel(None);
        let retain = Retain::Kept;
        let driver = Self { settings, options, dialer, status_topic, retain, link, current, told: None };
        Ok((MqttUplink { link: link_seen, current: current_seen }, driver))
    }

    /// Connects and stays connected until `stop` is cancelled; then says that the gateway is offline
    /// and disconnects, within five seconds.
    ///
    /// What was published before is waited for; what is published after fails at once. Dropping the
    /// future cuts the connection, and the broker publishes the will.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0_u32;
        loop {
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                opened = self.open() => opened,
            };
            let trouble = match opened {
                Err(trouble) => trouble,
                Ok(connection) => {
                    let opened = Instant::now();
                    match self.attend(connection, &stop).await {
                        End::Stopped => return,
                        End::Lost(trouble) if opened.elapsed() >= STABLE => {
                            failures = 0;
                            trouble
                        }
                        End::Lost(trouble) => trouble,
                    }
                }
            };
            failures = failures.saturating_add(1);
            self.lost(trouble);
            let delay = self.settings.reconnect.delay(failures, fastrand::f64());
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(delay) => {}
            }
        }
    }

    async fn open(&self) -> Result<Connection, Trouble> {
        Connection::open(self.options.clone(), self.dialer.clone(), self.settings.inflight.into()).await
    }

    /// Lets events through until the connection ends.
    async fn attend(&mut self, mut connection: Connection, stop: &CancellationToken) -> End {
        let since = now();
        let client = connection.client.clone();
        let retain = connection.granted.retain;
        let answers = Arc::new(Answers { foreign: connection.foreign.clone(), ..Answers::default() });
        let online = status::online(&self.settings.origin, since);
        client
            .try_publish(self.status_topic.as_str(), online, status_options(retain))
            .expect("the queue of a new connection has room");
        self.current.send_replace(Some(Arc::new(Current {
            client: client.clone(),
            max_packet_bytes: connection.granted.max_packet_bytes,
            answers: Arc::clone(&answers),
        })));
        self.online(since);

        let farewell = async {
            stop.cancelled().await;
            self.close("stopped");
            let goodbye = say_goodbye(
                &client,
                &self.status_topic,
                status::stopped(&self.settings.origin, now()),
                retain,
            );
            // The disconnect ends the connection, and this future with it, unless time runs out.
            if timeout(FAREWELL_LIMIT, goodbye).await.is_err() {
                warn!(broker = %self.settings.broker, "the broker did not take the farewell in time");
            }
        };
        let end = connection.serve(self.settings.ack_timeout, farewell).await;
        let reason = match &end {
            End::Stopped => "stopped",
            End::Lost(trouble) => &trouble.reason,
        };
        answers.end.set(reason.to_owned()).expect("a connection ends once");
        self.close(reason);
        // Fails what was under way. Whoever learns of it finds the reason and the link as they are.
        drop(connection);
        end
    }

    fn online(&mut self, since: Timestamp) {
        info!(broker = %self.settings.broker, "connected");
        self.told = None;
        self.link.send_replace(Link::Online { since });
    }

    fn lost(&mut self, trouble: Trouble) {
        if trouble.remedy == Remedy::WithoutRetain && self.retain == Retain::Kept {
            self.retain = Retain::NotSupported;
            self.options.set_last_will(will(&self.settings, &self.status_topic, self.retain));
        }
        self.offline(&trouble.reason);
        if self.told.as_ref() == Some(&trouble) {
            return;
        }
        let (broker, reason) = (&self.settings.broker, &trouble.reason);
        match trouble.remedy {
            Remedy::Operator => error!(%broker, reason, "no connection; this needs an operator"),
            Remedy::Time | Remedy::WithoutRetain => warn!(%broker, reason, "no connection; trying again"),
        }
        self.told = Some(trouble);
    }

    /// Lets nothing through any more.
    fn close(&self, reason: &str) {
        self.offline(reason);
        self.current.send_replace(None);
    }

    fn offline(&self, reason: &str) {
        self.link.send_modify(|link| {
            let since = match link {
                Link::Offline { since, .. } => *since,
                Link::Connecting | Link::Online { .. } => now(),
            };
            *link = Link::Offline { since, reason: reason.to_owned() };
        });
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Drop for Driver {
    /// However the driver ends, nobody keeps waiting for it: a queue that nothing drains would hold
    /// its events for as long as a handle lives.
    fn drop(&mut self) {
        self.close("stopped");
    }
}

/// Publishes the offline status once everything before it is acknowledged, and disconnects. Pends
/// then: the connection ends with the DISCONNECT.
async fn say_goodbye(client: &AsyncClient, topic: &Topic, status: String, retain: Retain) {
    if let Ok(notice) = client.publish_tracked(topic.as_str(), status, status_options(retain)).await
        && notice.wait_async().await.is_ok()
        && client.disconnect_with_timeout(FAREWELL_LIMIT).await.is_ok()
    {
        debug!(%topic, "said goodbye");
    }
    pending::<()>().await;
}

fn status_options(retain: Retain) -> PublishOptions {
    let properties = PublishProperties {
        content_type: Some(status::CONTENT_TYPE.to_owned()),
        ..PublishProperties::default()
    };
    PublishOptions::at_least_once().retain(retain == Retain::Kept).properties(properties)
}

fn will(settings: &Settings, topic: &Topic, retain: Retain) -> LastWill {
    LastWill::new(
        topic.as_str(),
        status::will(&settings.origin),
        QoS::AtLeastOnce,
        retain == Retain::Kept,
        Some(LastWillProperties {
            delay_interval: None,
            payload_format_indicator: None,
            message_expiry_interval: None,
            content_type: Some(status::CONTENT_TYPE.to_owned()),
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        }),
    )
}

fn options(settings: &Settings, status_topic: &Topic) -> Result<MqttOptions, SettingsError> {
    let keep_alive_s = settings.checked_keep_alive_s()?;
    // Where to connect to is the dialer's affair; the options only have to name some broker.
    let broker = Broker::tcp(settings.broker.host.as_str(), settings.broker.port);
    let mut options = MqttOptions::new(settings.client_id.as_str(), broker);
    options
        .set_clean_start(true)
        .set_session_expiry_interval(Some(0))
        .set_keep_alive(keep_alive_s)
        .set_connect_timeout(settings.connect_timeout)
        .set_outgoing_inflight_upper_limit(settings.inflight)
        .set_max_request_batch(REQUEST_BATCH)
        .set_last_will(will(settings, status_topic, Retain::Kept));
    if let Some(credentials) = &settings.credentials {
        options.set_credentials(credentials.username.as_str(), credentials.password.clone());
    }
    Ok(options)
}
