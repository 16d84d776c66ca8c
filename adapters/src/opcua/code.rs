//! Status codes in words: their name in the standard, and what they mean for whoever reads a value. Pure.

use opcua::types::StatusCode;

/// The name of a status code, and what it means where the name alone does not help (OPC 10000-4, section 7.39.2):
/// `BadNodeIdUnknown (no such node)`.
pub fn status_in_words(code: u32) -> String {
    let status = StatusCode::from(code).sub_code();
    if status == opcua::types::SubStatusCode::Invalid {
        return format!("unknown status 0x{code:08X}");
    }
    let name = status.name();
    meaning(StatusCode::from(status as u32))
        .map_or_else(|| name.to_owned(), |meaning| format!("{name} ({meaning})"))
}

fn meaning(status: StatusCode) -> Option<&'static str> {
    Some(match status {
        StatusCode::BadNodeIdUnknown | StatusCode::BadNodeIdInvalid => "no such node",
        StatusCode::BadAttributeIdInvalid => "no variable, so no value",
        StatusCode::BadNotReadable => "not readable",
        StatusCode::BadUserAccessDenied => "this user may not",
        StatusCode::BadIndexRangeNoData | StatusCode::BadIndexRangeInvalid => "no such element",
        StatusCode::BadTypeMismatch => "not one value: choose an element or a field",
        StatusCode::BadNotFound => "no such field",
        StatusCode::BadDataTypeIdUnknown => "the server does not tell its type",
        StatusCode::BadNoData => "no value",
        StatusCode::BadWaitingForInitialData => "no value yet",
        StatusCode::BadMonitoredItemFilterUnsupported | StatusCode::BadFilterNotAllowed => {
            "trigger or server_deadband not supported"
        }
        StatusCode::BadTooManyMonitoredItems => "no more items",
        StatusCode::BadNotConnected | StatusCode::BadNoCommunication | StatusCode::BadDeviceFailure => {
            "the server has no connection to its device"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::status_in_words;

    #[test]
    fn a_code_is_told_by_its_name_and_by_what_it_means_for_a_tag() {
        assert_eq!(status_in_words(0x8034_0000), "BadNodeIdUnknown (no such node)");
        assert_eq!(status_in_words(0x808C_0000), "BadSensorFailure");
        assert_eq!(
            status_in_words(0x4090_0480),
            "UncertainLastUsableValue",
            "its other bits are no part of the name"
        );
        assert_eq!(status_in_words(0x8FFF_0000), "unknown status 0x8FFF0000");
    }
}
