//! Sources that a command asks by itself, beside the gateway or without one.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use penstock_adapters::Clock;
use penstock_adapters::modbus::{self, Device, DeviceStatus, Group, Line, Link, Tag};
use penstock_adapters::opcua::pki::Passport;
use penstock_adapters::opcua::{
    self as opc_ua, Acquisition, Pace, Sampling, Server, ServerLink, ServerStatus,
};
use penstock_events::{Observation, SourceId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::status::SourceView;

/// Observations that wait for the command; the sources wait when it is slower.
const QUEUE: usize = 64;

type Polling = Pin<Box<dyn Future<Output = ()>>>;

/// Sources under way.
pub(super) struct Asked {
    observations: mpsc::Receiver<Observation>,
    statuses: BTreeMap<SourceId, SourceView>,
    polling: Polling,
    stop: CancellationToken,
}

/// The part of `lines` that has the tags that `is_wanted`, all of which are read `every` so often.
pub(super) fn narrowed(lines: &[Line], every: Duration, is_wanted: impl Fn(&Tag) -> bool) -> Vec<Line> {
    let narrow = |device: &Arc<Device>| {
        let all = device.groups.iter().flat_map(|group| &group.tags);
        let mut tags: Vec<Tag> = all.filter(|tag| is_wanted(tag)).cloned().collect();
        tags.sort_by_key(Tag::id);
        let groups = vec![Group { poll: every, tags }];
        (!groups[0].tags.is_empty()).then(|| Arc::new(Device { groups, ..Device::clone(device) }))
    };
    let line = |line: &Line| {
        let devices: Vec<_> = line.devices.iter().filter_map(narrow).collect();
        (!devices.is_empty()).then(|| Line { devices, transport: line.transport.clone() })
    };
    lines.iter().filter_map(line).collect()
}

/// The part of `servers` that has the tags that `is_wanted`. What they say comes `every` so often; how it is
/// obtained is as configured, so that what the server does not take is seen.
pub(super) fn narrowed_servers(
    servers: &[Server],
    every: Duration,
    is_wanted: impl Fn(&opc_ua::Tag) -> bool,
) -> Vec<Server> {
    let paced = |tag: &opc_ua::Tag| {
        let acquisition = match tag.acquisition {
            Acquisition::Subscribe(sampling) => {
                let interval = sampling.interval.min(every);
                Acquisition::Subscribe(Sampling { interval, ..sampling })
            }
            Acquisition::Read => Acquisition::Read,
        };
        opc_ua::Tag { acquisition, ..tag.clone() }
    };
    let narrow = |server: &Server| {
        let tags: Vec<_> = server.tags.iter().filter(|tag| is_wanted(tag)).map(paced).collect();
        // What is shown is the present, of what has values.
        let (history, notifiers) = (Duration::ZERO, Vec::new());
        (!tags.is_empty()).then(|| Server {
            tags,
            notifiers,
            publish: every,
            poll: every,
            history,
            ..server.clone()
        })
    };
    servers.iter().filter_map(narrow).collect()
}

impl Asked {
    /// Begins to ask them. Nothing is asked but in [`Asked::next`].
    pub(super) fn polling(lines: Vec<Line>, servers: Vec<Server>, passport: &Arc<Passport>) -> Self {
        let (clock, stop) = (Clock::system(), CancellationToken::new());
        let (sender, observations) = mpsc::channel(QUEUE);
        let mut statuses = BTreeMap::new();
        let mut polls: Vec<Polling> = Vec::new();
        for line in lines {
            let open = |device: &Arc<Device>| {
                let starting = DeviceStatus::starting(device.name.clone(), clock.now());
                let (status, view) = watch::channel(starting);
                statuses.insert(device.source, SourceView::Modbus(view));
                status
            };
            let views = line.devices.iter().map(open).collect();
            let (observations, clock, stop) = (sender.clone(), clock.clone(), stop.clone());
            let wiring = modbus::Wiring { observations, statuses: views, clock, stop };
            polls.push(Box::pin(modbus::poll(Arc::new(line), wiring)));
        }
        for server in servers {
            let (status, view) = watch::channel(ServerStatus::starting(server.name.clone(), clock.now()));
            statuses.insert(server.source, SourceView::OpcUa(view));
            let (observations, clock, stop) = (sender.clone(), clock.clone(), stop.clone());
            let passport = Arc::clone(passport);
            let wiring = opc_ua::Wiring { observations, status, passport, clock, stop };
            polls.push(Box::pin(opc_ua::observe(Arc::new(server), wiring)));
        }
        let polling = Box::pin(async move {
            join_all(polls).await;
        });
        Self { observations, statuses, polling, stop }
    }

    /// What is observed next.
    pub(super) async fn next(&mut self) -> Option<Observation> {
        tokio::select! {
            biased;
            observation = self.observations.recv() => observation,
            () = &mut self.polling => None,
        }
    }

    /// Takes leave: a session that is not closed stays at its server until it times out, and is one of the few that
    /// a small one has.
    pub(super) async fn end(mut self) {
        self.stop.cancel();
        self.observations.close();
        self.polling.await;
    }

    /// Why `source` does not answer, in words; none when it does.
    pub(super) fn trouble(&self, source: SourceId) -> Option<String> {
        match self.statuses.get(&source)? {
            SourceView::Modbus(status) => match &status.borrow().link {
                Link::Down { detail, .. } => Some(detail.clone()),
                Link::Starting | Link::Up => None,
            },
            SourceView::OpcUa(status) => match &status.borrow().link {
                ServerLink::Down { detail, .. } => Some(detail.clone()),
                ServerLink::Starting | ServerLink::Up => None,
            },
        }
    }

    /// What the server `source` makes of the wishes; none before it said so.
    pub(super) fn pace(&self, source: SourceId) -> Option<Pace> {
        match self.statuses.get(&source)? {
            SourceView::OpcUa(status) => status.borrow().pace.clone(),
            SourceView::Modbus(_) => None,
        }
    }

    /// Whether a connection to `source`, with a session if it is a server, was ever made.
    pub(super) fn was_connected(&self, source: SourceId) -> bool {
        let connects = self.statuses.get(&source).map(|status| match status {
            SourceView::Modbus(status) => status.borrow().connects,
            SourceView::OpcUa(status) => status.borrow().connects,
        });
        connects.is_some_and(|connects| connects > 0)
    }
}
