//! Secrets come from elsewhere, and are shown nowhere.

use super::{Plant, Purpose, Severity, VALID, edited};

fn with_password(password: &str) -> String {
    edited(
        "url = \"mqtt://127.0.0.1\"\n",
        &format!("url = \"mqtt://127.0.0.1\"\nusername = \"edge\"\npassword = {password}\n"),
    )
}

#[test]
fn a_password_comes_from_a_file_without_its_line_end() {
    let plant = Plant::with(with_password("{ file = \"pw\" }")).and("pw", "hunter2\r\n");
    let config = plant.load_for(Purpose::Run).unwrap();
    let credentials = config.mqtt[0].settings.credentials.clone().unwrap();
    assert_eq!((credentials.username.as_str(), credentials.password.as_str()), ("edge", "hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_password_in_the_file_is_refused_and_not_shown() {
    for text in [
        with_password("\"hunter2\""),
        with_password("\"hunter2\"").replace("username", "usrname"),
        with_password("{ password = \"hunter2\", file = \"pw\" }"),
        VALID.replace("mqtt://127", "mqtt://edge:hunter2@127"),
        with_password("\"hunter2"),
        with_password("\"hunter2\" x"),
        with_password("").replace("password = ", "password: \"hunter2\""),
    ] {
        let report = Plant::with(&text).load().unwrap_err();
        assert!(!report.to_string().contains("hunter2"), "{report}");
        assert!(!report.to_json().to_string().contains("hunter2"), "{text}");
    }
    let told = Plant::with(with_password("\"hunter2\"")).report();
    assert!(told.contains("error: a password must not stand in the configuration"), "{told}");
    assert!(told.contains("password = •••••••••\n"), "{told}");
    assert!(told.contains("example: password = { file = "), "{told}");
}

#[test]
fn who_checks_need_not_be_allowed_to_know_the_secret_but_who_runs_must() {
    // Nothing sets this variable.
    let plant = Plant::with(with_password("{ env = \"PENSTOCK_TEST_NO_SUCH_VARIABLE\" }"));
    let checked = plant.load_for(Purpose::Check).unwrap();
    assert_eq!(checked.warnings.problems().len(), 1);
    let refused = plant.load_for(Purpose::Run).unwrap_err();
    assert!(refused.to_string().contains("PENSTOCK_TEST_NO_SUCH_VARIABLE"), "{refused}");
}

#[test]
fn a_secret_has_exactly_one_place() {
    for (password, message) in [
        ("{}", "a secret has one place"),
        ("{ file = \"a\", env = \"B\" }", "a secret has one place"),
        (
            "{ file = \"nowhere\" }",
            "no secret: nowhere cannot be read: No such file or directory (os error 2)",
        ),
        ("{ credential = \"../x\" }", "no secret: a credential is named, without a path"),
    ] {
        let problems = Plant::with(with_password(password)).problems(Severity::Error);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].ends_with(message), "{problems:#?}");
    }
}
