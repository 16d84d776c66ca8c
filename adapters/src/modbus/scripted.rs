//! A Modbus device that does what a test tells it to, right or wrong, in frames of TCP or RTU.
//!
//! Written from the standard and by hand, so that it shares no mistake with `tokio_modbus`. It
//! serves any stream: in memory, where paused time makes delays exact, or TCP.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::rtu::frame::crc;

/// How the device frames what it says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dialect {
    Tcp,
    Rtu,
}

/// A read request, as it came over the wire; over RTU it has no transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Request {
    pub(super) dialect: Dialect,
    pub(super) at: Instant,
    pub(super) transaction: u16,
    pub(super) unit: u8,
    pub(super) function: u8,
    pub(super) start: u16,
    pub(super) count: u16,
}

impl Request {
    /// A frame around `pdu` that answers the request.
    pub(super) fn frame(&self, pdu: &[u8]) -> Vec<u8> {
        if self.dialect == Dialect::Rtu {
            let body = [&[self.unit], pdu].concat();
            return [body.as_slice(), &crc(&body).to_le_bytes()].concat();
        }
        let len = u16::try_from(pdu.len() + 1).expect("a short PDU");
        let mut frame = Vec::new();
        for word in [self.transaction, 0, len] {
            frame.extend(word.to_be_bytes());
        }
        frame.push(self.unit);
        frame.extend(pdu);
        frame
    }

    /// The frame that answers with `words`, be they as many as were asked for or not.
    pub(super) fn registers(&self, words: &[u16]) -> Vec<u8> {
        let len = u8::try_from(2 * words.len()).expect("few registers");
        let mut pdu = vec![self.function, len];
        pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        self.frame(&pdu)
    }

    /// The frame that answers every register that was asked for with `word`.
    pub(super) fn all(&self, word: u16) -> Vec<u8> {
        self.registers(&vec![word; usize::from(self.count)])
    }

    /// The frame that answers with these bytes of coils or inputs.
    pub(super) fn bits(&self, bytes: &[u8]) -> Vec<u8> {
        let len = u8::try_from(bytes.len()).expect("few bits");
        self.frame(&[&[self.function, len], bytes].concat())
    }

    /// The frame that refuses.
    pub(super) fn exception(&self, code: u8) -> Vec<u8> {
        self.frame(&[self.function | 0x80, code])
    }
}

/// What the device does about a request, one after the other. Nothing at all is silence.
#[derive(Clone, Debug)]
pub(super) enum Act {
    Send(Vec<u8>),
    Pause(Duration),
    Close,
}

type Script = dyn Fn(usize, Request) -> Vec<Act> + Send + Sync;

/// The device: a script over the requests that it gets, numbered from 0 over all connections.
#[derive(Clone)]
pub(super) struct Device {
    dialect: Dialect,
    script: Arc<Script>,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    overlaps: Arc<AtomicUsize>,
    is_taken: Arc<AtomicBool>,
}

impl Device {
    pub(super) fn new(script: impl Fn(usize, Request) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self {
            dialect: Dialect::Tcp,
            script: Arc::new(script),
            requests: Arc::default(),
            connections: Arc::default(),
            overlaps: Arc::default(),
            is_taken: Arc::default(),
        }
    }

    /// A device that answers request `n` with the frame that `reply` makes.
    pub(super) fn answering(reply: impl Fn(usize, Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::new(move |n, request| vec![Act::Send(reply(n, request))])
    }

    /// The same device on a serial line.
    pub(super) fn rtu(self) -> Self {
        Self { dialect: Dialect::Rtu, ..self }
    }

    /// Every request so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no test panics with the lock").clone()
    }

    /// How many connections were made to it.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How many requests came before the one before was answered.
    pub(super) fn overlaps(&self) -> usize {
        self.overlaps.load(Ordering::SeqCst)
    }

    /// The client's end of a connection in memory.
    pub(super) fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(4096);
        tokio::spawn(self.clone().serve(server));
        client
    }

    /// The client's end of a connection in memory to a device that bears one, and needs a while to notice
    /// that it is gone. Another one is closed at once.
    pub(super) fn connect_alone(&self, notices_after: Duration) -> DuplexStream {
        let (client, server) = duplex(4096);
        if !self.is_taken.swap(true, Ordering::SeqCst) {
            let device = self.clone();
            tokio::spawn(async move {
                device.clone().serve(server).await;
                sleep(notices_after).await;
                device.is_taken.store(false, Ordering::SeqCst);
            });
        }
        client
    }

    /// Serves everyone who connects to `listener`, one at a time, until aborted.
    pub(super) fn listen(&self, listener: TcpListener) -> JoinHandle<()> {
        let device = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                device.clone().serve(stream).await;
            }
        })
    }

    /// Follows the script until the connection ends, which is nothing to a device.
    pub(super) async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        if let Err(ended) = self.converse(&mut stream).await {
            assert_ne!(ended.kind(), io::ErrorKind::InvalidData, "{ended}");
        }
    }

    async fn converse(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
        loop {
            let request = match self.dialect {
                Dialect::Tcp => read_request(stream).await?,
                Dialect::Rtu => read_rtu_request(stream).await?,
            };
            assert!((1..=4).contains(&request.function), "{request:?} does not read");
            let n = {
                let mut requests = self.requests.lock().expect("no test panics with the lock");
                requests.push(request);
                requests.len() - 1
            };
            for act in (self.script)(n, request) {
                match act {
                    Act::Send(bytes) => stream.write_all(&bytes).await?,
                    Act::Pause(pause) => {
                        if timeout(pause, stream.read_u8()).await.is_ok_and(|byte| byte.is_ok()) {
                            self.overlaps.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    Act::Close => return stream.shutdown().await,
                }
            }
        }
    }
}

/// MBAP header (Messaging on TCP/IP V1.0b, section 3.1.3), then function, start and count.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Request> {
    let transaction = stream.read_u16().await?;
    let protocol = stream.read_u16().await?;
    let len = stream.read_u16().await?;
    if (protocol, len) != (0, 6) {
        let text = format!("protocol {protocol} and length {len} are no read request's");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(Request {
        dialect: Dialect::Tcp,
        at: Instant::now(),
        transaction,
        unit: stream.read_u8().await?,
        function: stream.read_u8().await?,
        start: stream.read_u16().await?,
        count: stream.read_u16().await?,
    })
}

/// Eight bytes (Modbus over Serial Line V1.02, section 2.5.1). Like a device, it starts again at the next
/// byte while the checksum is wrong.
async fn read_rtu_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Request> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes).await?;
    while crc(&bytes[..6]).to_le_bytes() != bytes[6..] {
        bytes.rotate_left(1);
        bytes[7] = stream.read_u8().await?;
    }
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let (unit, function, start, count) = (bytes[0], bytes[1], word(2), word(4));
    Ok(Request { dialect: Dialect::Rtu, at: Instant::now(), transaction: 0, unit, function, start, count })
}
