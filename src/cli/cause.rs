//! Why a value is not good, in words.

use penstock_adapters::opcua::status_in_words;
use penstock_events::Cause;

/// A cause with what its protocol calls it: Modbus its exceptions (Application Protocol V1.1b3, section 7), OPC UA
/// its status codes.
pub(super) fn in_words(cause: Cause) -> String {
    match cause {
        Cause::ModbusException(code) => {
            exception(code).map_or_else(|| cause.to_string(), |name| format!("{cause} ({name})"))
        }
        Cause::OpcUaStatus(code) => status_in_words(code),
        other => other.to_string(),
    }
}

const fn exception(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "illegal function",
        2 => "illegal data address",
        3 => "illegal data value",
        4 => "device failure",
        5 => "acknowledge",
        6 => "device busy",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "gateway target does not respond",
        _ => return None,
    })
}
