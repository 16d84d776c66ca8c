//! What Linux knows of a process: its processor time and its resident memory (proc(5)).

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Clock ticks a second in /proc: USER_HZ, which is 100 on every architecture that Linux runs on today.
const USER_HZ: u64 = 100;

/// Processor time of process `pid` so far, user and system.
pub(crate) fn cpu_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold anything; the fields after it are numbers, utime and stime the 12th and 13th.
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 1_000 / USER_HZ))
}

/// Resident memory of process `pid`, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
