//! Bad configurations: exit status 78 and one report of every problem, before anything is touched.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::harness::{Penstock, Site};

/// EX_CONFIG (sysexits.h).
const CONFIG: i32 = 78;

/// A configuration whose device and broker would notice if anyone came.
struct Folder {
    folder: TempDir,
    device: TcpListener,
    broker: TcpListener,
}

impl Folder {
    fn new() -> Self {
        let listener = || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        Self { folder: TempDir::new().unwrap(), device: listener(), broker: listener() }
    }

    fn with(self, toml: impl AsRef<[u8]>) -> Self {
        self.and("config.toml", toml)
    }

    fn and(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder.path().join(name), content).unwrap();
        self
    }

    fn device(&self) -> SocketAddr {
        self.device.local_addr().unwrap()
    }

    fn valid(&self) -> String {
        Site::empty().press_at("press-1", self.device()).uplink(self.broker.local_addr().unwrap()).toml()
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// What `check` and `run` say, which is the same, having touched nothing.
    #[track_caller]
    fn refused(&self) -> String {
        let config = self.config();
        let config = config.to_str().unwrap();
        let check = Penstock::run(&["check", config]);
        let run = Penstock::run(&["run", "--config", config]);
        assert_eq!((check.code(), run.code()), (CONFIG, CONFIG), "{}{}", check.stderr(), run.stderr());
        assert_eq!(check.stderr(), run.stderr());
        assert_eq!(check.stdout() + &run.stdout(), "", "a report is for people");
        for listener in [&self.device, &self.broker] {
            let nobody = listener.accept().map(|(_, from)| from).map_err(|error| error.kind());
            assert_eq!(nobody, Err(ErrorKind::WouldBlock), "somebody was called");
        }
        assert!(!self.folder.path().join("data").exists(), "data was kept");
        run.stderr()
    }
}

/// How many problems the report names.
fn problems(report: &str) -> usize {
    report.lines().filter(|line| line.starts_with("error: ")).count()
}

#[test]
fn one_report_names_every_problem_with_its_place_and_what_is_allowed() {
    let folder = Folder::new();
    let toml = folder
        .valid()
        .replace("site = \"plant-7\"", "site = \"plant 7\"\nsiet = \"plant-7\"")
        .replace("poll = \"50ms\"", "poll = \"50\"")
        .replace("at = \"holding:104\"", "at = \"holding:103\"")
        .replace("name = \"alarm\",   at = \"coil:3\"", "name = \"alarm\",   at = \"coil:99999\"")
        .replace("tag = \"press-1.state\"", "tag = \"press-1.stat\"")
        .replace("path = \"data\"", "path = \"data\"\nmax_size = \"much\"")
        .replace("url = \"mqtt://", "url = \"http://");
    let folder = folder.with(toml);
    let report = folder.refused();

    let named = [
        ("plant 7", "gateway.site"),
        ("unknown key `siet`", "gateway.siet"),
        ("`poll` needs a unit", "modbus[0].poll"),
        ("overlaps", "modbus[0].tags[2].at"),
        ("coil:99999", "modbus[0].tags[6].at"),
        ("did you mean `press-1.state`", "asset[0].state.tag"),
        ("`max_size`", "buffer.max_size"),
        ("`url`", "mqtt[0].url"),
    ];
    for (problem, path) in named {
        assert!(report.contains(problem), "{problem} is not in:\n{report}");
        assert!(report.contains(&format!("({path})")), "{path} is not in:\n{report}");
    }
    assert!(problems(&report) >= named.len(), "{report}");
    assert!(report.contains("config.toml:3:"), "lines are named:\n{report}");
    assert!(report.contains("example: "), "examples are given:\n{report}");
    let last = report.trim_end().lines().last().unwrap();
    assert!(last.contains("nothing was started") && last.contains(&problems(&report).to_string()), "{last}");
}

#[test]
fn a_tag_list_of_a_spreadsheet_is_reported_with_the_rest() {
    let folder = Folder::new();
    let device = format!(
        "\n[[modbus]]\nname = \"oven\"\naddress = \"tcp://{}\"\ntags_file = \"oven.csv\"\nretries = 3\n",
        folder.device()
    );
    let folder = Folder { folder: TempDir::new().unwrap(), ..folder };
    let toml = folder.valid() + &device;
    let folder = folder.with(toml).and(
        "oven.csv",
        "name;at;type;scale\ntemp;holding:0;f32;0,1\ndoor;holding:1;u16;\nheat;holding:9;f99;\n",
    );
    let report = folder.refused();
    for named in ["oven.csv:3", "overlaps", "oven.csv:4", "f99", "unknown key `retries`"] {
        assert!(report.contains(named), "{named} is not in:\n{report}");
    }
    assert_eq!(problems(&report), 3, "{report}");
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be_so() {
    let report = Folder::new().refused();
    assert!(report.contains("config.toml") && report.contains("cannot be read"), "{report}");

    let folder = Folder::new();
    fs::create_dir(folder.config()).unwrap();
    assert!(folder.refused().contains("folder"));

    let report = Folder::new().with([0xFF, 0xFE, 0]).refused();
    assert!(report.contains("UTF-8"), "{report}");

    let report = Folder::new().with("[gateway\nid = ").refused();
    assert!(report.contains("not TOML") && report.contains("config.toml:1:"), "{report}");

    let report = Folder::new().with("").refused();
    assert!(report.contains("the file is empty"), "{report}");

    let report = Folder::new().with("# To be done.\n").refused();
    for missing in ["gateway", "modbus", "mqtt"] {
        assert!(report.contains(missing), "{report}");
    }
    assert_eq!((problems(&report), report.matches("is missing").count()), (3, 3), "{report}");
}

#[test]
fn a_configuration_without_a_problem_is_said_to_be_so_and_nothing_is_touched() {
    let folder = Folder::new();
    let toml = folder.valid();
    let folder = folder.with(toml);
    let config = folder.config();
    let check = Penstock::run(&["check", config.to_str().unwrap()]);
    assert_eq!(check.code(), 0, "{}", check.stderr());

    let json = Penstock::run(&["check", "--json", config.to_str().unwrap()]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout()).expect("JSON for programs");
    assert_eq!((&json["valid"], &json["errors"]), (&true.into(), &0.into()));
    for listener in [&folder.device, &folder.broker] {
        assert!(listener.accept().is_err(), "somebody was called");
    }
    assert!(!folder.folder.path().join("data").exists(), "data was kept");
}
