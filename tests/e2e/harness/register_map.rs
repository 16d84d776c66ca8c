//! The same register map from two foreign libraries: pymodbus, and libmodbus in C.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use super::loopback::own_address;
use super::patience::eventually;
use super::plc::peer;
use super::process::Process;

/// Who serves a map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Library {
    Pymodbus,
    Libmodbus,
}

/// A running server.
pub(crate) struct RegisterMap {
    address: SocketAddr,
    process: Process,
}

impl Library {
    pub(crate) const ALL: [Self; 2] = [Self::Pymodbus, Self::Libmodbus];
}

impl RegisterMap {
    /// Serves `places`, such as `holding:0-9`, to these units, such as `1,7`.
    pub(crate) fn serve(library: Library, units: &str, places: &[&str]) -> Self {
        let host = own_address();
        let mut command = match library {
            Library::Pymodbus => peer("register_map.py"),
            Library::Libmodbus => Command::new(compiled()),
        };
        command.args([&host.to_string(), "0", units]).args(places);
        let process = Process::start("register_map", &mut command);
        let port = eventually("the register map to listen", || {
            let ready = process.stdout(0).into_iter().find(|line| line.contains("listening"))?;
            let ready: Value = serde_json::from_str(&ready).expect("it writes JSON");
            ready["listening"].as_u64().and_then(|port| u16::try_from(port).ok())
        });
        Self { address: (host, port).into(), process }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value of a register: `table` counts from coil as 0.
    pub(crate) const fn register(table: u32, place: u32) -> u64 {
        ((31 * place + 7 * table) & 0xFFFF) as u64
    }

    /// Panics when anybody has tried to write.
    pub(crate) fn was_only_read(&self) {
        let told = self.process.stdout(0);
        assert!(!told.iter().any(|line| line.contains("wrote")), "{told:?}");
    }
}

/// The server in C, compiled once for all tests of this process.
fn compiled() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/register_map.c");
        let program =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("register_map-{}", std::process::id()));
        let script = format!(
            "cc -O1 -o '{}' '{}' $(pkg-config --cflags --libs libmodbus)",
            program.display(),
            source.display()
        );
        let status = Command::new("sh").args(["-c", &script]).status().expect("a shell");
        assert!(status.success(), "no C compiler or no libmodbus; run `make test`, which installs them");
        program
    })
}
