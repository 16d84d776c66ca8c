//! What shares a way to the plant: one connection or serial line, and the devices that answer on it.

use std::sync::Arc;

use super::device::Device;
use super::transport::Transport;

/// A connection or a serial line, and everyone who is asked over it.
///
/// There is one connection for each way, and one request in flight on it: many devices bear no second
/// connection, and on a serial line a second request would be a collision.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The way to the devices.
    pub transport: Transport,
    /// Who is asked over it, in the order of the configuration: at least one.
    pub devices: Vec<Arc<Device>>,
}

impl Line {
    /// The lines of `devices`: those whose transport is the same share a line. Lines and devices keep
    /// the order in which they come.
    pub fn sharing(devices: impl IntoIterator<Item = (Transport, Device)>) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        for (transport, device) in devices {
            let device = Arc::new(device);
            match lines.iter_mut().find(|line| line.transport == transport) {
                Some(line) => line.devices.push(device),
                None => lines.push(Self { transport, devices: vec![device] }),
            }
        }
        lines
    }
}
