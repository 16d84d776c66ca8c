//! The loop against scripted devices in memory, in paused time: delays are exact and cost nothing.

mod noise;
mod refusals;
mod serial_line;
mod sharing;
mod wire;
mod wrong_replies;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use penstock_events::{Cause, Observation, Sample, SourceId, TagId, Timestamp, Value};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Wiring, poll_over};
use crate::Clock;
use crate::backoff::REST_MAX;
use crate::modbus::scripted::{self, Act, Request};
use crate::modbus::{Device, DeviceStatus, Encoding, Group, Host, Limits, Line, Link, Tag, Transport};
use wire::Wire;

const POLL: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_millis(200);
/// Paused time passes at once when nothing else can happen; this only ends a test that failed.
const PATIENCE: Duration = Duration::from_secs(3600);
const START: Timestamp = Timestamp::from_micros(1_700_000_000_250_000);

fn slot(number: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + 1_000_000 * number)
}

/// Two registers far apart, so two requests a poll, and a coil.
fn device() -> Device {
    let tag = |id, at: &str, encoding| {
        let path = format!("plc.tag-{id}").parse().expect("a tag path");
        Tag::new(TagId(id), path, at.parse().expect(at), encoding).expect("a valid tag")
    };
    Device {
        source: SourceId(3),
        name: "plc".parse().expect("a source name"),
        unit: 17,
        connect_timeout: Duration::from_millis(300),
        request_timeout: REQUEST_TIMEOUT,
        limits: Limits::default(),
        groups: vec![Group {
            poll: POLL,
            tags: vec![
                tag(0, "holding:100", Encoding::U16),
                tag(1, "holding:900", Encoding::U16),
                tag(2, "coil:5", Encoding::Bool),
            ],
        }],
    }
}

fn line(devices: impl IntoIterator<Item = Device>) -> Line {
    let transport = Transport::Tcp(Host { host: "127.0.0.1".to_owned(), port: 0 });
    Line { transport, devices: devices.into_iter().map(Arc::new).collect() }
}

/// What a right device answers to each of the three requests of a poll.
fn right(request: Request, word: u16) -> Vec<u8> {
    match request.function {
        1 => request.bits(&[1]),
        _ => request.all(word),
    }
}

fn good(word: u16) -> Vec<Sample> {
    let number = Sample::Good(Value::UInt(word.into()));
    vec![number.clone(), number, Sample::Good(Value::Bool(true))]
}

/// A poller at work, and what it says.
struct Bench {
    observations: mpsc::Receiver<Observation>,
    status: watch::Receiver<DeviceStatus>,
    /// Those of the devices behind the first.
    neighbours: Vec<watch::Receiver<DeviceStatus>>,
    stop: CancellationToken,
    poller: AbortOnDropHandle<()>,
}

impl Bench {
    fn with(plc: &scripted::Device) -> Self {
        let plc = plc.clone();
        Self::dialing(move || Ok(plc.connect()), Clock::from_tokio(START))
    }

    fn dialing(dial: impl Fn() -> io::Result<DuplexStream> + Send + 'static, clock: Clock) -> Self {
        let starting = DeviceStatus::starting("plc".parse().expect("a source name"), clock.now());
        Self::resuming(starting, device(), dial, clock)
    }

    /// With what an earlier poller left in the status.
    fn resuming(
        known: DeviceStatus,
        device: Device,
        dial: impl Fn() -> io::Result<DuplexStream> + Send + 'static,
        clock: Clock,
    ) -> Self {
        Self::start(line([device]), vec![known], dial, clock)
    }

    /// With devices on a serial line, which they share.
    fn on(wire: &Arc<Wire>, devices: impl IntoIterator<Item = Device>) -> Self {
        let turnaround = Duration::ZERO;
        let host = Host { host: "127.0.0.1".to_owned(), port: 0 };
        let line = Line { transport: Transport::RtuOverTcp { host, turnaround }, ..line(devices) };
        let (wire, clock) = (Arc::clone(wire), Clock::from_tokio(START));
        let known = line.devices.iter().map(|device| DeviceStatus::starting(device.name.clone(), START));
        let known = known.collect();
        Self::start(line, known, move || Ok(wire.open()), clock)
    }

    /// With several devices on one line.
    fn sharing(devices: impl IntoIterator<Item = Device>, plc: &scripted::Device) -> Self {
        let (line, plc, clock) = (line(devices), plc.clone(), Clock::from_tokio(START));
        let known = line.devices.iter().map(|device| DeviceStatus::starting(device.name.clone(), START));
        let known = known.collect();
        Self::start(line, known, move || Ok(plc.connect()), clock)
    }

