//! The enterprise: `mosquitto_sub`, subscribed to everything with QoS 1 and a session that outlives its connection.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::process::Command;

use super::event::{Event, Message};
use super::mosquitto::Mosquitto;
use super::patience::eventually;
use super::process::Process;

/// Whether the message is retained, topic, content type, payload.
const FORMAT: &str = r"%r\t%t\t%C\t%p";
const PROBE_TOPIC: &str = "probe";
const LOOKS_PER_PROBE: u32 = 10;

/// A subscriber, and everything that it has received.
pub(crate) struct Subscriber {
    broker: SocketAddr,
    options: Vec<String>,
    process: Process,
    messages: RefCell<Vec<Message>>,
    probes: Cell<u32>,
}

impl Subscriber {
    /// Subscribes to everything at `broker`; returns once the subscription is there.
    pub(crate) fn of(broker: &Mosquitto) -> Self {
        Self::named("enterprise", broker, &[])
    }

    /// The same under another client id, with options of `mosquitto_sub` such as a user name.
    pub(crate) fn named(client_id: &str, broker: &Mosquitto, options: &[&str]) -> Self {
        let broker = broker.address();
        let mut command = client("mosquitto_sub", broker);
        command.args(["-i", client_id, "-c", "-x", "3600", "-t", "#", "-F", FORMAT]).args(options);
        let process = Process::start("mosquitto_sub", &mut command);
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let subscriber =
            Self { broker, options, process, messages: RefCell::default(), probes: Cell::default() };
        subscriber.flush();
        subscriber
    }

    /// Waits until everything is here that the broker had accepted for delivery before this call.
    #[track_caller]
    pub(crate) fn flush(&self) {
        // The broker delivers in order: once a message of our own comes back, all before it have.
        let first = self.probes.get() + 1;
        let is_ours = |message: &Message| {
            message.topic == PROBE_TOPIC && message.payload.parse::<u32>().is_ok_and(|probe| probe >= first)
        };
        let mut looks = 0_u32;
        eventually("the subscription", || {
            // The first one would do, were it not perhaps sent before the subscription was there.
            if looks.is_multiple_of(LOOKS_PER_PROBE) {
                self.probe();
            }
            looks += 1;
            self.messages().iter().any(is_ours).then_some(())
        });
    }

    fn probe(&self) {
        self.probes.set(self.probes.get() + 1);
        let mut command = client("mosquitto_pub", self.broker);
        command.args(["-t", PROBE_TOPIC, "-m", &self.probes.get().to_string()]).args(&self.options);
        // A broker that is just starting may refuse it: then the next one is sent.
        drop(command.output().expect("mosquitto_pub; run `make test`, which installs it"));
    }

    /// Every message so far, probes included.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let mut messages = self.messages.borrow_mut();
        let more = self.process.stdout(messages.len());
        messages.extend(more.iter().map(|line| Message::parse(line)));
        messages.clone()
    }

    /// Every event so far, in the order of arrival, repeated ones included.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.messages().iter().filter_map(Message::event).collect()
    }

    /// Waits until the events so far are what `are_complete` wants.
    #[track_caller]
    pub(crate) fn wait_until(&self, awaited: &str, are_complete: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        eventually(awaited, || Some(self.events()).filter(|events| are_complete(events)))
    }

    /// The payloads of the gateway's status, oldest first.
    pub(crate) fn statuses(&self) -> Vec<serde_json::Value> {
        let messages = self.messages();
        let statuses = messages.iter().filter(|message| message.topic.ends_with("/status"));
        statuses.map(|message| serde_json::from_str(&message.payload).expect("the status is JSON")).collect()
    }
}

fn client(program: &str, broker: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command.args(["-V", "5", "-q", "1", "-h", &broker.ip().to_string(), "-p", &broker.port().to_string()]);
    command
}
