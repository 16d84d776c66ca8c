//! What it costs to be told by an OPC UA server what changes: values a second and processor time per million values,
//! against a client of the same library that only counts values, and against asyncua's client.
//!
//! `make bench`, or `cargo bench -p penstock-adapters --bench subscribing`. The server is `penstock-plant oven`, which
//! changes all its variables at once, more often than is published; each client is a process of its own and asks for
//! the same subscriptions. `BENCH_SECONDS=2` makes it short, `BENCH_CHANGES=2000` spares a slow server.

mod asyncua;
mod bare;
mod measuring;
mod ours;
mod server;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use measuring::Measured;
use server::Server;

/// Changes a second of all items together: what the server tells without being what is waited for.
const CHANGES: f64 = 50_000.0;
/// Items of a subscription, and how often it publishes; what asyncua is told in other words.
pub(crate) const SUBSCRIPTION_SIZE: usize = 1_000;
pub(crate) const PUBLISH: Duration = Duration::from_millis(100);
/// Values that wait in an item: what is between two publications is not to be lost.
pub(crate) const QUEUE: u32 = 10;

/// What a client is to do.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) items: usize,
    pub(crate) port: u16,
    pub(crate) time: Duration,
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let [client, items, port, seconds] = &words[..] {
        let time = Duration::from_secs_f64(seconds.parse()?);
        let task = Task { items: items.parse()?, port: port.parse()?, time };
        let measured = if client == "ours" { ours::subscribe(task) } else { bare::subscribe(task) };
        measured?.tell();
        return Ok(());
    }
    let number = |name, usual| std::env::var(name).map_or(Ok(usual), |text| text.parse::<f64>());
    let (time, changes) =
        (Duration::from_secs_f64(number("BENCH_SECONDS", 10.0)?), number("BENCH_CHANGES", CHANGES)?);
    for items in [1_000, 10_000, 50_000] {
        let server = Server::start(items, changes)?;
        let task = Task { items, port: server.port(), time };
        println!("{items} items, each changed {} times a second", server.changes_per_second());
        let bare = show("a bare client of the same library", &own("bare", task)?);
        let ours = show("penstock", &own("ours", task)?);
        show("asyncua's client", &asyncua::subscribe(task)?);
        println!(
            "  penstock has {:.2} of the bare client's values for the same processor time\n",
            bare / ours
        );
    }
    Ok(())
}

/// Runs a client of this program as a process of its own.
fn own(client: &str, task: Task) -> anyhow::Result<Measured> {
    let Task { items, port, time } = task;
    let mut command = Command::new(std::env::current_exe()?);
    command.args([client, &items.to_string(), &port.to_string(), &time.as_secs_f64().to_string()]);
    let output = command.stderr(std::process::Stdio::inherit()).output().context(client.to_owned())?;
    ensure!(output.status.success(), "{client} failed");
    Measured::told(&String::from_utf8(output.stdout)?)
}

/// The processor time per million values.
fn show(name: &str, measured: &Measured) -> f64 {
    let per_million = measured.cpu.as_secs_f64() / (measured.values as f64 / 1e6);
    println!(
        "  {name:<34} {per_million:>8.3} s of processor per million values, {:>9.0} values/s",
        measured.values as f64 / measured.wall.as_secs_f64()
    );
    per_million
}
