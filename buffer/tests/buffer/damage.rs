//! Damage: whatever is flipped, cut off or deleted, the store opens, loses what was hit and no more, and says so exactly.

mod whole;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use penstock_events::{Fact, GapReason, Lane, Sequence};

use crate::fixture::{Dice, Disk, append, destination, piece, read_all, sample};
use whole::{DESTINATIONS, Whole, announced, open};

const FLIPS: usize = 500;

/// Every file of a store, but for the lock.
fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name != "LOCK") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Flips one bit of a file: any, or one of a byte that is not zero, of which sled's files have few.
fn flip(dice: &mut Dice, path: &Path) -> String {
    let mut bytes = fs::read(path).expect("a file");
    let any = dice.below(bytes.len().max(1));
    let at = match bytes.iter().skip(any).position(|byte| *byte != 0) {
        Some(beyond) if dice.chance(80) => any + beyond,
        Some(_) | None => any,
    };
    let bit = dice.below(8);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
    fs::write(path, bytes).expect("a writable file");
    format!("bit {bit} of byte {at} of {}", path.display())
}

#[test]
fn a_flipped_bit_anywhere_costs_at_most_the_generation_that_it_hit_and_is_announced() {
    flip_bits(&Whole::make());
}

#[test]
fn a_flipped_bit_in_what_a_crash_left_costs_at_most_the_generation_that_it_hit_and_is_announced() {
    flip_bits(&Whole::left_by_a_crash());
}

fn flip_bits(whole: &Whole) {
    let files = files(&whole.disk.path());
    let mut dice = Dice::new(1);
    let mut costly = 0;
    for n in 0..FLIPS {
        let copy = whole.disk.copy();
        let victim = files[dice.below(files.len())].strip_prefix(whole.disk.path()).expect("it is below");
        let what = flip(&mut dice, &copy.path().join(victim));
        println!("flip {n}: {what}");
        let lost = whole.lost_in(&copy);
        assert!(lost.is_empty() || whole.is_in_one_generation(&lost), "{what} costs {lost:?}");
        costly += usize::from(!lost.is_empty());
    }
    assert!(costly > FLIPS / 100, "{costly} of {FLIPS} flips hit an event");
}

#[test]
fn a_store_that_is_whole_loses_nothing() {
    for whole in [Whole::make(), Whole::left_by_a_crash()] {
        let copy = whole.disk.copy();
        assert_eq!(whole.lost_in(&copy), []);
        assert!(!copy.path().join("quarantine").exists());
    }
}

/// What a power cut leaves of commits of three samples each when the disk has nothing but the journal, of which a bit flips in
/// one record.
fn cut_and_flipped(commits: u64, record: usize) -> Disk {
    const PAGE_BYTES: usize = 4096;
    let disk = Disk::new();
    let buffer = disk.open();
    let empty = disk.copy();
    for n in 0..commits {
        append(&buffer, (3 * n + 1..=3 * n + 3).map(sample).collect());
    }
    let cut = disk.copy();
    cut.replace("telemetry/00000001", &empty);
    let path = cut.path().join("journal");
    let mut journal = fs::read(&path).expect("a file");
    assert!(journal[record * PAGE_BYTES..].starts_with(b"PSJ"), "each commit has a page");
    journal[record * PAGE_BYTES + 100] ^= 1;
    fs::write(path, journal).expect("a writable file");
    cut
}

#[test]
fn a_damaged_record_of_the_journal_costs_its_commit_and_is_announced() {
    let disk = cut_and_flipped(5, 2);
    for _ in 0..2 {
        let buffer = disk.open();
        let found = read_all(&buffer, Lane::Telemetry, Sequence(1));
        let left = (1..=6).chain(10..=15);
        assert_eq!(found, left.map(|n| (Sequence(n), sample(n))).collect::<Vec<_>>());
        let business = read_all(&buffer, Lane::Business, Sequence(1)).into_iter().collect();
        let lost = announced(&buffer, &business);
        assert_eq!(lost, BTreeSet::from([7, 8, 9].map(|place| (Lane::Telemetry, Sequence(place)))));
        buffer.close().expect("a disk that works");
    }
}

#[test]
fn damage_to_the_last_record_of_the_journal_and_only_to_that_looks_like_a_torn_end() {
    let buffer = cut_and_flipped(5, 4).open();
    let found = read_all(&buffer, Lane::Telemetry, Sequence(1));
    assert_eq!(found, (1..=12).map(|n| (Sequence(n), sample(n))).collect::<Vec<_>>());
    assert_eq!(read_all(&buffer, Lane::Business, Sequence(1)), [], "nothing is announced");
}

/// Which places are lost when `damage` has been done to the directory.
fn lost_after(whole: &Whole, damage: impl FnOnce(&Path)) -> Vec<(Lane, Sequence)> {
    let copy = whole.disk.copy();
    damage(&copy.path());
    whole.lost_in(&copy)
}

