//! End to end: the real `penstock` binary between real peers: Debian's mosquitto, PyPI's pymodbus and
//! asyncua, npm's node-opcua.
//!
//! One module per scenario. A delivery scenario ends by comparing what the PLC's own record says with what an
//! independent subscriber received: nothing lost, nothing doubled once known ids are dropped, in order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

mod broker_outage;
mod buffer_full;
mod commissioning;
mod configuration;
mod dead_letters;
mod dead_plc;
mod happy_path;
mod late_reply;
mod nonsense;
mod opcua_alarms;
mod opcua_built_in;
mod opcua_commissioning;
mod opcua_history;
mod opcua_own_server;
mod opcua_reconnects;
mod opcua_recovery;
mod opcua_scale;
mod opcua_security;
mod opcua_skew;
mod opcua_structures;
mod opcua_takeover;
mod opcua_values;
mod operator;
mod password_prompt;
mod power_cycle;
mod proof_is_strict;
mod refusals;
mod serial_line;
mod shared_address;
mod sigkill;
mod sigterm;
mod status;
