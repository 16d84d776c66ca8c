//! A secured OPC UA server is read when its certificate was accepted by name, as the user that was configured, and
//! not before; every refusal says why.

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::oven::{Kind, against_every_server, assert_recorded, has, samples, toml};
use crate::harness::{Gateway, Mosquitto, Oven, Proof, Site, Subscriber, eventually};

against_every_server!(
    a_secured_server_is_read_from_the_moment_on_at_which_its_fingerprint_is_accepted,
    a_user_is_let_in_over_a_connection_that_everybody_can_read_by_the_right_password_only,
    a_user_is_let_in_with_aes_128_by_the_right_password_only,
    a_user_is_let_in_with_aes_256_by_the_right_password_only,
    an_expired_certificate_is_refused_though_it_is_trusted_until_its_pin_waives_just_that,
    whoever_comes_back_with_another_certificate_is_refused_though_the_first_was_trusted,
    the_holder_of_a_certificate_is_let_in_where_nobody_in_particular_is,
);

fn secured(policy: &str) -> String {
    format!("security = \"{policy}\"\npoll = \"100ms\"")
}

/// Why the oven is not read, once it is so for a reason that has `words`.
#[track_caller]
fn refused(gateway: &Gateway, words: &str) -> String {
    let status = gateway.status_until(words, |status| detail(status).contains(words));
    detail(&status).to_owned()
}

fn detail(status: &Value) -> &str {
    status["sources"][0]["detail"].as_str().unwrap_or_default()
}

/// The fingerprint of the one certificate that was refused.
#[track_caller]
fn fingerprint(gateway: &Gateway) -> String {
    let listed = gateway.json(&["trust", "list", "--json"]);
    let refused: Vec<&Value> = listed.iter().filter(|one| one["standing"] == "refused").collect();
    assert_eq!(refused.len(), 1, "{listed:?}");
    refused[0]["fingerprint"].as_str().expect("a fingerprint").to_owned()
}

#[track_caller]
fn accept(gateway: &Gateway, fingerprint: &str) {
    let done = gateway.command(&["trust", "accept", fingerprint, "--yes"]);
    assert_eq!(done.code(), 0, "{}", done.stderr());
}

/// Holds the oven, and checks that everything from the first value that came on was told as it recorded it.
#[track_caller]
fn assert_read(oven: &mut Oven, subscriber: &Subscriber) -> Proof {
    subscriber.wait_until("some values", |events| {
        events.iter().filter(|event| event.is("production.completed", "oven.count")).count() > 20
    });
    oven.hold();
    let last = oven.last_count();
    subscriber.wait_until("the last value", |events| {
        has(events, "count", last) && events.iter().any(|event| event.counts("oven.count", last as u64))
    });
    subscriber.flush();
    let proof = Proof::of(&subscriber.events());
    assert_recorded(&samples(&proof, "count"), &oven.record("count"));
    proof.counts("oven.count", 1 << 32, &[&oven.counts()]);
    proof
}

