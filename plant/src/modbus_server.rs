//! A Modbus TCP server for a simulated device. It only reads: every writing function is refused.
//!
//! Written by hand rather than with the client library that the gateway uses, so that the two cannot
//! agree on the same mistake.

mod frame;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use frame::{Answer, Ask};

/// The tables of single bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BitTable {
    /// Function 1.
    Coils,
    /// Function 2.
    DiscreteInputs,
}

/// The tables of 16-bit registers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RegisterTable {
    /// Function 3.
    Holding,
    /// Function 4.
    Input,
}

/// Why a device refuses a request (Modbus Application Protocol V1.1b3, section 7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exception {
    /// The function is not supported.
    IllegalFunction,
    /// An address has nothing behind it.
    IllegalDataAddress,
    /// The request is malformed or asks for too much.
    IllegalDataValue,
    /// No device with this unit id is behind this address.
    TargetFailedToRespond,
}

impl Exception {
    const fn code(self) -> u8 {
        match self {
            Self::IllegalFunction => 1,
            Self::IllegalDataAddress => 2,
            Self::IllegalDataValue => 3,
            Self::TargetFailedToRespond => 11,
        }
    }
}

/// Something with registers. Addresses are zero-based, and `first + count` never exceeds 65,536.
pub trait Device: Send + Sync + 'static {
    /// `count` bits from `first` on.
    ///
    /// # Errors
    ///
    /// The exception that the client gets.
    fn bits(&self, table: BitTable, first: u16, count: u16) -> Result<Vec<bool>, Exception>;

    /// `count` registers from `first` on.
    ///
    /// # Errors
    ///
    /// The exception that the client gets.
    fn registers(&self, table: RegisterTable, first: u16, count: u16) -> Result<Vec<u16>, Exception>;
}

/// A running server. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct ModbusServer {
    address: SocketAddr,
    _stop: DropGuard,
}

impl ModbusServer {
    /// Serves `device` as unit `unit` on `listen` (port 0 for a free one).
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn start(listen: SocketAddr, unit: u8, device: Arc<dyn Device>) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let serving = accept(listener, unit, device);
        tokio::spawn(stop.clone().run_until_cancelled_owned(serving));
        Ok(Self { address, _stop: stop.drop_guard() })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, unit: u8, device: Arc<dyn Device>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // An error here belongs to a client that has already left.
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, unit, Arc::clone(&device)));
                }
            }
            // How a client left is its own affair.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, unit: u8, device: Arc<dyn Device>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    while stream.read_buf(&mut input).await? > 0 {
        while let Some(request) = frame::take_request(&mut input).map_err(io::Error::other)? {
            let ask = if request.unit == unit { request.ask } else { Err(Exception::TargetFailedToRespond) };
            let answer = ask.and_then(|ask| look_up(device.as_ref(), ask));
            frame::put_response(&mut output, &request, &answer);
        }
        stream.write_all_buf(&mut output).await?;
    }
    Ok(())
}

fn look_up(device: &dyn Device, ask: Ask) -> Result<Answer, Exception> {
    match ask {
        Ask::Bits { table, first, count } => device.bits(table, first, count).map(Answer::Bits),
        Ask::Registers { table, first, count } => {
            device.registers(table, first, count).map(Answer::Registers)
        }
    }
}
