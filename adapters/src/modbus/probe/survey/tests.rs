//! What a survey finds is what a device has, and it asks for little.

use std::convert::Infallible;

use proptest::collection;
use proptest::prelude::{Strategy, proptest};

use super::{Oracle, Survey, Verdict};
use crate::modbus::{Places, Table};

const SIZE: u16 = 125;

/// A device with these readable places that gives at most `limit` at once.
struct Device {
    readable: Vec<Places>,
    limit: u32,
    asked: Vec<Places>,
}

impl Device {
    fn new(readable: &[&str], limit: u32) -> Self {
        let readable = readable.iter().map(|text| text.parse().expect(text)).collect();
        Self { readable, limit, asked: Vec::new() }
    }
}

impl Oracle for Device {
    type Error = Infallible;

    async fn ask(&mut self, places: Places) -> Result<Verdict, Infallible> {
        assert!(places.count() <= SIZE.into(), "{places} is no request");
        self.asked.push(places);
        let has = |known: &Places| known.first() <= places.first() && places.last() <= known.last();
        let can = places.count() <= self.limit && self.readable.iter().any(has);
        Ok(if can { Verdict::Readable } else { Verdict::Refused })
    }
}

fn survey(device: &mut Device, grain: u16, first: u16, last: u16) -> Survey {
    let mut survey = Survey::new(Table::HoldingRegister, SIZE, grain);
    let run = survey.run(first, last, device);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(run).expect("it cannot fail");
    survey
}

fn texts(places: &[Places]) -> Vec<String> {
    places.iter().map(ToString::to_string).collect()
}

#[test]
fn a_dense_map_takes_one_request_for_each_request_that_it_fills() {
    let mut device = Device::new(&["holding:0-999"], 125);
    let found = survey(&mut device, 10, 0, 999);
    assert_eq!(texts(found.found()), ["holding:0-999"]);
    assert_eq!((device.asked.len(), found.limit()), (8, None));
}

#[test]
fn an_empty_table_takes_a_request_for_each_grain() {
    let mut device = Device::new(&[], 125);
    let found = survey(&mut device, 10, 0, 9_999);
    assert!(found.found().is_empty());
    assert_eq!(device.asked.len(), 80 * (1 + 13));
}

#[test]
fn the_limit_of_a_device_is_found_where_every_place_can_be_read() {
    for limit in [1, 7, 32, 100, 124] {
        let mut device = Device::new(&["holding:0-199", "holding:230-299"], limit);
        let found = survey(&mut device, 10, 0, 399);
        assert_eq!(texts(found.found()), ["holding:0-199", "holding:230-299"], "limit {limit}");
        assert_eq!(found.limit().map(u32::from), Some(limit));
        assert!(device.asked.len() <= 250 || limit < 8, "{} requests at limit {limit}", device.asked.len());
    }
}

#[test]
fn both_ends_of_a_table_are_reached() {
    let mut device = Device::new(&["holding:0-3", "holding:65530-65535"], 125);
    let found = survey(&mut device, 10, 0, u16::MAX);
    assert_eq!(texts(found.found()), ["holding:0-3", "holding:65530-65535"]);
}

/// Stretches apart from each other, each given by the gap before it and its length.
fn stretches(gap: u16, length: u16) -> impl Strategy<Value = Vec<Places>> {
    collection::vec((1..=gap, 1..=length), 0..12).prop_map(|pairs| {
        let mut next = 0;
        let mut places = Vec::new();
        for (gap, length) in pairs {
            let first = next + gap;
            next = first + length;
            places.push(Places::new(Table::HoldingRegister, first, next - 1).expect("at least one"));
        }
        places
    })
}

proptest! {
    #[test]
    fn with_a_grain_of_one_everything_is_found(readable in stretches(150, 150), limit in 1_u32..=125) {
        let mut device = Device { readable: readable.clone(), limit, asked: Vec::new() };
        assert_eq!(texts(survey(&mut device, 1, 0, 4_000).found()), texts(&readable));
    }

    #[test]
    fn what_is_as_long_as_the_grain_is_found_to_its_ends_and_nothing_is_made_up(
        readable in stretches(150, 60),
        grain in 2_u16..=40,
        limit in 1_u32..=125,
    ) {
        let mut device = Device { readable: readable.clone(), limit, asked: Vec::new() };
        let found = texts(survey(&mut device, grain, 0, 4_000).found());
        for places in &readable {
            assert!(found.contains(&places.to_string()) || places.count() < grain.into(), "{places} in {found:?}");
        }
        assert!(found.iter().all(|places| texts(&readable).contains(places)), "{found:?}");
    }
}
