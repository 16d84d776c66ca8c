//! Devices that refuse some of their places, and what is asked of them.

use std::time::{Duration, Instant};

use penstock_events::TagId;
use proptest::collection;
use proptest::prelude::{Strategy, any, proptest};

use super::{Inquiry, MAX_CUTS, RETRY_FIRST, RETRY_MAX};
use crate::modbus::decode::Answer;
use crate::modbus::plan::Block;
use crate::modbus::{Address, Encoding, Limits, Order, Table, Tag};

fn tag(id: u32, at: &str, encoding: Encoding) -> Tag {
    let path = format!("plc.tag-{id}").parse().expect("a tag path");
    Tag::new(TagId(id), path, at.parse::<Address>().expect(at), encoding).expect("a valid tag")
}

/// `count` registers in a row.
fn row(count: u16) -> Vec<Tag> {
    (0..count).map(|at| tag(at.into(), &format!("holding:{at}"), Encoding::U16)).collect()
}

/// A device that refuses every request that touches one of these places, with this exception.
struct Device {
    holes: Vec<u16>,
    exception: u8,
    requests: usize,
}

impl Device {
    fn with_holes(holes: impl IntoIterator<Item = u16>) -> Self {
        Self { holes: holes.into_iter().collect(), exception: 2, requests: 0 }
    }

    fn answer(&mut self, block: Block) -> Answer {
        self.requests += 1;
        let touches = |hole: &u16| (block.start..block.start + block.count).contains(hole);
        if self.holes.iter().any(touches) {
            return Answer::Exception(self.exception);
        }
        Answer::Registers((block.start..block.start + block.count).collect())
    }

    /// One poll: which tags are good, and how many requests it took.
    fn poll(&mut self, inquiry: &mut Inquiry, tags: &[Tag], now: Instant) -> (Vec<u32>, usize) {
        let before = self.requests;
        inquiry.begin(now);
        while let Some(block) = inquiry.next() {
            inquiry.take(self.answer(block), tags, now);
        }
        let answers = inquiry.answers();
        assert_eq!(answers.len(), inquiry.plan().blocks.len());
        let mut good = Vec::new();
        for (tag, home) in tags.iter().zip(&inquiry.plan().homes) {
            if let Answer::Registers(words) = &answers[home.block] {
                let own = &words[home.offset.into()..(home.offset + tag.width()).into()];
                assert_eq!(own[0], tag.at().start, "another tag's place");
                good.push(tag.id().0);
            }
        }
        (good, self.requests - before)
    }
}

#[test]
fn only_the_tag_on_a_bad_address_is_bad_and_is_not_asked_again_soon() {
    let (tags, now) = (row(100), Instant::now());
    let mut inquiry = Inquiry::new(&tags, &Limits::default());
    let mut device = Device::with_holes([37]);
    let good: Vec<u32> = (0..100).filter(|id| *id != 37).collect();
    let (found, requests) = device.poll(&mut inquiry, &tags, now);
    assert_eq!(found, good);
    assert!(requests <= 15, "{requests} requests to find one address of a hundred");
    let (found, requests) = device.poll(&mut inquiry, &tags, now);
    assert_eq!(found, good);
    assert!(requests <= 8, "{requests} requests");
    assert!(inquiry.plan().blocks.iter().any(|block| (block.start, block.count) == (37, 1)));
}

#[test]
fn what_is_refused_is_tried_again_ever_more_rarely_and_heals() {
    let (tags, start) = (row(10), Instant::now());
    let mut inquiry = Inquiry::new(&tags, &Limits::default());
    let mut device = Device::with_holes(0..10);
    let mut tried = 0;
    for second in 0..7200 {
        let (good, requests) = device.poll(&mut inquiry, &tags, start + Duration::from_secs(second));
        assert!(good.is_empty());
        assert!(requests > 0, "that nobody was asked passes for an answer");
        tried += usize::from(requests > 1);
    }
    let doublings = (RETRY_MAX.as_secs() / RETRY_FIRST.as_secs()).ilog2() as usize + 1;
    assert!((12..=doublings + 13).contains(&tried), "tried in {tried} polls of two hours");

    device.holes.clear();
    let later = start + Duration::from_secs(7200) + RETRY_MAX;
    assert_eq!(device.poll(&mut inquiry, &tags, later), ((0..10).collect(), 1));
    assert_eq!(device.poll(&mut inquiry, &tags, later), ((0..10).collect(), 1));
    // It starts again with short pauses.
    device.holes.push(3);
    device.poll(&mut inquiry, &tags, later);
    device.holes.clear();
    assert_eq!(device.poll(&mut inquiry, &tags, later + RETRY_FIRST), ((0..10).collect(), 1));
}

