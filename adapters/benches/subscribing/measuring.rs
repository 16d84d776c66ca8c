//! What a client received, and what that cost it: from the moment on at which every item has had its first value.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;

/// How long a client may take to make its items and get their first values.
pub(crate) const SET_UP_WITHIN: Duration = Duration::from_secs(120);

/// What a client did.
pub(crate) struct Measured {
    pub(crate) values: u64,
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

/// A measurement under way.
pub(crate) struct Measuring {
    cpu: Duration,
    begun: Instant,
}

impl Measuring {
    pub(crate) fn begin() -> anyhow::Result<Self> {
        Ok(Self { cpu: cpu_time()?, begun: Instant::now() })
    }

    pub(crate) fn lasts(&self, time: Duration) -> bool {
        self.begun.elapsed() < time
    }

    pub(crate) fn end(self, values: u64) -> anyhow::Result<Measured> {
        Ok(Measured { values, cpu: cpu_time()? - self.cpu, wall: self.begun.elapsed() })
    }
}

impl Measured {
    /// Tells it to the process that waits for it.
    pub(crate) fn tell(&self) {
        println!("{} {} {}", self.values, self.cpu.as_secs_f64(), self.wall.as_secs_f64());
    }

    /// What a process told.
    pub(crate) fn told(text: &str) -> anyhow::Result<Self> {
        let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [values, cpu_s, wall_s] = numbers[..] else { anyhow::bail!("a client said {text:?}") };
        let (cpu, wall) = (Duration::from_secs_f64(cpu_s), Duration::from_secs_f64(wall_s));
        Ok(Self { values: values as u64, cpu, wall })
    }
}

/// Processor time of this process so far (proc(5); 100 ticks a second).
fn cpu_time() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/self/stat")?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
