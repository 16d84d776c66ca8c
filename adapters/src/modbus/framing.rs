//! Holds the header of each frame that comes in against the standard, as it comes.
//!
//! `tokio_modbus` looks at a header once the whole frame is there, so a length that no frame has would
//! make it wait for bytes that never come, and a wrong stream would pass for a slow device.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Transaction id, protocol id and length (Messaging on TCP/IP V1.0b, section 3.1.3).
const HEADER_BYTES: usize = 6;
/// Unit id and function code at least.
const MIN_LENGTH: u16 = 2;
/// A unit id and the longest PDU, of 253 bytes (Application Protocol V1.1b3, section 4.1).
const MAX_LENGTH: u16 = 254;

/// A stream from which only frames can be read; anything else is an error of kind `InvalidData`.
#[derive(Debug)]
pub(super) struct Framed<S> {
    stream: S,
    frames: Frames,
}

impl<S> Framed<S> {
    /// A stream that is about to begin a frame.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, frames: Frames::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let checked = self.frames.pass(&buffer.filled()[before..]);
        Poll::Ready(checked.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum NoFrame {
    /// Another protocol.
    #[error("protocol id {0} where Modbus has 0")]
    Protocol(u16),
    /// A length that no frame has.
    #[error("a frame of {0} bytes where {MIN_LENGTH} to {MAX_LENGTH} are possible")]
    Length(u16),
}

/// How far into a frame the stream is. Pure.
#[derive(Debug, Default)]
struct Frames {
    header: [u8; HEADER_BYTES],
    /// How many bytes of the header are there.
    filled: usize,
    /// How many bytes of the frame are still to come behind its header.
    rest: usize,
}

impl Frames {
    /// Takes the next bytes of the stream in.
    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), NoFrame> {
        while !bytes.is_empty() {
            let passed = self.rest.min(bytes.len());
            self.rest -= passed;
            bytes = &bytes[passed..];
            let wanted = (HEADER_BYTES - self.filled).min(bytes.len());
            self.header[self.filled..self.filled + wanted].copy_from_slice(&bytes[..wanted]);
            self.filled += wanted;
            bytes = &bytes[wanted..];
            self.check()?;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), NoFrame> {
        let word = |at: usize| u16::from_be_bytes([self.header[at], self.header[at + 1]]);
        if self.filled >= 4 && word(2) != 0 {
            return Err(NoFrame::Protocol(word(2)));
        }
        if self.filled == HEADER_BYTES {
            let length = word(4);
            if !(MIN_LENGTH..=MAX_LENGTH).contains(&length) {
                return Err(NoFrame::Length(length));
            }
            (self.filled, self.rest) = (0, length.into());
        }
        Ok(())
    }
}

/// Whether a stream that comes in these pieces is made of frames.
#[cfg(any(test, fuzzing))]
pub(super) fn passes(pieces: &[&[u8]]) -> bool {
    let mut frames = Frames::default();
    pieces.iter().all(|piece| frames.pass(piece).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use proptest::{collection, sample};

    use super::{Frames, NoFrame};

    #[test]
    fn a_header_is_refused_as_soon_as_it_is_wrong() {
        for (bytes, error) in [
            (&[0, 1, 0, 1][..], NoFrame::Protocol(1)),
            (b"HTTP", NoFrame::Protocol(0x5450)),
            (&[0, 1, 0, 0, 0, 1], NoFrame::Length(1)),
            (&[0, 1, 0, 0, 0, 255], NoFrame::Length(255)),
            (&[0, 1, 0, 0, 255, 255], NoFrame::Length(65_535)),
            (&[0, 1, 0, 0, 0, 2, 1, 131, 0, 2, 0, 9], NoFrame::Protocol(9)),
        ] {
            assert_eq!(Frames::default().pass(bytes), Err(error), "{bytes:?}");
            assert_eq!(Frames::default().pass(&bytes[..bytes.len() - 1]), Ok(()), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn frames_pass_however_they_are_cut(
            lengths in collection::vec(2_usize..=254, 1..6),
            cut in any::<sample::Index>(),
        ) {
            let mut stream = Vec::new();
            for length in lengths {
                stream.extend([7, 7, 0, 0, 0, u8::try_from(length).expect("at most 254")]);
                stream.resize(stream.len() + length, 0xff);
            }
            let mut frames = Frames::default();
            let (first, second) = stream.split_at(cut.index(stream.len()));
            assert_eq!((frames.pass(first), frames.pass(second)), (Ok(()), Ok(())));
            assert_eq!((frames.filled, frames.rest), (0, 0));
            assert_eq!(frames.pass(&[0, 0, 0, 0, 0, 0]), Err(NoFrame::Length(0)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in collection::vec(any::<u8>(), 0..600)) {
            assert!(Frames::default().pass(&bytes).is_ok() || bytes.len() >= 4);
        }
    }
}
