//! What every scenario stands on: the gateway's process, its peers, and the comparison of facts with events.
//!
//! Every child dies with the value that holds it, and says what it said when a test fails. Waiting is always
//! for a condition, never for a time; [`eventually`] gives up after a deadline that only a fault reaches.

pub(crate) mod alarms;
mod event;
mod gateway;
mod loopback;
mod mosquitto;
pub(crate) mod oven;
mod patience;
mod plc;
mod press;
mod process;
mod proof;
mod register_map;
mod relay;
mod scripted_device;
mod site;
mod subscriber;
pub(crate) mod terminal;

pub(crate) use event::{Event, Message, micros};
pub(crate) use gateway::{Gateway, Penstock};
pub(crate) use loopback::free_port;
pub(crate) use mosquitto::{Memory, Mosquitto};
pub(crate) use oven::Oven;
pub(crate) use patience::eventually;
pub(crate) use plc::{Boot, Facts, Plc, peer};
pub(crate) use process::peak_memory_kib;
pub(crate) use proof::Proof;
pub(crate) use register_map::{Library, RegisterMap};
pub(crate) use relay::Relay;
pub(crate) use scripted_device::{Reply, Request, ScriptedDevice};
pub(crate) use site::Site;
pub(crate) use subscriber::Subscriber;
