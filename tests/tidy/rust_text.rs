//! Just enough of Rust's grammar to judge text: literals and comments, and where an item ends.
//!
//! It expects code that compiles; on other text its answers are harmless, not right.

/// An item's lines, counted from 0, both included.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
}

/// The text with comments and the insides of literals turned to spaces, line for line.
pub(crate) fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = at + hidden_length(&bytes[at..], code.last().copied().unwrap_or(b'\n'));
        if end == at {
            code.push(bytes[at]);
            at += 1;
            continue;
        }
        code.extend(bytes[at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
        at = end;
    }
    String::from_utf8(code).expect("whole characters were blanked")
}

/// The functions with a body, each from its `fn` to its closing brace.
pub(crate) fn functions(code: &str) -> Vec<Item> {
    words(code, "fn")
        .filter_map(|at| {
            let name = identifier(code[at + 2..].trim_start());
            let end = item_end(code, at);
            let has_body = code.as_bytes().get(end) == Some(&b'}');
            (!name.is_empty() && has_body).then(|| item(code, name, at, end))
        })
        .collect()
}

/// The items under `#[cfg(test)]`, attribute included.
pub(crate) fn test_items(code: &str) -> Vec<Item> {
    ["#[cfg(test)]", "#[cfg(all(test,"]
        .iter()
        .flat_map(|attribute| code.match_indices(attribute))
        .map(|(at, _)| {
            let mut from = at;
            while code[from..].starts_with("#[") {
                from += closing(&code.as_bytes()[from..], b'[', b']') + 1;
                from += code[from..].len() - code[from..].trim_start().len();
            }
            item(code, "", at, item_end(code, from))
        })
        .collect()
}

/// Where `word` stands as a whole word.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).and_then(|before| code.as_bytes().get(before));
        !is_part(before) && !is_part(code.as_bytes().get(at + word.len()))
    })
}

/// The line of a byte, counted from 0.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

fn item(code: &str, name: &str, at: usize, end: usize) -> Item {
    Item { name: name.to_owned(), first_line: line_of(code, at), last_line: line_of(code, end) }
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The last byte of the item that starts at `at`: its `;`, or the brace that closes its body.
fn item_end(code: &str, at: usize) -> usize {
    let bytes = code.as_bytes();
    let mut depth = 0_usize;
    for (offset, byte) in bytes[at..].iter().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b';' if depth == 0 => return at + offset,
            b'{' if depth == 0 => return at + offset + closing(&bytes[at + offset..], b'{', b'}'),
            _ => {}
        }
    }
    bytes.len().saturating_sub(1)
}

/// The offset of the bracket that closes the first one in `bytes`.
fn closing(bytes: &[u8], open: u8, close: u8) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in bytes.iter().enumerate() {
        if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return offset;
            }
        }
    }
    bytes.len().saturating_sub(1)
}

/// How many bytes from here are a comment or a literal; 0 when it is code.
fn hidden_length(rest: &[u8], before: u8) -> usize {
    let starts_word = !(before.is_ascii_alphanumeric() || before == b'_');
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_length(rest),
        [b'"', ..] => 1 + quoted_length(&rest[1..], b'"'),
        [b'\'', b'\\', ..] => 1 + quoted_length(&rest[1..], b'\''),
        [b'\'', first, ..] => char_length(rest, *first),
        [b'r', ..] if starts_word => raw_string_length(rest, 1),
        [b'b' | b'c', b'r', ..] if starts_word => raw_string_length(rest, 2),
        _ => 0,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Up to and with the closing quote, from behind the opening one.
fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// A character literal's length; 0 for a lifetime.
fn char_length(rest: &[u8], first: u8) -> usize {
    let width = match first {
        0..0x80 => 1,
        0x80..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    };
    if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
}

/// A raw string's length, whose prefix has `prefix` letters; 0 when it is none.
fn raw_string_length(rest: &[u8], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    let opened = prefix + hashes + 1;
    if rest.get(opened - 1) != Some(&b'"') {
        return 0;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let body = rest[opened..].windows(end.len()).position(|window| window == end);
    body.map_or(rest.len(), |at| opened + at + end.len())
}

#[test]
fn literals_and_comments_are_blanked_and_nothing_else() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"f("a \" b")"#, "f(        )"),
        ("r#\"a \" b\"# + br\"c\"", "           +      "),
        ("r#type + for_r", "r#type + for_r"),
        ("'a' + '\\'' + 'é'", "    +      +     "),
        ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
        ("\"a\nb\"", "  \n  "),
    ] {
        assert_eq!(code_of(text), code, "{text}");
    }
}

#[test]
fn a_function_ends_at_its_own_brace() {
    let code = code_of(
        "fn a(x: [u8; 2]) -> char {\n    '{'\n}\n\ntrait T {\n    fn b();\n    fn c() {\n        {}\n    }\n}\ntype F = fn(u8);\n",
    );
    let found: Vec<(String, usize, usize)> =
        functions(&code).into_iter().map(|f| (f.name, f.first_line, f.last_line)).collect();
    assert_eq!(found, [("a".to_owned(), 0, 2), ("c".to_owned(), 6, 8)]);
}

#[test]
fn a_test_item_reaches_from_its_attribute_to_its_end() {
    let code =
        "mod a;\n#[cfg(test)]\n#[path = \"x\"]\nmod b;\n#[cfg(test)]\nmod c {\n    fn d() {}\n}\nfn e() {}\n";
    let lines: Vec<(usize, usize)> =
        test_items(&code_of(code)).iter().map(|item| (item.first_line, item.last_line)).collect();
    assert_eq!(lines, [(1, 3), (4, 7)]);
}
