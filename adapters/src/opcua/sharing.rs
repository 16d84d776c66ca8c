//! Which tags are parts of the same value, so that the server is asked for it once. Pure.

use std::collections::HashMap;

use super::tag::Tag;

/// Tags that share a value, by the first of them.
pub(super) struct Sharing {
    /// The tags that the tag at this index, and those that come after it, share; none if it is not the first.
    shared: Vec<Vec<usize>>,
    /// Whether any of them is a field of a structure.
    has_fields: Vec<bool>,
}

impl Sharing {
    /// Of these tags, those share that have the same node and get its values in the same way.
    pub(super) fn of(tags: &[Tag]) -> Self {
        let (mut shared, mut has_fields) = (vec![Vec::new(); tags.len()], vec![false; tags.len()]);
        let mut firsts: HashMap<_, Vec<usize>> = HashMap::with_capacity(tags.len());
        for (index, tag) in tags.iter().enumerate() {
            let firsts = firsts.entry(&tag.node).or_default();
            let first = firsts.iter().copied().find(|first| tags[*first].acquisition == tag.acquisition);
            if first.is_none() {
                firsts.push(index);
            }
            let first = first.unwrap_or(index);
            shared[first].push(index);
            has_fields[first] |= tag.part.is_in_structure();
        }
        Self { shared, has_fields }
    }

    /// The first of each group.
    pub(super) fn firsts(&self) -> impl Iterator<Item = usize> {
        self.shared.iter().enumerate().filter(|(_, shared)| !shared.is_empty()).map(|(first, _)| first)
    }

    /// The group of a first one.
    pub(super) fn with(&self, first: usize) -> &[usize] {
        &self.shared[first]
    }

    /// Whether a tag of the group of a first one is a field of a structure.
    pub(super) fn has_fields(&self, first: usize) -> bool {
        self.has_fields[first]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use penstock_events::TagId;

    use super::super::part::Part;
    use super::super::tag::{Acquisition, Deadband, Discard, Sampling, Tag, Trigger};
    use super::Sharing;

    #[test]
    fn parts_of_one_value_share_it_unless_they_get_it_otherwise() {
        let sampled = |queue| {
            Acquisition::Subscribe(Sampling {
                interval: Duration::from_secs(1),
                queue,
                discard: Discard::Oldest,
                trigger: Trigger::Value,
                deadband: Deadband::None,
            })
        };
        let tag = |node: &str, part: &str, acquisition| Tag {
            id: TagId(0),
            path: "oven.tag".parse().expect("a path"),
            node: node.parse().expect("a node"),
            part: if part.is_empty() { Part::default() } else { part.parse().expect("a part") },
            acquisition,
        };
        let tags = [
            tag("ns=2;s=Zone", "Temp", sampled(1)),
            tag("ns=2;s=Count", "", sampled(1)),
            tag("ns=2;s=Zone", "Mode", sampled(1)),
            tag("ns=2;s=Zone", "Mode", sampled(2)),
            tag("ns=2;s=Zone", "Mode", Acquisition::Read),
            tag("ns=2;s=Zone", "[1]", sampled(1)),
        ];
        let sharing = Sharing::of(&tags);
        assert_eq!(sharing.firsts().collect::<Vec<_>>(), [0, 1, 3, 4]);
        assert_eq!(sharing.with(0), [0, 2, 5]);
        assert_eq!(sharing.with(1), [1]);
        assert_eq!([0, 1, 3].map(|first| sharing.has_fields(first)), [true, false, true]);
    }
}
