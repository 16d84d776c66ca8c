//! Files that are no configuration, or cannot be read.

use std::fs;
use std::path::Path;

use super::{Plant, Purpose, Severity, VALID, edited, load};

#[test]
fn a_file_that_is_not_there_is_told_by_name() {
    let report = load(Path::new("/nowhere/config.toml"), Purpose::Run).unwrap_err().to_string();
    assert!(
        report.starts_with("error: the configuration cannot be read: No such file or directory"),
        "{report}"
    );
    assert!(report.contains(" --> /nowhere/config.toml\n"), "{report}");
    assert!(report.ends_with("1 problem in /nowhere/config.toml; nothing was started"), "{report}");
}

#[test]
fn a_folder_an_empty_file_and_text_that_is_not_utf_8_are_told() {
    let plant = Plant::with("");
    let folder = load(plant.folder.path(), Purpose::Run).unwrap_err();
    assert_eq!(folder.problems()[0].message, "this is a folder");
    for (content, message) in [
        (&b" \n\n"[..], "0:0 : the file is empty"),
        (b"[gateway]\nid = \"\xe4\"\n", "0:0 : the file is not UTF-8 text: line 2 is not"),
    ] {
        assert_eq!(Plant::with(content).problems(Severity::Error), [message]);
    }
}

#[test]
fn a_file_that_is_far_too_large_is_not_read() {
    let plant = Plant::with("");
    let file = fs::File::create(plant.folder.path().join("config.toml")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(plant.problems(Severity::Error), ["0:0 : the file has 1099511627776 bytes"]);
}

#[test]
fn what_is_not_toml_is_told_with_its_line_and_column() {
    for (piece, replacement, place) in [
        ("[gateway]", "[gateway", "1:9"),
        ("id = ", "id ", "2:"),
        ("\"press-1\"", "\"press-1", "6:"),
        ("]\n\n[[asset]]", "\n\n[[asset]]", "15:"),
    ] {
        let problems = Plant::with(edited(piece, replacement)).problems(Severity::Error);
        assert!(problems[0].starts_with(place), "{replacement:?} gave {problems:#?}");
        assert!(problems.iter().all(|problem| problem.contains("not TOML: ")), "{problems:#?}");
    }
}

#[test]
fn a_key_that_is_there_twice_does_not_hide_other_problems() {
    let text = VALID.replace("site = ", "id = \"edge-02\"\nsight = ");
    assert_eq!(
        Plant::with(text).problems(Severity::Error),
        [
            "1:1 gateway.site: `site` is missing",
            "3:1 : not TOML: duplicate key",
            "4:1 gateway.sight: unknown key `sight`",
        ]
    );
}

#[test]
fn a_byte_order_mark_from_a_windows_editor_is_taken() {
    assert!(Plant::with(format!("\u{feff}{}", VALID.replace('\n', "\r\n"))).load().is_ok());
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let plant = Plant::with(VALID.replace("/var/lib/penstock", "data"));
    let config = plant.load().unwrap();
    assert_eq!(config.buffer.path, plant.folder.path().join("data"));
    assert_eq!(config.control_socket, plant.folder.path().join("data/control.sock"));
}

#[test]
fn a_path_that_no_unix_socket_can_have_is_refused() {
    let text = VALID.replace("/var/lib/penstock", &format!("/{}", "x".repeat(100)));
    let problems = Plant::with(text).problems(Severity::Error);
    assert_eq!(
        problems,
        ["1:1 gateway.socket: the buffer's path is too long for the control socket below it"]
    );
}
