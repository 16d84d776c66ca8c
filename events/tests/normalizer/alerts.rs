//! `maintenance.alert_raised` and `maintenance.alert_cleared`: each condition once, whatever is told in between,
//! and whatever is missed.

use std::collections::{BTreeMap, BTreeSet};

use penstock_events::normalizer::{AlertRule, LeftOut, Pattern, Rule};
use penstock_events::{
    Alert, Condition, ConditionId, Event, Fact, Observation, Severity, Standing, TagId, Timestamp, Wording,
    identity,
};
use proptest::prelude::*;

use crate::press::{Press, SOURCE, at_ms, site};

fn rule(asset: &str, source: &str, min_severity: u16) -> Rule {
    Rule::Alert(AlertRule {
        asset: asset.parse().unwrap(),
        source: Pattern::new(source),
        condition: Pattern::any(),
        min_severity: Severity::clamped(min_severity),
    })
}

fn oven() -> Press {
    Press::with_one_tag(vec![rule("oven", "*", 1)])
}

fn id(text: &str) -> ConditionId {
    text.parse().unwrap()
}

/// A condition that was told at a time, and came to stand so at another if that is known.
fn condition(name: &str, standing: Standing, since: Option<i64>, time: i64) -> Condition {
    Condition {
        id: id(name),
        name: Wording::of(name),
        source_name: Wording::of("Zone 2"),
        severity: Severity::clamped(500),
        message: Wording::of(&format!("{name} at {time}")),
        standing,
        since: since.map(at_ms),
        time: at_ms(time),
    }
}

fn active(name: &str, since: i64) -> Condition {
    condition(name, Standing::Active, Some(since), since)
}

fn over(name: &str, since: i64) -> Condition {
    condition(name, Standing::Over, Some(since), since)
}

fn told(conditions: Vec<Condition>) -> Observation {
    Observation::Told { source: SOURCE, observed: at_ms(90_000), tag: TagId(0), conditions }
}

fn told_all(time: i64, active: &[&str]) -> Observation {
    let active = active.iter().map(|name| id(name)).collect();
    Observation::ToldAll { source: SOURCE, observed: at_ms(90_000), tag: TagId(0), time: at_ms(time), active }
}

fn ms(time: Timestamp) -> i64 {
    (time.as_micros() - at_ms(0).as_micros()) / 1_000
}

/// What, about which condition of which asset, when, and since when.
fn briefs(events: &[Event]) -> Vec<String> {
    let brief = |event: &Event| match &event.fact {
        Fact::AlertRaised(alert) => format!("{} {} raised {}", ms(event.time), event.asset, alert.condition),
        Fact::AlertCleared { alert, since } => {
            let since = ms(*since);
            format!("{} {} cleared {} of {since}", ms(event.time), event.asset, alert.condition)
        }
        other => panic!("{other:?}"),
    };
    events.iter().map(brief).collect()
}

fn left_out(press: &mut Press, observation: &Observation) -> LeftOut {
    press.observe_uncommitted(observation).left_out
}

#[test]
fn a_condition_is_raised_and_cleared_once_whatever_is_told_in_between() {
    let mut oven = oven();
    let again = Condition { severity: Severity::GREATEST, time: at_ms(20), ..active("hot", 10) };
    for (told_at, conditions, expected) in [
        (0, vec![over("hot", 0)], vec![]),
        (1, vec![active("hot", 10)], vec!["10 oven raised hot"]),
        (2, vec![again, active("hot", 10)], vec![]),
        (
            3,
            vec![active("cold", 30), over("hot", 31)],
            vec!["30 oven raised cold", "31 oven cleared hot of 10"],
        ),
        (4, vec![over("hot", 31)], vec![]),
        (
            5,
            vec![active("hot", 50), over("hot", 51)],
            vec!["50 oven raised hot", "51 oven cleared hot of 50"],
        ),
    ] {
        assert_eq!(briefs(&oven.observe(&told(conditions))), expected, "step {told_at}");
    }
}

#[test]
fn an_alert_says_who_what_and_how_bad_and_its_end_says_what_the_end_came_with() {
    let mut oven = oven();
    let raised = oven.observe(&told(vec![active("hot", 10)])).remove(0);
    let Fact::AlertRaised(alert) = &raised.fact else { panic!("{raised:?}") };
    let expected = Alert {
        tag: "press-1.t0".parse().unwrap(),
        condition: id("hot"),
        name: Wording::of("hot"),
        source_name: Wording::of("Zone 2"),
        severity: Severity::clamped(500),
        message: Wording::of("hot at 10"),
    };
    assert_eq!(**alert, expected);
    let milder = Condition { severity: Severity::LEAST, name: None, ..over("hot", 20) };
    let cleared = oven.observe(&told(vec![milder])).remove(0);
    let message = Wording::of("hot at 20");
    let fact = Fact::AlertCleared { alert: Box::new(Alert { message, ..expected }), since: at_ms(10) };
    assert_eq!(cleared.fact, fact);
}

