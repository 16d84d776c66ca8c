//! Which tags a command's arguments name.

use std::collections::BTreeSet;

use penstock_events::TagId;
use penstock_events::normalizer::Plan;

/// How many names an error lists.
const MAX_LISTED: usize = 20;

/// The tags that `wanted` names: each a source, which stands for all its tags, or one tag.
///
/// # Errors
/// What there is when one of them is not.
pub(super) fn select(wanted: &[String], plan: &Plan) -> Result<BTreeSet<TagId>, String> {
    let mut selected = BTreeSet::new();
    for name in wanted {
        let before = selected.len();
        let is_meant = |path: &str| {
            path.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        // A tag's name may have dots too: `oven.zone.1` is the tag `zone.1`, and `oven.zone` is none.
        let is_source = plan.sources.iter().any(|source| source.as_str() == name);
        let tags = (0..).map(TagId).zip(&plan.tags).filter(|(_, tag)| {
            if is_source { is_meant(tag.path.as_str()) } else { tag.path.as_str() == name }
        });
        selected.extend(tags.map(|(id, _)| id));
        if selected.len() == before && !is_known(name, plan) {
            return Err(unknown(name, plan));
        }
    }
    Ok(selected)
}

fn is_known(name: &str, plan: &Plan) -> bool {
    plan.sources.iter().any(|source| source.as_str() == name)
        || plan.tags.iter().any(|tag| tag.path.as_str() == name)
}

fn unknown(name: &str, plan: &Plan) -> String {
    let source = name.split('.').next().unwrap_or(name);
    let of_source = |path: &&str| path.strip_prefix(source).is_some_and(|rest| rest.starts_with('.'));
    let tags: Vec<&str> = plan.tags.iter().map(|tag| tag.path.as_str()).filter(of_source).collect();
    let (what, names) = if tags.is_empty() {
        ("sources", plan.sources.iter().map(|source| source.as_str()).collect())
    } else {
        ("tags", tags)
    };
    let more = if names.len() > MAX_LISTED {
        format!(" and {} more", names.len() - MAX_LISTED)
    } else {
        String::new()
    };
    let listed = names[..names.len().min(MAX_LISTED)].join(", ");
    format!("nothing is configured as {name:?}; there are the {what} {listed}{more}")
}
