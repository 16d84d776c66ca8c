//! One connection to a device: a request at a time, and every reply held against its request.
//!
//! A session is used up by each poll and handed back only if every reply was right. After a
//! time-out or a wrong reply the connection may still carry the answer to an earlier request, and a
//! client that stayed on it could take that for the next one; so it is dropped.
//!
//! `tokio_modbus` 0.17 holds a reply's transaction id, unit id and function code against the
//! request. What it leaves to debug assertions, the number of places, is checked here.

use std::fmt;
use std::io;
use std::time::Duration;

use penstock_events::Cause;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::{Error, ExceptionCode, ProtocolError, Request, Response, Slave};

use super::address::Table;
use super::decode::Answer;
use super::framing::Framed;
use super::plan::Block;
use super::transport::Endless;

/// A device that answers with one of these will have an answer a moment later: acknowledge and busy
/// (Application Protocol V1.1b3, section 7).
const ASK_AGAIN: [u8; 2] = [5, 6];
/// The pauses before it is asked again, after which "busy" is its answer. A PLC that stores its program
/// is busy for longer than any poll should wait, one that swaps a page for less than this.
const BUSY_PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];

/// Why a poll got no answers. Whatever it is, the connection is gone.
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
            Self::Malformed(_) => Cause::Malformed,
        }
    }
}

/// A connection on which every reply so far was right.
pub(super) struct Session {
    client: Context,
    request_timeout: Duration,
}

impl Session {
    /// A session with `unit` over an open connection.
    pub(super) fn over<S>(transport: S, unit: u8, request_timeout: Duration) -> Self
    where
        S: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin + 'static,
    {
        Self { client: tcp::attach_slave(Framed::new(Endless(transport)), Slave(unit)), request_timeout }
    }

    /// Reads the blocks, one after the other. A block that the device refuses is an answer too.
    pub(super) async fn read_all(mut self, blocks: &[Block]) -> Result<(Self, Vec<Answer>), Failure> {
        let mut answers = Vec::with_capacity(blocks.len());
        for block in blocks {
            answers.push(self.read_patiently(block).await?);
        }
        Ok((self, answers))
    }

    /// Reads a block, again after a pause while the device is busy.
    async fn read_patiently(&mut self, block: &Block) -> Result<Answer, Failure> {
        let mut answer = self.read(block).await?;
        for pause in BUSY_PAUSES {
            if !matches!(answer, Answer::Exception(code) if ASK_AGAIN.contains(&code)) {
                break;
            }
            sleep(pause).await;
            answer = self.read(block).await?;
        }
        Ok(answer)
    }

    async fn read(&mut self, block: &Block) -> Result<Answer, Failure> {
        let reply = timeout(self.request_timeout, self.client.call(request(block)))
            .await
            .map_err(|_elapsed| Failure::Silent(self.request_timeout))?;
        answer(block, reply.map_err(failure)?)
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
