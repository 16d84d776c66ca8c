//! The normalizer's state when its latest piece is damaged.

use std::fs;

use penstock_events::normalizer::StateChange;
use penstock_events::{CounterMark, Event, Fact, Lane, Output, Quality, Sequence, Timestamp};

use super::{event, open, wait};
use crate::state;

/// The event of a counter that comes to `to`.
fn counted(to: u8) -> Event {
    let to = u64::from(to);
    let counter = CounterMark { epoch: Timestamp::EPOCH, from: to - 1, to };
    let tag = "press-1.good".parse().expect("a tag");
    Event {
        quality: Quality::Good,
        fact: Fact::ProductionCompleted { tag, output: Output::Good, quantity: 1, counter },
        ..event(2 * to)
    }
}

/// The state that is stored with it, in the encoding of the normalizer's version 1: a variant, an epoch, a value.
fn standing(to: u8) -> StateChange {
    StateChange { key: "counter|stamping/press-1|press-1.good|good".to_owned(), value: vec![1, 0, to] }
}

#[test]
fn a_counter_whose_latest_piece_is_damaged_stands_where_its_last_event_says() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let buffer = open(&directory);
    for n in 1..=4 {
        wait(wait(buffer.enqueue(vec![counted(n)], vec![standing(n)])).expect("there is room"))
            .expect("a disk that works");
    }
    let number = buffer.generations(Lane::Business).last().expect("it has the events").number;
    buffer.close().expect("a disk that works");

    let path = directory.path().join(format!("business/{number:08}/db"));
    let mut bytes = fs::read(&path).expect("a file");
    let pieces: Vec<(usize, usize, u64)> = (0..bytes.len())
        .filter_map(|at| state::find(&bytes[at..]).map(|(piece, length)| (at, length, piece.order)))
        .collect();
    let latest = pieces.iter().map(|(_, _, order)| *order).max().expect("there are pieces");
    for (at, length, _) in pieces.into_iter().filter(|(_, _, order)| *order == latest) {
        bytes[at + length - 1] ^= 1;
    }
    fs::write(&path, bytes).expect("a writable file");

    let buffer = open(&directory);
    let StateChange { key, value } = standing(4);
    assert_eq!(buffer.state()[&key], value, "else it would count the last piece again");
    let there = buffer.read(Lane::Business, Sequence(1), 100).expect("it can be read").events;
    assert_eq!(there.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), [1, 2, 3, 4].map(counted));
}
