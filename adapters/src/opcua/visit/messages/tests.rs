//! What had come and was not read when a session ended is told all the same, as far as nothing is missing before it.

use std::sync::Arc;

use opcua::client::{ClientBuilder, IdentityToken, Session};
use opcua::types::{
    DateTime, EventFieldList, EventNotificationList, ExtensionObject, NodeId, NotificationMessage,
    ObjectTypeId, StatusChangeNotification, StatusCode, UAString, Variant,
};
use penstock_events::{Observation, Standing, TagId, Timestamp};
use tokio::sync::{mpsc, watch};

use super::{Letter, Shard};
use crate::Clock;
use crate::opcua::account::Account;
use crate::opcua::failure::Failure;
use crate::opcua::ledger::Ledger;
use crate::opcua::status::{AlarmStatus, ServerStatus};
use crate::opcua::visit::{Contact, Ended, Visit};
use crate::opcua::{Notifier, Server};

/// The handle of the only notifier, there being no tags.
const NOTIFIER: u32 = 1;
const ROOM: usize = 8;
const LOST: Failure = Failure::Lost(StatusCode::BadConnectionClosed);

/// A session that was opened with a server whose alarms are watched.
struct Opened {
    account: Account,
    observations: mpsc::Receiver<Observation>,
    status: watch::Receiver<ServerStatus>,
}

impl Opened {
    fn new() -> Self {
        let node = "i=2253".parse().expect("a node");
        let path = "oven.alarms".parse().expect("a path");
        let notifiers = vec![Notifier { id: TagId(0), path, node }];
        let server = Arc::new(Server { notifiers, ..Server::sample() });
        let clock = Clock::from_fn(|| Timestamp::EPOCH);
        let (told, observations) = mpsc::channel(ROOM);
        let (shown, status) = watch::channel(ServerStatus::starting(server.name.clone(), clock.now()));
        let ledger = Ledger::new(&server.name, shown);
        Self { account: Account::new(server, ledger, clock, told), observations, status }
    }

    /// A visit with one subscription.
    fn visit(&mut self) -> Visit<'_> {
        let (_contact, contacts) = watch::channel(Contact::Made { times: 0 });
        let mut visit = Visit::new(session(), contacts, &mut self.account);
        visit.shards.push(Shard::new(7, visit.account.server.publish, 3));
        visit
    }

    /// Ends the session before any of the `messages` was read, and gives what is told of alarms: their names, and
    /// whether they are active.
    async fn left_with(
        &mut self,
        messages: impl IntoIterator<Item = NotificationMessage>,
    ) -> Vec<(String, bool)> {
        let mut visit = self.visit();
        for message in messages {
            visit.post.try_send(Letter { shard: 0, message }).expect("there is room");
        }
        visit.leave(&LOST).await.expect("somebody listens");
        self.told()
    }

    /// What is told of alarms.
    fn told(&mut self) -> Vec<(String, bool)> {
        let mut told = Vec::new();
        while let Ok(observation) = self.observations.try_recv() {
            let Observation::Told { conditions, .. } = observation else { continue };
            told.extend(conditions.into_iter().map(|condition| {
                (condition.name.expect("a name").as_str().to_owned(), condition.standing == Standing::Active)
            }));
        }
        told
    }

    fn alarms(&self) -> AlarmStatus {
        self.status.borrow().alarms.clone().expect("alarms are watched")
    }
}

/// A session that has no connection.
fn session() -> Arc<Session> {
    let client =
        ClientBuilder::new().application_name("test").application_uri("urn:test").pki_dir("/dev/null");
    let mut client = client.trust_server_certs(true).client().expect("a client");
    let (session, _events) =
        client.connect_to_endpoint_directly("opc.tcp://oven", IdentityToken::Anonymous).expect("an endpoint");
    session
}

fn message(sequence_number: u32, events: impl IntoIterator<Item = Vec<Variant>>) -> NotificationMessage {
    let event = |fields| EventFieldList { client_handle: NOTIFIER, event_fields: Some(fields) };
    let events = EventNotificationList { events: Some(events.into_iter().map(event).collect()) };
    NotificationMessage {
        sequence_number,
        notification_data: Some(vec![ExtensionObject::from_message(events)]),
        ..NotificationMessage::default()
    }
}

/// An event that says how the alarm `name` is.
fn alarm(name: &str, active: bool) -> Vec<Variant> {
    vec![
        Variant::from(NodeId::from(ObjectTypeId::AlarmConditionType)),
        Variant::from(UAString::from("Zone-2")),
        Variant::from(DateTime::ymd(2026, 1, 1)),
        Variant::Empty,
        Variant::from(700_u16),
        Variant::from(NodeId::new(1, name)),
        Variant::from(UAString::from(name)),
        Variant::Empty,
        Variant::from(active),
        Variant::from(true),
        Variant::from(active),
        Variant::Empty,
    ]
}

fn told(name: &str, active: bool) -> (String, bool) {
    (name.to_owned(), active)
}

#[tokio::test]
async fn an_alarm_that_came_and_went_in_messages_that_nobody_read_is_told_and_counted() {
    let mut opened = Opened::new();
    let messages = [message(1, [alarm("Hot", true), alarm("Door", true)]), message(2, [alarm("Hot", false)])];
    assert_eq!(opened.left_with(messages).await, [told("Hot", true), told("Door", true), told("Hot", false)]);
    let alarms = opened.alarms();
    assert_eq!((alarms.told, alarms.active), (3, 1));
}

#[tokio::test]
async fn an_alarm_after_a_message_that_is_missing_is_left_to_the_next_session() {
    let mut opened = Opened::new();
    let messages = [
        message(1, [alarm("Hot", true)]),
        message(3, [alarm("Door", true)]),
        message(4, [alarm("Hot", false)]),
    ];
    assert_eq!(opened.left_with(messages).await, [told("Hot", true)]);
}

#[tokio::test]
async fn events_that_the_server_gave_up_are_counted_though_their_message_was_not_read() {
    let overflow = vec![Variant::from(NodeId::from(ObjectTypeId::EventQueueOverflowEventType))];
    let mut opened = Opened::new();
    assert_eq!(opened.left_with([message(1, [overflow, vec![]])]).await, []);
    assert_eq!(opened.alarms().overflows, 1);
}

#[tokio::test]
async fn what_a_message_says_before_the_part_that_ends_its_subscription_is_told() {
    let mut opened = Opened::new();
    let mut last = message(1, [alarm("Hot", true)]);
    let over = StatusChangeNotification { status: StatusCode::BadTimeout, ..Default::default() };
    last.notification_data.as_mut().expect("it has parts").push(ExtensionObject::from_message(over));
    let mut visit = opened.visit();
    let ended = visit.take(Letter { shard: 0, message: last }).await;
    assert!(matches!(ended, Err(Ended::Failed(Failure::SubscriptionLost(StatusCode::BadTimeout)))));
    assert_eq!(opened.told(), [told("Hot", true)]);
}
