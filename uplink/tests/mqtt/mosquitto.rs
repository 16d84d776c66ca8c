//! A real broker: Debian's mosquitto, in a folder and on a port of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::mqttbytes::QoS;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, Publish};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::rig::soon;

/// A mosquitto that dies with the test.
pub(crate) struct Mosquitto {
    process: Child,
    folder: TempDir,
    pub(crate) port: u16,
}

impl Mosquitto {
    /// Starts one that takes anyone.
    pub(crate) async fn start() -> Self {
        Self::with("allow_anonymous true").await
    }

    /// Starts one with these lines of configuration; `{folder}` stands for its folder.
    pub(crate) async fn with(lines: &str) -> Self {
        Self::in_folder(TempDir::new().unwrap(), lines).await
    }

    /// Starts one in a folder that is there already.
    pub(crate) async fn in_folder(folder: TempDir, lines: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Started as root it would give up its rights, and with them the folder.
        let config = format!("user root\npersistence false\nlistener {port} 127.0.0.1\n{lines}\n")
            .replace("{folder}", folder.path().to_str().unwrap());
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let process = launch(folder.path(), port).await;
        Self { process, folder, port }
    }

    /// A file in its folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The crash of the broker: nothing is said to anyone.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Starts it again where it was, with nothing remembered.
    pub(crate) async fn start_again(&mut self) {
        self.process = launch(self.folder.path(), self.port).await;
    }
}

/// A program of the mosquitto package.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: run `make test`, which installs it"))
}

async fn launch(folder: &Path, port: u16) -> Child {
    let mut process = Command::new(program("mosquitto"))
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let listening = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = process.try_wait().unwrap() {
                panic!(
                    "mosquitto ended with {status}: {}",
                    std::fs::read_to_string(folder.join("log")).unwrap()
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("mosquitto to listen", listening).await;
    process
}

/// An independent subscriber.
pub(crate) struct Subscriber {
    eventloop: EventLoop,
    _client: AsyncClient,
}

impl Subscriber {
    /// Subscribes and returns once the broker has agreed.
    pub(crate) async fn to(filter: &str, port: u16) -> Self {
        let options = MqttOptions::new(format!("subscriber-{}", number()), ("127.0.0.1", port));
        let (client, eventloop) = AsyncClient::builder(options).capacity(10).build();
        client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        let mut subscriber = Self { eventloop, _client: client };
        let subscribed = async {
            while !matches!(subscriber.eventloop.poll().await.unwrap(), Event::Incoming(Incoming::SubAck(_)))
            {
            }
        };
        soon("the subscription", subscribed).await;
        subscriber
    }

    pub(crate) async fn next(&mut self) -> Publish {
        let next = async {
            loop {
                if let Event::Incoming(Incoming::Publish(publish)) = self.eventloop.poll().await.unwrap() {
                    return publish;
                }
            }
        };
        soon("a message", next).await
    }

    pub(crate) async fn next_text(&mut self) -> String {
        String::from_utf8(self.next().await.payload.to_vec()).unwrap()
    }
}

/// Different for every subscriber of this process.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
