//! What the server is asked for: the events of a notifier with the fields that matter, and all that is active.

use opcua::types::{
    AttributeId, CallMethodRequest, EventFilter, ExtensionObject, MethodId, MonitoredItemCreateRequest,
    MonitoringMode, MonitoringParameters, NodeId, ObjectTypeId, ReadValueId, SimpleAttributeOperand, Variant,
};

/// How many events the server keeps until it publishes. A server that keeps fewer says so when it gives some up,
/// and then all that is active is asked for.
const QUEUE: u32 = 10_000;

/// A field of an event: the type that defines it, and its path from there.
type Field = (ObjectTypeId, &'static [&'static str]);

/// The fields, in the order in which events bring them. The one without a path is the condition's own node.
pub(super) const FIELDS: [Field; 12] = [
    (ObjectTypeId::BaseEventType, &["EventType"]),
    (ObjectTypeId::BaseEventType, &["SourceName"]),
    (ObjectTypeId::BaseEventType, &["Time"]),
    (ObjectTypeId::BaseEventType, &["Message"]),
    (ObjectTypeId::BaseEventType, &["Severity"]),
    (ObjectTypeId::ConditionType, &[]),
    (ObjectTypeId::ConditionType, &["ConditionName"]),
    (ObjectTypeId::ConditionType, &["BranchId"]),
    (ObjectTypeId::ConditionType, &["Retain"]),
    (ObjectTypeId::ConditionType, &["EnabledState", "Id"]),
    (ObjectTypeId::AlarmConditionType, &["ActiveState", "Id"]),
    (ObjectTypeId::AlarmConditionType, &["ActiveState", "TransitionTime"]),
];

/// The request for the events of `node`, known by `handle`.
///
/// Nothing is filtered at the server: servers that take `OfType` for just that type and not for those below it
/// would leave out every alarm, and say nothing.
pub(in crate::opcua) fn monitored(handle: u32, node: NodeId) -> MonitoredItemCreateRequest {
    let select_clauses = FIELDS.into_iter().map(operand).collect();
    let filter = EventFilter { select_clauses: Some(select_clauses), ..EventFilter::default() };
    MonitoredItemCreateRequest {
        item_to_monitor: ReadValueId {
            node_id: node,
            attribute_id: AttributeId::EventNotifier as u32,
            ..ReadValueId::default()
        },
        monitoring_mode: MonitoringMode::Reporting,
        requested_parameters: MonitoringParameters {
            client_handle: handle,
            sampling_interval: 0.0,
            filter: ExtensionObject::from_message(filter),
            queue_size: QUEUE,
            discard_oldest: true,
        },
    }
}

fn operand((type_id, path): Field) -> SimpleAttributeOperand {
    let attribute = if path.is_empty() { AttributeId::NodeId } else { AttributeId::Value };
    SimpleAttributeOperand {
        type_definition_id: type_id.into(),
        browse_path: Some(path.iter().map(|name| (*name).into()).collect()),
        attribute_id: attribute as u32,
        ..SimpleAttributeOperand::default()
    }
}

/// The call by which a subscription is told of every condition that is active (section 5.5.7). It changes nothing.
pub(in crate::opcua) fn refresh(subscription: u32) -> CallMethodRequest {
    CallMethodRequest {
        object_id: ObjectTypeId::ConditionType.into(),
        method_id: MethodId::ConditionType_ConditionRefresh.into(),
        input_arguments: Some(vec![Variant::from(subscription)]),
    }
}
