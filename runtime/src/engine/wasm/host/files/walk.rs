//! Resolving a path as a process would whose root is the container's.
//!
//! wasmtime-wasi never leaves the directory a path starts from, not even by an absolute symbolic link, yet real root
//! file systems are full of those. When it refuses, this follows the links one by one, and comes to a path without
//! links that starts from the root; wasmtime-wasi then opens that, with all its checks. Nothing is decided here but
//! which name to try: if the tree changes meanwhile, the second try is refused or finds another file *of the tree*.

use std::collections::VecDeque;

/// As many links as Linux follows in one path.
const LINKS: usize = 40;

/// The way without links, relative to the root, of a path below a directory of the tree.
///
/// `read_link` tells the target of the link at a path below the root, whose parents are no links; `None` if it is no
/// link or does not exist. `follow_last`: whether the operation follows a link that the whole path names. `None` for
/// too many links, for a link that leads above the root, and for a path that by itself leaves its directory.
pub(super) fn walk(
    directory: &str,
    path: &str,
    follow_last: bool,
    mut read_link: impl FnMut(&str) -> Option<String>,
) -> Option<String> {
    if path.starts_with('/') || leaves(path) {
        return None;
    }
    let follow_last = follow_last || path.ends_with('/');
    let mut next: VecDeque<String> =
        parts(directory).chain(parts(path)).map(str::to_owned).collect();
    let mut done = Vec::new();
    let mut links = 0;
    while let Some(part) = next.pop_front() {
        if part == ".." {
            done.pop()?; // not above the root, as WASI has it; a process there would stay where it is
            continue;
        }
        done.push(part);
        if next.is_empty() && !follow_last {
            break;
        }
        if let Some(target) = read_link(&done.join("/")) {
            links += 1;
            if links > LINKS || target.is_empty() {
                return None;
            }
            done.pop();
            if target.starts_with('/') {
                done.clear();
            }
            parts(&target).rev().for_each(|part| next.push_front(part.to_owned()));
        }
    }
    Some(if done.is_empty() { ".".to_owned() } else { done.join("/") })
}

/// The names of a path, `..` included.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// Whether a path leaves its directory before any link is followed.
pub(super) fn leaves(path: &str) -> bool {
    let mut depth = 0i32;
    parts(path).any(|part| {
        depth += if part == ".." { -1 } else { 1 };
        depth < 0
    })
}

/// Whether a path names its own directory. A second name for that is refused by any kernel, but the one that Landlock
/// makes it give is an odd reason.
pub(super) fn is_itself(path: &str) -> bool {
    path.starts_with('.') && parts(path).next().is_none()
}

/// A path below a directory, both relative to the root: for remembering what a directory was opened as.
pub(super) fn join(directory: &str, path: &str) -> String {
    let mut joined: Vec<&str> = Vec::new();
    for part in parts(directory).chain(parts(path)) {
        // kept: what `..` is after a link only a walk can tell
        joined.push(part);
    }
    joined.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(directory: &str, path: &str, follow: bool) -> Option<String> {
        let links = [
            ("bin", "usr/bin"),
            ("abs", "/etc/alternatives/x"),
            ("etc/alternatives/x", "../../usr/y"),
            ("high", "../etc/x"),
            ("etc/up", "../lib/file"),
            ("loop", "pool"),
            ("pool", "loop"),
        ];
        walk(directory, path, follow, |path| {
            links.iter().find(|(link, _)| *link == path).map(|(_, target)| (*target).to_owned())
        })
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let is = |path: &str| Some(path.to_owned());
        assert_eq!(tree("", "./a//b/", true), is("a/b"));
        assert_eq!(tree("", "bin/sh", true), is("usr/bin/sh"));
        assert_eq!(tree("", "abs", true), is("usr/y"));
        assert_eq!(tree("", "abs", false), is("abs"));
        assert_eq!(tree("", "abs/z", false), is("usr/y/z"));
        assert_eq!(tree("", "a/..", true), is("."));
        assert_eq!(tree("etc", "up", true), is("lib/file"));
        assert_eq!(tree("bin", "../x", true), None);
        assert_eq!(tree("", "high", true), None);
        assert_eq!(tree("", "high", false), is("high"));
        assert_eq!(tree("etc/alternatives", "x", true), is("usr/y"));
    }

    #[test]
    fn what_the_guest_wrote_stays_below_its_directory() {
        for path in ["..", "a/../..", "/etc/passwd", "../a"] {
            assert_eq!(tree("etc", path, true), None, "{path}");
        }
    }

    #[test]
    fn loops_end() {
        assert_eq!(tree("", "loop", true), None);
        assert_eq!(tree("", "loop", false), Some("loop".into()));
    }
}
