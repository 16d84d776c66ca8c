//! From the fields of an event to what it says. Pure, and total: no field can make it panic.

use opcua::types::{NodeId, ObjectTypeId, Variant};
use penstock_events::{Condition, ConditionId, Severity, Standing, Timestamp, Wording};

use super::filter::FIELDS;
use crate::opcua::decode;
use crate::opcua::node::NodeAddress;

/// What an event says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::opcua) enum Notice {
    /// A condition is as follows.
    Condition(Condition),
    /// From here on the server tells of every condition that is active.
    RefreshBegins,
    /// It has, at this time.
    RefreshEnds(Timestamp),
    /// It wants to be asked for them.
    RefreshRequired,
    /// It gave up events.
    Overflow,
    /// It is about a condition, but does not say which, or how that is.
    Unusable,
    /// Something that is no matter here: no condition, or an old branch of one.
    Other,
}

impl Notice {
    /// Reads the `fields` of an event that came `observed`, of a server whose namespace array is `namespaces`.
    pub(in crate::opcua) fn read(fields: &[Variant], namespaces: &[String], observed: Timestamp) -> Self {
        let mut rest = fields.iter();
        let [
            event_type,
            source_name,
            time,
            message,
            severity,
            condition,
            name,
            branch,
            retain,
            enabled,
            active,
            since,
        ]: [&Variant; FIELDS.len()] = std::array::from_fn(|_| rest.next().unwrap_or(&Variant::Empty));
        let time = point_in_time(time).unwrap_or(observed);
        if let Some(notice) = node(event_type).and_then(|event_type| Self::of_type(event_type, time)) {
            return notice;
        }
        let Some(condition) = node(condition) else {
            return if words(name).is_some() { Self::Unusable } else { Self::Other };
        };
        if node(branch).is_some() {
            return Self::Other;
        }
        let Ok(id) = NodeAddress::of(condition, namespaces).to_string().parse::<ConditionId>() else {
            return Self::Unusable;
        };
        let (active, since) = (flag(active), point_in_time(since));
        let standing = match (flag(enabled), flag(retain), active) {
            (Some(false), ..) | (_, Some(false), _) | (.., Some(false)) => Standing::Over,
            (_, _, Some(true)) | (_, Some(true), None) => Standing::Active,
            (_, None, None) => return Self::Unusable,
        };
        // The time is that of the state that the server names, which is not always why the condition is over.
        let since = since.filter(|_| active == Some(standing == Standing::Active));
        let severity = if let Variant::UInt16(severity) = severity { *severity } else { 0 };
        Self::Condition(Condition {
            id,
            name: words(name),
            source_name: words(source_name),
            severity: Severity::clamped(severity),
            message: words(message),
            standing,
            since,
            time,
        })
    }

    fn of_type(event_type: &NodeId, time: Timestamp) -> Option<Self> {
        let is = |known: ObjectTypeId| *event_type == known;
        if is(ObjectTypeId::RefreshStartEventType) {
            Some(Self::RefreshBegins)
        } else if is(ObjectTypeId::RefreshEndEventType) {
            Some(Self::RefreshEnds(time))
        } else if is(ObjectTypeId::RefreshRequiredEventType) {
            Some(Self::RefreshRequired)
        } else if is(ObjectTypeId::EventQueueOverflowEventType) {
            Some(Self::Overflow)
        } else {
            None
        }
    }
}

fn node(field: &Variant) -> Option<&NodeId> {
    match field {
        Variant::NodeId(node) if !node.is_null() => Some(node),
        _ => None,
    }
}

fn flag(field: &Variant) -> Option<bool> {
    if let Variant::Boolean(flag) = field { Some(*flag) } else { None }
}

fn point_in_time(field: &Variant) -> Option<Timestamp> {
    if let Variant::DateTime(time) = field { decode::timestamp(**time) } else { None }
}

