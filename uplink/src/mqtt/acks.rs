//! PUBACKs with reason codes that MQTT 5 does not have for them.
//!
//! Section 3.4.2.1 of MQTT 5.0 lists nine reason codes for a PUBACK, and the client library drops a
//! connection that brings another. Brokers do send others: mosquitto answers a message over its
//! `message_size_limit` with 0x95, packet too large. Such a message would break every connection
//! that it is sent on, and nothing behind it would ever arrive. So a foreign code is taken out of
//! the stream, replaced by 0x80 (unspecified error), and remembered for the outcome.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use rumqttc::{PubAck, PubAckReason};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The foreign reason codes of one connection, by packet identifier.
///
/// A lock, because the stream is read inside the client library, which carries no message for us.
/// It is taken only for an event that a broker did not take.
#[derive(Clone, Debug, Default)]
pub(super) struct ForeignCodes(Arc<Mutex<HashMap<u16, u8>>>);

impl ForeignCodes {
    fn remember(&self, packet_id: u16, code: u8) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(packet_id, code);
    }

    /// The code that the broker gave, if `puback` stands for a foreign one.
    pub(super) fn take_for(&self, puback: &PubAck) -> Option<u8> {
        match puback.reason {
            PubAckReason::UnspecifiedError => {
                self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&puback.pkid)
            }
            _ => None,
        }
    }
}

/// A stream from a broker whose PUBACKs have the standard's reason codes only.
#[derive(Debug)]
pub(super) struct StandardAcks<S> {
    stream: S,
    scanner: Scanner,
    foreign: ForeignCodes,
}

