//! A disk that refuses, as the whole process sees it: a shim between it and the system (`faults.c`) makes calls fail with
//! ENOSPC or EIO. Each test starts itself again with the shim loaded.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use penstock_buffer::{Buffer, Cause, Condition, Options, ReplayOrder, Selection};
use penstock_events::{EventType, Fact, GapReason, Lane, Sequence, Timestamp};

use crate::fixture::{
    append, destination, eventually, large_sample, options, piece, poll_once, read_all, sample, state, tiny,
    wait,
};

const CONTROL: &str = "FAULTS_CONTROL";
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const PATH_BYTES: usize = 4_096;

/// Which calls fail.
#[derive(Clone, Copy)]
enum Calls {
    Writes = 1,
    Syncs = 2,
    Reads = 4,
    WritesAndSyncs = 3,
}

/// The shim's side of the disk, from within the process that it is loaded into.
struct Faults {
    control: PathBuf,
    store: PathBuf,
}

/// Runs `scenario` in a process of its own with the shim loaded; `name` is the test.
fn with_faults(name: &str, scenario: impl FnOnce(&Faults)) {
    if let Some(control) = env::var_os(CONTROL).map(PathBuf::from) {
        let store = control.with_file_name("buffer");
        return scenario(&Faults { control, store });
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let shim = directory.path().join("faults.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
        .args([&shim, &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refusing_disk/faults.c")])
        .arg("-ldl")
        .status()
        .expect("a C compiler, `cc`, which the buffer's compression needs too");
    assert!(compiled.success(), "faults.c does not compile");
    let control = directory.path().join("control");
    fs::write(&control, [0; 24 + PATH_BYTES]).expect("a writable directory");
    let ran = Command::new(env::current_exe().expect("this test"))
        .args(["--exact", &format!("faults::{name}"), "--nocapture"])
        .env(CONTROL, &control)
        .env("LD_PRELOAD", &shim)
        .output()
        .expect("this test runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
}

impl Faults {
    fn options(&self) -> Options {
        options(&self.store, &["erp"])
    }

    fn set(&self, calls: i32, error: i32, bytes: std::ops::Range<i64>, path: &Path) {
        let mut control = Vec::with_capacity(24 + PATH_BYTES);
        control.extend_from_slice(&calls.to_ne_bytes());
        control.extend_from_slice(&error.to_ne_bytes());
        control.extend_from_slice(&bytes.start.to_ne_bytes());
        control.extend_from_slice(&bytes.end.to_ne_bytes());
        control.extend_from_slice(path.as_os_str().as_encoded_bytes());
        control.resize(24 + PATH_BYTES, 0);
        // In place: the shim has it mapped.
        let file = fs::OpenOptions::new().write(true).open(&self.control).expect("the control");
        std::os::unix::fs::FileExt::write_all_at(&file, &control, 0).expect("the control");
    }

    fn fail(&self, calls: Calls, error: i32) {
        self.set(calls as i32, error, 0..i64::MAX, &self.store);
    }

    fn heal(&self) {
        self.set(0, 0, 0..0, &self.store);
    }
}

/// Appends events of both lanes while calls fail, over rolls; they wait, and none is lost, doubled or out of order.
fn refuse_and_heal(faults: &Faults, calls: Calls, error: i32, cause: Cause) {
    let open = || Buffer::open(tiny(faults.options())).expect("it opens");
    let buffer = open();
    let mut made = 0;
    for round in 1..=4 {
        append_numbered(&buffer, &mut made);
        faults.fail(calls, error);
        let mut waiting = Vec::new();
        for _ in 0..3 {
            made += 1;
            let events = vec![piece(made), sample(made)];
            waiting.push(wait(buffer.enqueue(events, vec![state("n", made)])).expect("it queues"));
        }
        eventually("it says so", || match buffer.status().condition {
            Condition::Suspended(outage) => outage.cause == cause,
            _ => false,
        });
        assert!(
            waiting.iter_mut().all(|ticket| poll_once(ticket).is_pending()),
            "round {round}: not durable"
        );
        assert_eq!(read_all(&buffer, Lane::Business, Sequence(1)).len() as u64, made - 3, "it can be read");
        faults.heal();
        for ticket in waiting {
            wait(ticket).expect("the disk takes it");
        }
        eventually("it accepts", || buffer.status().condition == Condition::Accepting);
    }
    buffer.close().expect("a disk that works");
    let reopened = open();
    for (lane, make) in [(Lane::Business, piece as fn(u64) -> _), (Lane::Telemetry, sample)] {
        let expected: Vec<_> = (1..=made).map(|n| (Sequence(n), make(n))).collect();
        assert!(read_all(&reopened, lane, Sequence(1)) == expected, "the {lane} lane is another one");
    }
    assert_eq!(reopened.state()["n"], made.to_be_bytes());
}

fn append_numbered(buffer: &Buffer, made: &mut u64) {
    *made += 1;
    let appended = buffer.append(vec![piece(*made), sample(*made)], vec![state("n", *made)]);
    wait(appended).expect("a disk that works");
}

#[test]
fn a_disk_without_room_for_any_write_is_waited_for() {
    with_faults("a_disk_without_room_for_any_write_is_waited_for", |faults| {
        refuse_and_heal(faults, Calls::Writes, ENOSPC, Cause::DiskFull);
    });
}

#[test]
fn a_disk_that_fails_to_write_is_waited_for() {
    with_faults("a_disk_that_fails_to_write_is_waited_for", |faults| {
        refuse_and_heal(faults, Calls::WritesAndSyncs, EIO, Cause::IoError);
    });
}

#[test]
fn a_disk_that_fails_to_sync_is_waited_for() {
    with_faults("a_disk_that_fails_to_sync_is_waited_for", |faults| {
        refuse_and_heal(faults, Calls::Syncs, EIO, Cause::IoError);
    });
}

/// A store with complete generations of telemetry, closed.
fn make_generations(faults: &Faults) {
    let buffer = Buffer::open(tiny(faults.options())).expect("it opens");
    for n in 0..5 {
        append(&buffer, (2 * n + 1..2 * n + 3).map(large_sample).collect());
    }
    assert!(buffer.generations(Lane::Telemetry).len() > 2);
    buffer.close().expect("a disk that works");
}

#[test]
fn a_disk_of_which_nothing_can_be_read_is_waited_for_and_costs_nothing() {
    with_faults("a_disk_of_which_nothing_can_be_read_is_waited_for_and_costs_nothing", |faults| {
        make_generations(faults);
        let buffer = Buffer::open(tiny(faults.options())).expect("it opens");
        faults.fail(Calls::Reads, EIO);
        let refused = buffer.read(Lane::Telemetry, Sequence(1), 100).expect_err("nothing can be read");
        assert!(refused.to_string().contains("generation 1 of the telemetry lane"), "{refused}");
        assert_eq!(buffer.status().condition, Condition::Accepting, "what can be written goes on");
        faults.heal();
        let found = read_all(&buffer, Lane::Telemetry, Sequence(1));
        let expected: Vec<_> = (1..=10).map(|n| (Sequence(n), large_sample(n))).collect();
        assert!(found == expected, "{} events", found.len());
        assert_eq!(read_all(&buffer, Lane::Business, Sequence(1)), [], "nothing is announced");
    });
}

#[test]
fn a_bad_place_on_the_disk_costs_what_stands_there_and_is_announced() {
    with_faults("a_bad_place_on_the_disk_costs_what_stands_there_and_is_announced", |faults| {
        make_generations(faults);
        let buffer = Buffer::open(tiny(faults.options())).expect("it opens");
        let file = faults.store.join("telemetry/00000001/log");
        let places = buffer.generations(Lane::Telemetry)[0].places.expect("it holds something");
        let length = i64::try_from(fs::metadata(&file).expect("a file").len()).expect("small");
        faults.set(Calls::Reads as i32, EIO, 0..length / 2, &file);
        let found: Vec<u64> =
            read_all(&buffer, Lane::Telemetry, Sequence(1)).into_iter().map(|(place, _)| place.0).collect();
        let mut lost = Vec::new();
        for (_, event) in read_all(&buffer, Lane::Business, Sequence(1)) {
            let Fact::Gap { first, last, reason: GapReason::Damaged, .. } = event.fact else {
                panic!("{event:?}")
            };
            lost.extend(first.0..=last.0);
        }
        assert!(
            lost.iter().all(|&place| (places.first..=places.last).contains(&Sequence(place))),
            "{lost:?}"
        );
        let mut all = [lost, found].concat();
        all.sort_unstable();
        assert_eq!(all, (1..=10).collect::<Vec<_>>(), "each is there or announced");
    });
}

#[test]
fn a_small_file_that_cannot_be_read_is_made_again() {
    with_faults("a_small_file_that_cannot_be_read_is_made_again", |faults| {
        make_generations(faults);
        let expected: Vec<_> = (1..=10).map(|n| (Sequence(n), large_sample(n))).collect();
        let buffer = Buffer::open(tiny(faults.options())).expect("it opens");
        buffer.ack(&destination("erp"), Lane::Telemetry, Sequence(1)).expect("it is there");
        let selection = Selection::default();
        let order = ReplayOrder { destination: destination("erp"), selection, per_second: 1 };
        buffer.order_replay(order, Timestamp::EPOCH).expect("one event was delivered");
        buffer.close().expect("a disk that works");
        for name in ["manifest", "marks", "cursors", "replay/0000000001"] {
            faults.set(Calls::Reads as i32, EIO, 0..i64::MAX, &faults.store.join(name));
            let buffer =
                Buffer::open(tiny(faults.options())).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(read_all(&buffer, Lane::Telemetry, Sequence(1)) == expected, "{name}");
            assert_eq!(read_all(&buffer, Lane::Business, Sequence(1)), [], "nothing is announced for {name}");
            buffer.close().expect("a disk that works");
            faults.heal();
        }
        faults.fail(Calls::Reads, EIO);
        Buffer::open(tiny(faults.options())).err().expect("nothing at all can be read");
    });
}

#[test]
fn a_generation_that_cannot_be_read_is_given_up_when_its_room_is_wanted() {
    with_faults("a_generation_that_cannot_be_read_is_given_up_when_its_room_is_wanted", |faults| {
        make_generations(faults);
        let buffer = Buffer::open(tiny(faults.options())).expect("it opens");
        let oldest = buffer.generations(Lane::Telemetry)[0].places.expect("it holds something");
        // A part of it was delivered, so what is lost of it is to be looked up.
        buffer.ack(&destination("erp"), Lane::Telemetry, oldest.first).expect("it is there");
        buffer.close().expect("a disk that works");
        let buffer = Buffer::open(tiny(faults.options())).expect("it opens");
        faults.set(Calls::Reads as i32, EIO, 0..i64::MAX, &faults.store.join("telemetry/00000001"));
        let mut n = 10;
        while buffer.status().shed_events == 0 {
            n += 1;
            append(&buffer, vec![large_sample(n)]);
            assert!(n < 2_000, "nothing is given up");
        }
        let Some((_, gap)) = read_all(&buffer, Lane::Business, Sequence(1)).into_iter().next() else {
            panic!("nothing is announced")
        };
        let Fact::Gap { first, last, reason: GapReason::BufferFull, lost, .. } = gap.fact else {
            panic!("{gap:?}")
        };
        assert_eq!((first, last), (oldest.first.next(), oldest.last));
        assert_eq!(lost, [(EventType::TelemetrySampled, last.0 - first.0 + 1)]);
    });
}