fn words(field: &Variant) -> Option<Wording> {
    match field {
        Variant::String(text) => text.value().as_deref().and_then(Wording::of),
        Variant::LocalizedText(text) => text.text.value().as_deref().and_then(Wording::of),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use opcua::types::{DateTime, LocalizedText, NodeId, ObjectTypeId, UAString, Variant};
    use penstock_events::{Condition, Severity, Standing, Timestamp, Wording};
    use proptest::prelude::*;

    use super::{FIELDS, Notice};

    const NOW: Timestamp = Timestamp::from_micros(99);

    fn time(day: u32) -> DateTime {
        DateTime::ymd(2026, 1, u16::try_from(day).expect("a day"))
    }

    fn micros(day: u32) -> Timestamp {
        Timestamp::from_micros(time(day).as_chrono().timestamp_micros())
    }

    /// An alarm that is active since the first of January, and was told on the second.
    fn alarm() -> [Variant; FIELDS.len()] {
        [
            Variant::from(NodeId::from(ObjectTypeId::AlarmConditionType)),
            Variant::from(UAString::from("Zone 2")),
            Variant::from(time(2)),
            Variant::from(LocalizedText::new("en", "too hot")),
            Variant::from(700_u16),
            Variant::from(NodeId::new(2, "Hot")),
            Variant::from(UAString::from("Overheated")),
            Variant::from(NodeId::null()),
            Variant::from(true),
            Variant::from(true),
            Variant::from(true),
            Variant::from(time(1)),
        ]
    }

    fn read(fields: &[Variant]) -> Notice {
        let namespaces = ["http://opcfoundation.org/UA/", "urn:server", "urn:plant"].map(str::to_owned);
        Notice::read(fields, &namespaces, NOW)
    }

    /// The alarm with other fields, by their index.
    fn with(changes: &[(usize, Variant)]) -> Notice {
        let mut fields = alarm();
        for (index, value) in changes {
            fields[*index] = value.clone();
        }
        read(&fields)
    }

    fn condition(notice: Notice) -> Condition {
        let Notice::Condition(condition) = notice else { panic!("{notice:?} is about a condition") };
        condition
    }

    #[test]
    fn an_alarm_is_read_with_its_namespace_by_uri_and_the_time_of_its_state() {
        let expected = Condition {
            id: "nsu=urn:plant;s=Hot".parse().expect("an id"),
            name: Wording::of("Overheated"),
            source_name: Wording::of("Zone 2"),
            severity: Severity::clamped(700),
            message: Wording::of("too hot"),
            standing: Standing::Active,
            since: Some(micros(1)),
            time: micros(2),
        };
        assert_eq!(read(&alarm()), Notice::Condition(expected));
        let elsewhere = condition(with(&[(5, Variant::from(NodeId::new(9, 1_u32)))]));
        assert_eq!(elsewhere.id.as_str(), "ns=9;i=1", "a namespace that the server does not list");
    }

    #[test]
    fn a_condition_is_active_as_long_as_the_server_would_tell_of_it_when_asked() {
        let (yes, no, null) = (|| Variant::from(true), || Variant::from(false), || Variant::Empty);
        for (retain, enabled, active, expected, is_since_known) in [
            (yes(), yes(), yes(), Standing::Active, true),
            (yes(), yes(), no(), Standing::Over, true),
            (no(), yes(), no(), Standing::Over, true),
            (no(), yes(), yes(), Standing::Over, false),
            (yes(), no(), yes(), Standing::Over, false),
            (null(), null(), yes(), Standing::Active, true),
            (null(), null(), no(), Standing::Over, true),
            (yes(), yes(), null(), Standing::Active, false),
            (no(), yes(), null(), Standing::Over, false),
        ] {
            let fields = [(8, retain), (9, enabled), (10, active)];
            let condition = condition(with(&fields));
            assert_eq!(
                (condition.standing, condition.since.is_some()),
                (expected, is_since_known),
                "{fields:?}"
            );
        }
        assert_eq!(with(&[(8, null()), (10, null())]), Notice::Unusable);
    }

    #[test]
    fn what_frames_a_refresh_is_told_by_its_type_whatever_else_it_says() {
        for (event_type, expected) in [
            (ObjectTypeId::RefreshStartEventType, Notice::RefreshBegins),
            (ObjectTypeId::RefreshEndEventType, Notice::RefreshEnds(micros(2))),
            (ObjectTypeId::RefreshRequiredEventType, Notice::RefreshRequired),
            (ObjectTypeId::EventQueueOverflowEventType, Notice::Overflow),
        ] {
            assert_eq!(with(&[(0, Variant::from(NodeId::from(event_type)))]), expected);
        }
    }

    #[test]
    fn what_is_no_condition_an_old_branch_or_nameless_is_told_apart() {
        assert_eq!(read(&[]), Notice::Other);
        assert_eq!(with(&[(5, Variant::Empty), (6, Variant::Empty)]), Notice::Other);
        assert_eq!(with(&[(5, Variant::from(NodeId::null()))]), Notice::Unusable);
        assert_eq!(with(&[(5, Variant::from(NodeId::new(2, "x".repeat(5_000))))]), Notice::Unusable);
        assert_eq!(with(&[(7, Variant::from(NodeId::new(2, "branch")))]), Notice::Other);
    }

    #[test]
    fn fields_of_other_types_are_as_good_as_none() {
        let odd = || Variant::from(vec![1_i32]);
        let fields = [(1, odd()), (2, odd()), (3, odd()), (4, odd()), (6, odd()), (9, odd()), (11, odd())];
        let condition = condition(with(&fields));
        assert_eq!((condition.time, condition.since), (NOW, None));
        assert_eq!((condition.name, condition.source_name, condition.message), (None, None, None));
        assert_eq!(condition.severity, Severity::LEAST);
    }

    fn anything() -> impl Strategy<Value = Variant> {
        prop_oneof![
            Just(Variant::Empty),
            any::<bool>().prop_map(Variant::from),
            any::<u16>().prop_map(Variant::from),
            any::<i64>().prop_map(|ticks| Variant::from(DateTime::from(ticks))),
            any::<String>().prop_map(|text| Variant::from(UAString::from(text))),
            any::<(u16, String)>().prop_map(|(index, text)| Variant::from(NodeId::new(index, text))),
            (2_780_u32..2_800).prop_map(|id| Variant::from(NodeId::new(0, id))),
        ]
    }

    proptest! {
        #[test]
        fn nothing_that_a_server_sends_makes_it_panic(fields in prop::collection::vec(anything(), 0..16)) {
            read(&fields);
        }
    }
}
