//! The manifest: round trips, the golden bytes of each version, what is no manifest.

use penstock_events::EventType;

use super::*;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn sealed(id: GenerationId, first: u64, last: u64) -> Generation {
    let mut generation = Generation::starting_at(id, Sequence(first), at(1));
    let tally = Tally::from([(EventType::TelemetrySampled, last - first + 1)]);
    generation.extent.add(Sequence(last), 1_000 - BESIDE_A_BLOCK_BYTES, &tally, (at(-5), at(7)));
    generation.seal(at(2));
    generation
}

fn manifest(telemetry: Vec<Generation>) -> Manifest {
    Manifest { store: 0x3f2a_9c01, lanes: PerLane { business: Vec::new(), telemetry } }
}

#[test]
fn a_manifest_survives_its_file() {
    let active = Generation::starting_at(9, Sequence(201), at(3));
    let manifest = manifest(vec![sealed(3, 1, 100), sealed(4, 101, 200), active]);
    assert_eq!(stored::decode(4, &stored::encode(&manifest)).expect("what was encoded"), manifest);
}

#[test]
fn what_cannot_be_a_store_is_not_taken_for_one() {
    let active = || Generation::starting_at(9, Sequence(201), at(3));
    let wrong = [
        vec![sealed(3, 1, 100)],
        vec![sealed(3, 1, 100), sealed(3, 101, 200), active()],
        vec![sealed(3, 1, 101), sealed(4, 101, 200), active()],
        vec![active(), Generation::starting_at(10, Sequence(300), at(3))],
    ];
    for telemetry in wrong {
        let found = stored::decode(4, &stored::encode(&manifest(telemetry.clone())));
        assert!(matches!(found, Err(InvalidFile::Damaged(_))), "{telemetry:?} was taken");
    }
}

#[test]
fn only_complete_generations_up_to_the_place_are_dropped() {
    let mut manifest =
        manifest(vec![sealed(1, 1, 10), sealed(2, 11, 20), Generation::starting_at(3, Sequence(21), at(3))]);
    assert!(manifest.drop_through(Lane::Telemetry, Sequence(9)).is_empty());
    assert_eq!(manifest.drop_through(Lane::Telemetry, Sequence(19)).len(), 1);
    assert_eq!(manifest.drop_through(Lane::Telemetry, Sequence(u64::MAX)).len(), 1);
    assert_eq!(manifest.lanes.telemetry.len(), 1, "the active one stays");
}

#[test]
fn what_damage_took_is_passed_over() {
    let places = |first, last| SequenceRange { first: Sequence(first), last: Sequence(last) };
    let mut extent = sealed(3, 1, 100).extent;
    assert_eq!(extent.runs_from(Sequence(7)), [places(7, 100)]);
    extent.holes = vec![places(1, 4), places(10, 10), places(90, 100)];
    assert_eq!(extent.runs_from(Sequence(1)), [places(5, 9), places(11, 89)]);
    assert_eq!(extent.runs_from(Sequence(10)), [places(11, 89)]);
    assert_eq!(extent.first_from(Sequence(90)), None);
    assert_eq!(extent.first_from(Sequence(101)), None);
}

/// What the golden files were made from, but for what version 1 did not say.
fn golden() -> Manifest {
    let mut first = sealed(3, 1, 100);
    first.extent.holes = vec![SequenceRange { first: Sequence(20), last: Sequence(29) }];
    manifest(vec![first, sealed(4, 101, 200), Generation::starting_at(9, Sequence(201), at(3))])
}

#[test]
fn version_1_is_read_from_its_golden_bytes() {
    let mut expected = golden();
    for generation in &mut expected.lanes.telemetry {
        (generation.began, generation.ended) = (Timestamp::EPOCH, Timestamp::EPOCH);
        generation.extent.times = None;
        generation.extent.holes = Vec::new();
    }
    let path = Path::new("tests/fixtures/manifest-v1.bin");
    assert_eq!(load(path).expect("version 1 stays readable"), Some(expected));
}

#[test]
fn version_2_is_read_from_its_golden_bytes() {
    let path = Path::new("tests/fixtures/manifest-v2.bin");
    assert_eq!(load(path).expect("version 2 stays readable"), Some(golden()));
}

#[test]
fn version_3_is_read_from_its_golden_bytes() {
    let path = Path::new("tests/fixtures/manifest-v3.bin");
    assert_eq!(load(path).expect("version 3 stays readable"), Some(golden()));
}

#[test]
fn version_4_is_read_from_and_written_as_its_golden_bytes() {
    let path = Path::new("tests/fixtures/manifest-v4.bin");
    assert_eq!(load(path).expect("version 4 stays readable"), Some(golden()));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let written = directory.path().join("manifest");
    save(&written, &golden()).expect("a writable directory");
    assert_eq!(std::fs::read(written).expect("just written"), std::fs::read(path).expect("the fixture"));
}

#[test]
fn who_wrote_an_older_manifest_does_not_open_the_store_any_more() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("manifest");
    std::fs::copy("tests/fixtures/manifest-v3.bin", &path).expect("a writable directory");
    claim(&path, &golden()).expect("a writable directory");
    let golden = std::fs::read("tests/fixtures/manifest-v4.bin").expect("the fixture");
    assert_eq!(std::fs::read(path).expect("just written"), golden);
}

#[test]
fn a_newer_manifest_is_refused_by_its_version() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("manifest");
    let newer = Kind { version: KIND.version + 1, ..KIND };
    durable_file::replace(&path, &newer, b"of another shape").expect("a writable directory");
    assert!(matches!(load(&path), Err(InvalidFile::NewerFormat { found: 5, supported: 4 })));
}