impl<S> StandardAcks<S> {
    pub(super) fn new(stream: S, foreign: ForeignCodes) -> Self {
        Self { stream, scanner: Scanner::default(), foreign }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StandardAcks<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let foreign = &this.foreign;
        this.scanner.scan(&mut buffer.filled_mut()[before..], |id, code| foreign.remember(id, code));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StandardAcks<S> {
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

/// Where in a stream of MQTT packets the next byte stands (MQTT 5.0, section 2.1). Pure.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Scanner {
    /// At the first byte of a packet.
    #[default]
    Type,
    /// In the remaining length, with what was read of it.
    Length { kind: Kind, shift: u32, value: usize },
    /// In a PUBACK, with its remaining bytes.
    PubAck { at: PubAckByte, left: usize },
    /// In what does not matter, with its remaining bytes.
    Rest { left: usize },
    /// The bytes are not MQTT. The client library will say so.
    Lost,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    PubAck,
    Other,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum PubAckByte {
    IdHigh,
    IdLow { high: u8 },
    Reason { packet_id: u16 },
}

impl Scanner {
    /// Goes over the next bytes of the stream and replaces each foreign reason code, telling the
    /// packet identifier and the code.
    fn scan(&mut self, mut bytes: &mut [u8], mut foreign: impl FnMut(u16, u8)) {
        while let Some((byte, after)) = bytes.split_first_mut() {
            let mut skip = 0;
            *self = match *self {
                Self::Type => {
                    let kind = if *byte >> 4 == 4 { Kind::PubAck } else { Kind::Other };
                    Self::Length { kind, shift: 0, value: 0 }
                }
                Self::Length { kind, shift, value } => Self::after_length_byte(kind, shift, value, *byte),
                Self::PubAck { at: PubAckByte::IdHigh, left } => {
                    Self::in_puback(PubAckByte::IdLow { high: *byte }, left - 1)
                }
                Self::PubAck { at: PubAckByte::IdLow { high }, left } => {
                    let packet_id = u16::from_be_bytes([high, *byte]);
                    Self::in_puback(PubAckByte::Reason { packet_id }, left - 1)
                }
                Self::PubAck { at: PubAckByte::Reason { packet_id }, left } => {
                    if PubAckReason::try_from(*byte).is_err() {
                        foreign(packet_id, *byte);
                        *byte = PubAckReason::UnspecifiedError as u8;
                    }
                    Self::in_rest(left - 1)
                }
                Self::Rest { left } => {
                    skip = after.len().min(left - 1);
                    Self::in_rest(left - 1 - skip)
                }
                Self::Lost => return,
            };
            bytes = &mut after[skip..];
        }
    }

    fn after_length_byte(kind: Kind, shift: u32, value: usize, byte: u8) -> Self {
        let value = value | usize::from(byte & 0x7F) << shift;
        match (byte & 0x80 == 0, kind) {
            (true, Kind::PubAck) => Self::in_puback(PubAckByte::IdHigh, value),
            (true, Kind::Other) => Self::in_rest(value),
            (false, _) if shift < 21 => Self::Length { kind, shift: shift + 7, value },
            (false, _) => Self::Lost,
        }
    }

    const fn in_puback(at: PubAckByte, left: usize) -> Self {
        if left == 0 { Self::Type } else { Self::PubAck { at, left } }
    }

    const fn in_rest(left: usize) -> Self {
        if left == 0 { Self::Type } else { Self::Rest { left } }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
    use rumqttc::{Publish, QoS};

    use super::*;

    /// Scans `bytes` in pieces that end at the given places.
    fn scan(bytes: &mut [u8], cuts: &[usize]) -> Vec<(u16, u8)> {
        let (mut scanner, mut found, mut rest) = (Scanner::default(), Vec::new(), bytes);
        for cut in cuts {
            let (piece, after) = rest.split_at_mut((*cut).min(rest.len()));
            scanner.scan(piece, |id, code| found.push((id, code)));
            rest = after;
        }
        scanner.scan(rest, |id, code| found.push((id, code)));
        found
    }

    #[test]
    fn mosquittos_packet_too_large_is_taken_out_and_told() {
        let mut bytes = [0x40, 0x03, 0x00, 0x01, 0x95];
        assert_eq!(scan(&mut bytes, &[]), [(1, 0x95)]);
        assert_eq!(bytes, [0x40, 0x03, 0x00, 0x01, 0x80]);
    }

    #[test]
    fn bytes_that_are_not_mqtt_pass_unchanged() {
        let mut bytes = [0x40, 0xFF, 0xFF, 0xFF, 0xFF, 0x40, 0x03, 0x00, 0x01, 0x95];
        let before = bytes;
        assert_eq!(scan(&mut bytes, &[]), []);
        assert_eq!(bytes, before);
    }

    #[derive(Clone, Debug)]
    enum Sent {
        Standard(PubAck),
        Foreign(u16, u8),
        Other(usize),
    }

    fn sent() -> impl Strategy<Value = Sent> {
        let standard = prop_oneof![
            Just(PubAckReason::Success),
            Just(PubAckReason::NoMatchingSubscribers),
            Just(PubAckReason::QuotaExceeded),
            Just(PubAckReason::UnspecifiedError),
        ];
        prop_oneof![
            (1..=u16::MAX, standard).prop_map(|(id, reason)| {
                let mut puback = PubAck::new(id, None);
                puback.reason = reason;
                Sent::Standard(puback)
            }),
            (any::<u16>(), prop_oneof![Just(0x95_u8), Just(0x9B), Just(0x01)])
                .prop_map(|(id, code)| Sent::Foreign(id, code)),
            (0..40_000_usize).prop_map(Sent::Other),
        ]
    }

    proptest! {
        #[test]
        fn only_foreign_codes_change_however_the_stream_is_cut(
            packets in vec(sent(), 0..12),
            cuts in vec(0..200_usize, 0..12),
        ) {
            let (mut bytes, mut expected, mut foreign) = (BytesMut::new(), BytesMut::new(), Vec::new());
            for packet in packets {
                match packet {
                    Sent::Standard(puback) => {
                        puback.write(&mut bytes).expect("a valid packet");
                        puback.write(&mut expected).expect("a valid packet");
                    }
                    Sent::Foreign(id, code) => {
                        let [high, low] = id.to_be_bytes();
                        bytes.extend_from_slice(&[0x40, 0x04, high, low, code, 0x00]);
                        expected.extend_from_slice(&[0x40, 0x04, high, low, 0x80, 0x00]);
                        foreign.push((id, code));
                    }
                    Sent::Other(payload_bytes) => {
                        // A payload full of what looks like a foreign PUBACK.
                        let payload: Vec<u8> = [0x40, 0x03, 0x00, 0x01, 0x95].repeat(payload_bytes / 5);
                        let publish = Publish::new("t", QoS::AtMostOnce, payload, None);
                        publish.write(&mut bytes).expect("a valid packet");
                        publish.write(&mut expected).expect("a valid packet");
                    }
                }
            }
            prop_assert_eq!(scan(&mut bytes, &cuts), foreign);
            prop_assert_eq!(bytes, expected);
        }
    }
}
