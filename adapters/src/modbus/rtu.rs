//! Modbus RTU: frames told apart by silence (Modbus over Serial Line V1.02, section 2.5.1).
//!
//! Replies carry no number, so a late one looks like the next one. Three rules keep it apart:
//!
//! - *Listen before talk.* What has arrived when a request is due belongs to nobody: the line is
//!   drained until it falls silent. So is every line that was just opened, and a line is opened anew
//!   after every failure.
//! - *A reply of another unit is passed over* and the wait goes on, as section 2.4.1 has it.
//! - *After a failure a unit is first asked something of another size* than all that it is asked
//!   otherwise (`suspicion.rs`). A unit answers in the order in which it is asked, so once that is
//!   answered, nothing older can come.
//!
//! The silence between frames is kept on the way out. On the way in it cannot be seen: the kernel
//! hands bytes over in lumps. The length of a reply follows from its request, and its checksum
//! tells the rest.

pub(super) mod frame;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::debug;

use super::decode::Answer;
use super::session::{Ask, Failure};
use super::transport::{Endless, Stream};
use frame::{REQUEST_BYTES, Reply, Wrong};

/// Above 19200 baud the silence between frames no longer shrinks (section 2.5.1.1).
const FASTEST_SCALED_BAUD: u32 = 19_200;
const SHORTEST_SILENCE: Duration = Duration::from_micros(1_750);
/// Some USB converters hold bytes back for 16 ms before they hand them over.
const HELD_BACK_BY_CONVERTER: Duration = Duration::from_millis(20);
/// Converters in the network gather bytes for longer, and the network may add to it.
const HELD_BACK_BY_NETWORK: Duration = Duration::from_millis(100);
/// A line that does not fall silent for this long has another master on it, or a device that babbles.
const LONGEST_NOISE: Duration = Duration::from_secs(2);
/// No frame is longer (section 2.5.1).
const MAX_FRAME_BYTES: usize = 256;

/// How fast a line may be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Pace {
    /// What a byte takes on the wire; zero where that is not known.
    byte: Duration,
    /// The silence before a request.
    silence: Duration,
    /// How long nothing may come until the line counts as drained.
    drained_after: Duration,
}

impl Pace {
    /// That of a serial line with `bits` a byte, whose devices need at least `turnaround` between a
    /// reply and the next request.
    pub(super) fn of_serial(baud: u32, bits: u32, turnaround: Duration) -> Self {
        let byte = Duration::from_secs(bits.into()) / baud.max(1);
        let silence = if baud > FASTEST_SCALED_BAUD { SHORTEST_SILENCE } else { byte * 7 / 2 };
        Self::new(byte, silence.max(turnaround), HELD_BACK_BY_CONVERTER)
    }

    /// That of a serial line behind a converter in the network, which keeps the silence of its line.
    pub(super) fn of_network(turnaround: Duration) -> Self {
        Self::new(Duration::ZERO, SHORTEST_SILENCE.max(turnaround), HELD_BACK_BY_NETWORK)
    }

    fn new(byte: Duration, silence: Duration, held_back: Duration) -> Self {
        Self { byte, silence, drained_after: silence.max(held_back) }
    }

