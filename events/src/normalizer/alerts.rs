//! Which conditions of one tag ask for attention: raised once and cleared once, whatever is told in between.
//!
//! What is active is stored in slots, each a piece of state of its own: a change costs one small write, and there
//! are never more slots than conditions were active at one time.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::pattern::Pattern;
use super::plan::AlertRule;
use super::stored::{RestoreError, Stored, alert_key, find};
use super::{At, Normalized};
use crate::condition::{Condition, ConditionId, Severity, Standing, Wording};
use crate::event::{Alert, Fact, Quality};
use crate::name::{AssetPath, TagPath};
use crate::time::Timestamp;

/// The most conditions of one tag that are active at one time: more at once is a plant that is on fire, or a
/// server that never clears. All of them may end in one observation, and with it in one commit.
pub(super) const MAX_ACTIVE: usize = 4_000;

/// The conditions of one tag.
#[derive(Debug)]
pub(super) struct Alerts {
    tag: TagPath,
    /// In the order of configuration: the first that takes a condition has it.
    rules: Box<[AlertRule]>,
    active: BTreeMap<ConditionId, Raised>,
    /// Slots that are free below the first that was never used.
    free: BTreeSet<usize>,
    used: usize,
}

/// An alert that was raised and not cleared.
#[derive(Clone, Debug)]
struct Raised {
    slot: usize,
    asset: AssetPath,
    since: Timestamp,
    /// Whether that is when the condition became active by its source, and not just when it was told so.
    is_exact: bool,
    name: Option<Wording>,
    source_name: Option<Wording>,
    severity: Severity,
}

/// What is stored of it.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct StoredAlert {
    pub(super) condition: String,
    pub(super) asset: String,
    pub(super) since_us: i64,
    pub(super) is_exact: bool,
    pub(super) name: Option<String>,
    pub(super) source_name: Option<String>,
    pub(super) severity: u16,
}

impl Alerts {
    pub(super) fn restore<'a>(
        rules: Vec<AlertRule>,
        tag: &TagPath,
        state: &impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, RestoreError> {
        let (tag, rules) = (tag.clone(), rules.into());
        let mut alerts = Self { tag, rules, active: BTreeMap::new(), free: BTreeSet::new(), used: 0 };
        let alert = |stored| match stored {
            Stored::AlertV1(stored) => Some(stored),
            _ => None,
        };
        while let Some(stored) = find(state, &alert_key(&alerts.tag, alerts.used), alert)? {
            let slot = alerts.used;
            alerts.used += 1;
            match stored.and_then(|stored| Raised::restore(slot, &stored)) {
                Some((condition, raised)) => drop(alerts.active.insert(condition, raised)),
                None => drop(alerts.free.insert(slot)),
            }
        }
        Ok(alerts)
    }

    /// The source told of a condition.
    pub(super) fn observe(&mut self, condition: &Condition, observed: Timestamp, out: &mut Normalized) {
        let time = condition.since.unwrap_or(condition.time);
        match (condition.standing, self.active.get(&condition.id)) {
            (Standing::Active, None) => self.raise(condition, At { time, observed }, out),
            // It was over in between, and nobody saw it.
            (Standing::Active, Some(raised)) if raised.is_over_by(condition) => {
                self.clear(&condition.id, None, At { time, observed }, out);
                self.raise(condition, At { time, observed }, out);
            }
            (Standing::Over, Some(_)) => {
                self.clear(&condition.id, condition.message.clone(), At { time, observed }, out);
            }
            (Standing::Active, Some(_)) | (Standing::Over, None) => {}
        }
    }

    /// No condition is active but those in `active`.
    pub(super) fn observe_all(&mut self, active: &BTreeSet<ConditionId>, at: At, out: &mut Normalized) {
        let over = self.active.keys().filter(|condition| !active.contains(*condition));
        for condition in over.cloned().collect::<Vec<_>>() {
            self.clear(&condition, None, at, out);
        }
    }

    fn raise(&mut self, condition: &Condition, at: At, out: &mut Normalized) {
        let Some(rule) = self.rules.iter().find(|rule| rule.takes(condition)) else {
            out.left_out.of_no_asset += 1;
            return;
        };
        if condition.severity < rule.min_severity {
            return;
        }
        if self.active.len() >= MAX_ACTIVE {
            out.left_out.beyond_limit += 1;
            return;
        }
        let slot = self.free.pop_first().unwrap_or(self.used);
        self.used = self.used.max(slot + 1);
        let raised = Raised {
            slot,
            asset: rule.asset.clone(),
            since: at.time,
            is_exact: condition.since.is_some(),
            name: condition.name.clone(),
            source_name: condition.source_name.clone(),
            severity: condition.severity,
        };
        out.state
            .push(Stored::AlertV1(Some(raised.stored(&condition.id))).change(&alert_key(&self.tag, slot)));
        let alert = raised.alert(&self.tag, &condition.id, condition.message.clone());
        out.push(&raised.asset, at, Quality::Good, Fact::AlertRaised(alert));
        self.active.insert(condition.id.clone(), raised);
    }

    fn clear(&mut self, condition: &ConditionId, message: Option<Wording>, at: At, out: &mut Normalized) {
        let Some(raised) = self.active.remove(condition) else { return };
        self.free.insert(raised.slot);
        out.state.push(Stored::AlertV1(None).change(&alert_key(&self.tag, raised.slot)));
        let alert = raised.alert(&self.tag, condition, message);
        let fact = Fact::AlertCleared { alert, since: raised.since };
        out.push(&raised.asset, at, Quality::Good, fact);
    }
}

impl AlertRule {
    fn takes(&self, condition: &Condition) -> bool {
        let matches = |pattern: &Pattern, words: &Option<Wording>| {
            pattern.matches(words.as_ref().map_or("", Wording::as_str))
        };
        matches(&self.condition, &condition.name) && matches(&self.source, &condition.source_name)
    }
}

impl Raised {
    fn restore(slot: usize, stored: &StoredAlert) -> Option<(ConditionId, Self)> {
        let words = |text: &Option<String>| text.as_deref().and_then(Wording::of);
        let raised = Self {
            slot,
            asset: stored.asset.parse().ok()?,
            since: Timestamp::from_micros(stored.since_us),
            is_exact: stored.is_exact,
            name: words(&stored.name),
            source_name: words(&stored.source_name),
            severity: Severity::clamped(stored.severity),
        };
        Some((stored.condition.parse().ok()?, raised))
    }

    fn stored(&self, condition: &ConditionId) -> StoredAlert {
        let text = |words: &Option<Wording>| words.as_ref().map(|words| words.as_str().to_owned());
        StoredAlert {
            condition: condition.to_string(),
            asset: self.asset.to_string(),
            since_us: self.since.as_micros(),
            is_exact: self.is_exact,
            name: text(&self.name),
            source_name: text(&self.source_name),
            severity: self.severity.get(),
        }
    }

    /// Whether `condition`, which is active, became so after this.
    fn is_over_by(&self, condition: &Condition) -> bool {
        self.is_exact && condition.since.is_some_and(|since| since > self.since)
    }

    fn alert(&self, tag: &TagPath, condition: &ConditionId, message: Option<Wording>) -> Box<Alert> {
        Box::new(Alert {
            tag: tag.clone(),
            condition: condition.clone(),
            name: self.name.clone(),
            source_name: self.source_name.clone(),
            severity: self.severity,
            message,
        })
    }
}
