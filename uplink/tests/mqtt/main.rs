//! The MQTT uplink against real and scripted brokers. One file per theme; `rig`, `mosquitto` and
//! `scripted` are what the scenarios stand on.

#![allow(clippy::unwrap_used, reason = "a test that unwraps fails where it should")]

mod answers;
mod delivery;
mod mosquitto;
mod probe;
mod refusal;
mod rig;
mod scripted;
mod status;
mod tls;
