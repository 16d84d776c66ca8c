//! A publication of values that are numbers and texts: what comes most, told apart at a fraction of the cost of a look at
//! every byte. Whatever is not exactly that is no flat publication.
//!
//! Follows OPC 10000-6, 5.2 (binary encoding), for PublishResponse (OPC 10000-4, 5.14.5) and DataChangeNotification (7.25.2).

/// NodeIds of the encodings, in their four-byte form.
const PUBLISH_RESPONSE: [u8; 4] = [1, 0, 0x3D, 0x03];
const DATA_CHANGE: [u8; 4] = [1, 0, 0x2B, 0x03];
/// An ExtensionObject without a type and a body: no additional header.
const NO_OBJECT: [u8; 3] = [0, 0, 0];
/// The ByteString that is an ExtensionObject's body follows.
const HAS_BYTES: u8 = 1;

/// Whether nothing in the body of a message holds anything of its own kind.
pub(super) fn is_flat(body: &[u8]) -> bool {
    let mut rest = Rest(body);
    rest.publication().is_some() && rest.0.is_empty()
}

/// What is to be read. Everything takes as much as it is, and is `None` if it is something else.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn publication(&mut self) -> Option<()> {
        self.exactly(&PUBLISH_RESPONSE)?;
        // Timestamp, request handle, result; no diagnostics.
        self.skip(8 + 4 + 4)?;
        self.exactly(&[0])?;
        self.nothing()?;
        self.exactly(&NO_OBJECT)?;
        // Subscription, sequence numbers, whether there is more; sequence number, time.
        self.skip(4)?;
        self.numbers()?;
        self.skip(1 + 4 + 8)?;
        for _ in 0..self.count()? {
            self.exactly(&DATA_CHANGE)?;
            self.exactly(&[HAS_BYTES])?;
            let length = self.count()?;
            let end = self.0.len().checked_sub(length)?;
            for _ in 0..self.count()? {
                self.skip(4)?;
                self.value()?;
            }
            self.nothing()?;
            // Of one that says that it is shorter, a decoder takes the rest for something else.
            if self.0.len() != end {
                return None;
            }
        }
        self.numbers()?;
        self.nothing()
    }

    /// A DataValue.
    fn value(&mut self) -> Option<()> {
        let [mask] = self.array()?;
        if mask & 0x01 != 0 {
            let [variant] = self.array()?;
            match variant {
                0 => {}
                1..=3 => self.skip(1)?,
                4 | 5 => self.skip(2)?,
                6 | 7 | 10 | 19 => self.skip(4)?,
                8 | 9 | 11 | 13 => self.skip(8)?,
                14 => self.skip(16)?,
                12 | 15 => {
                    let length = self.count()?;
                    self.skip(length)?;
                }
                _ => return None,
            }
        }
        // Status, the source's time and picoseconds, the server's.
        let lengths = [(0x02, 4), (0x04, 8), (0x10, 2), (0x08, 8), (0x20, 2)];
        if mask & !0x3F != 0 {
            return None;
        }
        self.skip(lengths.iter().filter(|(bit, _)| mask & bit != 0).map(|(_, length)| length).sum())
    }

    /// An array of 32-bit numbers.
    fn numbers(&mut self) -> Option<()> {
        let count = self.count()?;
        self.skip(count.checked_mul(4)?)
    }

    /// An array without elements.
    fn nothing(&mut self) -> Option<()> {
        (self.count()? == 0).then_some(())
    }

    /// How many follow.
    fn count(&mut self) -> Option<usize> {
        match i32::from_le_bytes(self.array()?) {
            -1 => Some(0),
            count => usize::try_from(count).ok(),
        }
    }

    fn exactly(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }
}
