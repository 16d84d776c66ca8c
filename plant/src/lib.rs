//! A simulated plant, for the demo and the tests. Never part of the product's binary, and it uses
//! none of the product's crates, so that what it finds out about the gateway is independent of it.
//!
//! The pieces, each usable alone:
//!
//! - [`press_line`]: a stamping press line as a pure simulation, which keeps the [`truth`] of what it made;
//! - [`modbus_server`]: serves a [`modbus_server::Device`] over Modbus TCP; [`fleet`] is a block of
//!   registers that change slowly, for load;
//! - [`oven`]: a heat-treatment oven likewise, and [`opcua_server`], behind which it lives in real time;
//! - [`broker`]: a small MQTT 5 broker in memory;
//! - [`link`]: a TCP relay that can be taken down and up, in front of any of them;
//! - [`witness`]: a subscriber that records every event and judges it against the truth.

pub mod broker;
pub mod fleet;
pub mod link;
pub mod modbus_server;
pub mod opcua_server;
pub mod oven;
pub mod press_line;
pub mod truth;
pub mod witness;
