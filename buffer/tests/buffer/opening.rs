//! Opening: what is refused and in which words, and what a crash may leave behind.

use std::fs;

use penstock_buffer::{Buffer, OpenError, ReadError};
use penstock_events::{Lane, Sequence};

use crate::fixture::{Disk, append, destination, large_sample, options, piece, read_all, sample, tiny};

fn refusal(disk: &Disk) -> OpenError {
    match Buffer::open(disk.options()) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

/// Rewrites a small file with another format version and a checksum that fits.
fn set_version(path: &std::path::Path, version: u16) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[8..10].copy_from_slice(&version.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[8..]).to_le_bytes();
    bytes[4..8].copy_from_slice(&checksum);
    fs::write(path, bytes).expect("a writable file");
}

#[test]
fn a_second_opener_is_told_who_has_the_store() {
    let disk = Disk::new();
    let buffer = disk.open();
    let OpenError::Locked { path, owner } = refusal(&disk) else { panic!("not a lock") };
    assert_eq!(path, disk.path());
    assert_eq!(owner, format!("process {}, gateway edge-01", std::process::id()));
    drop(buffer);
    drop(disk.open());
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    for file in ["manifest", "cursors"] {
        let disk = Disk::new();
        append(&disk.open(), vec![piece(1), sample(1)]);
        let path = disk.path().join(file);
        let before = fs::read(&path).expect("a file");
        set_version(&path, 99);
        let error = refusal(&disk);
        assert!(matches!(error, OpenError::NewerFormat { found: 99, .. }), "{error}");
        fs::write(&path, before).expect("a writable file");
        let buffer = disk.open();
        assert_eq!(read_all(&buffer, Lane::Business, Sequence(1)), [(Sequence(1), piece(1))]);
        assert_eq!(read_all(&buffer, Lane::Telemetry, Sequence(1)), [(Sequence(1), sample(1))]);
    }
}

#[test]
fn a_damaged_or_missing_manifest_is_never_taken_for_an_empty_store() {
    let disk = Disk::new();
    append(&disk.open(), vec![piece(1)]);
    let path = disk.path().join("manifest");
    let whole = fs::read(&path).expect("a file");
    let mut damaged = whole.clone();
    *damaged.last_mut().expect("not empty") ^= 1;
    fs::write(&path, damaged).expect("a writable file");
    assert!(matches!(refusal(&disk), OpenError::Damaged { .. }));
    fs::remove_file(&path).expect("a file");
    assert!(matches!(refusal(&disk), OpenError::Damaged { .. }));
    fs::write(&path, whole).expect("a writable file");
    assert_eq!(disk.open().heads().borrow().business, Sequence(1));
}

#[test]
fn a_listed_generation_that_is_missing_is_damage() {
    let disk = Disk::new();
    append(&disk.open(), vec![piece(1)]);
    fs::remove_dir_all(disk.path().join("business")).expect("a directory");
    assert!(matches!(refusal(&disk), OpenError::Damaged { .. }));
}

#[test]
fn a_path_that_cannot_be_a_directory_is_named() {
    let disk = Disk::new();
    fs::write(disk.path(), "a file stands here").expect("a writable place");
    let error = refusal(&disk);
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
    assert!(error.to_string().contains(&*disk.path().to_string_lossy()), "{error}");
}

#[test]
fn a_buffer_with_no_room_is_refused() {
    let mut options = Disk::new().options();
    options.max_bytes = 1;
    assert!(matches!(Buffer::open(options), Err(OpenError::TooSmall { max_bytes: 1 })));
}

#[test]
fn a_new_destination_starts_at_the_head_and_stays_there_over_a_crash() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1), piece(2)]);
    buffer.close().expect("a disk that works");
    let buffer = Buffer::open(options(&disk.path(), &["erp", "mes"])).expect("it opens");
    append(&buffer, vec![piece(3)]);
    let crashed = disk.copy();
    let reopened = Buffer::open(options(&crashed.path(), &["erp", "mes"])).expect("it opens");
    assert_eq!(reopened.cursor(&destination("mes"), Lane::Business), Some(Sequence(2)));
    assert_eq!(reopened.cursor(&destination("erp"), Lane::Business), Some(Sequence::ZERO));
    assert_eq!(reopened.status().destinations[&destination("mes")].business.backlog, 1);
}

#[test]
fn without_its_cursors_a_store_delivers_all_again() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1), piece(2)]);
    buffer.ack(&destination("erp"), Lane::Business, Sequence(2)).expect("it is durable");
    buffer.close().expect("a disk that works");
    fs::remove_file(disk.path().join("cursors")).expect("a file");
    assert_eq!(disk.open().cursor(&destination("erp"), Lane::Business), Some(Sequence::ZERO));
}

#[test]
fn a_generation_that_a_crash_left_unlisted_is_deleted() {
    let disk = Disk::new();
    append(&disk.open(), vec![sample(1)]);
    let stray = disk.path().join("telemetry/00000007");
    fs::create_dir(&stray).expect("a writable place");
    fs::write(stray.join("db"), "half made").expect("a writable place");
    let buffer = disk.open();
    assert!(!stray.exists());
    assert_eq!(read_all(&buffer, Lane::Telemetry, Sequence(1)), [(Sequence(1), sample(1))]);
}

#[test]
fn a_lane_that_lost_its_end_goes_on_behind_what_was_acknowledged() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1)]);
    let old = disk.copy();
    append(&buffer, vec![piece(2), piece(3)]);
    buffer.ack(&destination("erp"), Lane::Business, Sequence(3)).expect("it is durable");
    buffer.close().expect("a disk that works");
    fs::copy(disk.path().join("cursors"), old.path().join("cursors")).expect("a readable file");

    let buffer = old.open();
    let appended = append(&buffer, vec![piece(4)]).business.expect("a business event");
    assert_eq!(appended.first, Sequence(4), "no place is used for two events");
    assert_eq!(read_all(&buffer, Lane::Business, Sequence(4)), [(Sequence(4), piece(4))]);
}

#[test]
fn a_damaged_sealed_generation_is_an_error_to_its_readers_and_to_nobody_else() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    append(&buffer, (1..=4).map(large_sample).collect());
    append(&buffer, vec![large_sample(5)]);
    buffer.close().expect("a disk that works");
    let database = disk.path().join("telemetry/00000001/db");
    let length = fs::metadata(&database).expect("a file").len();
    fs::write(&database, vec![0; usize::try_from(length).expect("small")]).expect("a writable file");

    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    let error = buffer.read(Lane::Telemetry, Sequence(1), 10).expect_err("it is empty");
    assert!(matches!(error, ReadError::Damaged { generation: 1, sequence: Sequence(1), .. }), "{error}");
    let after = buffer.read(Lane::Telemetry, Sequence(5), 10).expect("whole");
    assert_eq!(after.events, [(Sequence(5), large_sample(5))]);
    append(&buffer, vec![large_sample(6)]);
}
