//! What is known of the conditions of one notifier, and of the refresh that is under way.

use std::collections::BTreeSet;

use penstock_events::{Condition, ConditionId, Standing};

/// The most conditions that are remembered: twice as many as can be alerts at one time, and ten megabytes of ids at
/// the most.
const MOST_ACTIVE: usize = 10_000;

/// The conditions of one notifier.
#[derive(Debug, Default)]
pub(in crate::opcua) struct Watch {
    active: BTreeSet<ConditionId>,
    /// What the refresh under way has told so far.
    refresh: Option<Refresh>,
}

#[derive(Debug, Default)]
struct Refresh {
    active: BTreeSet<ConditionId>,
    /// Whether one found no room.
    is_cut: bool,
}

impl Watch {
    /// How many are active, as far as was told.
    pub(in crate::opcua) fn active(&self) -> usize {
        self.active.len()
    }

    /// The server told of a condition, in a refresh or not: what it says between the two ends of one is as good.
    pub(in crate::opcua) fn told(&mut self, condition: &Condition) {
        note(&mut self.active, condition);
        if let Some(refresh) = &mut self.refresh {
            refresh.is_cut |= !note(&mut refresh.active, condition);
        }
    }

    /// A refresh begins.
    pub(in crate::opcua) fn begins(&mut self) {
        self.refresh = Some(Refresh::default());
    }

    /// It ends: all that is active, unless its beginning or a part of it is missing.
    pub(in crate::opcua) fn ends(&mut self) -> Option<BTreeSet<ConditionId>> {
        let Refresh { active, .. } = self.refresh.take().filter(|refresh| !refresh.is_cut)?;
        self.active.clone_from(&active);
        Some(active)
    }

    /// Something that the server said is missing: the refresh under way proves nothing.
    pub(in crate::opcua) fn doubt(&mut self) {
        self.refresh = None;
    }
}

/// Notes how a condition is; `false` when there is no room for one that is active.
fn note(active: &mut BTreeSet<ConditionId>, condition: &Condition) -> bool {
    if condition.standing == Standing::Over {
        active.remove(&condition.id);
        return true;
    }
    let has_room = active.len() < MOST_ACTIVE || active.contains(&condition.id);
    if has_room {
        active.insert(condition.id.clone());
    }
    has_room
}

#[cfg(test)]
mod tests {
    use penstock_events::{Condition, Severity, Standing, Timestamp};

    use super::{MOST_ACTIVE, Watch};

    fn condition(id: &str, standing: Standing) -> Condition {
        Condition {
            id: id.parse().expect("an id"),
            name: None,
            source_name: None,
            severity: Severity::LEAST,
            message: None,
            standing,
            since: None,
            time: Timestamp::EPOCH,
        }
    }

    fn told(watch: &mut Watch, id: &str) {
        watch.told(&condition(id, Standing::Active));
    }

    fn ends(watch: &mut Watch) -> Option<Vec<String>> {
        watch.ends().map(|active| active.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_refresh_gives_what_was_told_between_its_ends_with_what_happened_meanwhile() {
        let mut watch = Watch::default();
        told(&mut watch, "before");
        watch.begins();
        told(&mut watch, "a");
        told(&mut watch, "b");
        watch.told(&condition("a", Standing::Over));
        assert_eq!(watch.active(), 2);
        assert_eq!(ends(&mut watch), Some(vec!["b".to_owned()]));
        assert_eq!(watch.active(), 1);
        assert_eq!(ends(&mut watch), None, "it is over");
    }

    #[test]
    fn a_refresh_of_which_something_is_missing_proves_nothing() {
        let mut watch = Watch::default();
        assert_eq!(ends(&mut watch), None, "it never began");
        watch.begins();
        told(&mut watch, "a");
        watch.doubt();
        assert_eq!(ends(&mut watch), None);
        watch.begins();
        told(&mut watch, "b");
        watch.begins();
        assert_eq!(ends(&mut watch), Some(vec![]), "it began anew");
    }

    #[test]
    fn what_a_server_makes_the_gateway_remember_is_bounded() {
        let mut watch = Watch::default();
        watch.begins();
        for number in 0..=MOST_ACTIVE {
            told(&mut watch, &number.to_string());
        }
        assert_eq!(watch.active(), MOST_ACTIVE);
        assert_eq!(ends(&mut watch), None, "one found no room");
    }
}