#[test]
fn a_hole_between_two_tags_makes_neither_bad() {
    let tags = [tag(0, "holding:0", Encoding::U16), tag(1, "holding:4", Encoding::U16)];
    let mut inquiry = Inquiry::new(&tags, &Limits::default());
    let mut device = Device::with_holes([2]);
    let now = Instant::now();
    assert_eq!(device.poll(&mut inquiry, &tags, now), (vec![0, 1], 3));
    assert_eq!(device.poll(&mut inquiry, &tags, now), (vec![0, 1], 2));
}

#[test]
fn tags_in_one_place_are_not_cut_apart() {
    let wide = Encoding::U32(Order::Abcd);
    let tags = [
        tag(0, "holding:7", wide),
        tag(1, "holding:7", Encoding::U16),
        tag(2, "holding:7.3", Encoding::Bool),
    ];
    let mut inquiry = Inquiry::new(&tags, &Limits::default());
    let now = Instant::now();
    for _ in 0..3 {
        assert_eq!(Device::with_holes([7]).poll(&mut inquiry, &tags, now), (vec![], 1));
    }
}

#[test]
fn a_device_that_has_not_the_function_is_asked_once_for_each_request() {
    let (mut tags, now) = (row(100), Instant::now());
    tags.push(tag(100, "holding:900", Encoding::U16));
    let mut inquiry = Inquiry::new(&tags, &Limits::default());
    let mut device = Device { exception: 1, ..Device::with_holes([0]) };
    assert_eq!(device.poll(&mut inquiry, &tags, now), (vec![100], 2));
    assert_eq!(device.poll(&mut inquiry, &tags, now), (vec![100], 1));
}

#[test]
fn a_device_that_fails_is_asked_again_in_every_poll_and_nothing_is_cut() {
    let (tags, now) = (row(100), Instant::now());
    let mut inquiry = Inquiry::new(&tags, &Limits::default());
    let mut device = Device { exception: 4, ..Device::with_holes([0]) };
    for _ in 0..5 {
        assert_eq!(device.poll(&mut inquiry, &tags, now), (vec![], 1));
    }
}

fn maps() -> impl Strategy<Value = (Vec<Tag>, Vec<u16>)> {
    let places = collection::vec((0_u16..300, any::<bool>()), 1..60);
    let tags = places.prop_map(|places| {
        let tag = |(id, (at, is_wide)): (u32, (u16, bool))| {
            let encoding = if is_wide { Encoding::U32(Order::Abcd) } else { Encoding::U16 };
            tag(id, &format!("{}:{at}", Table::HoldingRegister), encoding)
        };
        (0..).zip(places).map(tag).collect()
    });
    (tags, collection::vec(0_u16..310, 0..20))
}

proptest! {
    #[test]
    fn in_the_end_exactly_the_tags_without_a_hole_are_good((tags, holes) in maps()) {
        let now = Instant::now();
        let mut inquiry = Inquiry::new(&tags, &Limits::default());
        let mut device = Device::with_holes(holes.clone());
        let mut last = (Vec::new(), usize::MAX);
        for _ in 0..10 {
            last = device.poll(&mut inquiry, &tags, now);
            assert!(last.1 <= inquiry.plan().blocks.len() + MAX_CUTS);
        }
        let is_whole = |tag: &&Tag| !holes.iter().any(|hole| (tag.at().start..tag.at().start + tag.width()).contains(hole));
        let whole: Vec<u32> = tags.iter().filter(is_whole).map(|tag| tag.id().0).collect();
        let missing: Vec<_> = whole.iter().filter(|id| !last.0.contains(id)).collect();
        // A tag may share its place with a wider one that reaches into a hole: the two are read at once.
        let shares = |id: &&&u32| {
            let own = &tags[***id as usize];
            tags.iter().any(|other| other.at().start == own.at().start && other.width() > own.width())
        };
        assert!(missing.iter().all(|id| shares(&id)), "{missing:?} of {whole:?}");
        assert!(last.0.iter().all(|id| whole.contains(id)));
    }
}
