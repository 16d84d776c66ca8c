//! Every type and order against values that Python's `struct` laid out: `adapters/vectors/make.py`.

use std::process::Command;

use penstock_events::{Sample, TagId, Value};

use super::{Answer, sample};
use crate::modbus::{Encoding, Layout, Scaling, Tag};

const VECTORS: &str = include_str!("../../../vectors/types.tsv");

/// Reads one line: the tag, its registers, and what must come out.
fn case(line: &str) -> (Tag, Answer, &str) {
    let columns: Vec<&str> = line.split('\t').collect();
    let [at, kind, order, bytes, bits, scale, offset, words, expected] = columns[..] else {
        panic!("{line}")
    };
    let layout = Layout {
        order: (!order.is_empty()).then(|| order.parse().expect(line)),
        bytes: (!bytes.is_empty()).then(|| bytes.parse().expect(line)),
        bits: (!bits.is_empty()).then(|| bits.parse().expect(line)),
    };
    let encoding = Encoding::new(kind, layout).expect(line);
    let path = "plc.tag".parse().expect("a tag path");
    let mut tag = Tag::new(TagId(0), path, at.parse().expect(line), encoding).expect(line);
    if !(scale.is_empty() && offset.is_empty()) {
        let number = |text: &str, absent| if text.is_empty() { absent } else { text.parse().expect(line) };
        tag = tag.scaled(Scaling { factor: number(scale, 1.0), offset: number(offset, 0.0) }).expect(line);
    }
    let words = words.split_whitespace().map(|word| u16::from_str_radix(word, 16).expect(line));
    (tag, Answer::Registers(words.collect()), expected)
}

/// The sample in the vectors' own words; the bits of a float, so that -0.0 is not 0.0.
fn shown(sample: &Sample) -> String {
    match sample {
        Sample::Good(Value::Bool(value)) => format!("bool {value}"),
        Sample::Good(Value::Int(value)) => format!("int {value}"),
        Sample::Good(Value::UInt(value)) => format!("uint {value}"),
        Sample::Good(Value::Float(value)) => format!("float {:016x}", value.to_bits()),
        Sample::Good(Value::Text(text)) => {
            format!("text {}", text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        Sample::Bad(cause) => format!("bad {cause}"),
        Sample::Uncertain(..) => panic!("a device's own registers are never uncertain"),
    }
}

#[test]
fn every_type_and_order_is_read_as_python_laid_it_out() {
    let lines: Vec<&str> = VECTORS.lines().collect();
    assert!(lines.len() >= 300, "only {} cases", lines.len());
    for line in lines {
        let (tag, answer, expected) = case(line);
        assert_eq!(shown(&sample(&tag, &answer, 0)), expected, "{line}");
    }
}

#[test]
fn the_vectors_are_those_that_the_script_computes() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/make.py");
    let run = Command::new("python3").arg(script).output().expect("`make peers` installs python3");
    let printed = String::from_utf8(run.stdout).expect("the script prints text");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(printed == VECTORS, "run {script} > types.tsv and see what changed");
}
