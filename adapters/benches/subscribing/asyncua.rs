//! asyncua's client, from PyPI.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::measuring::Measured;
use crate::{PUBLISH, QUEUE, SUBSCRIPTION_SIZE, Task};

/// Counts the values of the items for so long.
pub(crate) fn subscribe(task: Task) -> anyhow::Result<Measured> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(package.join("../target/peers/venv/bin/python"));
    command.arg(package.join("benches/subscribing/asyncua_client.py"));
    command.args([task.items, task.port.into(), SUBSCRIPTION_SIZE].map(|number| number.to_string()));
    command.args([task.time, PUBLISH].map(|time| time.as_secs_f64().to_string()));
    let output = command.arg(QUEUE.to_string()).stderr(Stdio::inherit()).output();
    let output = output.context("asyncua is not installed; run `make peers`")?;
    ensure!(output.status.success(), "asyncua's client failed");
    Measured::told(&String::from_utf8(output.stdout)?)
}
