//! A disk that is really full: a small tmpfs in a mount namespace of the test's own.
//!
//! The test starts itself again inside the namespace (`unshare -rm`). Where that is not allowed it says so
//! and passes: `faults.rs` has a disk without room that needs no rights.

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use penstock_buffer::{Buffer, Cause, Condition};
use penstock_events::{Lane, Sequence};

use crate::fixture::{eventually, large_business, options, read_all, wait};

const INSIDE: &str = "PENSTOCK_TEST_SMALL_DISK";
const NAME: &str = "full_disk::a_full_disk_makes_appends_wait_and_freed_space_lets_them_go_on";

#[test]
fn a_full_disk_makes_appends_wait_and_freed_space_lets_them_go_on() {
    if let Some(disk) = env::var_os(INSIDE) {
        return fill(Path::new(&disk));
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = "mount -t tmpfs -o size=12m tmpfs \"$0\" && exec \"$1\" --exact \"$2\" --nocapture";
    let unshared = Command::new("unshare")
        .args(["-rm", "sh", "-c", script])
        .arg(directory.path())
        .arg(env::current_exe().expect("this test"))
        .arg(NAME)
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

/// Fills the disk from beside the buffer, then frees it, with appends under way.
fn fill(disk: &Path) {
    let ballast = disk.join("ballast");
    let buffer = Buffer::open(options(&disk.join("buffer"), &["erp"])).expect("it opens");
    let mut acknowledged = 0;
    for round in 1..=3 {
        let mut full = fs::File::create(&ballast).expect("an empty disk");
        while full.write_all(&[0; 4096]).is_ok() {}
        let mut waiting = Vec::new();
        while !matches!(buffer.status().condition, Condition::Suspended(_)) {
            acknowledged += 1;
            waiting.push(
                wait(buffer.enqueue(vec![large_business(acknowledged)], Vec::new())).expect("it queues"),
            );
            std::thread::sleep(std::time::Duration::from_millis(1));
            assert!(waiting.len() < 3_000, "round {round}: the disk is not full");
        }
        let Condition::Suspended(outage) = buffer.status().condition else { panic!("it went on by itself") };
        assert_eq!(outage.cause, Cause::DiskFull, "{outage}");
        let head = buffer.heads().borrow().business;
        assert_eq!(read_all(&buffer, Lane::Business, Sequence(1)).len() as u64, head.0, "it can be read");

        drop(full);
        fs::remove_file(&ballast).expect("the ballast");
        waiting.into_iter().for_each(|ticket| {
            wait(ticket).expect("there is room again");
        });
        eventually("it accepts", || buffer.status().condition == Condition::Accepting);
    }
    buffer.close().expect("a disk that works");
    let reopened = Buffer::open(options(&disk.join("buffer"), &["erp"])).expect("it opens");
    let events = read_all(&reopened, Lane::Business, Sequence(1));
    assert_eq!(events.len() as u64, acknowledged);
    for (n, (place, event)) in (1..).zip(events) {
        assert_eq!((place.0, event), (n, large_business(n)));
    }
}
