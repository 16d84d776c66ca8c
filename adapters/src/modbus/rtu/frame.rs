//! The frames of Modbus RTU, and whether bytes are the reply to a request. Pure.
//!
//! Modbus over Serial Line V1.02, sections 2.5.1 and 6.2.2; the reading functions of the Application
//! Protocol V1.1b3, sections 6.1 to 6.4. There is no function here that writes.

use crate::modbus::address::{Cell, Table};
use crate::modbus::decode::Answer;
use crate::modbus::plan::Block;

/// Unit id, function code, start, count and checksum.
pub(in crate::modbus) const REQUEST_BYTES: usize = 8;
/// What a reply has around its data: unit id, function code, byte count and checksum.
pub(super) const REPLY_OVERHEAD_BYTES: usize = 5;
/// Unit id, function code with its highest bit set, exception code and checksum.
const EXCEPTION_BYTES: usize = 5;
const EXCEPTION_BIT: u8 = 0x80;
const CRC_BYTES: usize = 2;

/// What the bytes so far are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    /// The beginning of a frame.
    Unfinished,
    /// The reply, and so many bytes.
    Whole(Answer, usize),
    /// A frame of another unit, of so many bytes: somebody who answers late.
    Foreign(usize),
    /// Nothing that can be the reply.
    Wrong(Wrong),
}

/// Why bytes cannot be the reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Wrong {
    /// Noise, a collision, or settings of the line that are not the device's.
    #[error("a wrong checksum; check baud rate, parity and termination if it happens often")]
    Checksum,
    /// Another function's reply.
    #[error("function {got} where {asked} was asked for")]
    Function {
        /// What the reply says.
        got: u8,
        /// What the request said.
        asked: u8,
    },
    /// Another request's reply.
    #[error("{got} bytes of data where {asked} were asked for")]
    Size {
        /// What the reply says.
        got: usize,
        /// What the request asked for.
        asked: usize,
    },
    /// More than one frame.
    #[error("bytes behind the reply")]
    Behind,
}

/// The request that reads `block` from `unit`.
pub(super) fn request(unit: u8, block: &Block) -> [u8; REQUEST_BYTES] {
    let [start_high, start_low] = block.start.to_be_bytes();
    let [count_high, count_low] = block.count.to_be_bytes();
    let body = [unit, function(block.table), start_high, start_low, count_high, count_low];
    let [crc_low, crc_high] = crc(&body).to_le_bytes();
    let [a, b, c, d, e, f] = body;
    [a, b, c, d, e, f, crc_low, crc_high]
}

/// How many bytes of data the reply to a request for `block` has.
pub(in crate::modbus) fn data_bytes(block: &Block) -> usize {
    match block.table.cell() {
        Cell::Bit => usize::from(block.count).div_ceil(8),
        Cell::Register => 2 * usize::from(block.count),
    }
}

/// What `bytes` are to whoever asked `unit` for `block`.
pub(super) fn reply(bytes: &[u8], unit: u8, block: &Block) -> Reply {
    let asked = function(block.table);
    let &[from, got, third, ..] = bytes else { return Reply::Unfinished };
    let size = usize::from(third);
    if from == unit && got & !EXCEPTION_BIT != asked {
        return Reply::Wrong(Wrong::Function { got, asked });
    }
    if from == unit && got == asked && size != data_bytes(block) {
        return Reply::Wrong(Wrong::Size { got: size, asked: data_bytes(block) });
    }
    let len = if got & EXCEPTION_BIT == 0 { REPLY_OVERHEAD_BYTES + size } else { EXCEPTION_BYTES };
    let Some(frame) = bytes.get(..len) else { return Reply::Unfinished };
    let (body, sent) = frame.split_at(len - CRC_BYTES);
    if crc(body).to_le_bytes() != sent {
        return Reply::Wrong(Wrong::Checksum);
    }
    if from != unit {
        return Reply::Foreign(len);
    }
    if got & EXCEPTION_BIT != 0 {
        return Reply::Whole(Answer::Exception(third), len);
    }
    Reply::Whole(answer(block.table.cell(), &body[3..]), len)
}

fn answer(cell: Cell, data: &[u8]) -> Answer {
    match cell {
        Cell::Bit => Answer::Bits((0..8 * data.len()).map(|at| data[at / 8] >> (at % 8) & 1 == 1).collect()),
        Cell::Register => Answer::Registers(
            data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect(),
        ),
    }
}

const fn function(table: Table) -> u8 {
    match table {
        Table::Coil => 1,
        Table::DiscreteInput => 2,
        Table::HoldingRegister => 3,
        Table::InputRegister => 4,
    }
}

