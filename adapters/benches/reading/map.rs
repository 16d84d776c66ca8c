//! Register maps of many tags, all of one word, spread over as many units as they need.

use std::time::Duration;

use penstock_adapters::modbus::{Device, Encoding, Group, Limits, RequestForecast, Tag};
use penstock_events::{SourceId, TagId};

/// No unit has more tags: a fragmented map of so many fits one table.
const TAGS_PER_UNIT: u32 = 10_000;

/// Where tags stand.
pub(crate) struct Map {
    pub(crate) name: &'static str,
    pub(crate) tags: u32,
    /// The places of each unit, the first of which is 1.
    places: Vec<Vec<u16>>,
}

/// A request of a foreign client.
pub(crate) struct Request {
    pub(crate) unit: u8,
    pub(crate) first: u16,
    pub(crate) count: u32,
    /// How many of the places are tags.
    pub(crate) wanted: u32,
}

impl Map {
    /// One register after the other.
    pub(crate) fn contiguous(tags: u32) -> Self {
        Self::new("contiguous", tags, |index| u16::try_from(index).expect("few tags a unit"))
    }

    /// Runs of one to eight tags, one to nine places apart, as a generator with a fixed seed has it.
    pub(crate) fn fragmented(tags: u32) -> Self {
        let (mut seed, mut place, mut left) = (1_u32, 0_u16, 0_u32);
        Self::new("fragmented", tags, move |index| {
            if index == 0 {
                (seed, place, left) = (1, 0, 0);
            }
            if left == 0 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                left = 1 + (seed >> 20) % 8;
                place += u16::try_from(1 + (seed >> 10) % 9).expect("a small gap");
            }
            left -= 1;
            place += 1;
            place - 1
        })
    }

    fn new(name: &'static str, tags: u32, mut place: impl FnMut(u32) -> u16) -> Self {
        let units = tags.div_ceil(TAGS_PER_UNIT);
        let of_unit = |unit: u32| (tags - unit * TAGS_PER_UNIT).min(TAGS_PER_UNIT);
        let places = (0..units).map(|unit| (0..of_unit(unit)).map(&mut place).collect()).collect();
        Self { name, tags, places }
    }

    /// The devices, read as the planner has it.
    pub(crate) fn device(&self) -> Vec<Device> {
        self.devices(&Limits::default())
    }

    /// The same, read tag by tag.
    pub(crate) fn device_of_single_requests(&self) -> Vec<Device> {
        self.devices(&Limits::new(1, 1).expect("one place a request"))
    }

    fn devices(&self, limits: &Limits) -> Vec<Device> {
        (1_u8..).zip(&self.places).map(|(unit, places)| device(unit, places, limits.clone())).collect()
    }

    /// The planner's requests.
    pub(crate) fn planned(&self) -> Vec<Request> {
        let requests = |device: Device| {
            let polls = device.forecast();
            let request = move |request: RequestForecast| Request {
                unit: device.unit,
                first: request.places.first(),
                count: request.places.count(),
                wanted: request.wanted,
            };
            polls.into_iter().flat_map(|poll| poll.requests).map(request).collect::<Vec<_>>()
        };
        self.device().into_iter().flat_map(requests).collect()
    }

    /// A request for each tag.
    pub(crate) fn single(&self) -> Vec<Request> {
        let request = |unit, first| Request { unit, first, count: 1, wanted: 1 };
        let units = (1_u8..).zip(&self.places);
        units.flat_map(|(unit, places)| places.iter().map(move |&first| request(unit, first))).collect()
    }
}

fn device(unit: u8, places: &[u16], limits: Limits) -> Device {
    let tag = |(id, place): (u32, &u16)| {
        let path = format!("unit-{unit}.r{place}").parse().expect("a tag path");
        let at = format!("holding:{place}").parse().expect("an address");
        Tag::new(TagId(id), path, at, Encoding::U16).expect("a tag")
    };
    Device {
        source: SourceId(unit.into()),
        name: format!("unit-{unit}").parse().expect("a source name"),
        unit,
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        limits,
        groups: vec![Group { poll: Duration::from_millis(1), tags: (0..).zip(places).map(tag).collect() }],
    }
}
