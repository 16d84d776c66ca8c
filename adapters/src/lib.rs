//! Protocol adapters: they ask devices and say what they answered, as `Observation`s.
//!
//! Each adapter splits into a pure core (settings, plan, decode, schedule) and a thin session that
//! does the IO. An adapter refuses to interpret: what a value means is the normalizer's business.
//! The types of a protocol's library never leave its module.

mod backoff;
mod clock;
#[cfg(any(test, fuzzing))]
mod feed;
pub mod modbus;
pub mod opcua;
mod schedule;

pub use clock::Clock;
