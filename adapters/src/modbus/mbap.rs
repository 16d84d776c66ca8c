//! Modbus TCP: frames with a header that numbers requests (Messaging on TCP/IP V1.0b, section 3.1.3).
//!
//! `tokio_modbus` 0.17 holds a reply's transaction id, unit id and function code against the
//! request. What it leaves to debug assertions, the number of places, is checked here.

use std::io;

use tokio::time::timeout;
use tokio_modbus::client::{Client, Context, tcp};
use tokio_modbus::slave::SlaveContext;
use tokio_modbus::{Error, ExceptionCode, ProtocolError, Request, Response, Slave};

use super::address::Table;
use super::decode::Answer;
use super::framing::Framed;
use super::plan::Block;
use super::session::{Ask, Failure};
use super::transport::{Endless, Stream};

/// A connection of Modbus TCP on which every reply so far was right.
pub(super) struct Mbap {
    client: Context,
}

impl Mbap {
    /// A client over an open connection.
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