#[test]
fn what_is_not_among_all_that_is_active_is_over_and_the_rest_is_not_told_again() {
    let mut oven = oven();
    oven.observe(&told(vec![active("hot", 10), active("cold", 11), active("dry", 12)]));
    assert_eq!(
        briefs(&oven.observe(&told_all(50, &["cold", "never-seen"]))),
        ["50 oven cleared dry of 12", "50 oven cleared hot of 10"]
    );
    assert_eq!(briefs(&oven.observe(&told(vec![active("cold", 11)]))), [""; 0]);
    assert_eq!(briefs(&oven.observe(&told_all(60, &[]))), ["60 oven cleared cold of 11"]);
}

#[test]
fn what_became_active_anew_while_nobody_looked_is_cleared_and_raised() {
    let mut oven = oven();
    oven.observe(&told(vec![active("hot", 10)]));
    assert_eq!(
        briefs(&oven.observe(&told(vec![active("hot", 70)]))),
        ["70 oven cleared hot of 10", "70 oven raised hot"]
    );
    let earlier = active("hot", 5);
    assert_eq!(briefs(&oven.observe(&told(vec![earlier]))), [""; 0], "a clock that was set back");
}

#[test]
fn a_source_that_does_not_say_since_when_is_not_taken_to_raise_anew_whenever_it_says_something() {
    let mut oven = oven();
    let at = |time| condition("hot", Standing::Active, None, time);
    assert_eq!(briefs(&oven.observe(&told(vec![at(10)]))), ["10 oven raised hot"]);
    assert_eq!(briefs(&oven.observe(&told(vec![at(20), active("hot", 30)]))), [""; 0]);
    let end = condition("hot", Standing::Over, None, 40);
    assert_eq!(briefs(&oven.observe(&told(vec![end]))), ["40 oven cleared hot of 10"]);
}

#[test]
fn a_restart_neither_raises_again_nor_forgets_to_clear() {
    let mut oven = oven();
    oven.observe(&told(vec![active("hot", 10), active("cold", 11)]));
    oven.observe(&told(vec![over("hot", 20)]));
    oven.restart();
    assert_eq!(briefs(&oven.observe(&told(vec![active("cold", 11)]))), [""; 0]);
    oven.observe(&told(vec![active("dry", 30)]));
    oven.restart();
    let events = oven.observe(&told_all(50, &[]));
    assert_eq!(briefs(&events), ["50 oven cleared cold of 11", "50 oven cleared dry of 30"]);
    let Fact::AlertCleared { alert, .. } = &events[0].fact else { panic!("{events:?}") };
    assert_eq!((&alert.name, &alert.message), (&Wording::of("cold"), &None));
    oven.restart();
    assert_eq!(briefs(&oven.observe(&told_all(60, &[]))), [""; 0]);
}

#[test]
fn a_crash_before_the_commit_tells_the_same_fact_again() {
    let mut oven = oven();
    let observation = told(vec![active("hot", 10)]);
    let lost = oven.observe_uncommitted(&observation).events;
    oven.restart();
    let again = oven.observe(&observation);
    let ids =
        |events: &[Event]| -> Vec<_> { events.iter().map(|event| identity::id(&site(), event)).collect() };
    assert_eq!(ids(&lost), ids(&again));
    assert_eq!(lost.len(), 1);
}

#[test]
fn two_gateways_agree_on_the_end_of_an_alert_although_one_was_cut_off() {
    let (mut one, mut other) = (oven(), oven());
    one.observe(&told(vec![active("hot", 10)]));
    other.observe(&told(vec![condition("hot", Standing::Active, Some(10), 15)]));
    let there = one.observe(&told(vec![over("hot", 20)])).remove(0);
    let later = other.observe(&told_all(99, &[])).remove(0);
    assert_eq!(identity::id(&site(), &there), identity::id(&site(), &later));
}

#[test]
fn the_first_rule_that_a_condition_matches_has_it_and_too_mild_is_not_for_the_next() {
    let rules = vec![rule("oven/zone-2", "Zone 2", 400), rule("oven", "Zone*", 1)];
    let mut oven = Press::with_one_tag(rules);
    let of = |source: &str, severity| Condition {
        source_name: Wording::of(source),
        severity: Severity::clamped(severity),
        ..active(source, 10)
    };
    let observation = told(vec![of("Zone 2", 400), of("Zone 1", 1), of("Press", 900)]);
    assert_eq!(
        briefs(&oven.observe(&observation)),
        ["10 oven/zone-2 raised Zone 2", "10 oven raised Zone 1"]
    );
    oven.observe(&told_all(20, &[]));
    assert_eq!(briefs(&oven.observe(&told(vec![of("Zone 2", 399)]))), [""; 0]);
    let grown = told(vec![of("Zone 2", 400)]);
    assert_eq!(briefs(&oven.observe(&grown)), ["10 oven/zone-2 raised Zone 2"], "it grew severe");
    let none_matches = told(vec![of("Press", 900), over("Press", 11), of("Zone 2", 1)]);
    assert_eq!(left_out(&mut oven, &none_matches), LeftOut { of_no_asset: 1, beyond_limit: 0 });
}

