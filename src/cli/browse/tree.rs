//! The tree of what was looked for and of what stands above it. Pure.

use super::View;

/// A line of the tree.
pub(super) struct Branch {
    /// Which node.
    pub(super) index: usize,
    /// What is drawn before its name.
    pub(super) twigs: String,
}

/// The lines, each node below the one that it stands below, in the server's order.
pub(super) fn branches(view: &View<'_>) -> Vec<Branch> {
    let nodes = &view.found.nodes;
    let mut is_shown = view.is_wanted.clone();
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    // A node stands after the one above it, so from the end on each tells the one above.
    for index in (0..nodes.len()).rev() {
        if let Some(parent) = nodes[index].parent.filter(|_| is_shown[index]) {
            is_shown[parent] = true;
            below[parent].push(index);
        }
    }
    let mut lines = Vec::new();
    // What is still to be drawn, the next last, with the twigs of what it stands below.
    let mut rest: Vec<(usize, String, &str, &str)> = Vec::new();
    if is_shown.first() == Some(&true) {
        rest.push((0, String::new(), "", ""));
    }
    while let Some((index, above, own, under)) = rest.pop() {
        lines.push(Branch { index, twigs: format!("{above}{own}") });
        let above = format!("{above}{under}");
        // The last is the first that was noted.
        for (place, child) in below[index].iter().enumerate() {
            let (own, under) = if place == 0 { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            rest.push((*child, above.clone(), own, under));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use penstock_adapters::opcua::{Class, Found, FoundNode};

    use super::{View, branches};

    /// A tree of names, each with the index of the one above.
    fn found(nodes: &[(&str, Option<usize>)]) -> Found {
        let node = |(name, parent): &(&str, Option<usize>)| FoundNode {
            parent: *parent,
            depth: 0,
            address: "i=1".parse().expect("an address"),
            name: (*name).to_owned(),
            display_name: String::new(),
            class: Class::Object,
            variable: None,
            note: None,
        };
        Found { nodes: nodes.iter().map(node).collect(), ..Found::default() }
    }

    fn drawn(found: &Found, filter: Option<&str>) -> Vec<String> {
        let filter = filter.map(|text| text.parse().expect("any text"));
        let view = View::of(found, filter.as_ref());
        let lines = branches(&view);
        lines.iter().map(|line| format!("{}{}", line.twigs, found.nodes[line.index].name)).collect()
    }

    #[test]
    fn each_node_hangs_below_its_own_and_the_last_of_them_ends_the_line() {
        let found = found(&[
            ("Objects", None),
            ("Oven", Some(0)),
            ("Press", Some(0)),
            ("Temp", Some(1)),
            ("Zone", Some(1)),
            ("Deep", Some(4)),
        ]);
        let all = ["Objects", "├─ Oven", "│  ├─ Temp", "│  └─ Zone", "│     └─ Deep", "└─ Press"];
        assert_eq!(drawn(&found, None), all);
        assert_eq!(drawn(&found, Some("deep")), ["Objects", "└─ Oven", "   └─ Zone", "      └─ Deep"]);
        assert!(drawn(&found, Some("nothing")).is_empty());
        assert!(drawn(&Found::default(), None).is_empty());
    }
}
