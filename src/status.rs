//! How the gateway is, from the machine to the confirmed delivery: for `penstock status`.

use std::fmt;
use std::time::SystemTime;

use penstock_adapters::modbus::{self, DeviceStatus};
use penstock_adapters::opcua::pki::Expiry;
use penstock_adapters::opcua::{AlarmStatus, ServerLink, ServerStatus};
use penstock_buffer::{Buffer, Condition, DeadLetterCount, DestinationStatus, LaneStatus, Replay};
use penstock_events::cloudevent::Origin;
use penstock_events::normalizer::LeftOut;
use penstock_events::{DestinationName, GatewayId, Lane, Site, Timestamp};
use penstock_uplink::mqtt;
use serde::Serialize;
use tokio::sync::watch;

use crate::terminal::moment;

/// Sees every stage, and touches none.
#[derive(Clone)]
pub(crate) struct Observer {
    origin: Origin,
    started: Timestamp,
    buffer: Buffer,
    views: Views,
}

/// Where the stages are seen.
#[derive(Clone)]
pub(crate) struct Views {
    /// The sources, in the order of the configuration.
    pub(crate) sources: Vec<SourceView>,
    /// The conditions that raised no alert though they are active.
    pub(crate) left_out: watch::Receiver<LeftOut>,
    /// The destinations.
    pub(crate) destinations: Vec<DestinationView>,
}

