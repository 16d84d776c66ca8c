//! What docs/performance.md claims of the whole gateway, measured in one run on one machine: the drain
//! rate of a backlog against a bare publisher, the cost of polling, and the cold start.
//!
//! `make bench`, or one part: `cargo bench -p penstock --bench gateway -- polling`. The real release binary, mosquitto as the broker, `penstock-plant fleet` as the devices.

mod drain;
mod gateway;
mod polling;
mod proc;

fn main() -> anyhow::Result<()> {
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name| only.as_deref().is_none_or(|only| only == name);
    let folder = tempfile::tempdir()?;
    if wanted("drain") {
        drain::run(&folder.path().join("drain"))?;
    }
    if wanted("polling") {
        polling::run(&folder.path().join("polling"))?;
    }
    Ok(())
}
