//! A password that is asked for at a terminal: it is taken and not shown, and whoever thinks better of it has the
//! terminal as it was.

use std::os::unix::process::ExitStatusExt;

use crate::harness::oven::toml;
use crate::harness::terminal::Terminal;
use crate::harness::{Gateway, Oven, Penstock, Site, free_port};

const SECURED: &str = "Basic256Sha256/SignAndEncrypt";
const SIGINT: i32 = 2;

#[test]
fn whoever_breaks_off_at_the_question_has_a_terminal_that_shows_what_is_typed() {
    let mut terminal = Terminal::open();
    let before = terminal.settings();
    let arguments = ["browse", "opc.tcp://127.0.0.1", "--security", SECURED, "--username", "edge"];
    for key in ["\u{3}", "\u{1c}"] {
        let mut asking = Penstock::start_at(&terminal, &arguments);
        terminal.is_secret();
        terminal.types(&format!("hunt{key}"));
        let ended = asking.wait();
        assert_eq!(terminal.settings(), before);
        assert_eq!(ended.signal(), Some(SIGINT), "{ended}: {:?}", asking.stderr());
    }
}

#[test]
fn the_password_that_was_typed_lets_the_user_in() {
    let oven = Oven::with(&["--secure"]);
    let keys = format!("security = {SECURED:?}");
    let gateway =
        Gateway::stopped(&Site::empty().device(&toml(oven.address(), &keys)).uplink(free_port()).toml());
    assert_ne!(gateway.command(&["browse", "oven"]).code(), 0, "it is not trusted");
    let listed = gateway.json(&["trust", "list", "--json"]);
    let server = listed.iter().find(|one| one["standing"] == "refused").expect("it was kept");
    let fingerprint = server["fingerprint"].as_str().expect("a fingerprint");
    assert_eq!(gateway.command(&["trust", "accept", fingerprint, "--yes"]).code(), 0);

    let mut terminal = Terminal::open();
    let before = terminal.settings();
    let (endpoint, config) = (format!("opc.tcp://{}/oven", oven.address()), gateway.config());
    let config = config.to_str().expect("a plain name");
    for (typed, lets_in) in [("hunter2\n", true), ("hunter3\u{7f}2\n", true), ("hunter3\n", false)] {
        let user = ["browse", &endpoint, "--security", SECURED, "--username", "edge", "--config", config];
        let mut asking = Penstock::start_at(&terminal, &user);
        terminal.is_secret();
        terminal.types(typed);
        assert_eq!(asking.wait().success(), lets_in, "{:?}", asking.stderr());
        assert_eq!(terminal.settings(), before);
    }
}
