//! Looking into the store: the listing of generations, and verification beside everything else.

use std::fs;

use penstock_buffer::{Buffer, FilesVerification, VerifyError};
use penstock_events::{Lane, Sequence};

use crate::fixture::{Disk, append, destination, large_sample, piece, sample, tiny};

fn fill(buffer: &Buffer, generations: usize) {
    let mut n = 0;
    while buffer.generations(Lane::Telemetry).len() < generations {
        n += 1;
        append(buffer, vec![large_sample(n), piece(n)]);
    }
}

#[test]
fn the_generations_of_a_lane_follow_each_other_without_a_hole() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    fill(&buffer, 3);
    buffer.ack(&destination("erp"), Lane::Telemetry, Sequence(1)).expect("it is durable");
    let listed = buffer.generations(Lane::Telemetry);
    let mut next = Sequence(1);
    for generation in &listed[..2] {
        let places = generation.places.expect("it is not empty");
        assert_eq!(places.first, next);
        assert_eq!(generation.events, places.last.0 - places.first.0 + 1);
        let time = |n| Some(large_sample(n).time);
        assert_eq!((generation.earliest, generation.latest), (time(places.first.0), time(places.last.0)));
        assert!(generation.sealed && !generation.delivered && generation.stored_bytes > 0);
        next = places.last.next();
    }
    assert!(!listed[2].sealed);
    drop(buffer);
    let reopened = Buffer::open(tiny(disk.options())).expect("it opens");
    assert_eq!(reopened.generations(Lane::Telemetry), listed, "the manifest tells the same");
}

#[test]
fn a_sound_store_verifies_while_it_is_written() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    fill(&buffer, 2);
    append(&buffer, (1..=600).map(sample).collect());
    for generation in buffer.generations(Lane::Telemetry) {
        let mut told = Vec::new();
        let verified = buffer
            .verify_generation(Lane::Telemetry, generation.number, |events| told.push(events))
            .expect("it is listed");
        assert!(verified.is_sound(), "{verified:?}");
        assert_eq!((verified.events, verified.stored_bytes), (generation.events, generation.stored_bytes));
        assert_eq!(told.last(), Some(&verified.events));
        assert_eq!(told.len() as u64, verified.blocks);
    }
    let unknown = buffer.verify_generation(Lane::Business, 99, |_| ()).expect_err("there is none");
    assert_eq!(unknown, VerifyError::Unknown { lane: Lane::Business, number: 99 });
}

#[test]
fn a_small_file_that_is_damaged_while_the_store_is_open_is_found() {
    let disk = Disk::new();
    let buffer = disk.open();
    append(&buffer, vec![piece(1)]);
    assert_eq!(buffer.verify_files(), FilesVerification { files: 3, damaged: Vec::new() });
    for name in ["manifest", "cursors", "marks"] {
        let path = disk.path().join(name);
        let whole = fs::read(&path).expect("readable");
        fs::write(&path, &whole[..whole.len() - 1]).expect("writable");
        let damaged = buffer.verify_files().damaged;
        assert_eq!(damaged.iter().map(|one| one.file.as_str()).collect::<Vec<_>>(), [name]);
        fs::write(&path, whole).expect("writable");
    }
}

#[test]
fn a_damaged_block_is_found_and_the_blocks_around_it_are_counted() {
    let disk = Disk::new();
    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    fill(&buffer, 2);
    let victim = buffer.generations(Lane::Telemetry)[0].clone();
    buffer.close().expect("a disk that works");
    let path = disk.path().join(format!("telemetry/{:08}/log", victim.number));
    let mut bytes = fs::read(&path).expect("readable");
    let blocks: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, at)| at == b"PSB\x01").map(|(at, _)| at).collect();
    bytes[blocks[blocks.len() / 2] + 100] ^= 1;
    fs::write(&path, bytes).expect("writable");

    let buffer = Buffer::open(tiny(disk.options())).expect("it opens");
    let verified = buffer.verify_generation(Lane::Telemetry, victim.number, |_| ()).expect("it is listed");
    assert!(!verified.is_sound());
    assert!(verified.events < victim.events);
}
