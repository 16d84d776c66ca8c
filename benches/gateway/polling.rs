//! What polling costs: 10,000 tags a second on ten devices, of which one in a hundred moves.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::gateway::{Gateway, Process, free_port, mosquitto};
use crate::proc::{cpu_time, resident_bytes};

const DEVICES: usize = 10;
const TAGS: usize = 1_000;
/// Until the buffer's first group and every connection are behind it.
const SETTLE: Duration = Duration::from_secs(10);
const WATCH: Duration = Duration::from_secs(30);
const MIB: f64 = 1_048_576.0;

pub(crate) fn run(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let (_broker, broker) = mosquitto(folder)?;
    let base = free_port()?;
    let (devices, tags) = (DEVICES.to_string(), TAGS.to_string());
    let listen = format!("127.0.0.1:{base}");
    let arguments = ["fleet", "--devices", &devices, "--tags", &tags, "--listen-base", &listen];
    let _fleet = Process::start(plant()?, &arguments, &folder.join("fleet.log"))?;
    let gateway = Gateway::configured(folder, &config(folder, base, broker)?)?;

    let begun = Instant::now();
    let running = gateway.start()?;
    let first_poll = gateway.wait_until("the first poll", |status| {
        status["sources"].as_array()?.iter().any(|source| source["polls"] != 0).then(|| begun.elapsed())
    })?;
    println!(
        "cold start to the first complete poll: {first_poll:.2?}, of which up to 1 s is the wait for the next slot\n"
    );

    sleep(SETTLE);
    let polls = || {
        let sum = |status: &serde_json::Value| {
            status["sources"].as_array()?.iter().map(|source| source["polls"].as_u64()).sum::<Option<u64>>()
        };
        gateway.wait_until("the status", sum)
    };
    let (cpu_before, polls_before, watched) = (cpu_time(running.pid())?, polls()?, Instant::now());
    sleep(WATCH);
    let cpu = cpu_time(running.pid())? - cpu_before;
    let seconds = watched.elapsed().as_secs_f64();
    let tags_per_second = (polls()? - polls_before) as f64 * TAGS as f64 / seconds;
    println!("polling {DEVICES} devices of {TAGS} tags: {tags_per_second:.0} tags/s");
    println!("  processor {:.1}% of one core (aim: at most 10%)", cpu.as_secs_f64() / seconds * 100.0);
    println!(
        "  resident  {:.1} MiB (aim: at most 40 MB = 38.1 MiB)",
        resident_bytes(running.pid())? as f64 / MIB
    );
    Ok(())
}

fn config(folder: &Path, base: u16, broker: u16) -> anyhow::Result<String> {
    let mut toml = format!(
        "[gateway]\nid = \"edge-01\"\nsite = \"plant-7\"\n[buffer]\npath = \"{}\"\n[[mqtt]]\nname = \"enterprise\"\nurl = \"mqtt://127.0.0.1:{broker}\"\n",
        folder.join("buffer").display()
    );
    for device in 0..DEVICES {
        let port = usize::from(base) + device;
        writeln!(
            toml,
            "[[modbus]]\nname = \"device-{device}\"\naddress = \"tcp://127.0.0.1:{port}\"\npoll = \"1s\"\ntags = ["
        )?;
        for tag in 0..TAGS {
            writeln!(toml, "  {{ name = \"t{tag}\", at = \"holding:{tag}\", type = \"u16\" }},")?;
        }
        writeln!(
            toml,
            "]\n[[asset]]\npath = \"hall/line-1/device-{device}\"\ntelemetry = [{{ tag = \"device-{device}.*\" }}]"
        )?;
    }
    Ok(toml)
}

/// The plant's binary, which `make bench` builds beside the gateway's.
fn plant() -> anyhow::Result<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_penstock")).with_file_name("penstock-plant");
    beside.exists().then_some(beside).context("penstock-plant is not built; run `make bench`")
}