/// The checksum of a frame (section 6.2.2), which goes over the wire low byte first.
pub(in crate::modbus) fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, proptest};
    use proptest::{collection, sample};

    use super::{Reply, Wrong, crc, data_bytes, reply, request};
    use crate::modbus::decode::Answer;
    use crate::modbus::plan::Block;
    use crate::modbus::{Cell, Table};

    const BLOCK: Block = Block { table: Table::HoldingRegister, start: 0x006b, count: 3 };

    fn sealed(body: &[u8]) -> Vec<u8> {
        [body, &crc(body).to_le_bytes()].concat()
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // Section 6.2.2 of the standard: 02 07 gives 41 12 on the wire.
        assert_eq!(crc(&[0x02, 0x07]).to_le_bytes(), [0x41, 0x12]);
        // The check value of CRC-16/MODBUS.
        assert_eq!(crc(b"123456789"), 0x4b37);
    }

    #[test]
    fn a_request_is_laid_out_as_in_the_standard() {
        assert_eq!(request(17, &BLOCK), [0x11, 0x03, 0x00, 0x6b, 0x00, 0x03, 0x76, 0x87]);
    }

    #[test]
    fn a_reply_is_taken_only_from_the_unit_and_function_and_size_that_were_asked() {
        let data = [0, 1, 0, 2, 0xff, 0xff];
        let right = sealed(&[&[17, 3, 6][..], &data].concat());
        let words = Answer::Registers(vec![1, 2, 65_535]);
        assert_eq!(reply(&right, 17, &BLOCK), Reply::Whole(words, right.len()));
        assert_eq!(reply(&sealed(&[17, 0x83, 2]), 17, &BLOCK), Reply::Whole(Answer::Exception(2), 5));
        assert_eq!(reply(&right, 18, &BLOCK), Reply::Foreign(right.len()));
        let wrong = |bytes: &[u8]| reply(bytes, 17, &BLOCK);
        assert_eq!(wrong(&sealed(&[17, 4, 2, 0, 0])), Reply::Wrong(Wrong::Function { got: 4, asked: 3 }));
        assert_eq!(wrong(&sealed(&[17, 0x84, 2])), Reply::Wrong(Wrong::Function { got: 0x84, asked: 3 }));
        assert_eq!(wrong(&sealed(&[17, 3, 2, 0, 0])), Reply::Wrong(Wrong::Size { got: 2, asked: 6 }));
    }

    #[test]
    fn bits_come_lowest_first() {
        let block = Block { table: Table::Coil, start: 19, count: 10 };
        let Reply::Whole(Answer::Bits(bits), 7) = reply(&sealed(&[1, 1, 2, 0b101, 0b10]), 1, &block) else {
            panic!("a right reply")
        };
        let set: Vec<usize> = (0..bits.len()).filter(|&at| bits[at]).collect();
        assert_eq!((set, bits.len()), (vec![0, 2, 9], 16));
    }

    fn blocks() -> impl Strategy<Value = Block> {
        (sample::select(&Table::ALL[..]), 0_u16..60_000, 1_u16..=125)
            .prop_map(|(table, start, count)| Block { table, start, count })
    }

    proptest! {
        #[test]
        fn a_right_reply_is_recognized_at_its_last_byte_and_no_sooner(block in blocks(), fill in any::<u8>()) {
            let function = request(7, &block)[1];
            let size = data_bytes(&block);
            let mut body = vec![7, function, u8::try_from(size).expect("a short reply")];
            body.resize(3 + size, fill);
            let frame = sealed(&body);
            for len in 0..frame.len() {
                assert_eq!(reply(&frame[..len], 7, &block), Reply::Unfinished);
            }
            let Reply::Whole(answer, len) = reply(&frame, 7, &block) else { panic!("a right reply") };
            let places = match (&answer, block.table.cell()) {
                (Answer::Registers(words), Cell::Register) => words.len(),
                (Answer::Bits(bits), Cell::Bit) => bits.len() / 8 * 8 - (8 * size - usize::from(block.count)),
                other => panic!("{other:?}"),
            };
            assert_eq!((places, len), (usize::from(block.count), frame.len()));
        }

        #[test]
        fn a_burst_of_up_to_sixteen_wrong_bits_is_never_taken(
            block in blocks(),
            burst in 1_u32..=0xffff,
            at in any::<sample::Index>(),
        ) {
            let function = request(7, &block)[1];
            let size = data_bytes(&block);
            let mut body = vec![7, function, u8::try_from(size).expect("a short reply")];
            body.resize(3 + size, 0x5a);
            let mut frame = sealed(&body);
            let bit = at.index(8 * (frame.len() - 2));
            let mask = u64::from(burst) << (bit % 8);
            for (offset, flipped) in mask.to_le_bytes().iter().enumerate() {
                if let Some(byte) = frame.get_mut(bit / 8 + offset) {
                    *byte ^= flipped;
                }
            }
            let taken = matches!(reply(&frame, 7, &block), Reply::Whole(..));
            assert!(!taken, "{frame:x?}");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in collection::vec(any::<u8>(), 0..300), block in blocks()) {
            reply(&bytes, 7, &block);
        }
    }
}
