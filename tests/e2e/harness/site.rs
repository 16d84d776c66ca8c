//! The configuration of a gateway, built from its peers.

use std::fmt::Write;
use std::net::SocketAddr;

use super::gateway::Gateway;
use super::plc::Plc;
use super::press::{self, Polling};

/// A gateway's configuration in the making.
#[derive(Clone)]
pub(crate) struct Site {
    polling: Polling,
    gateway: String,
    buffer: String,
    devices: String,
    destinations: String,
}

impl Site {
    /// Nothing yet. Presses are polled every 50 ms, and given ten seconds to answer: on a loaded machine
    /// pymodbus is slow, which is no fault.
    pub(crate) fn empty() -> Self {
        Self {
            polling: Polling { interval: "50ms", timeout: "10s" },
            gateway: String::new(),
            buffer: String::new(),
            devices: String::new(),
            destinations: String::new(),
        }
    }

    /// Polls the presses that follow every `interval`, and gives them `timeout` to answer.
    pub(crate) fn polled(mut self, interval: &'static str, timeout: &'static str) -> Self {
        self.polling = Polling { interval, timeout };
        self
    }

    /// Adds a press.
    pub(crate) fn press(self, plc: &Plc) -> Self {
        let toml = press::toml(plc.name(), &plc.url(), &self.polling);
        self.device(&toml)
    }

    /// Adds a press that is somewhere else than its PLC, or nowhere.
    pub(crate) fn press_at(self, name: &str, address: SocketAddr) -> Self {
        let toml = press::toml(name, &format!("tcp://{address}"), &self.polling);
        self.device(&toml)
    }

    /// Adds a device and its asset as TOML.
    pub(crate) fn device(mut self, toml: &str) -> Self {
        self.devices.push_str(toml);
        self
    }

    /// Delivers to the broker at `address`.
    pub(crate) fn uplink(self, address: SocketAddr) -> Self {
        self.uplink_with(address, "")
    }

    /// Delivers to the broker at `address`, with more keys.
    pub(crate) fn uplink_with(mut self, address: SocketAddr, keys: &str) -> Self {
        writeln!(self.destinations, "\n[[mqtt]]\nname = \"enterprise\"\nurl = \"mqtt://{address}\"\n{keys}")
            .expect("a String takes every write");
        self
    }

    /// Adds a key of `[buffer]`.
    pub(crate) fn buffer(mut self, key: &str) -> Self {
        writeln!(self.buffer, "{key}").expect("a String takes every write");
        self
    }

    /// Adds a key of `[gateway]`.
    pub(crate) fn gateway(mut self, key: &str) -> Self {
        writeln!(self.gateway, "{key}").expect("a String takes every write");
        self
    }

    /// Starts a gateway with this configuration and an empty data directory.
    pub(crate) fn start(self) -> Gateway {
        Gateway::start(&self.toml())
    }

    /// The configuration file.
    pub(crate) fn toml(&self) -> String {
        let Self { gateway, buffer, devices, destinations, .. } = self;
        let buffer =
            if buffer.contains("path") { buffer.clone() } else { format!("path = \"data\"\n{buffer}") };
        format!(
            "[gateway]\nid = \"edge-01\"\nsite = \"plant-7\"\n{gateway}\n[buffer]\n{buffer}{devices}{destinations}"
        )
    }
}
