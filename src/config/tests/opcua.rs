//! OPC UA servers: what a table means, what is refused, and that a list means the same.

use std::time::Duration;

use penstock_adapters::opcua::{Acquisition, Deadband, Discard, Identity, Sampling, Trigger};
use penstock_events::normalizer::Rule;

use super::{Plant, Purpose, Severity};

const SERVER: &str = r#"[gateway]
id = "edge-01"
site = "plant-7"

[[opcua]]
name = "oven"
endpoint = "opc.tcp://127.0.0.1:4841/plant"
security = "Basic256Sha256/Sign"
tags = [
  { name = "temp", node = "nsu=urn:plant;s=Temp", queue = 5, server_deadband = { absolute = 0.5 } },
  { name = "zone", node = "ns=2;i=7", element = 3, mode = "read" },
  { name = "rate", node = "ns=2;i=7", element = 3, field = "Burners[0].Rate" },
]

[[asset]]
path = "heat/oven"
telemetry = [{ tag = "oven.*" }]

[[mqtt]]
name = "enterprise"
url = "mqtt://127.0.0.1"
"#;

fn edited(piece: &str, replacement: &str) -> String {
    assert_eq!(SERVER.matches(piece).count(), 1, "{piece:?} must be there once");
    SERVER.replace(piece, replacement)
}

#[test]
fn a_tag_takes_from_its_server_what_it_does_not_say_itself() {
    let text = edited("name = \"oven\"\n", "name = \"oven\"\npublish = \"500ms\"\ndiscard = \"newest\"\n");
    let config = Plant::with(text).load().unwrap();
    assert_eq!(config.warnings.problems(), []);
    let server = &config.opcua[0];
    assert_eq!(server.endpoint.to_string(), "opc.tcp://127.0.0.1:4841/plant");
    assert_eq!(
        (server.security.to_string().as_str(), &server.identity),
        ("Basic256Sha256/Sign", &Identity::Anonymous)
    );
    let sampling = Sampling {
        interval: Duration::from_millis(500),
        queue: 5,
        discard: Discard::Newest,
        trigger: Trigger::Value,
        deadband: Deadband::Absolute(0.5),
    };
    assert_eq!(server.tags[0].acquisition, Acquisition::Subscribe(sampling));
    assert_eq!(
        (server.tags[1].acquisition, server.tags[1].part.to_string()),
        (Acquisition::Read, "[3]".to_owned())
    );
    assert_eq!(server.tags[2].part.to_string(), "[3].Burners[0].Rate");
}

#[test]
fn a_list_means_the_same_as_tags_in_the_toml() {
    let from_toml = Plant::with(SERVER).load().unwrap();
    let start = SERVER.find("tags = [").unwrap();
    let end = SERVER.find("]\n\n[[asset]]").unwrap() + 2;
    let text = format!("{}tags_file = \"oven.csv\"\n{}", &SERVER[..start], &SERVER[end..]);
    let list = "name,node,element,field,mode,queue,server_deadband\n\
                temp,nsu=urn:plant;s=Temp,,,,5,0.5\nzone,ns=2;i=7,3,,read,,\nrate,ns=2;i=7,3,Burners[0].Rate,,,\n";
    let from_list =
        Plant::with(text).and("oven.csv", list).load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(from_list.opcua, from_toml.opcua);
}