    fn start(
        line: Line,
        known: Vec<DeviceStatus>,
        dial: impl Fn() -> io::Result<DuplexStream> + Send + 'static,
        clock: Clock,
    ) -> Self {
        let (to_ingest, observations) = mpsc::channel(1);
        let (statuses, readers): (Vec<_>, Vec<_>) = known.into_iter().map(watch::channel).unzip();
        let mut readers = readers.into_iter();
        let status = readers.next().expect("a line has a device");
        let stop = CancellationToken::new();
        let wiring = Wiring { observations: to_ingest, statuses, clock, stop: stop.clone() };
        let dial = move || std::future::ready(dial());
        let poller = tokio::spawn(async move { poll_over(dial, &line, wiring).await });
        let poller = AbortOnDropHandle::new(poller);
        Self { observations, status, neighbours: readers.collect(), stop, poller }
    }

    async fn next(&mut self) -> Observation {
        let next = timeout(PATIENCE, self.observations.recv()).await.expect("an observation in time");
        next.expect("the poller is at work")
    }

    async fn polled(&mut self) -> (Timestamp, Vec<Sample>) {
        match self.next().await {
            Observation::Polled { source: SourceId(3), readings, .. } => {
                let tags: Vec<_> = readings.iter().map(|reading| reading.tag.0).collect();
                assert_eq!(tags, [0, 1, 2], "one reading per tag, in the order of the tags");
                (readings[0].time, readings.into_iter().map(|reading| reading.sample).collect())
            }
            other => panic!("{other:?} where a poll was expected"),
        }
    }

