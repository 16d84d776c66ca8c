//! What the server is asked for: monitored items and values to read. Pure.

use opcua::client::HistoryReadAction;
use opcua::types::{
    AttributeId, ByteString, DataChangeFilter, DataChangeTrigger, DateTime, DeadbandType, ExtensionObject,
    HistoryReadValueId, MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NodeId,
    ReadRawModifiedDetails, ReadValueId, StatusCode, Variant,
};
use penstock_events::Timestamp;

use super::history::Span;
use super::tag::{Acquisition, Deadband, Discard, Sampling, Trigger};

/// How many operations a call has unless the server allows fewer: what the reference servers allow.
pub(super) const MOST_OPERATIONS: usize = 1_000;

/// The request for an item that is known by `handle`, which is not zero.
pub(super) fn monitored(handle: u32, node: NodeId, sampling: &Sampling) -> MonitoredItemCreateRequest {
    MonitoredItemCreateRequest {
        item_to_monitor: value_of(node),
        monitoring_mode: MonitoringMode::Reporting,
        requested_parameters: MonitoringParameters {
            client_handle: handle,
            sampling_interval: sampling.interval.as_secs_f64() * 1e3,
            filter: filter(sampling),
            queue_size: sampling.queue,
            discard_oldest: sampling.discard == Discard::Oldest,
        },
    }
}

/// The value of a node.
pub(super) fn value_of(node_id: NodeId) -> ReadValueId {
    ReadValueId { node_id, attribute_id: AttributeId::Value as u32, ..ReadValueId::default() }
}

/// What the user may do with the value of a node.
pub(super) fn access_to(node_id: NodeId) -> ReadValueId {
    ReadValueId { node_id, attribute_id: AttributeId::UserAccessLevel as u32, ..ReadValueId::default() }
}

/// Whether an access level says that there is a history to be read (OPC 10000-3, section 8.57).
pub(super) fn has_history(access: Option<&Variant>) -> bool {
    const HISTORY_READ: u8 = 1 << 2;
    matches!(access, Some(Variant::Byte(access)) if access & HISTORY_READ != 0)
}

/// The values in a span as they were recorded, up to `most` of each node (OPC 10000-11, section 6.5.3).
pub(super) fn recorded(span: Span, most: u32) -> HistoryReadAction {
    HistoryReadAction::ReadRawModifiedDetails(ReadRawModifiedDetails {
        is_read_modified: false,
        start_time: date_time(span.after),
        end_time: date_time(span.before),
        num_values_per_node: most,
        return_bounds: false,
    })
}

/// The history of a node, from where an earlier answer ended if it says so.
pub(super) fn history_of(node_id: NodeId, continuation_point: ByteString) -> HistoryReadValueId {
    HistoryReadValueId { node_id, continuation_point, ..HistoryReadValueId::default() }
}

/// A time that came from a server.
pub(super) fn date_time(time: Timestamp) -> DateTime {
    /// From the beginning of 1601 to that of 1970.
    const EPOCH_MICROS: i64 = 11_644_473_600_000_000;
    let micros = time.as_micros().saturating_add(EPOCH_MICROS).max(0);
    DateTime::from(micros.saturating_mul(10))
}

/// Whether tags of this acquisition are items of a subscription.
pub(super) const fn sampling(acquisition: &Acquisition) -> Option<&Sampling> {
    match acquisition {
        Acquisition::Subscribe(sampling) => Some(sampling),
        Acquisition::Read => None,
    }
}

/// The usual filter is none: what a server that knows no filters takes, too.
fn filter(sampling: &Sampling) -> ExtensionObject {
    let (deadband, deadband_value) = match sampling.deadband {
        Deadband::None if sampling.trigger == Trigger::Value => return ExtensionObject::null(),
        Deadband::None => (DeadbandType::None, 0.0),
        Deadband::Absolute(change) => (DeadbandType::Absolute, change),
        Deadband::Percent(part) => (DeadbandType::Percent, part),
    };
    let trigger = match sampling.trigger {
        Trigger::Status => DataChangeTrigger::Status,
        Trigger::Value => DataChangeTrigger::StatusValue,
        Trigger::Timestamp => DataChangeTrigger::StatusValueTimestamp,
    };
    ExtensionObject::from_message(DataChangeFilter {
        trigger,
        deadband_type: deadband as u32,
        deadband_value,
    })
}

/// How many operations the server takes in a call, by its own word: none or zero is no limit.
pub(super) fn operations(told: Option<u64>) -> usize {
    match told {
        Some(limit @ 1..) => usize::try_from(limit).unwrap_or(MOST_OPERATIONS).min(MOST_OPERATIONS),
        _ => MOST_OPERATIONS,
    }
}

/// Whether a call is refused for its size alone, so that a smaller one may do.
pub(super) fn is_too_large(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BadTooManyOperations
            | StatusCode::BadRequestTooLarge
            | StatusCode::BadResponseTooLarge
            | StatusCode::BadEncodingLimitsExceeded
            | StatusCode::BadTcpMessageTooLarge
    )
}

#[cfg(test)]
mod tests {
    use opcua::types::{DateTime, Variant};
    use penstock_events::Timestamp;

    use super::{date_time, has_history};

    #[test]
    fn a_time_is_asked_for_as_the_server_told_it() {
        for time in
            [DateTime::ymd_hms(2026, 11, 29, 8, 52, 30), DateTime::ymd(1969, 12, 31), DateTime::null()]
        {
            assert_eq!(date_time(Timestamp::from_micros(time.as_chrono().timestamp_micros())), time);
        }
    }

    #[test]
    fn a_history_is_where_the_access_level_says_so() {
        assert!(has_history(Some(&Variant::Byte(0b101))));
        assert!(!has_history(Some(&Variant::Byte(0b011))));
        assert!(!has_history(Some(&Variant::UInt32(0b111))));
        assert!(!has_history(None));
    }
}
