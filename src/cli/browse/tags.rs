//! What was found as a configuration to begin with: a tag for each variable. Pure.

use std::fmt::Write;

use penstock_adapters::opcua::{FoundNode, FoundVariable, Identity, Namespace, NodeAddress, Server, Shape};

use super::View;
use super::listing::type_of;
use super::naming::names;
use super::target::Target;

/// A server with the variables that were looked for. What cannot be a tag as it is stands there as a comment.
pub(super) fn toml(server: &Server, target: &Target, view: &View<'_>) -> String {
    let variables: Vec<(usize, &FoundNode, &FoundVariable)> = view
        .wanted()
        .filter_map(|index| {
            let node = &view.found.nodes[index];
            Some((index, node, node.variable.as_ref()?))
        })
        .collect();
    let paths: Vec<Vec<&str>> = variables.iter().map(|(index, ..)| path(view, *index)).collect();
    let mut text = head(server, target);
    text.push_str("tags = [\n");
    for ((_, node, variable), name) in variables.iter().zip(names(&paths)) {
        text.push_str(&line(node, variable, &name));
    }
    text.push_str("]\n");
    write!(
        text,
        "\n# What it means is for you to say, such as:\n# [[asset]]\n# path = \"area/line/{0}\"\n\
         # telemetry = [{{ tag = \"{0}.*\" }}]\n",
        server.name
    )
    .expect("a String takes every write");
    text
}

fn head(server: &Server, target: &Target) -> String {
    let Server { name, endpoint, security, .. } = server;
    let mut text = format!(
        "[[opcua]]\nname = \"{name}\"\nendpoint = {}\nsecurity = \"{security}\"\n",
        quoted(&endpoint.to_string())
    );
    match &server.identity {
        Identity::Anonymous => {}
        Identity::UserName { name, .. } => {
            let place = target.password_place().unwrap_or_else(|| "{ file = \"…\" }".to_owned());
            let mark = if place.contains('…') { "# " } else { "" };
            write!(text, "{mark}username = {}\n{mark}password = {place}\n", quoted(name))
                .expect("a String takes every write");
        }
        Identity::Certificate { certificate, key } => {
            let [certificate, key] = [certificate, key].map(|file| quoted(&file.display().to_string()));
            write!(text, "certificate_file = {certificate}\nkey_file = {key}\n")
                .expect("a String takes every write");
        }
    }
    text
}

/// The names above a node, from below the start on, and its own.
fn path<'a>(view: &View<'a>, index: usize) -> Vec<&'a str> {
    let nodes = &view.found.nodes;
    let above = |index: &usize| nodes[*index].parent.filter(|parent| nodes[*parent].parent.is_some());
    let mut path: Vec<&str> =
        std::iter::successors(Some(index), above).map(|index| nodes[index].name.as_str()).collect();
    path.reverse();
    path
}

fn line(node: &FoundNode, variable: &FoundVariable, name: &str) -> String {
    let address = node.address.to_string();
    let unit = variable.unit.as_ref().map_or_else(String::new, |unit| format!(", unit = {}", quoted(unit)));
    let tag =
        |name: &str, more: &str| format!("{{ name = \"{name}\", node = {}{more}{unit} }},", quoted(&address));
    let is_node = address.parse::<NodeAddress>().as_ref() == Ok(&node.address);
    let why_not = match variable.shape {
        _ if node.address.namespace() == &Namespace::Index(0) => {
            Some("of the standard, not of the plant".to_owned())
        }
        _ if !is_node => Some("its node id cannot be written".to_owned()),
        _ if variable.is_readable == Some(false) => Some("this user may not read it".to_owned()),
        Shape::Array { .. } => {
            let tag = tag(&with_element(name), ", element = 0");
            return format!("  # {tag}   # {}: one tag for each element\n", one_line(&type_of(variable)));
        }
        Shape::Structure => {
            let tag = tag(name, ", field = \"…\"");
            return format!("  # {tag}   # {}: one tag for each field\n", one_line(&type_of(variable)));
        }
        Shape::One | Shape::Any => None,
    };
    match why_not {
        Some(why) => format!("  # {}   # {why}\n", tag(name, "")),
        None => format!("  {}\n", tag(name, "")),
    }
}

/// The name of the first element, where there is room for that.
fn with_element(name: &str) -> String {
    format!("{}.0", &name[..name.len().min(penstock_events::MAX_NAME_BYTES - 2)])
}

/// A basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(c)).expect("a String takes every write");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A text that cannot end a comment.
fn one_line(text: &str) -> String {
    crate::terminal::printable(text)
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_text_that_a_server_made_up_stays_within_its_quotes() {
        assert_eq!(quoted("nsu=urn:a;s=\"DB1\".\\x\n"), r#""nsu=urn:a;s=\"DB1\".\\x\u000A""#);
        assert_eq!(quoted("Größe\u{7f}\u{85}"), "\"Größe\\u007F\\u0085\"");
    }
}
