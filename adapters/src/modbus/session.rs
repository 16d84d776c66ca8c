//! One connection: a request at a time, and every reply held against its request.
//!
//! A session is used up by each request and handed back only if the reply was right. After a
//! time-out or a wrong reply the connection may still carry the answer to an earlier request, and a
//! client that stayed on it could take that for the next one; so it is dropped.

use std::io;
use std::time::Duration;

use penstock_events::Cause;

use super::decode::Answer;
use super::mbap::Mbap;
use super::plan::Block;
use super::rtu::{Pace, Rtu};
use super::transport::Stream;

/// A connection on which every reply so far was right.
pub(super) enum Session {
    /// Its requests are numbered.
    Mbap(Mbap),
    /// Its requests are not.
    Rtu(Rtu),
}

/// How requests and replies are told apart on a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// By a header that numbers them.
    Mbap,
    /// By silence, at this pace.
    Rtu(Pace),
}

/// A request, and how long its reply may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// Who is asked.
    pub(super) unit: u8,
    /// What is read.
    pub(super) block: Block,
    /// How long the reply may take.
    pub(super) timeout: Duration,
}

impl Session {
    /// A session over an open connection.
    pub(super) fn over(stream: impl Stream, framing: Framing) -> Self {
        match framing {
            Framing::Mbap => Self::Mbap(Mbap::over(stream)),
            Framing::Rtu(pace) => Self::Rtu(Rtu::over(stream, pace)),
        }
    }

    /// Reads a block. That the device refuses it is an answer too.
    pub(super) async fn ask(self, ask: &Ask) -> Result<(Self, Answer), Failure> {
        match self {
            Self::Mbap(client) => client.ask(ask).await.map(|(client, answer)| (Self::Mbap(client), answer)),
            Self::Rtu(client) => client.ask(ask).await.map(|(client, answer)| (Self::Rtu(client), answer)),
        }
    }
}

/// Why a request got no answer. Whatever it is, the poll is given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The device did not accept a connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The name was not resolved or the connection not accepted in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection broke, and no reply to the request can come any more.
    #[error("connection lost: {0}")]
    Lost(#[source] io::Error),
    /// The connection broke, and a reply that is not numbered may still be under way.
    #[error("connection lost before the reply: {0}")]
    Severed(#[source] io::Error),
    /// The device took the request and said nothing.
    #[error("no reply within {0:?}")]
    Silent(Duration),
    /// A gateway answered in the device's place that it cannot reach it.
    #[error("the gateway cannot reach the unit (exception {0})")]
    Unreachable(u8),
    /// The device sent what cannot be the answer to the request.
    #[error("malformed reply: {0}")]
    Malformed(String),
}

impl Failure {
    /// Whether the reply to the request may still come.
    pub(super) const fn may_be_followed_by_a_reply(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Severed(_) | Self::Malformed(_))
    }

    /// The cause that the tags' quality shows.
    pub(super) const fn cause(&self) -> Cause {
        match self {
            Self::Connect(_) | Self::ConnectTimeout(_) | Self::Lost(_) | Self::Severed(_) => {
                Cause::Disconnected
            }
            Self::Silent(_) => Cause::Timeout,
            Self::Unreachable(code) => Cause::ModbusException(*code),
            Self::Malformed(_) => Cause::Malformed,
        }
    }
}
