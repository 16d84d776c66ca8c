//! The normalizer, seen from outside: observations in, events and stored state out.

#![allow(clippy::unwrap_used)]

mod alerts;
mod counters;
mod press;
mod sources;
mod states;
mod telemetry;
