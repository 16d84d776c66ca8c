//! OPC UA: reads the variables of one server by subscription or cyclically, and never writes to it.
//!
//! ```text
//! Server (settings) ── endpoint url, node addresses, security ──► session ──► values ── decode ──► samples
//! ```
//!
//! Follows OPC 10000-4 (services), 10000-6 (mappings) and 10000-8 (data access), version 1.05.
//! This module tree is the only place that knows `async-opcua`, whose library name is `opcua`.

mod endpoint;
mod node;
mod security;
mod server;
mod tag;

pub use endpoint::{DEFAULT_PORT, EndpointUrl, InvalidEndpoint};
pub use node::{InvalidNode, Namespace, NodeAddress};
pub use security::{Identity, InvalidSecurity, Mode, Password, Policy, Security};
pub use server::{InvalidServer, Server};
pub use tag::{Acquisition, Deadband, Discard, Sampling, Tag, Trigger};
