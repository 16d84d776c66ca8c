//! Blocks: round trips, the golden bytes of version 1, damage, and the limits.

use std::sync::Arc;
use std::time::Duration;

use penstock_events::{
    Alert, AssetPath, Cause, CounterMark, Fact, GapReason, Lane, MAX_CONDITION_BYTES, MAX_WORDING_BYTES,
    Output, PreviousState, Quality, Severity, StreamId, TagPath, Value, Wording,
};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::*;

fn packed(events: &[Event]) -> Vec<PackedBlock> {
    let mut blocks = Vec::new();
    let events: Vec<&Event> = events.iter().collect();
    Packer::new().expect("zstd").pack(&events, &mut blocks).expect("zstd");
    blocks
}

/// Packs, stamps and unpacks `events`, checking that places have no holes.
fn round_trip(events: &[Event], first: Sequence) -> Vec<Event> {
    let mut place = first;
    let mut back = Vec::new();
    for block in packed(events) {
        let bytes = block.stamp(place);
        assert!(bytes.len() <= MAX_BLOCK_BYTES, "a block of {} bytes", bytes.len());
        let (header, mut events) = unpack(&bytes).expect("what was packed");
        assert_eq!((header.first, header.count()), (place, block.count()));
        place = header.last.next();
        back.append(&mut events);
    }
    back
}

fn asset() -> AssetPath {
    "stamping/line-1/press-1".parse().expect("a path")
}

fn tag(name: &str) -> TagPath {
    name.parse().expect("a tag path")
}

fn event(at_micros: i64, fact: Fact) -> Event {
    let time = Timestamp::from_micros(at_micros);
    let observed = time.saturating_add(Duration::from_micros(1_500));
    Event { asset: asset(), time, observed, quality: Quality::Good, fact }
}

fn sample(at_micros: i64, value: Value) -> Event {
    let fact =
        Fact::TelemetrySampled { tag: tag("press-1.temp"), value: Some(value), unit: Some("Cel".into()) };
    event(at_micros, fact)
}

/// One of everything that version 1 can hold.
fn one_of_each() -> Vec<Event> {
    let start = 1_767_225_600_000_000;
    let stream = StreamId::new(&"edge-01".parse().expect("a name"), Lane::Telemetry, 0x3f2a_9c01);
    let facts = [
        Fact::MachineStateChanged {
            tag: tag("press-1.state"),
            state: "running".parse().expect("a name"),
            previous: Some(PreviousState {
                state: "stopped".parse().expect("a name"),
                duration: Duration::new(61, 5),
            }),
        },
        Fact::MachineStateChanged {
            tag: tag("press-1.state"),
            state: "stopped".parse().expect("a name"),
            previous: None,
        },
        Fact::ProductionCompleted {
            tag: tag("press-1.good"),
            output: Output::Good,
            quantity: 3,
            counter: CounterMark { epoch: Timestamp::from_micros(start), from: 65_534, to: 65_537 },
        },
        Fact::ProductionCompleted {
            tag: tag("press-1.scrap"),
            output: Output::Scrap,
            quantity: u64::MAX,
            counter: CounterMark { epoch: Timestamp::from_micros(-1), from: 0, to: u64::MAX },
        },
        Fact::SourceDown { source: "press-1".parse().expect("a name"), cause: Cause::ModbusException(4) },
        Fact::SourceUp {
            source: "press-1".parse().expect("a name"),
            down_since: Timestamp::from_micros(start - 1),
        },
        Fact::Gap {
            stream,
            first: Sequence(7),
            last: Sequence(900),
            reason: GapReason::BufferFull,
            lost: vec![(EventType::TelemetrySampled, 894)],
        },
        Fact::GatewayStarted { version: "0.1.0".into() },
        Fact::TelemetrySampled { tag: tag("press-1.temp"), value: None, unit: None },
    ];
    let values = [
        Value::Bool(true),
        Value::Int(i64::MIN),
        Value::UInt(u64::MAX),
        Value::Float(-0.0),
        Value::Text("Größe".into()),
    ];
    let mut events: Vec<Event> = facts.into_iter().map(|fact| event(start, fact)).collect();
    events.extend(values.into_iter().enumerate().map(|(n, value)| sample(start + n as i64, value)));
    let causes = [Cause::Disconnected, Cause::Timeout, Cause::Malformed, Cause::NotFinite, Cause::NotText];
    events
        .extend(causes.map(|cause| Event { quality: Quality::Bad(cause), ..sample(0, Value::Bool(false)) }));
    events
}

#[test]
fn one_of_everything_survives_a_block() {
    let events = one_of_each();
    assert_eq!(round_trip(&events, Sequence(41)), events);
}

#[test]
fn every_cause_that_came_after_version_1_survives_a_block() {
    let causes = [Cause::OpcUaStatus(0x8034_0000), Cause::NotBcd, Cause::OutOfRange, Cause::MarkedInvalid];
    let bad = |cause| Event { quality: Quality::Bad(cause), ..sample(0, Value::Bool(false)) };
    let events: Vec<Event> = causes.map(bad).into();
    assert_eq!(round_trip(&events, Sequence(1)), events);
}

