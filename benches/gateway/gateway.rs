//! The processes of the benchmark: the gateway and its peers. Each ends with its handle.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

/// A child process that is killed when the handle is dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(program: impl AsRef<Path>, arguments: &[&str], log: &Path) -> anyhow::Result<Self> {
        let program = program.as_ref();
        let log = File::create(log)?;
        let child = Command::new(program)
            .args(arguments)
            // As systemd/penstock.service starts it.
            .env("MALLOC_ARENA_MAX", "1")
            .env("MALLOC_TRIM_THRESHOLD_", "65536")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().expect("a child can be killed by its parent");
        self.0.wait().expect("a child can be waited for by its parent");
    }
}

/// A mosquitto that lets many messages be in flight, on a port of its own.
pub(crate) fn mosquitto(folder: &Path) -> anyhow::Result<(Process, u16)> {
    let port = free_port()?;
    let config = folder.join("mosquitto.conf");
    fs::write(
        &config,
        format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_inflight_messages 1000\n"
        ),
    )?;
    let arguments = ["-c", config.to_str().context("a path in UTF-8")?];
    let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    let broker = Process::start(program.unwrap_or("mosquitto"), &arguments, &folder.join("mosquitto.log"))?;
    wait_for("mosquitto", || TcpStream::connect(("127.0.0.1", port)).ok())?;
    Ok((broker, port))
}

/// A configured gateway; start it as often as needed.
pub(crate) struct Gateway {
    config: PathBuf,
    log: PathBuf,
}

impl Gateway {
    pub(crate) fn configured(folder: &Path, toml: &str) -> anyhow::Result<Self> {
        let config = folder.join("config.toml");
        fs::write(&config, toml)?;
        Ok(Self { config, log: folder.join("penstock.log") })
    }

    pub(crate) fn start(&self) -> anyhow::Result<Process> {
        let config = self.config.to_str().context("a path in UTF-8")?;
        Process::start(env!("CARGO_BIN_EXE_penstock"), &["run", "--config", config], &self.log)
    }

    /// What the running gateway says of itself; `None` while it does not answer.
    pub(crate) fn status(&self) -> Option<Value> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
        let output = command.args(["status", "--json", "--config"]).arg(&self.config).output().ok()?;
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Waits for a status in which `wanted` finds something.
    pub(crate) fn wait_until<T>(
        &self,
        what: &str,
        wanted: impl Fn(&Value) -> Option<T>,
    ) -> anyhow::Result<T> {
        wait_for(what, || wanted(&self.status()?))
    }
}

/// Waits until `look` finds something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return Ok(found);
        }
        sleep(LOOK);
    }
    bail!("{what}: nothing within {PATIENCE:?}")
}

/// A port that nobody listens on at the moment.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
