//! The bytes of Modbus TCP, as a server sees them: MBAP header and the four reading functions
//! (Modbus Messaging on TCP/IP V1.0b, section 3.1; Application Protocol V1.1b3, section 6). No IO.

use bytes::{Buf, BufMut, BytesMut};

use super::{BitTable, Exception, RegisterTable};

/// Transaction, protocol, length and unit.
const HEADER_BYTES: usize = 7;
/// Unit and PDU: a PDU has at most 253 bytes.
const MAX_LENGTH: usize = 254;
const MAX_BITS: u16 = 2000;
const MAX_REGISTERS: u16 = 125;

/// One request.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Request {
    pub(super) transaction: u16,
    pub(super) unit: u8,
    pub(super) function: u8,
    pub(super) ask: Result<Ask, Exception>,
}

/// What a client wants to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ask {
    Bits { table: BitTable, first: u16, count: u16 },
    Registers { table: RegisterTable, first: u16, count: u16 },
}

/// What it gets.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Bits(Vec<bool>),
    Registers(Vec<u16>),
}

/// The bytes are not Modbus TCP: there is no way to find the next frame.
#[derive(Debug, thiserror::Error)]
#[error("not a Modbus TCP frame: protocol {protocol}, length {length}")]
pub(super) struct NotModbus {
    protocol: u16,
    length: usize,
}

/// Takes the next whole request out of `input`, if it is there.
pub(super) fn take_request(input: &mut BytesMut) -> Result<Option<Request>, NotModbus> {
    if input.len() < HEADER_BYTES {
        return Ok(None);
    }
    let protocol = u16::from_be_bytes([input[2], input[3]]);
    let length = usize::from(u16::from_be_bytes([input[4], input[5]]));
    if protocol != 0 || !(2..=MAX_LENGTH).contains(&length) {
        return Err(NotModbus { protocol, length });
    }
    if input.len() < HEADER_BYTES - 1 + length {
        return Ok(None);
    }
    let mut frame = input.split_to(HEADER_BYTES - 1 + length);
    let transaction = frame.get_u16();
    frame.advance(4);
    let unit = frame.get_u8();
    let function = frame.get_u8();
    Ok(Some(Request { transaction, unit, function, ask: ask(function, frame) }))
}

fn ask(function: u8, mut data: BytesMut) -> Result<Ask, Exception> {
    if !(1..=4).contains(&function) {
        return Err(Exception::IllegalFunction);
    }
    if data.len() != 4 {
        return Err(Exception::IllegalDataValue);
    }
    let (first, count) = (data.get_u16(), data.get_u16());
    let limit = if function <= 2 { MAX_BITS } else { MAX_REGISTERS };
    if !(1..=limit).contains(&count) {
        return Err(Exception::IllegalDataValue);
    }
    if u32::from(first) + u32::from(count) > 0x1_0000 {
        return Err(Exception::IllegalDataAddress);
    }
    Ok(match function {
        1 => Ask::Bits { table: BitTable::Coils, first, count },
        2 => Ask::Bits { table: BitTable::DiscreteInputs, first, count },
        3 => Ask::Registers { table: RegisterTable::Holding, first, count },
        _ => Ask::Registers { table: RegisterTable::Input, first, count },
    })
}

/// Appends the response to `request`.
pub(super) fn put_response(output: &mut BytesMut, request: &Request, answer: &Result<Answer, Exception>) {
    let body_bytes = match answer {
        Ok(Answer::Bits(bits)) => 1 + bits.len().div_ceil(8),
        Ok(Answer::Registers(registers)) => 1 + 2 * registers.len(),
        Err(_) => 1,
    };
    let short =
        |bytes: usize| u16::try_from(bytes).expect("an answer is as long as its request asked, in limits");
    output.put_u16(request.transaction);
    output.put_u16(0);
    output.put_u16(short(2 + body_bytes));
    output.put_u8(request.unit);
    match answer {
        Ok(answer) => {
            output.put_u8(request.function);
            output.put_u8(short(body_bytes - 1).to_be_bytes()[1]);
            put_data(output, answer);
        }
        Err(exception) => {
            output.put_u8(request.function | 0x80);
            output.put_u8(exception.code());
        }
    }
}

fn put_data(output: &mut BytesMut, answer: &Answer) {
    match answer {
        Answer::Bits(bits) => {
            for eight in bits.chunks(8) {
                output.put_u8(eight.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)));
            }
        }
        Answer::Registers(registers) => registers.iter().for_each(|&register| output.put_u16(register)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of the Application Protocol, sections 6.1 and 6.3, behind an MBAP header.
    const READ_HOLDING: &[u8] = &[0, 7, 0, 0, 0, 6, 1, 3, 0x00, 0x6B, 0, 3];

    #[test]
    fn the_standards_example_of_holding_registers_is_read_and_answered() {
        let mut input = BytesMut::from(READ_HOLDING);
        let request = take_request(&mut input).expect("a frame").expect("a whole one");
        assert_eq!(request.ask, Ok(Ask::Registers { table: RegisterTable::Holding, first: 107, count: 3 }));

        let mut output = BytesMut::new();
        put_response(&mut output, &request, &Ok(Answer::Registers(vec![0x022B, 0, 0x64])));
        assert_eq!(&output[..], [0, 7, 0, 0, 0, 9, 1, 3, 6, 0x02, 0x2B, 0, 0, 0, 0x64]);
    }

    #[test]
    fn the_standards_example_of_coils_is_answered_lowest_bit_first() {
        let mut input = BytesMut::from(&[0, 1, 0, 0, 0, 6, 9, 1, 0, 0x13, 0, 0x13][..]);
        let request = take_request(&mut input).expect("a frame").expect("a whole one");
        let bits = [0xCDu8, 0x6B, 0x05].iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));

        let mut output = BytesMut::new();
        put_response(&mut output, &request, &Ok(Answer::Bits(bits.take(19).collect())));
        assert_eq!(&output[..], [0, 1, 0, 0, 0, 6, 9, 1, 3, 0xCD, 0x6B, 0x05]);
    }

    #[test]
    fn a_frame_is_taken_only_when_it_is_whole() {
        for cut in 0..READ_HOLDING.len() {
            let mut input = BytesMut::from(&READ_HOLDING[..cut]);
            assert!(take_request(&mut input).expect("no complaint").is_none());
            assert_eq!(input.len(), cut);
        }
    }

    #[test]
    fn what_cannot_be_served_gets_the_standards_exception() {
        let asked = |pdu: &[u8]| {
            let length = u8::try_from(pdu.len() + 1).expect("short");
            let mut input = BytesMut::from(&[&[0, 1, 0, 0, 0, length, 1][..], pdu].concat()[..]);
            take_request(&mut input).expect("a frame").expect("a whole one").ask
        };
        assert_eq!(asked(&[6, 0, 1, 0, 1]), Err(Exception::IllegalFunction));
        assert_eq!(asked(&[3, 0, 1, 0, 0]), Err(Exception::IllegalDataValue));
        assert_eq!(asked(&[3, 0, 1, 0, 126]), Err(Exception::IllegalDataValue));
        assert_eq!(asked(&[1, 0, 1, 0x07, 0xD1]), Err(Exception::IllegalDataValue));
        assert_eq!(asked(&[4, 0xFF, 0xFF, 0, 2]), Err(Exception::IllegalDataAddress));
    }

    #[test]
    fn bytes_that_are_not_modbus_are_refused() {
        let mut input = BytesMut::from(&b"GET / HTTP/1.1"[..]);
        assert!(take_request(&mut input).is_err());
    }
}