#[test]
fn an_alert_ends_for_the_asset_that_had_it_even_if_that_is_another_ones_by_then() {
    let mut oven = oven();
    oven.observe(&told(vec![active("hot", 10), active("cold", 10)]));
    oven.restart_with_one_tag(vec![rule("elsewhere", "*", 1000)]);
    assert_eq!(briefs(&oven.observe(&told(vec![active("hot", 10)]))), [""; 0]);
    assert_eq!(briefs(&oven.observe(&told(vec![over("hot", 20)]))), ["20 oven cleared hot of 10"]);
    assert_eq!(briefs(&oven.observe(&told_all(30, &[]))), ["30 oven cleared cold of 10"]);
}

#[test]
fn what_is_active_at_one_time_is_bounded_and_what_is_beyond_is_counted() {
    let mut oven = oven();
    let batch = |from: usize| told((from..from + 1_000).map(|n| active(&format!("c{n}"), 10)).collect());
    for from in [0, 1_000, 2_000, 3_000] {
        assert_eq!(oven.observe(&batch(from)).len(), 1_000);
    }
    assert_eq!(left_out(&mut oven, &batch(4_000)), LeftOut { of_no_asset: 0, beyond_limit: 1_000 });
    assert_eq!(oven.observe(&told_all(20, &[])).len(), 4_000);
    assert_eq!(briefs(&oven.observe(&told(vec![active("c4000", 10)]))), ["10 oven raised c4000"]);
    assert_eq!(oven.stored(), 4_000, "state does not grow with what was");
}

#[test]
fn a_tag_without_a_rule_for_alerts_ignores_conditions() {
    let mut press = Press::with(vec![]);
    assert_eq!(press.observe(&told(vec![active("hot", 10)])), []);
    assert_eq!(press.observe(&told_all(10, &[])), []);
}

/// What happens at a server, and to the gateway.
#[derive(Clone, Debug)]
enum Step {
    /// The condition turns, and that is told or missed.
    Turn { condition: usize, is_told: bool },
    /// All is told.
    Refresh,
    /// The gateway dies; what it last found is on disk or not.
    Crash { is_committed: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, any::<bool>()).prop_map(|(condition, is_told)| Step::Turn { condition, is_told }),
        1 => Just(Step::Refresh),
        1 => any::<bool>().prop_map(|is_committed| Step::Crash { is_committed }),
    ]
}

proptest! {
    /// A server that says since when: whatever was missed or lost, once all is told every alert that the gateway
    /// ever raised and that is over was cleared, what is active is raised, and nothing is told twice.
    #[test]
    fn once_all_is_told_the_events_say_what_is(steps in prop::collection::vec(step(), 1..40)) {
        let mut oven = oven();
        let mut since: [Option<i64>; 3] = [None; 3];
        let mut ids = BTreeSet::new();
        let mut open = BTreeMap::new();
        for (time, step) in (1_i64..).zip(steps.into_iter().chain([Step::Refresh])) {
            let state = |at: usize, since: Option<i64>| {
                let name = format!("c{at}");
                since.map_or_else(|| over(&name, time), |since| active(&name, since))
            };
            let mut observations = Vec::new();
            let mut is_committed = true;
            match step {
                Step::Turn { condition, is_told } => {
                    since[condition] = if since[condition].is_some() { None } else { Some(time) };
                    if is_told {
                        observations.push(told(vec![state(condition, since[condition])]));
                    }
                }
                Step::Refresh | Step::Crash { .. } => {
                    let all = (0..3).filter(|at| since[*at].is_some());
                    let names: Vec<String> = all.clone().map(|at| format!("c{at}")).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    observations.push(told(all.map(|at| state(at, since[at])).collect()));
                    observations.push(told_all(time, &names));
                    if let Step::Crash { is_committed: committed } = step {
                        is_committed = committed;
                    }
                }
            }
            let is_crash = matches!(step, Step::Crash { .. });
            for observation in &observations {
                let outcome = oven.observe_uncommitted(observation);
                if !is_committed {
                    continue;
                }
                for event in oven.commit(outcome) {
                    prop_assert!(ids.insert(identity::id(&site(), &event)), "twice: {:?}", event);
                    match &event.fact {
                        Fact::AlertRaised(alert) => {
                            prop_assert!(open.insert(alert.condition.clone(), event.time).is_none());
                        }
                        Fact::AlertCleared { alert, since } => {
                            prop_assert_eq!(open.remove(&alert.condition), Some(*since));
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
            if is_crash {
                oven.restart();
            }
        }
        let active: BTreeMap<ConditionId, Timestamp> = (0..3)
            .filter_map(|at| Some((id(&format!("c{at}")), at_ms(since[at]?))))
            .collect();
        prop_assert_eq!(open, active);
    }
}
