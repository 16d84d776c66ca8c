//! The contract with receivers: event ids and CloudEvents documents.

#![allow(clippy::unwrap_used)]

mod documents;
mod identity;
mod samples;