/// Where the state of a source is seen.
#[derive(Clone)]
pub(crate) enum SourceView {
    /// A Modbus device.
    Modbus(watch::Receiver<DeviceStatus>),
    /// An OPC UA server.
    OpcUa(watch::Receiver<ServerStatus>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum SourceStatus {
    Modbus(DeviceStatus),
    OpcUa(Box<ServerStatus>),
}

/// Where the state of a destination's connection is seen; none before its first start.
#[derive(Clone)]
pub(crate) struct DestinationView {
    /// Which destination.
    pub(crate) name: DestinationName,
    /// The connection of the present run.
    pub(crate) link: watch::Receiver<Option<watch::Receiver<mqtt::Link>>>,
}

/// How the gateway is at one moment. Serializes for programs, displays for people.
#[derive(Serialize)]
pub(crate) struct Report {
    gateway: GatewayId,
    site: Site,
    version: &'static str,
    #[serde(serialize_with = "as_text")]
    started: Timestamp,
    #[serde(serialize_with = "as_text")]
    now: Timestamp,
    sources: Vec<SourceStatus>,
    alerts_left_out: LeftOut,
    buffer: BufferReport,
    lanes: Vec<LaneReport>,
    destinations: Vec<DestinationReport>,
}

#[derive(Serialize)]
struct BufferReport {
    condition: Condition,
    shed_events: u64,
}

#[derive(Serialize)]
struct LaneReport {
    lane: Lane,
    #[serde(flatten)]
    status: LaneStatus,
}

#[derive(Serialize)]
struct DestinationReport {
    name: DestinationName,
    link: mqtt::Link,
    lanes: Vec<DeliveryReport>,
    dead_letters: DeadLetterCount,
    replays: Vec<Replay>,
}

#[derive(Serialize)]
struct DeliveryReport {
    lane: Lane,
    #[serde(flatten)]
    status: DestinationStatus,
}

impl Observer {
    /// An observer of these stages.
    pub(crate) fn new(origin: Origin, buffer: Buffer, views: Views) -> Self {
        Self { origin, started: Timestamp::from(SystemTime::now()), buffer, views }
    }

    /// How many events destinations have yet to get.
    pub(crate) fn backlog(&self) -> u64 {
        self.backlog_of(|_| true)
    }

    /// How many of them could be delivered at this moment: those of the destinations that are online.
    pub(crate) fn deliverable(&self) -> u64 {
        self.backlog_of(|view| view.link().is_online())
    }

    fn backlog_of(&self, counts: impl Fn(&DestinationView) -> bool) -> u64 {
        let buffer = self.buffer.status();
        let views = self.views.destinations.iter().filter(|view| counts(view));
        let lanes = views.filter_map(|view| buffer.destinations.get(&view.name));
        lanes.flat_map(|lanes| Lane::ALL.map(|lane| lanes[lane].backlog)).sum()
    }

    /// How the gateway is.
    pub(crate) fn report(&self) -> Report {
        let buffer = self.buffer.status();
        let dead_letters = self.buffer.dead_letter_counts();
        let replays = self.buffer.replays();
        let destination = |view: &DestinationView| DestinationReport {
            name: view.name.clone(),
            link: view.link(),
            lanes: buffer.destinations.get(&view.name).map_or_else(Vec::new, |lanes| {
                Lane::ALL.map(|lane| DeliveryReport { lane, status: lanes[lane] }).into()
            }),
            dead_letters: dead_letters.get(&view.name).copied().unwrap_or_default(),
            replays: replays.iter().filter(|replay| replay.order.destination == view.name).cloned().collect(),
        };
        Report {
            gateway: self.origin.gateway.clone(),
            site: self.origin.site.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started: self.started,
            now: Timestamp::from(SystemTime::now()),
            sources: self.views.sources.iter().map(SourceView::status).collect(),
            alerts_left_out: *self.views.left_out.borrow(),
            lanes: Lane::ALL.map(|lane| LaneReport { lane, status: buffer.lanes[lane] }).into(),
            destinations: self.views.destinations.iter().map(destination).collect(),
            buffer: BufferReport { condition: buffer.condition, shed_events: buffer.shed_events },
        }
    }
}

impl SourceView {
    fn status(&self) -> SourceStatus {
        match self {
            Self::Modbus(view) => SourceStatus::Modbus(view.borrow().clone()),
            Self::OpcUa(view) => SourceStatus::OpcUa(Box::new(view.borrow().clone())),
        }
    }
}

impl DestinationView {
    fn link(&self) -> mqtt::Link {
        self.link.borrow().as_ref().map_or(mqtt::Link::Connecting, |link| link.borrow().clone())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway, site, version, started, .. } = self;
        writeln!(f, "gateway {gateway} at {site}, penstock {version}, up {}", self.age(*started))?;
        writeln!(f, "\nsources")?;
        for source in &self.sources {
            match source {
                SourceStatus::Modbus(device) => self.write_device(f, device)?,
                SourceStatus::OpcUa(server) => self.write_server(f, server)?,
            }
        }
        self.write_left_out(f)?;
        writeln!(f, "\nbuffer      {}", self.buffer.in_words())?;
        for LaneReport { lane, status } in &self.lanes {
            let stored_kib = status.stored_bytes / 1024;
            writeln!(
                f,
                "  {:<11} {:>10} events so far   {stored_kib:>8} KiB on disk",
                lane.as_str(),
                status.head.0
            )?;
        }
        writeln!(f, "\ndestinations")?;
        self.destinations.iter().try_for_each(|destination| self.write_destination(f, destination))
    }
}

impl Report {
    fn write_device(&self, f: &mut fmt::Formatter<'_>, device: &DeviceStatus) -> fmt::Result {
        let DeviceStatus { name, link, since, polls, failed, skipped, bad_tags, .. } = device;
        let since = self.age(*since);
        let state = match link {
            modbus::Link::Starting => "starting".to_owned(),
            modbus::Link::Up if *bad_tags > 0 => format!("up for {since}, {bad_tags} tags bad"),
            modbus::Link::Up => format!("up for {since}"),
            modbus::Link::Down { detail, .. } => format!("DOWN for {since}: {detail}"),
        };
        writeln!(f, "  {name:<20} {state}   ({polls} polls, {failed} failed, {skipped} skipped)")
    }

    fn write_server(&self, f: &mut fmt::Formatter<'_>, server: &ServerStatus) -> fmt::Result {
        let ServerStatus { name, link, since, values, connects, resumed, gaps, bad_tags, alarms, .. } =
            server;
        let since = self.age(*since);
        let state = match link {
            ServerLink::Starting => "starting".to_owned(),
            ServerLink::Up if *bad_tags > 0 => format!("up for {since}, {bad_tags} tags bad"),
            ServerLink::Up => format!("up for {since}"),
            ServerLink::Down { detail, .. } => format!("DOWN for {since}: {detail}"),
        };
        let state = match self.expiring(server) {
            Some(certificate) => format!("{state}, {certificate}"),
            None => state,
        };
        let state = match server.clock_skew_ms {
            Some(skew) if skew.side().is_ne() => format!("{state}, its CLOCK is {skew}"),
            _ => state,
        };
        writeln!(
            f,
            "  {name:<20} {state}   ({values} values, {connects} sessions, {resumed} resumed, {gaps} gaps)"
        )?;
        let Some(AlarmStatus { active, told, last_complete, incomplete_because, unusable, .. }) = alarms
        else {
            return Ok(());
        };
        let asked = match (incomplete_because, last_complete) {
            (Some(reason), _) => format!("the server does not tell which: {reason}"),
            (None, Some(time)) => format!("checked {} ago", self.age(*time)),
            (None, None) => "not checked yet".to_owned(),
        };
        let unusable = if *unusable > 0 { format!(", {unusable} not understood") } else { String::new() };
        writeln!(f, "    alarms      {active:>10} active, {asked}   ({told} told{unusable})")
    }

