//! The sources: a task for each Modbus line and each OPC UA server.

use std::collections::BTreeMap;
use std::sync::Arc;

use penstock_adapters::Clock;
use penstock_adapters::modbus::{self, Device, DeviceStatus, Line};
use penstock_adapters::opcua::pki::Passport;
use penstock_adapters::opcua::{self as opc_ua, Server, ServerStatus};
use penstock_events::{Observation, SourceId};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::status::SourceView;
use crate::supervise::Stage;

/// Starts them all. The views are in the order of the configuration, in which sources are numbered.
pub(super) fn start(
    lines: Vec<Line>,
    servers: Vec<Server>,
    passport: Passport,
    observations: &mpsc::Sender<Observation>,
    stop: &CancellationToken,
) -> (Stage, Vec<SourceView>) {
    let mut adapters = Adapters {
        stage: Stage::default(),
        views: BTreeMap::new(),
        passport: Arc::new(passport),
        clock: Clock::system(),
        observations: observations.clone(),
        stop: stop.clone(),
    };
    lines.into_iter().for_each(|line| adapters.poll(line));
    servers.into_iter().for_each(|server| adapters.observe(server));
    (adapters.stage, adapters.views.into_values().collect())
}

struct Adapters {
    stage: Stage,
    views: BTreeMap<SourceId, SourceView>,
    passport: Arc<Passport>,
    clock: Clock,
    observations: mpsc::Sender<Observation>,
    stop: CancellationToken,
}

impl Adapters {
    fn poll(&mut self, line: Line) {
        let mut open = |device: &Arc<Device>| {
            let starting = DeviceStatus::starting(device.name.clone(), self.clock.now());
            let (status, view) = watch::channel(starting);
            self.views.insert(device.source, SourceView::Modbus(view));
            status
        };
        let statuses = line.devices.iter().map(&mut open).collect();
        let wiring = modbus::Wiring {
            observations: self.observations.clone(),
            statuses,
            clock: self.clock.clone(),
            stop: self.stop.clone(),
        };
        let line = Arc::new(line);
        self.stage.spawn_restarting(format!("modbus {}", line.transport), move || {
            let poll = modbus::poll(Arc::clone(&line), wiring.clone());
            async move {
                poll.await;
                Ok(())
            }
        });
    }

    fn observe(&mut self, server: Server) {
        let starting = ServerStatus::starting(server.name.clone(), self.clock.now());
        let (status, view) = watch::channel(starting);
        self.views.insert(server.source, SourceView::OpcUa(view));
        let wiring = opc_ua::Wiring {
            observations: self.observations.clone(),
            status,
            passport: Arc::clone(&self.passport),
            clock: self.clock.clone(),
            stop: self.stop.clone(),
        };
        let server = Arc::new(server);
        self.stage.spawn_restarting(format!("opcua {}", server.name), move || {
            let observe = opc_ua::observe(Arc::clone(&server), wiring.clone());
            async move {
                observe.await;
                Ok(())
            }
        });
    }
}
