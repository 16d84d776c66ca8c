//! SIGKILL at any moment: the system keeps what it was given, the process is gone between any two of its calls.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use super::inspection::{Thoroughness, inspect};
use super::promised::Promised;
use super::run::{Life, Size};
use super::{Dice, workload};

const KILLS: usize = 200;
/// How many runs there are at once: each mostly waits for the disk.
const KILLERS: usize = 4;
pub(super) const SIGKILL: i32 = 9;
/// How often the marks of a run are looked at.
const LOOK_EVERY: Duration = Duration::from_micros(200);

#[test]
fn a_kill_at_any_moment_takes_nothing_that_was_acknowledged() {
    let whole = bytes_of_marks();
    thread::scope(|scope| {
        for killer in 0..KILLERS {
            scope.spawn(move || kill_some((1..).skip(killer).step_by(KILLERS), whole));
        }
    });
}

/// Kills a share of the runs of `seeds`, each after a part of the `whole` that it has to say.
fn kill_some(seeds: impl Iterator<Item = u64>, whole: usize) {
    let (mut killed, mut ended) = (0, 0);
    for seed in seeds {
        let mut dice = Dice::new(seed);
        let place = tempfile::tempdir().expect("a temporary directory");
        let was_killed = run_until(place.path(), seed, dice.below(whole), &mut dice);
        let promised = promised_in(&place.path().join("marks"));
        if let Err(reason) = inspect(place.path(), Size::of(seed), &promised, Thoroughness::ToTheEnd) {
            panic!("seed {seed}: {reason}");
        }
        killed += usize::from(was_killed);
        ended += usize::from(!was_killed);
        assert!(ended < KILLS, "most runs end before they are killed");
        if killed == KILLS / KILLERS {
            return;
        }
    }
}

/// How much a run that nobody kills says of itself.
fn bytes_of_marks() -> usize {
    let place = tempfile::tempdir().expect("a temporary directory");
    run_until(place.path(), 1, usize::MAX, &mut Dice::new(1));
    length_of(&place.path().join("marks"))
}

/// Runs the workload in `place` and kills it a moment after so many bytes of marks; whether it was still there.
fn run_until(place: &Path, seed: u64, bytes: usize, dice: &mut Dice) -> bool {
    let marks = place.join("marks");
    let mut process = workload::program(place, &marks, seed, Life::Only)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program runs");
    let mut ended = false;
    while !ended && length_of(&marks) < bytes {
        thread::sleep(LOOK_EVERY);
        ended = process.try_wait().expect("a process of ours").is_some();
    }
    // Within a commit too, not only just after a mark.
    thread::sleep(Duration::from_micros(dice.below(5_000) as u64));
    process.kill().expect("a process of ours");
    let status = process.wait().expect("a process of ours");
    assert!(
        status.success() || status.signal() == Some(SIGKILL),
        "seed {seed}: the workload failed: {status}"
    );
    status.signal() == Some(SIGKILL)
}

fn length_of(marks: &Path) -> usize {
    let length = match fs::metadata(marks) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => panic!("{}: {error}", marks.display()),
    };
    usize::try_from(length).expect("a 64-bit machine")
}

/// What was promised before the kill.
fn promised_in(marks: &Path) -> Promised {
    let mut promised = Promised::default();
    if length_of(marks) > 0 {
        let text = fs::read_to_string(marks).expect("marks are text");
        text.lines().for_each(|mark| promised.note(mark.parse().expect("a mark of the workload")));
    }
    promised
}