/// A raise and a clear, of which the buffer's tests make a golden body.
fn alerts() -> Vec<Event> {
    let alert = |message: &str| {
        Box::new(Alert {
            tag: tag("oven.alarms"),
            condition: "nsu=urn:plant:oven;s=Hot".parse().expect("an id"),
            name: Wording::of("Hot"),
            source_name: Wording::of("Größe"),
            severity: Severity::clamped(700),
            message: Wording::of(message),
        })
    };
    let since = Timestamp::from_micros(64);
    vec![
        event(64, Fact::AlertRaised(alert("250"))),
        event(128, Fact::AlertCleared { alert: alert(""), since }),
    ]
}

#[test]
fn alerts_survive_a_block_and_keep_their_golden_bytes() {
    assert_eq!(round_trip(&alerts(), Sequence(1)), alerts());
    let golden: &[u8] = b"\x02\x17stamping/line-1/press-1\x0boven.alarms\
        \x02\x00\x80\x01\xb8\x17\x00\x07\x01\x18nsu=urn:plant:oven;s=Hot\x01\x03Hot\x01\x07Gr\xc3\xb6\xc3\x9fe\xbc\x05\x01\x03250\x00\x80\x01\xb8\x17\x00\x08\x01\x18nsu=urn:plant:oven;s=Hot\x01\x03Hot\x01\x07Gr\xc3\xb6\xc3\x9fe\xbc\x05\x00\x80\x01";
    assert_eq!(record::v1::encode(&alerts()), golden);
    assert_eq!(record::v1::decode(golden).expect("the golden bytes"), alerts());
}

#[test]
fn the_longest_alert_fits_the_buffer() {
    let longest = "x".repeat(MAX_CONDITION_BYTES.max(MAX_WORDING_BYTES));
    let [name, source_name, message] = [(); 3].map(|()| Wording::of(&longest));
    let (tag, condition) = (tag("oven.alarms"), longest[..MAX_CONDITION_BYTES].parse().expect("an id"));
    let severity = Severity::GREATEST;
    let fact = Fact::AlertRaised(Box::new(Alert { tag, condition, name, source_name, severity, message }));
    assert!(record::size_bound(&event(0, fact)) <= crate::MAX_EVENT_BYTES);
}

#[test]
fn every_reason_for_a_gap_survives_a_block() {
    let stream = StreamId::from_stored("edge-01/telemetry/3f2a9c01");
    let gap = |reason| Fact::Gap {
        stream: stream.clone(),
        first: Sequence(1),
        last: Sequence(2),
        reason,
        lost: Vec::new(),
    };
    let events: Vec<Event> = GapReason::ALL.map(|reason| event(0, gap(reason))).into();
    assert_eq!(round_trip(&events, Sequence(1)), events);
}

#[test]
fn version_1_is_read_from_its_golden_bytes() {
    let golden = include_bytes!("../../tests/fixtures/block-v1.bin");
    let (header, events) = unpack(golden).expect("version 1 stays readable");
    assert_eq!(events, one_of_each());
    assert_eq!(header.first, Sequence(1_000));
    assert_eq!(header.times.0, Timestamp::EPOCH);
    assert_eq!(header.tally[&EventType::ProductionCompleted], 2);
}

#[test]
fn version_1_bodies_are_written_as_the_golden_body() {
    // The body and not the block: another version of zstd may compress to other bytes.
    let golden = include_bytes!("../../tests/fixtures/block-v1.bin");
    let (header, frame) = open(golden).expect("the golden block");
    let body = zstd::bulk::decompress(frame, header.body_bytes).expect("the golden frame");
    assert_eq!(record::v1::encode(&one_of_each()), body);
}

#[test]
fn floats_keep_every_bit() {
    let patterns = [0, 1 << 63, 1, f64::MAX.to_bits(), f64::NAN.to_bits(), 0x7ff0_0000_0000_0001];
    let events: Vec<Event> =
        patterns.iter().map(|&bits| sample(0, Value::Float(f64::from_bits(bits)))).collect();
    let back = round_trip(&events, Sequence(1));
    let bits = back.iter().map(|event| match &event.fact {
        Fact::TelemetrySampled { value: Some(Value::Float(float)), .. } => float.to_bits(),
        other => panic!("{other:?} was a sample"),
    });
    assert_eq!(bits.collect::<Vec<_>>(), patterns);
}

#[test]
fn a_block_holds_at_most_250_events() {
    let events: Vec<Event> = (0..1_001).map(|n| sample(n * 1_000, Value::Int(n))).collect();
    let counts: Vec<u64> = packed(&events).iter().map(PackedBlock::count).collect();
    assert_eq!(counts, [250, 250, 250, 250, 1]);
}

