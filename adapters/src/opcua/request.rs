//! What the server is asked for: monitored items and values to read. Pure.

use opcua::types::{
    AttributeId, DataChangeFilter, DataChangeTrigger, DeadbandType, ExtensionObject,
    MonitoredItemCreateRequest, MonitoringMode, MonitoringParameters, NodeId, ReadValueId, StatusCode,
};

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
