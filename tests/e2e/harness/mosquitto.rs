//! The broker: Debian's mosquitto.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::loopback::free_port;
use super::patience::eventually;
use super::process::Process;

/// Whether a broker remembers sessions over a restart.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Memory {
    /// It writes them down when it stops.
    Kept,
    /// It forgets them, and every message that it had not handed on.
    Forgotten,
}

/// A broker, up or down. Its address stays the same.
pub(crate) struct Mosquitto {
    address: SocketAddr,
    folder: TempDir,
    process: Option<Process>,
}

impl Mosquitto {
    /// A broker that lets everyone in and keeps sessions.
    pub(crate) fn start() -> Self {
        let mut broker = Self::down(Memory::Kept);
        broker.up();
        broker
    }

    /// A broker that is still to be started.
    pub(crate) fn down(memory: Memory) -> Self {
        let broker = Self { address: free_port(), folder: TempDir::new().unwrap(), process: None };
        let persistence = if memory == Memory::Kept { "persistence true" } else { "persistence false" };
        broker.configure(&["allow_anonymous true", persistence]);
        broker
    }

    /// A broker that wants this user name and password.
    pub(crate) fn with_password(username: &str, password: &str) -> Self {
        let mut broker = Self::down(Memory::Kept);
        let passwords = broker.folder.path().join("passwords");
        let mut make = Command::new("mosquitto_passwd");
        make.args(["-b", "-c"]).arg(&passwords).args([username, password]);
        assert!(make.status().expect("mosquitto_passwd; run `make test`, which installs it").success());
        broker.configure(&["allow_anonymous false", &format!("password_file {}", passwords.display())]);
        broker.up();
        broker
    }

    /// A broker that takes nothing on `topic`.
    pub(crate) fn refusing(topic: &str) -> Self {
        let mut broker = Self::down(Memory::Kept);
        let rights = broker.rights();
        fs::write(&rights, format!("topic deny {topic}\ntopic readwrite #\n")).unwrap();
        broker.configure(&["allow_anonymous true", &format!("acl_file {}", rights.display())]);
        broker.up();
        broker
    }

    /// From now on it takes everything.
    pub(crate) fn relent(&self) {
        fs::write(self.rights(), "topic readwrite #\n").unwrap();
        self.process.as_ref().expect("it is up").signal("HUP");
        eventually("the rights to be read again", || self.log().contains("Reloading config").then_some(()));
    }

    fn rights(&self) -> std::path::PathBuf {
        self.folder.path().join("rights")
    }

    fn configure(&self, lines: &[&str]) {
        let (host, port, folder) = (self.address.ip(), self.address.port(), self.folder.path().display());
        // Queues without end: what the broker drops for a slow subscriber would look like a loss of the gateway's.
        // Not 0, which means that, for mosquitto 2.0 then disconnects whom it refuses a message.
        let all = format!(
            "listener {port} {host}\nuser root\nlog_dest stderr\npersistence_location {folder}/\n\
             max_queued_messages 1000000\nmax_inflight_messages 0\n{}\n",
            lines.join("\n")
        );
        fs::write(self.configuration(), all).unwrap();
    }

    fn configuration(&self) -> std::path::PathBuf {
        self.folder.path().join("mosquitto.conf")
    }

    /// Starts it, and waits until it accepts connections.
    pub(crate) fn up(&mut self) {
        let mut process =
            Process::start("mosquitto", Command::new(program()).arg("-c").arg(self.configuration()));
        eventually("mosquitto to listen", || {
            assert!(process.ended().is_none(), "mosquitto does not start: {:#?}", process.stderr());
            TcpStream::connect(self.address).ok()
        });
        self.process = Some(process);
    }

    /// Stops it in good order: it writes down its sessions, if it keeps them.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("it is up");
        process.signal("TERM");
        process.wait();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it is up").kill();
    }

    /// What it logs since it was started last.
    pub(crate) fn log(&self) -> String {
        self.process.as_ref().expect("it is up").stderr().join("\n")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Debian keeps daemons out of an ordinary user's PATH.
fn program() -> &'static str {
    if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" }
}
