//! The whole adapter over a real transport, for tests: one device with one tag, polled fast.

use std::sync::Arc;
use std::time::Duration;

use penstock_events::{Cause, Observation, Sample, SourceId, TagId, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Device, DeviceStatus, Encoding, Group, Limits, Line, Link, Order, Tag, Transport, Wiring, poll, scripted,
};
use crate::Clock;

/// Far longer than anything here takes; it only ends a test that failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A poller at work, and what it says.
pub(super) struct Bench {
    observations: mpsc::Receiver<Observation>,
    pub(super) status: watch::Receiver<DeviceStatus>,
    _poller: AbortOnDropHandle<()>,
}

impl Bench {
    /// Polls what is there.
    pub(super) fn over(transport: Transport) -> Self {
        let path = "plc.level".parse().expect("a tag path");
        let at = "40011".parse().expect("an address");
        let tag = Tag::new(TagId(0), path, at, Encoding::U32(Order::Cdab)).expect("a valid tag");
        let device = Device {
            source: SourceId(0),
            name: "plc".parse().expect("a source name"),
            unit: 1,
            connect_timeout: PATIENCE,
            request_timeout: PATIENCE,
            limits: Limits::default(),
            groups: vec![Group { poll: Duration::from_millis(20), tags: vec![tag] }],
        };
        let (to_ingest, observations) = mpsc::channel(1);
        let clock = Clock::system();
        let (writer, status) = watch::channel(DeviceStatus::starting(device.name.clone(), clock.now()));
        let line = Arc::new(Line { transport, devices: vec![Arc::new(device)] });
        let stop = CancellationToken::new();
        let wiring = Wiring { observations: to_ingest, statuses: vec![writer], clock, stop };
        let poller = AbortOnDropHandle::new(tokio::spawn(poll(line, wiring)));
        Self { observations, status, _poller: poller }
    }

    pub(super) async fn next(&mut self) -> Observation {
        timeout(PATIENCE, self.observations.recv()).await.expect("an observation in time").expect("a poller")
    }

    /// The next is the poll of the [`plc`].
    pub(super) async fn polled(&mut self) {
        let observation = self.next().await;
        let Observation::Polled { readings, .. } = observation else { panic!("{observation:?}") };
        assert_eq!(readings[0].sample, Sample::Good(Value::UInt(0x0001_abcd)));
    }

    /// The next is the loss of the connection; in its words.
    pub(super) async fn lost(&mut self) -> String {
        let observation = self.next().await;
        assert!(
            matches!(observation, Observation::Lost { cause: Cause::Disconnected, .. }),
            "{observation:?}"
        );
        let Link::Down { detail, .. } = self.status.borrow().link.clone() else { panic!("it is up") };
        detail
    }

    /// Waits for a status that does not answer.
    pub(super) async fn until_lost(&mut self) {
        while matches!(self.status.borrow_and_update().link, Link::Up) {
            self.next().await;
        }
    }
}

/// A device that has the value that is polled.
pub(super) fn plc() -> scripted::Device {
    scripted::Device::answering(|_, request| request.registers(&[0xabcd, 0x0001]))
}
