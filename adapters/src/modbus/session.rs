//! One connection: a request at a time, and every reply held against its request.
//!
//! A session is used up by each request and handed back only if the reply was right. After a
//! time-out or a wrong reply the connection may still carry the answer to an earlier request, and a
//! client that stayed on it could take that for the next one; so it is dropped.
//!
//! `tokio_modbus` 0.17 holds a reply's transaction id, unit id and function code against the
//! request. What it leaves to debug assertions, the number of places, is checked here.

use std::io;
use std::time::Duration;

use penstock_events::Cause;
use tokio::time::timeout;
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::slave::SlaveContext;
use tokio_modbus::{Error, ExceptionCode, ProtocolError, Request, Response, Slave};

use super::address::Table;
use super::decode::Answer;
use super::framing::Framed;
use super::plan::Block;
use super::transport::{Endless, Stream};

/// Why a request got no answer. Whatever it is, the poll is given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The device did not accept a connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The name was not resolved or the connection not accepted in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(#[source] io::Error),
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
    /// The cause that the tags' quality shows.
    pub(super) const fn cause(&self) -> Cause {
        match self {
            Self::Connect(_) | Self::ConnectTimeout(_) | Self::Lost(_) => Cause::Disconnected,
            Self::Silent(_) => Cause::Timeout,
            Self::Unreachable(code) => Cause::ModbusException(*code),
            Self::Malformed(_) => Cause::Malformed,
        }
    }
}

/// A connection on which every reply so far was right.
pub(super) struct Session {
    client: Context,
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
    pub(super) fn over(stream: impl Stream) -> Self {
        Self { client: tcp::attach(Framed::new(Endless(stream))) }
    }

    /// Reads a block. That the device refuses it is an answer too.
    pub(super) async fn ask(mut self, ask: &Ask) -> Result<(Self, Answer), Failure> {
        self.client.set_slave(Slave(ask.unit));
        let reply = timeout(ask.timeout, self.client.call(request(&ask.block)))
            .await
            .map_err(|_elapsed| Failure::Silent(ask.timeout))?;
        let answer = answer(&ask.block, reply.map_err(failure)?)?;
        Ok((self, answer))
    }
}

fn request(block: &Block) -> Request<'static> {
    let Block { table, start, count } = *block;
    match table {
        Table::Coil => Request::ReadCoils(start, count),
        Table::DiscreteInput => Request::ReadDiscreteInputs(start, count),
        Table::InputRegister => Request::ReadInputRegisters(start, count),
        Table::HoldingRegister => Request::ReadHoldingRegisters(start, count),
    }
}

/// Holds the size of a reply against what was asked for. Bits come in whole bytes.
fn answer(block: &Block, reply: Result<Response, ExceptionCode>) -> Result<Answer, Failure> {
    let count = usize::from(block.count);
    match reply {
        Err(exception) => Ok(Answer::Exception(exception.into())),
        Ok(Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits)) => {
            expect_len("bits", bits.len(), count.next_multiple_of(8))?;
            Ok(Answer::Bits(bits))
        }
        Ok(Response::ReadInputRegisters(words) | Response::ReadHoldingRegisters(words)) => {
            expect_len("registers", words.len(), count)?;
            Ok(Answer::Registers(words))
        }
        Ok(_other) => Err(Failure::Malformed("a reply to no request of ours".to_owned())),
    }
}

fn expect_len(what: &str, got: usize, expected: usize) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(Failure::Malformed(format!("{got} {what} where {expected} were asked for")))
}

/// The codec reports bytes that are no frame as errors of its own making, and the operating
/// system's errors as they are.
fn failure(error: Error) -> Failure {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error {
        // Their own texts hold the whole reply, which is too much for a log line.
        Error::Protocol(ProtocolError::HeaderMismatch { message, .. }) => Failure::Malformed(message),
        Error::Protocol(ProtocolError::FunctionCodeMismatch { request, .. }) => {
            Failure::Malformed(format!("another function's reply to {request}"))
        }
        Error::Transport(error) => match error.kind() {
            InvalidData | InvalidInput | UnexpectedEof if error.raw_os_error().is_none() => {
                Failure::Malformed(error.to_string())
            }
            _ => Failure::Lost(error),
        },
    }
}
