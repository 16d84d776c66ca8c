//! What a distribution packages from systemd/, judged by systemd's own tools.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// systemd's exposure level in tenths. What stays open is what a gateway is for: the network, sockets, serial lines.
const MAX_EXPOSURE_TENTHS: u32 = 15;

#[test]
fn systemd_has_nothing_to_say_about_the_unit() {
    let verdict = verify(&unit());
    assert!(verdict.status.success() && said(&verdict).is_empty(), "{}", said(&verdict));
}

#[test]
fn systemd_does_speak_up_about_a_unit_with_a_mistake() {
    for mistake in
        [("[Service]", "[Service]\nProtectEverything=yes"), ("WatchdogSec=30s", "WatchdogSec=soon")]
    {
        let broken = unit().replace(mistake.0, mistake.1);
        assert_ne!(broken, unit(), "the unit no longer contains {:?}", mistake.0);
        assert!(!said(&verify(&broken)).is_empty(), "{mistake:?} went unnoticed");
    }
}

#[test]
fn the_unit_leaves_open_only_what_a_gateway_needs() {
    let threshold = format!("--threshold={MAX_EXPOSURE_TENTHS}");
    let verdict = with_unit(&unit(), |path| {
        run(Command::new("systemd-analyze")
            .args(["security", "--no-pager", "--offline=yes", &threshold])
            .arg(path))
    });
    assert!(verdict.status.success(), "{}", said(&verdict));
}

#[test]
fn a_broken_configuration_is_not_retried_and_everything_else_is_forever() {
    let unit = unit();
    for line in ["RestartPreventExitStatus=78", "Restart=always", "StartLimitIntervalSec=0", "Type=notify"] {
        assert!(unit.lines().any(|found| found == line), "{line} is missing");
    }
}

#[test]
fn the_user_that_the_unit_runs_as_is_declared() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let verdict = run(Command::new("systemd-sysusers")
        .arg("--dry-run")
        .arg(format!("--root={}", root.path().display()))
        .arg(packaged("sysusers.d/penstock.conf")));
    assert!(verdict.status.success(), "{}", said(&verdict));
    assert!(said(&verdict).contains("Creating user 'penstock'"), "{}", said(&verdict));
    assert!(unit().lines().any(|line| line == "User=penstock"));
}

/// The unit, with the binary under test in place of the installed one.
fn unit() -> String {
    let text = fs::read_to_string(packaged("penstock.service")).expect("the unit is in systemd/");
    let substituted = text
        .replace("ExecStart=/usr/bin/penstock ", concat!("ExecStart=", env!("CARGO_BIN_EXE_penstock"), " "));
    assert_ne!(text, substituted, "the unit no longer starts /usr/bin/penstock");
    substituted
}

fn verify(unit: &str) -> Output {
    with_unit(unit, |path| {
        run(Command::new("systemd-analyze").args(["verify", "--man=no", "--recursive-errors=no"]).arg(path))
    })
}

fn with_unit(unit: &str, judge: impl FnOnce(&Path) -> Output) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("penstock.service");
    fs::write(&path, unit).expect("the temporary folder is writable");
    judge(&path)
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("{:?}: {error}; `make peers` installs what the tests need", command.get_program())
    })
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

fn packaged(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(file)
}