#[test]
fn events_that_do_not_compress_are_split_over_more_blocks() {
    let mut random = 1_u64;
    let mut text = |bytes: usize| -> Arc<str> {
        (0..bytes)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(33 + (random >> 57) as u8 % 94)
            })
            .collect::<String>()
            .into()
    };
    let events: Vec<Event> = (0..40).map(|n| sample(n, Value::Text(text(7_000)))).collect();
    assert!(events.iter().all(|event| record::size_bound(event) <= crate::MAX_EVENT_BYTES));
    assert_eq!(round_trip(&events, Sequence(1)), events);
}

#[test]
fn every_flipped_bit_of_a_block_is_noticed() {
    let whole = packed(&one_of_each())[0].stamp(Sequence(5));
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(unpack(&bytes).is_err(), "bit {bit} went unnoticed");
    }
}

#[test]
fn a_block_is_found_at_the_beginning_of_other_bytes_and_only_if_it_is_whole() {
    let events = one_of_each();
    let block = packed(&events)[0].stamp(Sequence(5));
    let among_others = [&block[..], b"PSB\x01 and more"].concat();
    let (header, length) = find(&among_others).expect("a whole block");
    assert_eq!((header.first, header.count(), length), (Sequence(5), events.len() as u64, block.len()));
    for end in 0..block.len() {
        assert!(find(&block[..end]).is_none(), "{end} bytes were enough");
    }
    for bit in 0..block.len() * 8 {
        let mut bytes = among_others.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(find(&bytes).is_none(), "bit {bit} went unnoticed");
    }
}

#[test]
fn a_newer_block_is_told_from_a_damaged_one() {
    let mut bytes = packed(&one_of_each())[0].stamp(Sequence(5));
    bytes[3] = VERSION + 1;
    assert!(matches!(unpack(&bytes), Err(InvalidBlock::Checksum)), "a flipped bit is no newer format");
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[3..4]), &bytes[ENVELOPE_BYTES..]);
    bytes[4..ENVELOPE_BYTES].copy_from_slice(&checksum.to_le_bytes());
    assert!(matches!(unpack(&bytes), Err(InvalidBlock::NewerFormat { found: 2 })));
}

#[test]
fn a_body_larger_than_any_that_is_written_is_refused_before_it_is_made() {
    let body = vec![0; 64 * 1024 * 1024];
    let bomb = PackedBlock {
        count: 1,
        times: (Timestamp::EPOCH, Timestamp::EPOCH),
        tally: Tally::new(),
        body_bytes: u32::try_from(body.len()).expect("it fits"),
        frame: zstd::bulk::compress(&body, 1).expect("zstd"),
    };
    assert!(matches!(unpack(&bomb.stamp(Sequence(1))), Err(InvalidBlock::Impossible { .. })));
    // A header that lies about a small body does not get more than it says.
    let liar = PackedBlock { body_bytes: 100, ..bomb };
    assert!(matches!(unpack(&liar.stamp(Sequence(1))), Err(InvalidBlock::Zstd(_))));
}

fn any_event() -> impl Strategy<Value = Event> {
    let name = "[a-z][a-z0-9_-]{0,12}";
    let value = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        (-1e300..1e300_f64).prop_map(Value::Float),
        ".{0,40}".prop_map(|text| Value::Text(text.into())),
    ];
    let sampled = (name, proptest::option::of(value), proptest::option::of("[a-zA-Z%]{1,5}")).prop_map(
        |(name, value, unit)| Fact::TelemetrySampled {
            tag: tag(&format!("{name}.{name}")),
            value,
            unit: unit.map(Into::into),
        },
    );
    let completed = (name, any::<u64>(), any::<[u64; 2]>(), any::<i64>()).prop_map(
        |(name, quantity, [from, to], epoch)| Fact::ProductionCompleted {
            tag: tag(&format!("{name}.count")),
            output: Output::Good,
            quantity,
            counter: CounterMark { epoch: Timestamp::from_micros(epoch), from, to },
        },
    );
    let quality = prop_oneof![
        Just(Quality::Good),
        any::<u8>().prop_map(|c| Quality::Bad(Cause::ModbusException(c))),
        any::<u32>().prop_map(|c| Quality::Uncertain(Cause::OpcUaStatus(c))),
    ];
    (prop_oneof![sampled, completed], any::<[i64; 2]>(), quality, name).prop_map(
        |(fact, [time, observed], quality, asset)| Event {
            asset: asset.parse().expect("a path of one name"),
            time: Timestamp::from_micros(time),
            observed: Timestamp::from_micros(observed),
            quality,
            fact,
        },
    )
}

proptest! {
    #[test]
    fn any_events_survive_blocks(events in proptest::collection::vec(any_event(), 1..300), first in 1..u64::MAX / 2) {
        proptest::prop_assert_eq!(round_trip(&events, Sequence(first)), events);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        proptest::prop_assert!(unpack(&bytes).is_err());
        proptest::prop_assert!(record::v1::decode(&bytes).map_or(true, |events| events.len() <= bytes.len()));
    }
}