fn a_secured_server_is_read_from_the_moment_on_at_which_its_fingerprint_is_accepted(kind: Kind) {
    let mut oven = Oven::of(kind, &["--secure"]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let keys = secured("Basic256Sha256/SignAndEncrypt");
    let gateway = Site::empty().device(&toml(oven.address(), &keys)).uplink(broker.address()).start();

    let why = refused(&gateway, "nobody has accepted it");
    let fingerprint = fingerprint(&gateway);
    assert!(why.contains(&format!("penstock trust accept {fingerprint}")), "{why}");
    eventually("the log to name it", || gateway.log().contains(&fingerprint).then_some(()));
    accept(&gateway, &fingerprint);

    let proof = assert_read(&mut oven, &subscriber);
    proof.outages("oven", 1, 1);
    let status = gateway.status_until("the server to be up", |status| status["sources"][0]["state"] == "up");
    assert_eq!(status["sources"][0]["connects"], 1);
    let standing = &gateway.json(&["trust", "show", &fingerprint, "--json"])[0]["standing"];
    assert_eq!(standing, "trusted");
}

/// A gateway that logs in with a wrong password and does not know the server: each is told, and mended while it
/// does not run.
fn a_user_is_let_in_with(kind: Kind, policy: &str) {
    let mut oven = Oven::of(kind, &["--secure"]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let login = "username = \"edge\"\npassword = { file = \"password\" }";
    let keys = format!("{}\n{login}", secured(policy));
    let site = Site::empty().device(&toml(oven.address(), &keys)).uplink(broker.address());
    let mut gateway = Gateway::start_beside(&site.toml(), &[("password", "not-this-one\n")]);
    refused(&gateway, "nobody has accepted it");
    gateway.stop();
    accept(&gateway, &fingerprint(&gateway));

    gateway.restart();
    let why = refused(&gateway, "mend username and password");
    assert!(why.contains("BadUserAccessDenied"), "{why}");
    let shown = gateway.command(&["status"]).stdout();
    assert!(shown.contains("mend username and password"), "{shown}");
    gateway.stop();
    assert!(!gateway.log().contains("not-this-one"), "{}", gateway.log());
    assert!(!subscriber.events().iter().any(|event| event.is("gateway.source_up", "oven")));
    gateway.write("password", "hunter2\n");

    gateway.restart();
    assert_read(&mut oven, &subscriber);
    assert!(!gateway.log().contains("hunter2"), "{}", gateway.log());
}

fn a_user_is_let_in_over_a_connection_that_everybody_can_read_by_the_right_password_only(kind: Kind) {
    a_user_is_let_in_with(kind, "Basic256Sha256/Sign");
}

fn a_user_is_let_in_with_aes_128_by_the_right_password_only(kind: Kind) {
    a_user_is_let_in_with(kind, "Aes128-Sha256-RsaOaep/SignAndEncrypt");
}

fn a_user_is_let_in_with_aes_256_by_the_right_password_only(kind: Kind) {
    a_user_is_let_in_with(kind, "Aes256-Sha256-RsaPss/SignAndEncrypt");
}

fn an_expired_certificate_is_refused_though_it_is_trusted_until_its_pin_waives_just_that(kind: Kind) {
    let mut oven = Oven::of(kind, &["--secure", "--expired"]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let keys = secured("Basic256Sha256/SignAndEncrypt");
    let site = |keys: &str| Site::empty().device(&toml(oven.address(), keys)).uplink(broker.address()).toml();
    let mut gateway = Gateway::start(&site(&keys));
    let why = refused(&gateway, "it expired at ");
    assert!(why.contains("nobody has accepted it"), "every reason is told at once: {why}");
    let fingerprint = fingerprint(&gateway);
    accept(&gateway, &fingerprint);
    let why = gateway.status_until("trust", |status| !detail(status).contains("nobody has accepted it"));
    assert!(detail(&why).contains("it expired at "), "{why}");
    let listed = &gateway.json(&["trust", "show", &fingerprint, "--json"])[0];
    assert_eq!(listed["standing"], "trusted");
    assert!(listed["against"][0].as_str().is_some_and(|why| why.contains("it expired at ")), "{listed}");

    let pinned = |waived: &str| {
        site(&format!("{keys}\npin = {{ sha256 = \"{fingerprint}\", waive = [\"{waived}\"] }}"))
    };
    gateway.stop();
    gateway.write("config.toml", &pinned("host-name"));
    gateway.restart();
    refused(&gateway, "it expired at ");
    gateway.stop();
    gateway.write("config.toml", &pinned("validity"));
    gateway.restart();
    assert_read(&mut oven, &subscriber);
}

fn whoever_comes_back_with_another_certificate_is_refused_though_the_first_was_trusted(kind: Kind) {
    let mut oven = Oven::of(kind, &["--secure"]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let keys = format!("{}\nsession_timeout = \"2s\"", secured("Basic256Sha256/SignAndEncrypt"));
    let gateway = Site::empty().device(&toml(oven.address(), &keys)).uplink(broker.address()).start();
    refused(&gateway, "nobody has accepted it");
    let first = fingerprint(&gateway);
    accept(&gateway, &first);
    subscriber.wait_until("a value", |events| has(events, "still", 7.0));

    oven.kill();
    oven.restart(&["--secure"]);
    let why = refused(&gateway, "nobody has accepted it");
    assert!(!why.contains(&first), "{why}");
    assert!(why.contains(&fingerprint(&gateway)), "{why}");
    let count = subscriber.events().iter().filter(|event| event.is("gateway.source_up", "oven")).count();
    assert_eq!(count, 1, "it was never up again");
}

fn the_holder_of_a_certificate_is_let_in_where_nobody_in_particular_is(kind: Kind) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("user").display().to_string();
    let mut oven = Oven::of(kind, &["--secure", "--user-certificate", &format!("{file}.der")]);
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let anonymous = secured("Basic256Sha256/SignAndEncrypt");
    let login = format!("certificate_file = \"{file}.der\"\nkey_file = \"{file}.pem\"");
    let site = |keys: &str| Site::empty().device(&toml(oven.address(), keys)).uplink(broker.address()).toml();
    let (with_login, without) = (site(&format!("{anonymous}\n{login}")), site(&anonymous));
    let mut gateway = Gateway::start(&with_login);
    refused(&gateway, "nobody has accepted it");
    accept(&gateway, &fingerprint(&gateway));
    assert_read(&mut oven, &subscriber);

    gateway.stop();
    gateway.write("config.toml", &without);
    gateway.restart();
    // Either it says so when it is asked what it offers, or when the session is opened.
    match kind {
        Kind::NodeOpcua | Kind::PenstockPlant => refused(&gateway, "the server takes no anonymous user"),
        Kind::Asyncua => refused(&gateway, "it does not take this user"),
    };
}

#[test]
fn the_end_of_a_servers_certificate_is_told_a_month_ahead_in_the_log_and_in_the_status() {
    let oven = Oven::with(&["--secure", "--ends-in", "20"]);
    let broker = Mosquitto::start();
    let keys = secured("Basic256Sha256/SignAndEncrypt");
    let gateway = Site::empty().device(&toml(oven.address(), &keys)).uplink(broker.address()).start();
    refused(&gateway, "nobody has accepted it");
    accept(&gateway, &fingerprint(&gateway));
    let status = gateway.status_until("the server to be up", |status| status["sources"][0]["state"] == "up");
    let end = status["sources"][0]["certificate_ends"].as_str().expect("a time").to_owned();
    let listed = gateway.json(&["trust", "list", "--json"]);
    assert!(listed.iter().any(|one| one["standing"] == "trusted" && one["not_after"] == end), "{listed:?}");
    assert!(
        status["sources"][0]["own_certificate_ends"].as_str().is_some_and(|own| own > &end[..]),
        "{status}"
    );
    let words = "the server's certificate expires soon";
    eventually("the log to tell it", || gateway.log().contains(words).then_some(()));
    let shown = gateway.command(&["status"]).stdout();
    assert!(shown.contains("its CERTIFICATE EXPIRES at "), "{shown}");
    assert_eq!(gateway.log().matches(words).count(), 1, "{}", gateway.log());
}
