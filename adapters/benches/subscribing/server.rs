//! The server: `penstock-plant oven`, which `make bench` builds.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// Between two changes of all variables there are so many of the oven's steps.
const STEPS: f64 = 5.0;
/// No item changes more often, so that its queue holds what is between two publications.
const MOST_OFTEN: f64 = 50.0;

pub(crate) struct Server {
    child: Child,
    port: u16,
    often: f64,
}

impl Server {
    /// Starts a server with so many items, and so many changes a second of all of them together.
    pub(crate) fn start(items: usize, changes: f64) -> anyhow::Result<Self> {
        let often = (changes / items as f64).min(MOST_OFTEN);
        let beside = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("release/penstock-plant");
        let mut child = Command::new(beside)
            .args(["oven", "--listen", "127.0.0.1:0", "--steady", "--many", &items.to_string()])
            .args(["--period", &(1.0 / often / STEPS).to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context("penstock-plant is not built; run `make bench`")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("it is piped")?).read_line(&mut line)?;
        let port = line.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
        let port = port.with_context(|| format!("the server said {line:?}"))?;
        Ok(Self { child, port, often })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn changes_per_second(&self) -> f64 {
        self.often
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("a child can be killed by its parent");
        self.child.wait().expect("a child can be waited for by its parent");
    }
}