    /// The silence before a request, in bytes that could go over the wire instead; none where it is not
    /// known how fast that is.
    pub(super) fn silence_bytes(&self) -> Option<u32> {
        let bytes = self.silence.as_nanos().div_ceil(self.byte.as_nanos().max(1));
        (!self.byte.is_zero()).then(|| u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// What a request and its reply, so many bytes together, take at least; none where it is not known how
    /// fast the wire is.
    pub(super) fn exchange(&self, bytes: u32) -> Option<Duration> {
        (!self.byte.is_zero()).then(|| self.silence + self.byte * bytes)
    }

    /// What so many bytes take on the wire.
    fn on_wire(&self, bytes: usize) -> Duration {
        self.byte * u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

/// A serial line on which every reply so far was right.
pub(super) struct Rtu {
    stream: Box<dyn Stream>,
    pace: Pace,
    /// When the last byte came or went.
    last_byte: Instant,
    /// Whether the line was silent when it was last listened to for long enough.
    is_drained: bool,
}

impl Rtu {
    /// A line that was just opened.
    pub(super) fn over(stream: impl Stream, pace: Pace) -> Self {
        let stream = Box::new(Endless(stream));
        Self { stream, pace, last_byte: Instant::now(), is_drained: false }
    }

    /// Reads a block. That the device refuses it is an answer too.
    pub(super) async fn ask(mut self, ask: &Ask) -> Result<(Self, Answer), Failure> {
        self.fall_silent().await?;
        let request = frame::request(ask.unit, &ask.block);
        let sent = async {
            self.stream.write_all(&request).await?;
            self.stream.flush().await
        };
        let on_wire =
            self.pace.on_wire(REQUEST_BYTES + frame::REPLY_OVERHEAD_BYTES + frame::data_bytes(&ask.block));
        let patience = ask.timeout + on_wire;
        let deadline = Instant::now() + patience;
        timeout_at(deadline, sent)
            .await
            .map_err(|_elapsed| Failure::Silent(patience))?
            .map_err(Failure::Severed)?;
        let answer =
            timeout_at(deadline, self.reply(ask)).await.map_err(|_elapsed| Failure::Silent(patience))??;
        self.last_byte = Instant::now();
        Ok((self, answer))
    }

    /// Waits until nothing comes any more, and until the silence before a request is over.
    async fn fall_silent(&mut self) -> Result<(), Failure> {
        sleep_until(self.last_byte + self.pace.silence).await;
        let noisy_until = Instant::now() + LONGEST_NOISE;
        let mut lump = [0; MAX_FRAME_BYTES];
        loop {
            let patience = if self.is_drained { Duration::ZERO } else { self.pace.drained_after };
            match timeout(patience, self.stream.read(&mut lump)).await {
                Err(_nothing_came) => {
                    self.is_drained = true;
                    return Ok(());
                }
                Ok(Err(error)) => return Err(Failure::Lost(error)),
                Ok(Ok(bytes)) => debug!(bytes, "bytes that nobody asked for"),
            }
            self.is_drained = false;
            if Instant::now() > noisy_until {
                return Err(Failure::Malformed(format!(
                    "the line does not fall silent for {LONGEST_NOISE:?}: is there another master on it?"
                )));
            }
        }
    }

    async fn reply(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let mut bytes = Vec::with_capacity(MAX_FRAME_BYTES);
        loop {
            match frame::reply(&bytes, ask.unit, &ask.block) {
                Reply::Whole(answer, len) if len == bytes.len() => return Ok(answer),
                Reply::Whole(..) => return Err(malformed(Wrong::Behind)),
                Reply::Wrong(wrong) => return Err(malformed(wrong)),
                Reply::Foreign(len) => {
                    debug!(unit = bytes[0], "a late reply of another unit");
                    bytes.drain(..len);
                }
                Reply::Unfinished => {
                    self.stream.read_buf(&mut bytes).await.map_err(Failure::Severed)?;
                }
            }
        }
    }
}

fn malformed(wrong: Wrong) -> Failure {
    Failure::Malformed(wrong.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{HELD_BACK_BY_CONVERTER, Pace, SHORTEST_SILENCE};

    #[test]
    fn the_silence_before_a_request_is_three_and_a_half_bytes_or_1750_us() {
        for (baud, bits, silence_us) in
            [(1_200, 11, 32_083), (9_600, 11, 4_010), (9_600, 10, 3_645), (19_200, 11, 2_005)]
        {
            let pace = Pace::of_serial(baud, bits, Duration::ZERO);
            assert_eq!(pace.silence.as_micros(), silence_us, "{baud}");
            assert_eq!(pace.drained_after, pace.silence.max(HELD_BACK_BY_CONVERTER));
        }
        assert_eq!(Pace::of_serial(115_200, 11, Duration::ZERO).silence, SHORTEST_SILENCE);
        assert_eq!(Pace::of_network(Duration::ZERO).silence, SHORTEST_SILENCE);
    }

    #[test]
    fn devices_that_need_longer_get_it() {
        let turnaround = Duration::from_millis(50);
        for pace in [Pace::of_serial(19_200, 11, turnaround), Pace::of_network(turnaround)] {
            assert_eq!(pace.silence, turnaround);
            assert!(pace.drained_after >= turnaround);
        }
    }

    #[test]
    fn a_slow_line_has_the_time_that_its_bytes_take() {
        let pace = Pace::of_serial(1_200, 11, Duration::ZERO);
        // 256 bytes of eleven bits at 1200 a second.
        assert_eq!(pace.on_wire(256).as_millis(), 2_346);
    }
}
