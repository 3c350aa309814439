//! BuildKit's own parser cases: our nodes, written as BuildKit writes its tree, are the same.

#![allow(clippy::disallowed_methods)] // test data, not Knarr's files

use super::lines::Lines;
use super::source::{Source, Word};
use super::tree::{self, Arguments, Node};
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn cases(folder: &str) -> Vec<PathBuf> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dockerfile-cases").join(folder);
    let mut cases: Vec<_> = root.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

fn nodes(case: &Path) -> super::Result<Vec<Node>> {
    let bytes = std::fs::read(case.join("Dockerfile")).unwrap();
    let source = Source::from_bytes("Dockerfile", &bytes).unwrap();
    tree::read(&source, &mut Lines::new(&source))
}

/// As Go's `strconv.Quote`, for what the cases hold.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            _ if character.is_control() => {
                write!(quoted, "\\x{:02x}", u32::from(character)).unwrap()
            }
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

fn quote_all<'a>(words: impl IntoIterator<Item = &'a Word>) -> Vec<String> {
    words.into_iter().map(|word| quote(word)).collect()
}

fn arguments(arguments: &Arguments) -> Vec<String> {
    match arguments {
        Arguments::None => Vec::new(),
        Arguments::Text(word) => vec![quote(word)],
        Arguments::Words(words) | Arguments::Json(words) => quote_all(words),
        Arguments::Pairs { pairs, legacy } => {
            let sign = if *legacy { "\"\"" } else { "\"=\"" };
            pairs
                .iter()
                .flat_map(|(key, value)| [quote(key), quote(value), sign.to_owned()])
                .collect()
        }
        Arguments::Kind(kind, rest) => {
            let mut all = vec![quote(kind)];
            all.extend(self::arguments(rest));
            all
        }
        Arguments::Trigger(node) => vec![dump(node)],
    }
}

fn dump(node: &Node) -> String {
    let mut parts = vec![node.keyword.to_lowercase()];
    if !node.flags.is_empty() {
        parts.push(format!("[{}]", quote_all(&node.flags).join(" ")));
    }
    parts.extend(arguments(&node.arguments));
    format!("({})", parts.join(" "))
}

#[test]
fn every_case_has_the_structure_that_buildkit_gives_it() {
    let cases = cases("testfiles");
    assert_eq!(cases.len(), 33);
    for case in cases {
        let expected = std::fs::read_to_string(case.join("result")).unwrap();
        let found: Vec<_> = nodes(&case).unwrap().iter().map(dump).collect();
        assert_eq!(found.join("\n"), expected.trim_end(), "{}", case.display());
    }
}

#[test]
fn what_buildkit_refuses_is_refused() {
    let cases = cases("testfiles-negative");
    assert_eq!(cases.len(), 4);
    for case in cases {
        let bytes = std::fs::read(case.join("Dockerfile")).unwrap();
        let error = super::parse(&bytes, "Dockerfile").unwrap_err();
        let lowest = nodes(&case);
        assert!(lowest.is_err() || lowest.unwrap().is_empty(), "{}: {error}", case.display());
    }
}
