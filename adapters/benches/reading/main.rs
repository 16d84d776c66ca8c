//! What reading Modbus devices costs: requests per cycle and processor time per million readings, against
//! reading each tag by itself, against the client of pymodbus and against libmodbus.
//!
//! `make bench`, or `cargo bench -p penstock-adapters`. The device is libmodbus in C (tests/peers/register_map.c), so
//! that it is never what is waited for. The foreign clients are given the very requests that the planner made, and
//! besides a request for each tag. `BENCH_SECONDS=0.2` makes it short.

mod foreign;
mod map;
mod ours;

use std::time::{Duration, Instant};

use foreign::{Client, Peers};
use map::Map;

/// What a client did.
pub(crate) struct Measured {
    pub(crate) readings: u64,
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

fn main() -> anyhow::Result<()> {
    let seconds = std::env::var("BENCH_SECONDS").map_or(Ok(3.0), |text| text.parse::<f64>())?;
    let time = Duration::from_secs_f64(seconds);
    planning();
    let peers = Peers::start()?;
    for map in [Map::contiguous(10_000), Map::fragmented(10_000)] {
        compare(&map, &peers, time)?;
    }
    println!("growth, contiguous, each request as the planner makes it");
    for tags in [1_000, 10_000, 100_000] {
        let map = Map::contiguous(tags);
        let name = format!("{tags} tags in {} requests", map.planned().len());
        show(&name, &ours::read(&map.device(), peers.port, time)?);
    }
    Ok(())
}

fn planning() {
    println!("planning, and requests per cycle");
    for tags in [1_000, 10_000, 100_000] {
        for map in [Map::contiguous(tags), Map::fragmented(tags)] {
            let begun = Instant::now();
            let requests = map.planned().len();
            println!(
                "  {:<11} {tags:>7} tags: {requests:>6} requests, planned in {:.2?}",
                map.name,
                begun.elapsed()
            );
        }
    }
    println!();
}

fn compare(map: &Map, peers: &Peers, time: Duration) -> anyhow::Result<()> {
    let (planned, single) = (map.planned(), map.single());
    println!(
        "{}, {} tags: {} requests a cycle, one by one {}",
        map.name,
        map.tags,
        planned.len(),
        single.len()
    );
    show("penstock", &ours::read(&map.device(), peers.port, time)?);
    show(
        "penstock, a request for each tag",
        &ours::read(&map.device_of_single_requests(), peers.port, time)?,
    );
    for client in [Client::Libmodbus, Client::Pymodbus] {
        show(client.name(), &peers.read(client, &planned, time)?);
        let name = format!("{}, a request for each tag", client.name());
        show(&name, &peers.read(client, &single, time)?);
    }
    println!();
    Ok(())
}

fn show(name: &str, measured: &Measured) {
    let millions = measured.readings as f64 / 1e6;
    println!(
        "  {name:<36} {:>9.3} s of processor per million readings, {:>10.0} readings/s",
        measured.cpu.as_secs_f64() / millions,
        measured.readings as f64 / measured.wall.as_secs_f64()
    );
}
