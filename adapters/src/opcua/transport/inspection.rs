//! What a server sends, chunk by chunk, and none of it before it was looked at: whether it can be decoded without harm.
//!
//! A message counts as a whole, however many chunks it comes in and whatever comes between them (OPC 10000-6, 6.7). What is
//! encrypted is looked at as it will be decoded.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use opcua::client::transport::SecureChannelState;
use opcua::core::comms::message_chunk::MessageIsFinalType;
use opcua::types::DecodingOptions;
use tokio::io::{AsyncRead, BufReader, ReadBuf};

use super::{Transport, nesting};

/// Type, kind and size of a chunk (OPC 10000-6, 7.1.2.2).
const HEADER_BYTES: usize = 8;
/// How much is asked of the system at once: a chunk of the size that is agreed upon.
const READ_BYTES: usize = 64 * 1024;

/// Reads from `R`, whole chunks at a time.
pub(in crate::opcua) struct Inspected<R> {
    reader: BufReader<R>,
    channel: Arc<SecureChannelState>,
    limits: Limits,
    /// As long as what is read: a header, or the chunk whose header it begins with.
    chunk: Vec<u8>,
    /// How much of it has come.
    filled: usize,
    /// How much of it was handed on. None is before all of it was looked at.
    passed: usize,
    /// What there is of messages that are not complete, by their requests.
    begun: HashMap<u32, Vec<u8>>,
    /// What is told of whoever sends it.
    transport: Transport,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    message_bytes: usize,
    elements: usize,
}

impl<R: AsyncRead + Unpin> Inspected<R> {
    /// What comes to `reader`, secured as `channel` says.
    pub(super) fn new(
        reader: R,
        channel: Arc<SecureChannelState>,
        decoding: &DecodingOptions,
        transport: Transport,
    ) -> Self {
        let limits = Limits { message_bytes: decoding.max_message_size, elements: decoding.max_array_length };
        Self {
            reader: BufReader::with_capacity(READ_BYTES, reader),
            channel,
            limits,
            chunk: vec![0; HEADER_BYTES],
            filled: 0,
            passed: 0,
            begun: HashMap::new(),
            transport,
        }
    }

    /// Reads a chunk to its end and looks at it; `false` at the end of everything.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            while self.filled < self.chunk.len() {
                let mut rest = ReadBuf::new(&mut self.chunk[self.filled..]);
                ready!(Pin::new(&mut self.reader).poll_read(cx, &mut rest))?;
                match rest.filled().len() {
                    0 => return Poll::Ready(Ok(false)),
                    read => self.filled += read,
                }
            }
            if self.chunk.len() > HEADER_BYTES {
                self.inspect()?;
                return Poll::Ready(Ok(true));
            }
            let length = self.length()?;
            self.chunk.resize(length, 0);
        }
    }

    /// How long the chunk is whose header was read.
    fn length(&self) -> io::Result<usize> {
        let [.., a, b, c, d] = self.chunk[..] else { unreachable!("it is a header") };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        let (shortest, longest) = (HEADER_BYTES + 1, self.limits.message_bytes);
        if (shortest..=longest).contains(&length) {
            Ok(length)
        } else {
            Err(invalid(format!("a chunk of {length} bytes, where {shortest} to {longest} are allowed")))
        }
    }

    /// Looks at a chunk, and at the message that it may end.
    fn inspect(&mut self) -> io::Result<()> {
        let is_of_message = [b"MSG", b"OPN", b"CLO"].iter().any(|kind| self.chunk.starts_with(*kind));
        if !is_of_message {
            return Ok(());
        }
        let secure_channel = self.channel.secure_channel().read();
        // What is not secured as it should be the library refuses as well, and knows what to call it.
        let Ok(chunk) = secure_channel.verify_and_remove_security(self.chunk.clone().into()) else {
            return Ok(());
        };
        let Ok(info) = chunk.chunk_info(&secure_channel) else { return Ok(()) };
        drop(secure_channel);
        let (request, body) = (info.sequence_header.request_id, &chunk.data[info.body_offset..]);
        match info.message_header.is_final {
            MessageIsFinalType::Intermediate => self.keep(request, body),
            MessageIsFinalType::Final => match self.begun.remove(&request) {
                None => self.check(body),
                Some(begun) => self.check(&[&begun, body].concat()),
            },
            MessageIsFinalType::FinalError => {
                self.begun.remove(&request);
                Ok(())
            }
        }
    }

    fn check(&self, message: &[u8]) -> io::Result<()> {
        nesting::check(message, self.limits.elements)
            .map_err(|error| invalid(format!("a message that is not decoded: {error}")))
    }

    fn keep(&mut self, request: u32, body: &[u8]) -> io::Result<()> {
        let kept: usize = self.begun.values().map(Vec::len).sum();
        if kept + body.len() > self.limits.message_bytes {
            return Err(invalid(format!(
                "more than {} bytes of messages without an end",
                self.limits.message_bytes
            )));
        }
        self.begun.entry(request).or_default().extend_from_slice(body);
        Ok(())
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Inspected<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.passed == 0 {
            match ready!(self.poll_chunk(cx)) {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(Ok(())),
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        self.transport.complain(&error);
                    }
                    return Poll::Ready(Err(error));
                }
            }
        }
        let end = self.chunk.len().min(self.passed + buffer.remaining());
        buffer.put_slice(&self.chunk[self.passed..end]);
        self.passed = end;
        if end == self.chunk.len() {
            self.chunk.resize(HEADER_BYTES, 0);
            (self.filled, self.passed) = (0, 0);
        }
        Poll::Ready(Ok(()))
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
