//! What a right configuration means.

use penstock_events::normalizer::{Deadband, Rule};

use super::{Plant, Severity, edited};

#[test]
fn different_bits_of_a_register_do_not_overlap() {
    let bits = "{ name = \"a\", at = \"holding:200.0\", type = \"bool\" },\n  { name = \"b\", at = \"holding:200.1\", type = \"bool\" },";
    let text = edited("tags = [\n", &format!("tags = [\n  {bits}\n"));
    assert!(Plant::with(text).load().is_ok());
}

/// What is wrong with a tag of these keys, if anything.
fn wrong_with(keys: &str) -> Vec<String> {
    let tag = format!("tags = [\n  {{ name = \"extra\", {keys} }},\n");
    Plant::with(edited("tags = [\n", &tag)).problems(Severity::Error)
}

#[test]
fn odd_types_and_doubtful_numbers_are_declared_with_a_tag() {
    for keys in [
        r#"at = "holding:200", type = "bcd16", scale = 0.01, max = 99"#,
        r#"at = "holding:200", type = "bcd32", order = "CDAB""#,
        r#"at = "holding:200.4", type = "bits", bits = 3, invalid = 7"#,
        r#"at = "holding:200", type = "string", bytes = 8, order = "BADC""#,
        r#"at = "holding:200", type = "i16", invalid = -32768, scale = 0.1, min = -40, max = 125.5"#,
        r#"at = "holding:200", type = "u64", invalid = 0x7FFFFFFFFFFFFFFF"#,
        r#"at = "holding:200", type = "f32", invalid = -999.9"#,
        r#"at = "holding:200", type = "u16", invalid = 65535, names = "0=off, 1=heating""#,
    ] {
        assert_eq!(wrong_with(keys), [""; 0], "{keys}");
    }
}

#[test]
fn each_mistake_in_an_odd_type_is_said_at_its_key() {
    for (keys, key) in [
        (r#"at = "holding:200.14", type = "bits", bits = 3"#, "at"),
        (r#"at = "holding:200", type = "bits", bits = 3"#, "at"),
        (r#"at = "holding:200.0", type = "bits""#, "type"),
        (r#"at = "holding:200.0", type = "bits", bits = 17"#, "bits"),
        (r#"at = "holding:200", type = "u16", bits = 3"#, "bits"),
        (r#"at = "holding:200", type = "string", bytes = 8, order = "CDAB""#, "order"),
        (r#"at = "holding:200", type = "i16", invalid = 32768"#, "invalid"),
        (r#"at = "holding:200", type = "i16", min = 5, max = 4"#, "min"),
        (r#"at = "holding:200.0", type = "bool", max = 4"#, "max"),
        (r#"at = "holding:200", type = "u16", names = "off""#, "names"),
        (r#"at = "holding:200", type = "u16", names = "70000=off""#, "names"),
        (r#"at = "holding:200", type = "u16", names = "0=off", scale = 2"#, "names"),
    ] {
        let problems = wrong_with(keys);
        assert_eq!(problems.len(), 1, "{keys} gave {problems:?}");
        assert!(problems[0].contains(&format!(".{key}: ")), "{keys} gave {problems:?}");
    }
}

#[test]
fn a_mistake_in_a_tag_does_not_make_its_users_wrong() {
    let text = edited(r#"name = "state", at = "holding:100""#, r#"name = "state", at = "here""#);
    assert_eq!(Plant::with(text).problems(Severity::Error).len(), 1);
    let nameless = edited(r#"name = "state","#, r#"name = "st ate","#);
    assert_eq!(Plant::with(nameless).problems(Severity::Error).len(), 1);
}

#[test]
fn entries_with_a_star_take_the_tags_that_remain() {
    let text = edited("telemetry = [{", "telemetry = [{ tag = \"press-1.state\" }, {").replace(
        "absolute = 0.5 } }]",
        "absolute = 0.5 } }, { tag = \"press-1.*\", deadband = { percent = 1 } }]",
    );
    let config = Plant::with(text).load().unwrap();
    let deadbands: Vec<Vec<Deadband>> = config
        .plan
        .tags
        .iter()
        .map(|tag| {
            let telemetry =
                |rule: &Rule| if let Rule::Telemetry(rule) = rule { Some(rule.deadband) } else { None };
            tag.rules.iter().filter_map(telemetry).collect()
        })
        .collect();
    let (percent, absolute) = (Deadband::Percent(1.0), Deadband::Absolute(0.5));
    assert_eq!(deadbands, [vec![Deadband::None], vec![percent], vec![percent], vec![absolute]]);
}

#[test]
fn a_counter_is_full_where_its_type_is_unless_told_otherwise() {
    let counter = |text: String| {
        let tags = Plant::with(text).load().unwrap().plan.tags;
        let Some(Rule::Counter(rule)) = tags[1].rules.first().cloned() else { panic!("tag 1 is no counter") };
        (rule.highest, rule.max_step)
    };
    let of_type = |name: &str| {
        edited(r#"at = "holding:102", type = "u32""#, &format!(r#"at = "holding:202", type = "{name}""#))
    };
    assert_eq!(counter(of_type("u16")), (65_535, 6_553));
    assert_eq!(counter(of_type("i32")), (2_147_483_647, 214_748_364));
    assert_eq!(counter(of_type("u64")), (u64::MAX, u64::MAX / 10));
    let told = edited(
        r#"good = "press-1.good""#,
        r#"good = { tag = "press-1.good", highest = 9999, max_step = 5 }"#,
    );
    assert_eq!(counter(told), (9_999, 5));
}

/// A device of which `count` coils tell a state each.
fn with_states(count: usize) -> Plant {
    let mut text = "[gateway]\nid = \"edge-01\"\nsite = \"plant-7\"\n[[mqtt]]\nname = \"enterprise\"\n\
                    url = \"mqtt://127.0.0.1\"\n[[modbus]]\nname = \"cell\"\naddress = \"tcp://127.0.0.1\"\ntags = [\n"
        .to_owned();
    text.extend(
        (0..count).map(|at| format!("{{ name = \"t{at}\", at = \"coil:{at}\", type = \"bool\" }},\n")),
    );
    text.push_str("]\n");
    text.extend((0..count).map(|at| {
        format!("[[asset]]\npath = \"a{at}\"\nstate = {{ tag = \"cell.t{at}\", map = {{ 1 = \"on\" }} }}\n")
    }));
    Plant::with(text)
}

#[test]
fn no_poll_can_have_more_business_events_than_the_buffer_takes_at_once() {
    let most = penstock_buffer::MAX_APPEND_EVENTS - 1;
    assert_eq!(with_states(most).problems(Severity::Error), Vec::<String>::new());
    let told = ["8:8 modbus[0].name: 8192 states and counters are read from `cell`"];
    assert_eq!(with_states(most + 1).problems(Severity::Error), told);
}

#[test]
fn a_destination_says_where_it_starts() {
    use penstock_buffer::StartAt;
    let start = |keys: &str| {
        let url = "url = \"mqtt://127.0.0.1\"\n";
        let config = Plant::with(edited(url, &format!("{url}{keys}"))).load();
        config.unwrap().buffer.start.into_values().collect::<Vec<_>>()
    };
    assert_eq!(start(""), [StartAt::Newest]);
    assert_eq!(start("start = \"oldest\"\n"), [StartAt::Oldest]);
    let wrong = edited("[[mqtt]]\n", "[[mqtt]]\nstart = \"yesterday\"\n");
    let problems = Plant::with(wrong).problems(Severity::Error);
    assert!(problems.len() == 1 && problems[0].contains("mqtt[0].start"), "{problems:?}");
}
