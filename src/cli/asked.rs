//! Sources that a command asks by itself, beside the gateway or without one.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use penstock_adapters::Clock;
use penstock_adapters::modbus::{self, Device, DeviceStatus, Group, Line, Link, Tag, Wiring};
use penstock_events::{Observation, SourceId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Observations that wait for the command; the sources wait when it is slower.
const QUEUE: usize = 64;

/// Sources under way.
pub(super) struct Asked {
    observations: mpsc::Receiver<Observation>,
    statuses: BTreeMap<SourceId, watch::Receiver<DeviceStatus>>,
    polling: Pin<Box<dyn Future<Output = ()>>>,
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

impl Asked {
    /// Begins to ask them. Nothing is asked but in [`Asked::next`].
    pub(super) fn polling(lines: Vec<Line>) -> Self {
        let clock = Clock::system();
        let (sender, observations) = mpsc::channel(QUEUE);
        let mut views = BTreeMap::new();
        let polls: Vec<_> = lines
            .into_iter()
            .map(|line| {
                let open = |device: &Arc<Device>| {
                    let starting = DeviceStatus::starting(device.name.clone(), clock.now());
                    let (status, view) = watch::channel(starting);
                    views.insert(device.source, view);
                    status
                };
                let statuses = line.devices.iter().map(open).collect();
                let (observations, clock) = (sender.clone(), clock.clone());
                let wiring = Wiring { observations, statuses, clock, stop: CancellationToken::new() };
                modbus::poll(Arc::new(line), wiring)
            })
            .collect();
        let polling = Box::pin(async move {
            join_all(polls).await;
        });
        Self { observations, statuses: views, polling }
    }

    /// What is observed next.
    pub(super) async fn next(&mut self) -> Option<Observation> {
        tokio::select! {
            biased;
            observation = self.observations.recv() => observation,
            () = &mut self.polling => None,
        }
    }

    /// The sources that are asked.
    pub(super) fn sources(&self) -> impl Iterator<Item = SourceId> {
        self.statuses.keys().copied()
    }

    /// Why `source` does not answer, in words; none when it does.
    pub(super) fn trouble(&self, source: SourceId) -> Option<String> {
        match &self.statuses.get(&source)?.borrow().link {
            Link::Down { detail, .. } => Some(detail.clone()),
            Link::Starting | Link::Up => None,
        }
    }

    /// Whether a connection to `source` was ever made.
    pub(super) fn was_connected(&self, source: SourceId) -> bool {
        self.statuses.get(&source).is_some_and(|status| status.borrow().connects > 0)
    }
}
