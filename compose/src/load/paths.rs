//! Relative paths become absolute, and are cleaned as text.

use std::path::{Component, Path, PathBuf};

use super::error::Error;
use super::trail::Trail;
use crate::node::{Kind, Node};

#[derive(Clone, Copy)]
enum Rule {
    /// A path.
    Path,
    /// A path, or something on the network.
    Context,
    /// A path of this or the other system.
    Any,
    /// A path, with a link in it followed.
    Link,
    Mount,
    Driver,
}

const RULES: &[(&str, Rule)] = &[
    ("services.*.build.context", Rule::Context),
    ("services.*.build.additional_contexts.*", Rule::Context),
    ("services.*.build.ssh.*", Rule::Any),
    ("services.*.env_file.*.path", Rule::Path),
    ("services.*.label_file.*", Rule::Path),
    ("services.*.extends.file", Rule::Path),
    ("services.*.develop.watch.*.path", Rule::Link),
    ("services.*.volumes.*", Rule::Mount),
    ("configs.*.file", Rule::Any),
    ("secrets.*.file", Rule::Any),
    ("volumes.*", Rule::Driver),
];

/// Resolves the paths of a tree.
pub(crate) struct Paths<'a> {
    /// What they are relative to; relative itself where a file is included by another.
    pub base: &'a str,
    pub home: Option<&'a str>,
}

impl Paths<'_> {
    pub fn resolve(&self, node: &mut Node, trail: &mut Trail) -> Result<(), Error> {
        if let Some(rule) = trail.find(RULES) {
            return self.apply(node, rule, trail);
        }
        match &mut node.kind {
            Kind::Map(map) => map.iter_mut().try_for_each(|(key, entry)| {
                trail.within(key, |trail| self.resolve(&mut entry.node, trail))
            }),
            Kind::List(list) => list.iter_mut().enumerate().try_for_each(|(index, item)| {
                trail.within(&index.to_string(), |trail| self.resolve(item, trail))
            }),
            _ => Ok(()),
        }
    }

    fn apply(&self, node: &mut Node, rule: Rule, trail: &Trail) -> Result<(), Error> {
        match (rule, &mut node.kind) {
            (Rule::Path, Kind::Text(text)) => *text = self.absolute(text),
            (Rule::Context, Kind::Text(text)) if !is_remote(text) => *text = self.absolute(text),
            (Rule::Any, Kind::Text(text)) => *text = self.of_any_system(text),
            (Rule::Link, Kind::Text(text)) => *text = followed(&self.absolute(text)),
            (Rule::Mount, Kind::Map(map)) => {
                if map.get("type").and_then(Node::as_str) != Some("bind") {
                    return Ok(());
                }
                let Some(source) = map.get_mut("source") else {
                    return Err(Error::MissingKey {
                        place: node.place.clone(),
                        path: format!("{trail}.source"),
                    });
                };
                if let Kind::Text(text) = &mut source.kind {
                    *text = self.of_any_system(text);
                }
            }
            (Rule::Driver, Kind::Map(map)) => {
                let local = map.get("driver").and_then(Node::as_str) == Some("local");
                let Some(options) = map.get_mut("driver_opts").filter(|_| local) else {
                    return Ok(());
                };
                if options.str_at("o") == Some("bind")
                    && let Some(Kind::Text(text)) = options.get_mut("device").map(|n| &mut n.kind)
                {
                    *text = self.of_any_system(text);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// `~` and what is relative, resolved; nothing stays nothing.
    pub fn absolute(&self, path: &str) -> String {
        let path = self.expand(path);
        match path.is_empty() || path.starts_with('/') {
            true => path,
            false => join(self.base, &path),
        }
    }

    fn of_any_system(&self, path: &str) -> String {
        let path = self.expand(path);
        match path.starts_with('/') || is_windows(&path) {
            true => path,
            false => join(self.base, &path),
        }
    }

    fn expand(&self, path: &str) -> String {
        match (path.strip_prefix('~'), self.home) {
            (Some(rest), Some(home)) => join(home, rest),
            _ => path.to_owned(),
        }
    }
}

/// A drive or a share of Windows.
fn is_windows(path: &str) -> bool {
    let bytes = path.as_bytes();
    let drive = bytes.len() > 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes[2], b'\\' | b'/');
    drive || path.starts_with("\\\\")
}

/// A context that is no folder of this machine.
pub(crate) fn is_remote(context: &str) -> bool {
    const PREFIXES: [&str; 7] =
        ["https://", "http://", "git://", "ssh://", "github.com/", "git@", "service:"];
    context.contains("://") || PREFIXES.iter().any(|prefix| context.starts_with(prefix))
}

/// Two paths in one, cleaned.
pub(crate) fn join(base: &str, path: &str) -> String {
    match (base, path) {
        ("", path) => clean(path),
        (base, "") => clean(base),
        (base, path) => clean(&format!("{base}/{path}")),
    }
}

/// A path without `.`, `..` and double slashes, as text: links are not looked at.
pub(crate) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

/// The path to an absolute one from another.
pub(crate) fn relative(from: &Path, to: &Path) -> String {
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(to.components().skip(common)).collect();
    match path.to_string_lossy() {
        path if path.is_empty() => ".".into(),
        path => path.into_owned(),
    }
}

/// An absolute path in which the first link is replaced by what it leads to.
fn followed(path: &str) -> String {
    let mut current = PathBuf::new();
    for part in Path::new(path).components() {
        current.push(part);
        if !current.is_symlink() {
            continue;
        }
        return match current.canonicalize() {
            Ok(target) => {
                let rest = path.strip_prefix(&*current.to_string_lossy()).unwrap_or_default();
                format!("{}{rest}", target.display())
            }
            // it will be said when the path is used
            Err(_) => path.to_owned(),
        };
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{clean, join, relative};

    #[test]
    fn paths_are_cleaned_as_text() {
        let rows = [
            ("/a/../b", "/b"),
            ("./a/", "a"),
            ("a/..", "."),
            ("../a", "../a"),
            ("/..", "/"),
            ("", "."),
            ("a//b", "a/b"),
        ];
        for (path, expected) in rows {
            assert_eq!(clean(path), expected);
        }
        assert_eq!(join("sub", "../x"), "x");
        assert_eq!(relative(Path::new("/a/b"), Path::new("/a/c")), "../c");
        assert_eq!(relative(Path::new("/a"), Path::new("/a")), ".");
    }
}
