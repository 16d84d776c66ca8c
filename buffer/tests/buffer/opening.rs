//! Opening: what is refused and in which words, and what a crash may leave behind.

use std::fs;

use penstock_buffer::{Buffer, OpenError};
use penstock_events::{Lane, Sequence};

use crate::fixture::{Disk, append, destination, piece, read_all, sample, set_version};

fn refusal(disk: &Disk) -> OpenError {
    match Buffer::open(disk.options()) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
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
    for file in ["manifest", "cursors", "marks"] {
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
