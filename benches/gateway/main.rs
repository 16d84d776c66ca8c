//! What docs/performance.md claims of the whole gateway, measured in one run on one machine: the drain
//! rate of a backlog against a bare publisher, the cost of polling, and the cold start.
//!
//! `make bench`. The real release binary, mosquitto as the broker, `penstock-plant fleet` as the devices.

mod drain;
mod gateway;
mod polling;
mod proc;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    drain::run(&folder.path().join("drain"))?;
    polling::run(&folder.path().join("polling"))
}
