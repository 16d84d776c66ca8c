//! OPC UA: reads the variables of one server by subscription or cyclically, and never writes to it.
//!
//! ```text
//! Server (settings) ── observer ──► link (offer) ──► session
//!                         │                             │ messages, values
//!                         └─ visit: items, polling ◄────┘
//!                               │ silence, sequence, history
//!                               ▼
//!                            account: decode, dating, history ──► Observation
//!                               └─ ledger ──► ServerStatus, metrics, log
//! ```
//!
//! A session whose connection breaks is taken up again over another one, with its subscriptions and what they
//! have to say; what a session leaves at the server the next one takes over; what the server does not know any
//! more is made anew from the configuration, and what was missed meanwhile is read from its history. Life is what
//! a subscription says, be it that nothing changed: one that is silent for three keep-alives is dead.
//!
//! Follows OPC 10000-4 (services), 10000-6 (mappings) and 10000-8 (data access), version 1.05.
//! This module tree is the only place that knows `async-opcua`, whose library name is `opcua`.

mod account;
mod browse;
mod code;
mod conditions;
mod dating;
mod decode;
mod discovery;
mod endpoint;
mod failure;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod history;
mod ledger;
mod link;
mod node;
mod observer;
mod offer;
mod part;
pub mod pki;
mod request;
mod security;
mod sequence;
mod server;
mod sharing;
mod silence;
mod skew;
mod status;
mod structure;
mod tag;
mod transport;
mod visit;

pub use browse::{Browse, BrowseProgress, Class, Found, FoundNode, FoundVariable, NoSession, Shape, Shown};
pub use code::status_in_words;
pub use conditions::Notifier;
pub use discovery::{Discovery, Login, Offer, Presented, discover};
pub use endpoint::{DEFAULT_PORT, EndpointUrl, InvalidEndpoint};
pub use ledger::describe_metrics;
pub use node::{InvalidNode, Namespace, NodeAddress};
pub use observer::{Wiring, observe};
pub use part::{InvalidPart, Part};
pub use security::{Identity, InvalidSecurity, Mode, Password, Policy, Security};
pub use server::{InvalidServer, Server};
pub use skew::ClockSkew;
pub use status::{AlarmStatus, Pace, ServerLink, ServerStatus, SlowedTag};
pub use tag::{Acquisition, Deadband, Discard, Sampling, Tag, Trigger};
