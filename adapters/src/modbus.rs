//! Modbus: polls devices on fixed time grids and never writes to them.
//!
//! ```text
//! Line ── poller ── session ──► answers        one connection, one request in flight
//!           │ ▲                    │
//!      next │ │ Ask                ▼
//!         station ── plan, inquiry ──► blocks ── decode ──► Observation      one for each device
//!           ├─ schedule, backoff
//!           └─ ledger ──► DeviceStatus, metrics, log
//! ```
//!
//! Follows the Modbus Application Protocol V1.1b3, Modbus Messaging on TCP/IP V1.0b and Modbus over Serial
//! Line V1.02.
//! This module tree is the only place that knows `tokio_modbus`.

mod address;
mod decode;
mod device;
mod encoding;
mod forecast;
mod framing;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod inquiry;
mod ledger;
mod limits;
mod line;
mod mbap;
mod names;
mod places;
mod plan;
mod poller;
mod probe;
mod rtu;
mod serial;
mod session;
mod station;
mod status;
mod suspicion;
mod tag;
mod tls;
mod transport;

#[cfg(test)]
mod bench;
#[cfg(test)]
mod scripted;

pub use address::{Address, Cell, InvalidAddress, Table};
pub use device::{Device, Group};
pub use encoding::{Encoding, FirstByte, InvalidEncoding, InvalidOrder, Layout, Number, Order};
pub use forecast::{PollForecast, RequestForecast};
pub use ledger::describe_metrics;
pub use limits::{InvalidLimits, Limits};
pub use line::Line;
pub use names::{InvalidNames, Names};
pub use places::{InvalidPlaces, Places};
pub use poller::{Wiring, poll};
pub use probe::{Found, FoundTable, FoundUnit, Probe, Progress, Unreachable};
pub use serial::{Parity, SerialPort, Stop};
pub use status::{DeviceStatus, Link};
pub use tag::{InvalidTag, Scaling, Tag};
pub use tls::{DEFAULT_TLS_PORT, InvalidTls, SecureHost};
pub use transport::{DEFAULT_PORT, Host, Transport};
