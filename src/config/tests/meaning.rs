//! What a right configuration means.

use penstock_events::normalizer::{Deadband, Rule};

use super::{Plant, Severity, edited};

#[test]
fn different_bits_of_a_register_do_not_overlap() {
    let bits = "{ name = \"a\", at = \"holding:200.0\", type = \"bool\" },\n  { name = \"b\", at = \"holding:200.1\", type = \"bool\" },";
    let text = edited("tags = [\n", &format!("tags = [\n  {bits}\n"));
    assert!(Plant::with(text).load().is_ok());
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