    async fn lost(&mut self) -> Cause {
        match self.next().await {
            Observation::Lost { source: SourceId(3), cause, .. } => cause,
            other => panic!("{other:?} where a loss was expected"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_slot_is_polled_once_with_the_right_requests() {
    let plc = scripted::Device::answering(|n, request| right(request, u16::try_from(n / 3).unwrap()));
    let mut bench = Bench::with(&plc);
    for poll in 0..5_u16 {
        assert_eq!(bench.polled().await, (slot(1 + i64::from(poll)), good(poll)));
    }
    let asked: Vec<_> =
        plc.requests().iter().take(3).map(|r| (r.unit, r.function, r.start, r.count)).collect();
    assert_eq!(asked, [(17, 1, 5, 1), (17, 3, 100, 1), (17, 3, 900, 1)]);
    assert_eq!(plc.connections(), 1);
    let status = bench.status.borrow().clone();
    assert_eq!((status.link, status.polls, status.connects), (Link::Up, 5, 1));
    assert_eq!(status.last_poll, Some(slot(5)));
}

#[tokio::test(start_paused = true)]
async fn an_exception_spoils_only_its_block_and_keeps_the_connection() {
    let plc = scripted::Device::answering(|n, request| match request.start {
        900 if n < 3 => request.exception(4),
        _ => right(request, 8),
    });
    let mut bench = Bench::with(&plc);
    let mut spoiled = good(8);
    spoiled[1] = Sample::Bad(Cause::ModbusException(4));
    assert_eq!(bench.polled().await, (slot(1), spoiled));
    assert_eq!(bench.status.borrow().bad_tags, 1);
    assert_eq!(bench.polled().await, (slot(2), good(8)));
    assert_eq!(bench.status.borrow().bad_tags, 0);
    assert_eq!(plc.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_closes_idle_connections_is_never_lost() {
    let plc = scripted::Device::new(|n, request| {
        let reply = Act::Send(right(request, 5));
        if n % 3 == 2 { vec![reply, Act::Close] } else { vec![reply] }
    });
    let mut bench = Bench::with(&plc);
    for number in 1..=5 {
        assert_eq!(bench.polled().await, (slot(number), good(5)));
    }
    assert_eq!(plc.connections(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_closes_every_connection_is_lost_once_and_not_hammered() {
    let plc = scripted::Device::new(|_, _| vec![Act::Close]);
    let mut bench = Bench::with(&plc);
    assert_eq!(bench.lost().await, Cause::Disconnected);
    assert!(timeout(REST_MAX * 4, bench.observations.recv()).await.is_err(), "a loss was told twice");
    let status = bench.status.borrow().clone();
    assert!((4..20).contains(&status.failed), "{} attempts", status.failed);
    assert_eq!(status.polls, 0);
    let Link::Down { detail, .. } = status.link else { panic!("{:?}", status.link) };
    assert_eq!(detail, "connection lost: closed by the device");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_accepts_and_never_answers_is_lost_once() {
    let plc = scripted::Device::new(|_, _| vec![]);
    let mut bench = Bench::with(&plc);
    assert_eq!(bench.lost().await, Cause::Timeout);
    assert!(timeout(REST_MAX * 4, bench.observations.recv()).await.is_err(), "a loss was told twice");
    assert_eq!(plc.connections(), plc.requests().len(), "a silent connection was asked again");
}

#[tokio::test(start_paused = true)]
async fn a_dead_device_is_told_once_and_its_return_too() {
    let plc = scripted::Device::answering(|_, request| right(request, 1));
    let (dials, dialed) = (Arc::new(AtomicUsize::new(0)), plc.clone());
    let refuse_until_the_fifth = move || match dials.fetch_add(1, Ordering::SeqCst) {
        0..4 => Err(io::ErrorKind::ConnectionRefused.into()),
        _ => Ok(dialed.connect()),
    };
    let mut bench = Bench::dialing(refuse_until_the_fifth, Clock::from_tokio(START));
    assert_eq!(bench.lost().await, Cause::Disconnected);
    let down_since = bench.status.borrow().since;
    assert_eq!(bench.polled().await.1, good(1));
    let status = bench.status.borrow().clone();
    assert_eq!((status.failed, status.polls, status.skipped), (4, 1, 0));
    assert!(status.since > down_since);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_poller_does_not_tell_a_known_loss_again() {
    let refuse = || Err(io::ErrorKind::ConnectionRefused.into());
    let mut bench = Bench::dialing(refuse, Clock::from_tokio(START));
    assert_eq!(bench.lost().await, Cause::Disconnected);
    let known = bench.status.borrow().clone();

    let mut again = Bench::resuming(known, device(), refuse, Clock::from_tokio(START));
    assert!(timeout(REST_MAX * 2, again.observations.recv()).await.is_err(), "a loss was told twice");
}

#[tokio::test(start_paused = true)]
async fn polls_that_overrun_skip_slots_and_never_pile_up() {
    let pause = Duration::from_millis(170);
    let plc = scripted::Device::new(move |n, request| {
        vec![Act::Pause(pause), Act::Send(right(request, u16::try_from(n / 3).unwrap()))]
    });
    let (clock, dialed) = (Clock::from_tokio(START), plc.clone());
    let mut slow = device();
    slow.groups[0].poll = Duration::from_millis(250);
    let starting = DeviceStatus::starting(slow.name.clone(), clock.now());
    let mut bench = Bench::resuming(starting, slow, move || Ok(dialed.connect()), clock);

    let mut slots_ms = Vec::new();
    for poll in 0..4 {
        let (at, samples) = bench.polled().await;
        assert_eq!(samples, good(poll));
        slots_ms.push((at.as_micros() - slot(0).as_micros()) / 1000);
    }
    // Three requests take 510 ms, so a poll covers one slot and begins the next a little late.
    assert_eq!(slots_ms, [500, 1000, 1500, 2000]);
    assert_eq!(bench.status.borrow().skipped, 4, "one slot per poll");
    assert_eq!(plc.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_holds_the_poller_and_the_missed_slots_are_counted() {
    let plc = scripted::Device::answering(|n, request| right(request, u16::try_from(n / 3).unwrap()));
    let mut bench = Bench::with(&plc);
    tokio::time::sleep(Duration::from_millis(20_100)).await;
    assert_eq!(plc.requests().len(), 6, "one poll in the queue and one waiting for room");
    assert_eq!(bench.polled().await, (slot(1), good(0)));
    assert_eq!(bench.polled().await, (slot(2), good(1)));
    let (at, samples) = bench.polled().await;
    assert_eq!(samples, good(2));
    let passed = (at.as_micros() - slot(3).as_micros()) / 1_000_000;
    assert!(passed > 10);
    assert_eq!(bench.status.borrow().skipped, u64::try_from(passed).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_steps_back_repeats_no_slot() {
    let plc = scripted::Device::answering(|_, request| right(request, 1));
    let (true_time, step_us) = (Clock::from_tokio(START), Arc::new(AtomicI64::new(0)));
    let stepped = Arc::clone(&step_us);
    let clock = Clock::from_fn(move || {
        Timestamp::from_micros(true_time.now().as_micros() + stepped.load(Ordering::SeqCst))
    });
    let mut bench = Bench::dialing(move || Ok(plc.connect()), clock);
    assert_eq!(bench.polled().await.0, slot(1));
    step_us.store(-5_000_000, Ordering::SeqCst);
    assert_eq!(bench.polled().await.0, slot(2));
    step_us.store(-100_000_000, Ordering::SeqCst);
    let after = bench.polled().await.0;
    assert!(after < slot(0), "a clock that was plainly wrong is not waited for, got {after}");
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_the_poller_in_the_middle_of_a_request() {
    let plc = scripted::Device::new(|_, _| vec![]);
    let bench = Bench::with(&plc);
    timeout(PATIENCE, async {
        while plc.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("a request");
    bench.stop.cancel();
    timeout(PATIENCE, bench.poller).await.expect("the poller ends").expect("it did not panic");
}

#[tokio::test(start_paused = true)]
async fn the_poller_ends_when_nobody_listens() {
    let plc = scripted::Device::answering(|_, request| right(request, 1));
    let Bench { observations, poller, .. } = Bench::with(&plc);
    drop(observations);
    timeout(PATIENCE, poller).await.expect("the poller ends").expect("it did not panic");
}