fn remove(name: &str) -> impl FnOnce(&Path) {
    move |store| {
        let path = store.join(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("it was there");
    }
}

fn truncate(name: &str, keep: u64) -> impl FnOnce(&Path) {
    move |store| {
        let file = fs::OpenOptions::new().write(true).open(store.join(name)).expect("a file");
        file.set_len(keep).expect("a writable file");
    }
}

fn quarantined(disk: &Disk) -> Vec<String> {
    let entries = fs::read_dir(disk.path().join("quarantine")).expect("a directory");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn a_small_file_that_is_damaged_empty_or_missing_costs_no_event() {
    let whole = Whole::make();
    for name in ["manifest", "cursors", "marks"] {
        assert_eq!(lost_after(&whole, remove(name)), [], "{name} was removed");
        assert_eq!(lost_after(&whole, truncate(name, 0)), [], "{name} was emptied");
        assert_eq!(lost_after(&whole, truncate(name, 20)), [], "{name} was cut off");
    }
}

#[test]
fn all_small_files_missing_cost_no_event_but_the_stream() {
    let whole = Whole::make();
    let copy = whole.disk.copy();
    ["manifest", "cursors", "marks"].into_iter().for_each(|name| remove(name)(&copy.path()));
    let buffer = open(&copy);
    for lane in Lane::ALL {
        let found = read_all(&buffer, lane, Sequence(1));
        let expected: Vec<_> = whole.events[lane].clone().into_iter().collect();
        let delivered = expected.len() - found.len();
        assert!(delivered as u64 <= whole.cursors[lane].0 && found == expected[delivered..], "{lane}");
    }
}

#[test]
fn a_damaged_small_file_is_kept_in_quarantine_and_the_stream_goes_on() {
    let whole = Whole::make();
    let stream = open(&whole.disk).stream(Lane::Business).clone();
    for name in ["manifest", "cursors", "marks"] {
        let copy = whole.disk.copy();
        truncate(name, 11)(&copy.path());
        assert_eq!(*open(&copy).stream(Lane::Business), stream, "without {name} it is another stream");
        assert_eq!(quarantined(&copy), [format!("000001-{name}")]);
    }
}

#[test]
fn damaged_cursors_deliver_everything_that_is_retained_again() {
    let whole = Whole::make();
    truncate("cursors", 9)(&whole.disk.path());
    let buffer = open(&whole.disk);
    let first = buffer.status().lanes.telemetry.first_retained;
    for name in DESTINATIONS {
        assert!(buffer.cursor(&destination(name), Lane::Telemetry).expect("it is configured") < first);
    }
}

#[test]
fn a_complete_generation_that_is_missing_is_lost_whole_and_alone() {
    let whole = Whole::make();
    for (lane, number) in [(Lane::Telemetry, 3), (Lane::Business, 1)] {
        let expected = whole.places_of(lane, number);
        let directory = format!("{lane}/{number:08}");
        assert_eq!(lost_after(&whole, remove(&directory)), expected, "{directory} was removed");
        for (name, expected) in [("log", &expected), ("db", &Vec::new())] {
            let file = format!("{directory}/{name}");
            assert_eq!(lost_after(&whole, remove(&file)), *expected, "{file} was removed");
            assert_eq!(lost_after(&whole, truncate(&file, 0)), *expected, "{file} was emptied");
        }
    }
}

#[test]
fn a_generation_that_grew_and_is_missing_is_lost_whole_and_no_place_is_used_twice() {
    let whole = Whole::make();
    for lane in Lane::ALL {
        let grew = whole.generations.iter().rfind(|one| one.lane == lane).expect("it holds something");
        let expected = whole.places_of(lane, grew.number);
        let directory = format!("{lane}/{:08}", grew.number);
        assert_eq!(lost_after(&whole, remove(&directory)), expected, "{directory} was removed");
        for (name, expected) in [("log", &expected), ("db", &Vec::new())] {
            let file = format!("{directory}/{name}");
            assert_eq!(lost_after(&whole, remove(&file)), *expected, "{file} was removed");
            assert_eq!(lost_after(&whole, truncate(&file, 0)), *expected, "{file} was emptied");
        }
    }
}

#[test]
fn of_a_file_that_was_cut_off_what_is_left_is_delivered() {
    let whole = Whole::make();
    for generation in whole.generations.iter().filter(|one| !one.delivered) {
        for (name, has_blocks) in [("log", true), ("db", false)] {
            let file = format!("{}/{:08}/{name}", generation.lane, generation.number);
            let length = fs::metadata(whole.disk.path().join(&file)).expect("a file").len();
            for eighth in 1..8 {
                let lost = lost_after(&whole, truncate(&file, length * eighth / 8));
                let may_be_lost = has_blocks && whole.is_in_one_generation(&lost);
                assert!(lost.is_empty() || may_be_lost, "{file} at {eighth}/8: {lost:?}");
            }
        }
    }
}

#[test]
fn a_lane_that_is_missing_altogether_goes_on_behind_all_that_may_have_been_used() {
    let whole = Whole::make();
    for lane in Lane::ALL {
        let head = *whole.events[lane].last_key_value().expect("there are events").0;
        let copy = whole.disk.copy();
        remove(lane.as_str())(&copy.path());
        let buffer = open(&copy);
        let first = append(&buffer, vec![piece(1), sample(1)])[lane].expect("one of each").first;
        assert!(first > head, "{lane}: {first} was used before");
        let business = read_all(&buffer, Lane::Business, Sequence(1)).into_iter().collect();
        assert!(announced(&buffer, &business).contains(&(lane, head)));
    }
}

#[test]
fn damage_that_comes_while_the_gateway_runs_is_passed_over_without_a_restart() {
    let whole = Whole::make();
    let buffer = open(&whole.disk);
    let expected = whole.places_of(Lane::Telemetry, 3);
    let file = whole.disk.path().join("telemetry/00000003/log");
    fs::write(&file, vec![0; 1_000]).expect("a writable file");
    let found: Vec<Sequence> =
        read_all(&buffer, Lane::Telemetry, Sequence(1)).into_iter().map(|(place, _)| place).collect();
    let (first, last) = (expected[0].1, expected[expected.len() - 1].1);
    assert!(found.iter().all(|place| !(first..=last).contains(place)));
    assert!(found.contains(&first.before()) && found.contains(&last.next()), "what is around it is read");
    let business = read_all(&buffer, Lane::Business, Sequence(1)).into_iter().collect();
    assert_eq!(announced(&buffer, &business), expected.into_iter().collect());
    assert_eq!(quarantined(&whole.disk), ["000001-telemetry-00000003"]);
}

#[test]
fn damage_that_grows_is_announced_by_what_it_grew() {
    let whole = Whole::make();
    let buffer = open(&whole.disk);
    let expected = whole.places_of(Lane::Telemetry, 3);
    let file = whole.disk.path().join("telemetry/00000003/log");
    let told_of = || {
        read_all(&buffer, Lane::Telemetry, Sequence(1));
        announced(&buffer, &read_all(&buffer, Lane::Business, Sequence(1)).into_iter().collect())
    };
    let mut bytes = fs::read(&file).expect("a file");
    let mut told = 0;
    // From its end on, so that each hole borders on the one before.
    for eighth in (0..8).rev() {
        let from = bytes.len() * eighth / 8;
        bytes[from..].fill(0);
        fs::write(&file, &bytes).expect("a writable file");
        told += usize::from(told_of().len() > told);
    }
    assert_eq!(told_of(), expected.into_iter().collect(), "each place once");
    assert!(told > 1, "the damage grew");
}

#[test]
fn losses_that_were_announced_are_not_announced_again_when_the_manifest_is_made_again() {
    let whole = Whole::make();
    let length = fs::metadata(whole.disk.path().join("telemetry/00000003/log")).expect("a file").len();
    truncate("telemetry/00000003/log", length / 2)(&whole.disk.path());
    let lost = whole.lost_in(&whole.disk);
    assert!(!lost.is_empty());
    remove("manifest")(&whole.disk.path());
    assert_eq!(whole.lost_in(&whole.disk), lost);
}

#[test]
fn a_lane_that_lost_its_end_after_a_crash_goes_on_behind_all_that_may_have_been_used() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1)]);
    let old = disk.copy();
    append(&buffer, vec![piece(2), piece(3)]);
    buffer.ack(&destination("erp"), Lane::Business, Sequence(2)).expect("it is durable");
    buffer.close().expect("a disk that works");
    old.replace("cursors", &disk);

    let buffer = old.open();
    let appended = append(&buffer, vec![piece(4)]).business.expect("a business event");
    assert!(appended.first > Sequence(3), "no place is used for two events");
    let after = read_all(&buffer, Lane::Business, Sequence(2));
    let Fact::Gap { first, last, reason: GapReason::Damaged, lost, .. } = &after[0].1.fact else {
        panic!("{after:?}")
    };
    assert_eq!((*first, last.next()), (Sequence(3), after[0].0), "what nobody has, up to what is there");
    assert!(lost.is_empty(), "how many there were is not known");
    assert_eq!(after[1].1, piece(4));
    let lacking = buffer.status().destinations[&destination("erp")].business.backlog;
    assert_eq!(lacking, 2, "what is lost is waited for by nobody");
}

#[test]
fn a_generation_of_which_something_is_lost_is_moved_to_quarantine_when_the_rest_is_delivered() {
    let whole = Whole::make();
    let file = whole.disk.path().join("telemetry/00000003/log");
    let length = fs::metadata(&file).expect("a file").len();
    truncate("telemetry/00000003/log", length / 2)(&whole.disk.path());
    let buffer = open(&whole.disk);
    read_all(&buffer, Lane::Telemetry, Sequence(1));
    assert!(file.exists(), "some of it can be read");
    let head = buffer.heads().borrow().telemetry;
    for name in DESTINATIONS {
        buffer.ack(&destination(name), Lane::Telemetry, head).expect("it is durable");
    }
    buffer.close().expect("a disk that works");
    assert!(!file.exists());
    assert_eq!(quarantined(&whole.disk), ["000001-telemetry-00000003"]);
}
