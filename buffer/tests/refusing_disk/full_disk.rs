//! A disk that is really full: a small tmpfs in a mount namespace of the test's own.
//!
//! The test starts itself again inside the namespace (`unshare -rm`). Where that is not allowed it says so
//! and passes: `faults.rs` has a disk without room that needs no rights.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use penstock_buffer::{Buffer, Cause, Condition, Ticket};
use penstock_events::{Lane, Sequence};

use crate::fixture::{append, destination, eventually, large_business, options, read_all, wait};

const BALLAST: &str = "ballast";
const INSIDE: &str = "PENSTOCK_TEST_SMALL_DISK";

#[test]
fn a_full_disk_makes_appends_wait_and_freed_space_lets_them_go_on() {
    on_a_small_disk("a_full_disk_makes_appends_wait_and_freed_space_lets_them_go_on", free_the_disk);
}

#[test]
fn a_full_disk_is_no_reason_not_to_start_and_deliveries_give_room_back() {
    on_a_small_disk("a_full_disk_is_no_reason_not_to_start_and_deliveries_give_room_back", deliver_from_it);
}

/// Runs `scenario` in a process of its own that has a small disk; `name` is the test.
fn on_a_small_disk(name: &str, scenario: fn(&Path)) {
    if let Some(disk) = env::var_os(INSIDE) {
        return scenario(Path::new(&disk));
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = "mount -t tmpfs -o size=64m tmpfs \"$0\" && exec \"$1\" --exact \"$2\" --nocapture";
    let unshared = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .arg(directory.path())
        .arg(env::current_exe().expect("this test"))
        .arg(format!("full_disk::{name}"))
        .env(INSIDE, directory.path())
        .output();
    let may_mount =
        Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success());
    match unshared {
        Ok(ran) if ran.status.success() => {}
        Ok(ran) if may_mount => {
            panic!("{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
        }
        Ok(_) | Err(_) => {
            let mut stderr = std::io::stderr();
            writeln!(stderr, "NOT RUN: a small tmpfs needs `unshare -rm`, which is not allowed here")
                .expect("a terminal or a file");
        }
    }
}

/// Takes all the room that the disk has left.
fn fill(disk: &Path) {
    let mut ballast = OpenOptions::new().append(true).create(true).open(disk.join(BALLAST)).expect("a disk");
    while ballast.write_all(&[0; 4096]).is_ok() {}
}

/// Appends until the disk is full, from the event `from` on. What is waited for then, and the next event.
fn append_until_suspended(buffer: &Buffer, from: u64) -> (Vec<Ticket>, u64) {
    let mut waiting = Vec::new();
    while !matches!(buffer.status().condition, Condition::Suspended(_)) {
        let event = large_business(from + waiting.len() as u64);
        waiting.push(wait(buffer.enqueue(vec![event], Vec::new())).expect("it queues"));
        std::thread::sleep(Duration::from_millis(1));
        assert!(waiting.len() < 3_000, "the disk is not full");
    }
    let next = from + waiting.len() as u64;
    (waiting, next)
}

/// The first so many events are there, each in its place.
fn assert_there(buffer: &Buffer, events: u64) {
    let found = read_all(buffer, Lane::Business, Sequence(1));
    let expected = (1..=events).map(|n| (Sequence(n), large_business(n)));
    assert!(found.iter().cloned().eq(expected), "{} events", found.len());
}

/// Fills the disk from beside the buffer, then frees it, with appends under way.
fn free_the_disk(disk: &Path) {
    let buffer = Buffer::open(options(&disk.join("buffer"), &["erp"])).expect("it opens");
    let mut next = 1;
    for _ in 1..=3 {
        fill(disk);
        let (waiting, after) = append_until_suspended(&buffer, next);
        next = after;
        let Condition::Suspended(outage) = buffer.status().condition else { panic!("it went on by itself") };
        assert_eq!(outage.cause, Cause::DiskFull, "{outage}");
        assert_there(&buffer, buffer.heads().borrow().business.0);

        fs::remove_file(disk.join(BALLAST)).expect("the ballast");
        waiting.into_iter().for_each(|ticket| {
            wait(ticket).expect("there is room again");
        });
        eventually("it accepts", || buffer.status().condition == Condition::Accepting);
    }
    buffer.close().expect("a disk that works");
    let reopened = Buffer::open(options(&disk.join("buffer"), &["erp"])).expect("it opens");
    assert_there(&reopened, next - 1);
}

/// Stops the buffer while the disk is full and starts it again, twice; then a destination takes what is there.
fn deliver_from_it(disk: &Path) {
    let mut options = options(&disk.join("buffer"), &["erp"]);
    options.generation_bytes = 1 << 20;
    let mut buffer = Buffer::open(options.clone()).expect("it opens");
    for n in 1..=600 {
        append(&buffer, vec![large_business(n)]);
    }
    let mut durable = 600;
    for _ in 0..2 {
        fill(disk);
        let (waiting, _) = append_until_suspended(&buffer, durable + 1);
        buffer.close().expect_err("the disk is full");
        // What was not durable was refused, and was so in order.
        let taken = waiting.into_iter().map(wait).take_while(Result::is_ok).count();
        durable += taken as u64;
        fill(disk);
        buffer = Buffer::open(options.clone()).expect("a full disk is waited for");
        assert_there(&buffer, durable);
    }
    let ticket = wait(buffer.enqueue(vec![large_business(durable + 1)], Vec::new())).expect("it queues");
    buffer.ack(&destination("erp"), Lane::Business, Sequence(durable)).expect("it was read");
    wait(ticket).expect("what is delivered has given its room back");
    buffer.close().expect("a disk that works");
}