#[test]
fn a_user_never_logs_in_over_no_security() {
    let none = edited("\"Basic256Sha256/Sign\"", "\"None\"\nLOGIN");
    let user = none.replace("LOGIN", "username = \"edge\"\npassword = { file = \"pw\" }");
    let certificate = none.replace("LOGIN", "certificate_file = \"a.der\"\nkey_file = \"a.pem\"");
    for text in [user.clone(), certificate] {
        let problems = Plant::with(text).and("pw", "hunter2").problems(Severity::Error);
        assert_eq!(
            problems,
            [
                "8:12 opcua[0].security: a user can only log in over a secured connection, and `security` is None"
            ]
        );
    }
    let secured = user.replace("\"None\"", "\"Aes256-Sha256-RsaPss/SignAndEncrypt\"");
    let config = Plant::with(secured).and("pw", "hunter2").load_for(Purpose::Run).unwrap();
    assert!(matches!(&config.opcua[0].identity, Identity::UserName { name, .. } if name == "edge"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let cases = [
        (
            "opc.tcp://",
            "tcp://",
            "opcua[0].endpoint: `endpoint` is not allowed: \"tcp://127.0.0.1:4841/plant\" is not opc.tcp://HOST",
        ),
        ("Basic256Sha256", "Basic256", "opcua[0].security: `security` is not allowed: Basic256 is broken"),
        (
            "nsu=urn:plant;s=Temp",
            "Temp",
            "opcua[0].tags[0].node: `node` is not allowed: \"Temp\" has no identifier",
        ),
        (
            "mode = \"read\"",
            "mode = \"reed\"",
            "opcua[0].tags[1].mode: `mode` is not one of the allowed words; did you mean \"read\"?",
        ),
        ("element = 3, mode", "element = -3, mode", "opcua[0].tags[1].element: `element` is out of range"),
        (
            "Burners[0].Rate",
            "Burners[0]Rate",
            "opcua[0].tags[2].field: `field` is not allowed: \"Burners[0]Rate\" is no path of fields such as",
        ),
        (
            "Burners[0].Rate",
            "[0].Rate",
            "opcua[0].tags[2].field: \"[0].Rate\" begins with an element, which is given already",
        ),
        ("queue = 5", "queue = 0", "opcua[0].tags[0].queue: `queue` is less than 1"),
        (
            "oven.*",
            "oven.tmp",
            "asset[0].telemetry[0].tag: source `oven` has no tag `tmp`; did you mean `oven.temp`?",
        ),
    ];
    for (piece, replacement, expected) in cases {
        let problems = Plant::with(edited(piece, replacement)).problems(Severity::Error);
        assert!(problems.len() == 1 && problems[0].contains(expected), "{expected:?}, but {problems:#?}");
    }
}

/// The server with alarms, and the asset with the entries that take them.
fn with_alerts(alerts: &str) -> String {
    let server = edited("tags = [\n", "alarms = [{ name = \"alarms\" }]\ntags = [\n");
    server.replace("telemetry = [{", &format!("alerts = [{alerts}]\ntelemetry = [{{"))
}

#[test]
fn alarms_are_told_by_the_server_object_and_are_no_telemetry() {
    let alerts = r#"{ tag = "oven.alarms", source = "Zone*", min_severity = 400 }, { tag = "oven.alarms" }"#;
    let config = Plant::with(with_alerts(alerts)).load().unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.warnings.problems(), []);
    let notifier = &config.opcua[0].notifiers[0];
    assert_eq!((notifier.path.as_str(), notifier.node.to_string().as_str()), ("oven.alarms", "i=2253"));
    let rules = &config.plan.tags[notifier.id.0 as usize].rules;
    let [Rule::Alert(zones), Rule::Alert(rest)] = &rules[..] else { panic!("{rules:?}") };
    assert_eq!((zones.min_severity.get(), rest.min_severity.get()), (400, 1));
    assert!(zones.source.matches("Zone 2") && !zones.source.matches("Door") && rest.source.matches("Door"));
}

#[test]
fn a_server_may_have_nothing_but_alarms() {
    let start = SERVER.find("tags = [").unwrap();
    let end = SERVER.find("]\n\n[[asset]]").unwrap() + 2;
    let text = format!("{}alarms = [{{ name = \"alarms\" }}]\n{}", &SERVER[..start], &SERVER[end..]);
    let text = text.replace("telemetry = [{ tag = \"oven.*\" }]", "alerts = [{ tag = \"oven.alarms\" }]");
    assert_eq!(Plant::with(text).load().unwrap().warnings.problems(), []);
}

#[test]
fn alarms_that_cannot_be_are_told_where_they_stand() {
    let cases = [
        (
            r#"{ tag = "oven.temp" }"#,
            "asset[0].alerts[0].tag: `oven.temp` is a value, and tells of no alarms",
        ),
        (
            r#"{ tag = "oven.alarm" }"#,
            "asset[0].alerts[0].tag: source `oven` has no tag `alarm`; did you mean `oven.alarms`?",
        ),
        (
            r#"{ tag = "oven.alarms" }, { tag = "oven.alarms", source = "Zone*" }"#,
            "asset[0].alerts[1]: the entry at config.toml:18 leaves no alarm for this one",
        ),
        (
            r#"{ tag = "oven.alarms", min_severity = 0 }"#,
            "asset[0].alerts[0].min_severity: `min_severity` is less than 1",
        ),
    ];
    for (alerts, expected) in cases {
        let problems = Plant::with(with_alerts(alerts)).problems(Severity::Error);
        assert!(problems.len() == 1 && problems[0].contains(expected), "{expected:?}, but {problems:#?}");
    }
    let valued = with_alerts(r#"{ tag = "oven.alarms" }"#).replace("oven.*", "oven.alarms");
    let problems = Plant::with(valued).problems(Severity::Error);
    let expected = "asset[0].telemetry[0].tag: `oven.alarms` stands for alarms, and has no value";
    assert!(problems.len() == 1 && problems[0].contains(expected), "{problems:#?}");
    let problems = Plant::with(with_alerts("")).problems(Severity::Warning);
    assert!(problems.len() == 1 && problems[0].contains("1 tag of `oven` raise no event"), "{problems:#?}");
}