    fn write_left_out(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftOut { of_no_asset, beyond_limit } = self.alerts_left_out;
        if of_no_asset > 0 {
            writeln!(f, "  {of_no_asset} active conditions were the alerts of no asset")?;
        }
        if beyond_limit > 0 {
            writeln!(
                f,
                "  {beyond_limit} ALERTS WERE NOT RAISED: more are active at once than the gateway keeps"
            )?;
        }
        Ok(())
    }

    /// A certificate that has to be seen to.
    fn expiring(&self, server: &ServerStatus) -> Option<String> {
        let words = |whose: &str, end: Option<Timestamp>| match Expiry::until(end?, self.now) {
            Expiry::Far => None,
            Expiry::Soon(at) => Some(format!("{whose} CERTIFICATE EXPIRES at {}", moment(at))),
            Expiry::Over(at) => Some(format!("{whose} CERTIFICATE EXPIRED at {}", moment(at))),
        };
        words("its", server.certificate_ends).or_else(|| words("the gateway's", server.own_certificate_ends))
    }

    fn write_destination(&self, f: &mut fmt::Formatter<'_>, destination: &DestinationReport) -> fmt::Result {
        let state = match &destination.link {
            mqtt::Link::Connecting => "connecting".to_owned(),
            mqtt::Link::Online { since } => format!("online for {}", self.age(*since)),
            mqtt::Link::Offline { since, reason } => format!("OFFLINE for {}: {reason}", self.age(*since)),
        };
        writeln!(f, "  {:<20} {state}", destination.name)?;
        destination.lanes.iter().try_for_each(|DeliveryReport { lane, status }| {
            writeln!(
                f,
                "    {:<11} {:>10} delivered {:>10} waiting",
                lane.as_str(),
                status.cursor.0,
                status.backlog
            )
        })?;
        for replay in destination.replays.iter().filter(|replay| replay.is_active()) {
            let (done, all) = replay.progress();
            let Replay { id, delivered, .. } = replay;
            writeln!(f, "    replay {id:<4} {done:>10} of {all} looked at, {delivered} delivered again")?;
        }
        match destination.dead_letters {
            DeadLetterCount { letters: 0, damaged: 0, .. } => Ok(()),
            DeadLetterCount { letters, retrying, damaged } => writeln!(
                f,
                "    dead letters {letters:>8} refused for good, {retrying} to be sent again, {damaged} damaged   (see `penstock dead list`)"
            ),
        }
    }

    fn age(&self, since: Timestamp) -> String {
        let seconds = self.now.checked_since(since).unwrap_or_default().as_secs();
        match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
            (0, 0, 0, s) => format!("{s}s"),
            (0, 0, m, s) => format!("{m}m {s}s"),
            (0, h, m, _) => format!("{h}h {m}m"),
            (d, h, ..) => format!("{d}d {h}h"),
        }
    }
}

impl BufferReport {
    fn in_words(&self) -> String {
        let shed = match self.shed_events {
            0 => String::new(),
            events => format!("; {events} events were given up since the start (see gateway.gap)"),
        };
        match &self.condition {
            Condition::Accepting => format!("accepting{shed}"),
            Condition::Full => format!("FULL: polling waits until a destination takes events{shed}"),
            Condition::Suspended(outage) => {
                format!("SUSPENDED: {outage}; polling waits, and the disk is tried again{shed}")
            }
            Condition::Failed(reason) => format!("FAILED: {reason}{shed}"),
        }
    }
}

fn as_text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
