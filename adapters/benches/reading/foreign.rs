//! The foreign peers: the device and a client in C with libmodbus, and a client in Python with pymodbus.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::Measured;
use crate::map::Request;

/// Whose client reads.
#[derive(Clone, Copy)]
pub(crate) enum Client {
    Libmodbus,
    Pymodbus,
}

impl Client {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Libmodbus => "libmodbus",
            Self::Pymodbus => "pymodbus",
        }
    }
}

/// The device, and what is needed for clients.
pub(crate) struct Peers {
    folder: TempDir,
    device: Child,
    pub(crate) port: u16,
}

impl Peers {
    /// Compiles the programs and starts the device.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        compile(&root().join("tests/peers/register_map.c"), &folder.path().join("device"))?;
        compile(&here().join("libmodbus_client.c"), &folder.path().join("client"))?;
        let units: Vec<String> = (1..=10).map(|unit: u8| unit.to_string()).collect();
        let mut device = Command::new(folder.path().join("device"))
            .args(["127.0.0.1", "0", &units.join(","), "holding:0-65535"])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(device.stdout.take().context("it is piped")?).read_line(&mut line)?;
        let port = line.chars().filter(char::is_ascii_digit).collect::<String>().parse()?;
        Ok(Self { folder, device, port })
    }

    /// Lets a client make the requests over and over for so long.
    pub(crate) fn read(
        &self,
        client: Client,
        requests: &[Request],
        time: Duration,
    ) -> anyhow::Result<Measured> {
        let mut command = match client {
            Client::Libmodbus => Command::new(self.folder.path().join("client")),
            Client::Pymodbus => {
                let mut command = Command::new(root().join("target/peers/venv/bin/python"));
                command.arg(here().join("pymodbus_client.py"));
                command
            }
        };
        command.args([self.port.to_string(), time.as_secs_f64().to_string()]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("run `make peers`")?;
        let mut stdin = child.stdin.take().context("it is piped")?;
        for Request { unit, first, count, wanted } in requests {
            writeln!(stdin, "{unit} {first} {count} {wanted}")?;
        }
        drop(stdin);
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{} failed", client.name());
        let text = String::from_utf8(output.stdout)?;
        let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [readings, cpu_s, wall_s] = numbers[..] else { anyhow::bail!("{} said {text}", client.name()) };
        let (cpu, wall) = (Duration::from_secs_f64(cpu_s), Duration::from_secs_f64(wall_s));
        Ok(Measured { readings: readings as u64, cpu, wall })
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.device.kill().expect("a child can be killed by its parent");
        self.device.wait().expect("a child can be waited for by its parent");
    }
}

fn compile(source: &Path, program: &Path) -> anyhow::Result<()> {
    let script = "cc -O2 -o \"$2\" \"$1\" $(pkg-config --cflags --libs libmodbus)";
    let status = Command::new("sh").args(["-c", script, "sh"]).args([source, program]).status()?;
    ensure!(status.success(), "no C compiler or no libmodbus; run `make peers`");
    Ok(())
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/reading")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
