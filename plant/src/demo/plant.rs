//! The two machines of the demo, and their books.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use penstock_plant::modbus_server::ModbusServer;
use penstock_plant::opcua_server::{Access, Value};
use penstock_plant::oven::{DEMO_STEP, LiveOven, Oven, OvenState, Record, ZONES};
use penstock_plant::press_line::registers::UNIT;
use penstock_plant::press_line::{DEMO_TIME_SCALE, LineState, LiveLine, Order};
use penstock_plant::truth::{Gauge, Shown, Truth};

use super::FREE_PORT;

/// The sources of the demo, and so the first parts of its tags.
const PRESS: &str = "press-1";
const OVEN: &str = "oven-1";
/// What a server has told last may not be on the gateway's disk yet when it is killed: it publishes ten times a
/// second, and the rest is for a machine that is busy.
const NOT_DURABLE_YET: Duration = Duration::from_secs(2);

/// A press line over Modbus TCP, and an oven over OPC UA.
pub(super) struct Plant {
    line: LiveLine,
    oven: LiveOven,
    thermometers: Thermometers,
    unheard: Vec<RangeInclusive<i64>>,
    plc: ModbusServer,
}

impl Plant {
    /// Both stand still.
    pub(super) async fn start(seed: u64) -> anyhow::Result<Self> {
        let line = LiveLine::new(seed, DEMO_TIME_SCALE);
        let plc = ModbusServer::start(FREE_PORT, UNIT, Arc::new(line.clone())).await?;
        let thermometers = Thermometers::default();
        let oven = Oven::new(seed, DEMO_STEP, 0);
        let oven = LiveOven::start(oven, (FREE_PORT, 0), Access::Open, thermometers.clone()).await?;
        Ok(Self { line, oven, thermometers, unheard: Vec::new(), plc })
    }

    /// Where the press line's PLC listens.
    pub(super) const fn press(&self) -> SocketAddr {
        self.plc.address()
    }

    /// Where the oven's server listens.
    pub(super) fn oven(&self) -> SocketAddr {
        self.oven.address()
    }

    /// Gives both an order.
    pub(super) fn give(&self, order: Order) {
        self.line.give(order);
        self.oven.give(order);
    }

    /// Whether both are at work.
    pub(super) fn runs(&self) -> bool {
        (self.line.state(), self.oven.state()) == (LineState::Running, OvenState::Running)
    }

    /// Whether both have shut down.
    pub(super) fn stands(&self) -> bool {
        (self.line.state(), self.oven.state()) == (LineState::Stopped, OvenState::Cold)
    }

    /// Nobody listens from a little before this moment on.
    pub(super) fn unheard_from_here(&mut self) {
        self.unheard.push(now_us() - micros(NOT_DURABLE_YET)..=i64::MAX);
    }

    /// Somebody listens again.
    pub(super) fn heard_again(&mut self) {
        if let Some(span) = self.unheard.last_mut() {
            *span = *span.start()..=now_us();
        }
    }

    /// Pieces and parts together.
    pub(super) fn pieces(&self) -> u64 {
        self.truth().counters.values().map(|count| count.made).sum()
    }

    /// What the press and the oven are doing.
    pub(super) fn doing(&self) -> String {
        format!("{}/{}", self.line.state().name(), self.oven.state().name())
    }

    /// What happened until now.
    pub(super) fn truth(&self) -> Truth {
        // Not locked any more when the oven is looked at: its task holds the oven while it writes here.
        let shown = self.thermometers.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let gauges = shown.into_iter().enumerate().map(|(zone, values)| {
            let gauge = Gauge { values, unheard: self.unheard.clone() };
            (format!("{OVEN}.zone-{}", zone + 1), gauge)
        });
        let oven = Truth {
            counters: [(format!("{OVEN}.parts"), self.oven.parts())].into(),
            states: [(format!("{OVEN}.state"), self.oven.states())].into(),
            gauges: gauges.collect(),
        };
        self.line.truth(PRESS).and(oven)
    }
}

/// What each zone's thermometer showed.
#[derive(Clone, Default)]
// Written by the oven's task, read by the screen: a message would have to be answered at once.
struct Thermometers(Arc<Mutex<[Vec<Shown>; ZONES]>>);

impl Record for Thermometers {
    fn note(&mut self, name: &str, value: &Value, at_us: i64) {
        let ("Zones", Value::Doubles(zones)) = (name, value) else { return };
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (values, zone) in shown.iter_mut().zip(zones) {
            values.push(Shown { at_us, value: *zone });
        }
    }
}

fn now_us() -> i64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
