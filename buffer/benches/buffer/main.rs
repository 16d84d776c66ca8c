//! What the buffer costs: durable appends, reading back, opening, memory and the wear of flash, beside a raw file and
//! SQLite that keep the same events with the same group commit. One run, one machine, one disk: the ratios count.
//!
//! `cargo bench -p penstock-buffer`, or a part: `… -- append`, `… -- growth`. The directory is `PENSTOCK_BENCH_DIR`, or the
//! system's temporary one.

mod append;
mod disk;
mod growth;
mod peers;
mod plant;
mod wait;

use std::path::PathBuf;

use penstock_buffer::{Buffer, Options};
use penstock_events::DestinationName;

/// What a bench may end with.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            append::run()?;
            growth::run()
        }
        ["append"] => append::run(),
        ["growth"] => growth::run(),
        // Each store in a process of its own, so that the memory of one is not taken for another's.
        ["one", store, events] => growth::run_one(store.parse()?, events.parse()?),
        _ => Err("say append, growth or nothing".into()),
    }
}

fn parent_directory() -> PathBuf {
    std::env::var_os("PENSTOCK_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into)
}

fn destination() -> DestinationName {
    "enterprise".parse().expect("a name")
}

fn open(path: &std::path::Path) -> Outcome<Buffer> {
    Ok(Buffer::open(Options::new(path, "edge-01".parse()?, [destination()]))?)
}
